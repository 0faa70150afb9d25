using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Nephos.Hosting;
using Nephos.Networking;
using Xunit;

namespace Nephos.Services.Tests.Networking;

/// <summary>The Network service alone. The projects are named as their callers.</summary>
public sealed class NetworkHost() : ServiceHost("/network/", new KeyValuePair<string, string?>("Network:SnapshotDelay", "00:00:00.001"))
{
    private protected override IReadOnlyList<Role> Roles => [new("network", builder => builder.AddNetworking(), app => app.MapNetworking())];

    private protected override string ProjectOf(string caller) => caller;

    public async Task<(HttpStatusCode Status, JsonNode? Body)> SendAsync(string caller, HttpMethod method, string path, string? json = null)
    {
        using var request = new HttpRequestMessage(method, path);
        if (caller.Length > 0)
        {
            request.Headers.Add("X-Auth-Token", caller);
        }

        if (json is not null)
        {
            request.Content = new StringContent(json, Encoding.UTF8, new MediaTypeHeaderValue("application/json"));
        }

        using var response = await Http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return (response.StatusCode, text.Length == 0 ? null : JsonNode.Parse(text));
    }

    public Task<(HttpStatusCode Status, JsonNode? Body)> GetAsync(string caller, string path) => SendAsync(caller, HttpMethod.Get, path);

    /// <summary>Creates an object and answers it, without the envelope.</summary>
    public async Task<JsonNode> PostAsync(string caller, string path, string json)
    {
        var (status, body) = await SendAsync(caller, HttpMethod.Post, path, json);
        Assert.True(status == HttpStatusCode.Created, $"{status}: {body}");
        return body!.AsObject().Single().Value!;
    }

    /// <summary>Sends what must be refused, and answers the type of the error.</summary>
    public async Task<(int Status, string? Type)> RefusedAsync(string caller, HttpMethod method, string path, string? json = null)
    {
        var (status, body) = await SendAsync(caller, method, path, json);
        return ((int)status, body?["NeutronError"]?["type"]?.ToString());
    }
}
