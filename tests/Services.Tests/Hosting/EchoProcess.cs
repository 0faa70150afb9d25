using System.Collections.Frozen;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Hosting;
using Nephos.Hosting.Authentication;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Operations;
using Nephos.Testing;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Services.Tests.Hosting;

/// <summary>A process of a cluster in this one: it serves a role that answers with its node's name, or only calls it.</summary>
internal sealed class EchoProcess : IAsyncDisposable
{
    private readonly WebApplication _app;

    private EchoProcess(WebApplication app, int port) => (_app, Port) = (app, port);

    public int Port { get; }

    public string GrpcAddress => $"http://127.0.0.1:{Port + 1}";

    public static Task<EchoProcess> ServeAsync(string folder, string node, params (string Name, string Value)[] settings) =>
        StartAsync(folder, node, new Role("compute", AddTokens, app => app.MapGrpcService<Echo>()), settings);

    public static Task<EchoProcess> CallAsync(string folder, params (string Name, string Value)[] settings) =>
        StartAsync(folder, "caller", new Role("caller", AddTokens, _ => { }), settings);

    /// <summary>The node that answered.</summary>
    public async Task<string> AskAsync()
    {
        var client = _app.Services.GetRequiredService<Wire.Keypairs.KeypairsClient>();
        var options = new CallOptions(
            new Metadata { { "authorization", "Bearer alice" } }, TimeProvider.System.GetUtcNow().UtcDateTime.AddSeconds(30));
        return (await client.GetKeypairAsync(new Wire.GetKeypairRequest { Name = "any" }, options)).Name;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    private static async Task<EchoProcess> StartAsync(string folder, string node, Role role, (string Name, string Value)[] settings)
    {
        var port = FreePorts.Take(1, NephosOptions.S3PortOffset);
        var app = NephosApplication.Build([role],
        [
            new("Nephos:StateDirectory", Path.Combine(folder, node)), new("Nephos:PortBase", $"{port}"), new("Nephos:NodeName", node), new("State:Engine", "Memory"),
            new("Logging:LogLevel:Default", "None"), .. settings.Select(setting => KeyValuePair.Create(setting.Name, (string?)setting.Value)),
        ]);
        await app.StartAsync();
        return new EchoProcess(app, port);
    }

    private static void AddTokens(WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<ITokenVerifier, NamesAsTokens>();
        builder.Services.AddNephosClient<Wire.Keypairs.KeypairsClient>("compute");
    }

    internal sealed class NamesAsTokens : ITokenVerifier
    {
        public ValueTask<OperationContext?> VerifyAsync(string token, string requestId, CancellationToken cancellationToken) => ValueTask.FromResult<OperationContext?>(
            new OperationContext { RequestId = requestId, UserId = token, ProjectId = token, Roles = new[] { "member" }.ToFrozenSet(), Token = token });
    }

    private sealed class Echo(NephosOptions options) : Wire.Keypairs.KeypairsBase
    {
        public override Task<Wire.Keypair> GetKeypair(Wire.GetKeypairRequest request, ServerCallContext context) =>
            Task.FromResult(new Wire.Keypair { Name = options.NodeName });
    }
}
