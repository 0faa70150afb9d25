using System.Collections.Frozen;
using System.Text;
using System.Text.Json.Nodes;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Client.Objects;
using Nephos.Hosting;
using Nephos.Hosting.Authentication;
using Nephos.Images;
using Nephos.Kernel.Operations;
using Nephos.ObjectStorage;
using Nephos.Testing;
using Nephos.Testing.Objects;
using Xunit;

namespace Nephos.Services.Tests.Images;

/// <summary>The image service in a process with the faces of the object store over an engine in memory; a token is the name of the caller.</summary>
public sealed class ImageHost : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-images-");
    private WebApplication _app = null!;
    private GrpcChannel _channel = null!;

    public HttpClient Http { get; private set; } = null!;

    public CallInvoker Grpc => _channel.CreateCallInvoker();

    public async Task InitializeAsync()
    {
        var port = FreePorts.Take(1, NephosOptions.S3PortOffset);
        Role[] roles =
        [
            new(
                "image",
                builder =>
                {
                    builder.Services.AddSingleton<ITokenVerifier, NamesAsTokens>();
                    builder.Services.AddSingleton<IServiceTokenSource, ServiceName>();
                    builder.AddImages();
                },
                app => app.MapImages()),
            new(
                "object",
                builder =>
                {
                    builder.Services.AddSingleton<IObjectEngine>(new InMemoryObjectEngine());
                    builder.AddObjectStorage();
                },
                app => app.MapObjectStorage()),
        ];
        _app = NephosApplication.Build(roles, new Dictionary<string, string?>
        {
            ["Nephos:StateDirectory"] = _folder.FullName,
            ["Nephos:PortBase"] = $"{port}",
            ["State:Engine"] = "Memory",
        });
        await _app.StartAsync();
        Http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false }) { BaseAddress = new Uri($"http://127.0.0.1:{port}/image/") };
        _channel = GrpcChannel.ForAddress($"http://127.0.0.1:{port + 1}");
    }

    public async Task DisposeAsync()
    {
        _channel.Dispose();
        Http.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    public static CallOptions As(string caller) => new(new Metadata { { "authorization", $"Bearer {caller}" } });

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

    private sealed class ServiceName : IServiceTokenSource
    {
        public ValueTask<string> GetAsync(CancellationToken cancellationToken) => ValueTask.FromResult("service");
    }

    private sealed class NamesAsTokens : ITokenVerifier
    {
        public ValueTask<OperationContext?> VerifyAsync(string token, string requestId, CancellationToken cancellationToken)
        {
            string[]? roles = token switch
            {
                "admin" => ["admin", "member"],
                "service" => ["service"],
                "alice" or "bob" => ["member"],
                _ => null,
            };
            return ValueTask.FromResult(roles is null
                ? null
                : new OperationContext
                {
                    RequestId = requestId, UserId = token, ProjectId = "project-of-" + token, Roles = roles.ToFrozenSet(),
                    IsService = token == "service", Token = token,
                });
        }
    }
}
