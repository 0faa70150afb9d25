using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Client.Objects;
using Nephos.Hosting;
using Nephos.Images;
using Nephos.ObjectStorage;
using Nephos.Testing.Objects;
using Xunit;

namespace Nephos.Services.Tests.Images;

/// <summary>The image service with the faces of the object store over an engine in memory.</summary>
public sealed class ImageHost() : ServiceHost("/image/")
{
    private protected override IReadOnlyList<Role> Roles =>
    [
        new("image", builder => builder.AddImages(), app => app.MapImages()),
        new(
            "object",
            builder =>
            {
                builder.Services.AddSingleton<IObjectEngine>(new InMemoryObjectEngine());
                builder.AddObjectStorage();
            },
            app => app.MapObjectStorage()),
    ];

    public async Task<HttpResponseMessage> SendAsync(string caller, HttpMethod method, string path, HttpContent? content = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        if (caller.Length > 0)
        {
            request.Headers.Add("X-Auth-Token", caller);
        }
        return await Http.SendAsync(request);
    }

    public async Task<(int Status, JsonNode? Body)> CallAsync(
        string caller, HttpMethod method, string path, string? json = null, string mediaType = "application/json")
    {
        using var response = await SendAsync(caller, method, path, json is null ? null : new StringContent(json, Encoding.UTF8, mediaType));
        var text = await response.Content.ReadAsStringAsync();
        return ((int)response.StatusCode, text.Length == 0 ? null : JsonNode.Parse(text));
    }

    public async Task<JsonNode> CreateAsync(string caller, string name, string more = "")
    {
        var (status, body) = await CallAsync(caller, HttpMethod.Post, "v2/images",
            $$"""{"name":"{{name}}","disk_format":"raw","container_format":"bare"{{more}}}""");
        Assert.Equal(201, status);
        return body!;
    }

    public async Task<int> UploadAsync(string caller, string id, byte[] data, bool chunked)
    {
        using HttpContent content = chunked ? new StreamContent(new UnknownLength(data)) : new ByteArrayContent(data);
        content.Headers.ContentType = new("application/octet-stream");
        using var response = await SendAsync(caller, HttpMethod.Put, $"v2/images/{id}/file", content);
        return (int)response.StatusCode;
    }

    private sealed class UnknownLength(byte[] data) : MemoryStream(data)
    {
        public override bool CanSeek => false;
    }
}
