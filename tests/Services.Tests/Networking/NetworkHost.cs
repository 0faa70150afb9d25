using System.Collections.Frozen;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Hosting;
using Nephos.Hosting.Authentication;
using Nephos.Kernel.Operations;
using Nephos.Networking;
using Nephos.Testing;
using Xunit;

namespace Nephos.Services.Tests.Networking;

/// <summary>The Network service alone in a process, with both of its faces; a token is the name of the caller.</summary>
public sealed class NetworkHost : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-network-");
    private WebApplication _app = null!;
    private GrpcChannel _channel = null!;
    private HttpClient _http = null!;

    public CallInvoker Grpc => _channel.CreateCallInvoker();

    public Uri BaseAddress => _http.BaseAddress!;

    public async Task InitializeAsync()
    {
        var port = FreePorts.Take(1, NephosOptions.S3PortOffset);
        var role = new Role(
            "network",
            builder =>
            {
                builder.Services.AddSingleton<ITokenVerifier, NamesAsTokens>();
                builder.AddNetworking();
            },
            app => app.MapNetworking());
        _app = NephosApplication.Build([role], new Dictionary<string, string?>
        {
            ["Nephos:StateDirectory"] = _folder.FullName,
            ["Nephos:PortBase"] = $"{port}",
            ["State:Engine"] = "Memory",
            ["Network:SnapshotDelay"] = "00:00:00.001",
        });
        await _app.StartAsync();
        _http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}/network/") };
        _channel = GrpcChannel.ForAddress($"http://127.0.0.1:{port + 1}");
    }

    public async Task DisposeAsync()
    {
        _channel.Dispose();
        _http.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    public static CallOptions As(string caller, CancellationToken cancellationToken = default) =>
        new(new Metadata { { "authorization", $"Bearer {caller}" } }, cancellationToken: cancellationToken);

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

        using var response = await _http.SendAsync(request);
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

    private sealed class NamesAsTokens : ITokenVerifier
    {
        public ValueTask<OperationContext?> VerifyAsync(string token, string requestId, CancellationToken cancellationToken)
        {
            string[]? roles = token switch
            {
                "admin" => ["admin", "member"],
                "service" => ["service"],
                "reader" => ["reader"],
                _ when token.StartsWith("member", StringComparison.Ordinal) => ["member"],
                _ => null,
            };
            return ValueTask.FromResult(roles is null
                ? null
                : new OperationContext
                {
                    RequestId = requestId,
                    UserId = token,
                    ProjectId = token == "service" ? null : token,
                    Roles = roles.ToFrozenSet(),
                    IsService = token == "service",
                    Token = token,
                });
        }
    }
}
