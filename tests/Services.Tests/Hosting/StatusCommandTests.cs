using System.Collections.Frozen;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Host;
using Nephos.Host.Commands;
using Nephos.Hosting;
using Nephos.Hosting.Authentication;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Operations;
using Nephos.Testing;
using Xunit;
using IdentityWire = Nephos.Protos.Identity.V1;

namespace Nephos.Services.Tests.Hosting;

/// <summary><c>nephos status</c> over a cloud of several processes, some of which want a certificate and some of which are away.</summary>
public sealed class StatusCommandTests : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-status-");
    private readonly List<WebApplication> _processes = [];

    private string Pki => Path.Combine(_folder.FullName, "pki");

    public Task InitializeAsync()
    {
        ClusterCommand.Init(Pki, ["front", "back", "lost"], TimeProvider.System.GetUtcNow());
        Directory.CreateDirectory(Path.Combine(_folder.FullName, "secrets"));
        File.WriteAllText(Path.Combine(_folder.FullName, "secrets", "admin.password"), "secret\n");
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        foreach (var process in _processes)
        {
            await process.StopAsync();
            await process.DisposeAsync();
        }
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Processes_that_want_a_certificate_of_the_cluster_are_shown_their_own()
    {
        await StartAsync(".", "front", "gateway");
        await StartAsync("back", "back", "compute");

        var (code, text) = await StatusAsync();

        Assert.Contains("front  gateway", text, StringComparison.Ordinal);
        Assert.Contains("back  compute", text, StringComparison.Ordinal);
        Assert.Equal(0, code);
    }

    [Fact]
    public async Task Processes_behind_one_that_cannot_be_reached_are_shown_all_the_same()
    {
        await StartAsync(".", "front", "gateway");
        await StartAsync("back", "back", "compute");
        // Before "back" in the order of directories, and nobody listens there.
        await StartAsync("away", "lost", "compute", listens: false);

        var (code, text) = await StatusAsync();

        Assert.Contains("does not answer: Unavailable", text, StringComparison.Ordinal);
        Assert.Contains("back  compute", text, StringComparison.Ordinal);
        Assert.Equal(1, code);
    }

    [Fact]
    public async Task A_certificate_that_cannot_be_read_is_told_and_the_others_are_shown()
    {
        await StartAsync(".", "front", "gateway");
        await StartAsync("away", "lost", "compute");
        await StartAsync("back", "back", "compute");
        File.Delete(Path.Combine(Pki, "lost.key"));

        var (code, text) = await StatusAsync();

        Assert.Contains("cannot be used", text, StringComparison.Ordinal);
        Assert.Contains("back  compute", text, StringComparison.Ordinal);
        Assert.Equal(1, code);
    }

    [Fact]
    public async Task Without_the_gateway_the_process_that_issues_tokens_is_asked_for_one()
    {
        await StartAsync(".", "lost", "gateway", listens: false);
        await StartAsync("back", "back", "compute");

        var (code, text) = await StatusAsync();

        Assert.Contains("does not answer: Unavailable", text, StringComparison.Ordinal);
        Assert.Contains("back  compute", text, StringComparison.Ordinal);
        Assert.Equal(1, code);
    }

    private async Task<(int Code, string Text)> StatusAsync()
    {
        using var output = new StringWriter();
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        var code = await StatusCommand.WriteAsync(_folder.FullName, output, patience.Token);
        return (code, output.ToString());
    }

    private async Task StartAsync(string directory, string node, string role, bool listens = true)
    {
        var app = NephosApplication.Build(
            [new Role(role, builder => builder.Services.AddSingleton<ITokenVerifier, AdministratorsAsTokens>(), app => app.MapGrpcService<Issuer>())],
            new Dictionary<string, string?>
            {
                ["Nephos:StateDirectory"] = Path.GetFullPath(Path.Combine(_folder.FullName, directory)),
                ["Nephos:PortBase"] = $"{FreePorts.Take(1, NephosOptions.S3PortOffset)}",
                ["Nephos:NodeName"] = node,
                ["Nephos:Roles:0"] = role,
                ["Nephos:ClusterCertificateFile"] = Path.Combine(Pki, $"{node}.pem"),
                ["Nephos:ClusterKeyFile"] = Path.Combine(Pki, $"{node}.key"),
                ["Nephos:ClusterAuthorityFile"] = Path.Combine(Pki, "ca.pem"),
                ["State:Engine"] = "Memory",
                ["Logging:LogLevel:Default"] = "None",
            });
        RunningServer.Write(app.Services.GetRequiredService<NephosOptions>());
        if (listens)
        {
            await app.StartAsync();
            _processes.Add(app);
        }
        else
        {
            await app.DisposeAsync();
        }
    }

    private sealed class AdministratorsAsTokens : ITokenVerifier
    {
        public ValueTask<OperationContext?> VerifyAsync(string token, string requestId, CancellationToken cancellationToken) =>
            ValueTask.FromResult<OperationContext?>(new OperationContext
            {
                RequestId = requestId, UserId = token, ProjectId = token, Roles = new[] { "admin" }.ToFrozenSet(), Token = token,
            });
    }

    private sealed class Issuer : IdentityWire.Tokens.TokensBase
    {
        [AllowAnonymousOperation]
        public override Task<IdentityWire.IssueTokenResponse> IssueToken(IdentityWire.IssueTokenRequest request, ServerCallContext context) =>
            Task.FromResult(new IdentityWire.IssueTokenResponse { Token = request.Password.Password });
    }
}
