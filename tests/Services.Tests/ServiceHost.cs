using System.Collections.Frozen;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Hosting;
using Nephos.Hosting.Authentication;
using Nephos.Kernel.Operations;
using Nephos.Testing;
using Xunit;

namespace Nephos.Services.Tests;

/// <summary>
/// One service with both of its faces on real sockets, over a store in memory. A token is the name of the caller: <c>admin</c>, <c>reader</c>,
/// <c>service</c>, or a member: <c>alice</c>, <c>bob</c>, <c>member-…</c>.
/// </summary>
/// <param name="prefix">Of the service's REST paths, as <c>/image/</c>.</param>
/// <param name="settings">Beyond those that every host has.</param>
public abstract class ServiceHost(string prefix, params KeyValuePair<string, string?>[] settings) : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-service-");
    private WebApplication _app = null!;
    private GrpcChannel _channel = null!;

    /// <summary>Follows no redirects.</summary>
    public HttpClient Http { get; private set; } = null!;

    public CallInvoker Grpc => _channel.CreateCallInvoker();

    public async Task InitializeAsync()
    {
        var port = FreePorts.Take(1, NephosOptions.S3PortOffset);
        Role callers = new("callers", AddCallers, _ => { });
        _app = NephosApplication.Build([callers, .. Roles], new Dictionary<string, string?>(settings)
        {
            ["Nephos:StateDirectory"] = _folder.FullName,
            ["Nephos:PortBase"] = $"{port}",
            ["State:Engine"] = "Memory",
        });
        await _app.StartAsync();
        Http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false }) { BaseAddress = new Uri($"http://127.0.0.1:{port}{prefix}") };
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

    public static CallOptions As(string caller, CancellationToken cancellationToken = default) =>
        new(new Metadata { { "authorization", $"Bearer {caller}" } }, cancellationToken: cancellationToken);

    /// <summary>The service, and what it needs beside it.</summary>
    private protected abstract IReadOnlyList<Role> Roles { get; }

    /// <summary>The project that a caller's token is for.</summary>
    private protected virtual string ProjectOf(string caller) => "project-of-" + caller;

    private void AddCallers(WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<ITokenVerifier>(new NamesAsTokens(ProjectOf));
        builder.Services.AddSingleton<IServiceTokenSource>(new ServiceName());
    }

    private sealed class ServiceName : IServiceTokenSource
    {
        public ValueTask<string> GetAsync(CancellationToken cancellationToken) => ValueTask.FromResult("service");
    }

    private sealed class NamesAsTokens(Func<string, string> projectOf) : ITokenVerifier
    {
        public ValueTask<OperationContext?> VerifyAsync(string token, string requestId, CancellationToken cancellationToken)
        {
            string[]? roles = token switch
            {
                "admin" => ["admin", "member"],
                "service" or "reader" => [token],
                "alice" or "bob" => ["member"],
                _ when token.StartsWith("member", StringComparison.Ordinal) => ["member"],
                _ => null,
            };
            return ValueTask.FromResult(roles is null
                ? null
                : new OperationContext
                {
                    RequestId = requestId,
                    UserId = token,
                    ProjectId = token == "service" ? null : projectOf(token),
                    Roles = roles.ToFrozenSet(),
                    IsService = token == "service",
                    Token = token,
                });
        }
    }
}
