using System.Collections.Frozen;
using System.Text;
using System.Text.Json.Nodes;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nephos.BlockStorage;
using Nephos.BlockStorage.Backups;
using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Images;
using Nephos.Hosting;
using Nephos.Hosting.Authentication;
using Nephos.Kernel.Operations;
using Nephos.Testing;
using Xunit;

namespace Nephos.Services.Tests.BlockStorage;

/// <summary>The block storage service in a process, over devices, images and an object store that are dictionaries; a token is the name of the caller.</summary>
public sealed class BlockStorageHost : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-volumes-");
    private readonly FakeDevices _devices = new();
    private WebApplication _app = null!;
    private GrpcChannel _channel = null!;
    private HttpClient _http = null!;

    internal FakeDevices Devices => _devices;

    public CallInvoker Grpc => _channel.CreateCallInvoker();

    public async Task InitializeAsync()
    {
        var port = FreePorts.Take(1, NephosOptions.S3PortOffset);
        Role[] roles =
        [
            new(
                "volume",
                builder =>
                {
                    builder.Services.AddSingleton<ITokenVerifier, NamesAsTokens>();
                    builder.Services.AddSingleton<IServiceTokenSource, ServiceName>();
                    builder.AddBlockStorage();
                    builder.Services.AddSingleton<IBlockDevices>(_devices);
                    builder.Services.AddSingleton<IImages>(new FakeImages());
                    builder.Services.AddSingleton<IBackupObjects>(new FakeBackupObjects());
                },
                app => app.MapBlockStorage()),
        ];
        _app = NephosApplication.Build(roles, new Dictionary<string, string?>
        {
            ["Nephos:StateDirectory"] = _folder.FullName,
            ["Nephos:PortBase"] = $"{port}",
            ["State:Engine"] = "Memory",
        });
        await _app.StartAsync();
        _http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}/volume/v3/") };
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

    public static CallOptions As(string caller) => new(new Metadata { { "authorization", $"Bearer {caller}" } });

    /// <param name="path">Below the project of the caller.</param>
    public async Task<(int Status, JsonNode? Body)> CallAsync(string caller, HttpMethod method, string path, string? json = null, string version = "3.62")
    {
        using var request = new HttpRequestMessage(method, $"project-of-{caller}/{path}");
        if (json is not null) request.Content = new StringContent(json, Encoding.UTF8, "application/json");
        request.Headers.Add("X-Auth-Token", caller);
        request.Headers.Add("OpenStack-API-Version", $"volume {version}");
        using var response = await _http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return ((int)response.StatusCode, text.Length == 0 ? null : JsonNode.Parse(text));
    }

    /// <summary>Asks until the object has the status; fails when it takes too long.</summary>
    public async Task<JsonNode> WaitAsync(string caller, string path, string name, string status)
    {
        for (var round = 0; round < 600; round++)
        {
            var (_, body) = await CallAsync(caller, HttpMethod.Get, path);
            if ((string?)body?[name]?["status"] == status) return body[name]!;
            await Task.Delay(50);
        }
        throw new TimeoutException($"{path} did not become {status}");
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
                "alice" or "bob" => ["member"],
                _ => null,
            };
            return ValueTask.FromResult(roles is null
                ? null
                : new OperationContext
                {
                    RequestId = requestId, UserId = token, ProjectId = "project-of-" + token, Roles = roles.ToFrozenSet(), Token = token,
                });
        }
    }
}
