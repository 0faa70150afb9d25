using System.ComponentModel.DataAnnotations;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Grpc.Net.Client;
using Nephos.Host;
using Nephos.Host.Commands;
using Nephos.Hosting;
using Nephos.Kernel.Errors;
using Xunit;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Services.Tests.Hosting;

/// <summary>Processes that call each other: several that serve one role, and none but members of the cluster.</summary>
public sealed class ClusterTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-cluster-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Calls_go_to_each_process_of_a_role_in_turn_and_to_the_others_when_one_ends()
    {
        await using var first = await EchoProcess.ServeAsync(_folder.FullName, "first");
        var second = await EchoProcess.ServeAsync(_folder.FullName, "second");
        await using var caller = await EchoProcess.CallAsync(_folder.FullName, ("Nephos:Services:compute", $"{first.GrpcAddress}, {second.GrpcAddress}"));

        var answered = new HashSet<string>();
        for (var i = 0; i < 10; i++)
        {
            answered.Add(await caller.AskAsync());
        }
        await second.DisposeAsync();

        Assert.Equal(["first", "second"], answered.Order(StringComparer.Ordinal));
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal("first", await caller.AskAsync());
        }
    }

    [Fact]
    public async Task Members_of_a_cluster_talk_to_each_other_and_to_nobody_else()
    {
        ClusterCommand.Init(Path.Combine(_folder.FullName, "ours"), ["first", "caller"], TimeProvider.System.GetUtcNow());
        ClusterCommand.Init(Path.Combine(_folder.FullName, "theirs"), ["caller"], TimeProvider.System.GetUtcNow());
        await using var first = await EchoProcess.ServeAsync(_folder.FullName, "first", Certificates("ours", "first"));
        var address = ("Nephos:Services:compute", first.GrpcAddress);
        await using var member = await EchoProcess.CallAsync(_folder.FullName, [address, .. Certificates("ours", "caller")]);
        await using var stranger = await EchoProcess.CallAsync(_folder.FullName, [address, .. Certificates("theirs", "caller")]);

        Assert.Equal("first", await member.AskAsync());
        await Assert.ThrowsAsync<FaultException>(stranger.AskAsync);
        using var bare = GrpcChannel.ForAddress($"https://127.0.0.1:{first.Port + 1}", new GrpcChannelOptions
        {
            HttpHandler = new SocketsHttpHandler { SslOptions = new() { RemoteCertificateValidationCallback = (_, _, _, _) => true } },
        });
        await Assert.ThrowsAsync<RpcException>(async () => await new Wire.Keypairs.KeypairsClient(bare).GetKeypairAsync(
            new Wire.GetKeypairRequest(), new Metadata { { "authorization", "Bearer alice" } }));
    }

    [Fact]
    public void An_authority_that_is_there_stays_and_certificates_name_their_node()
    {
        var directory = Path.Combine(_folder.FullName, "pki");
        var now = TimeProvider.System.GetUtcNow();
        ClusterCommand.Init(directory, ["first"], now);
        var authority = File.ReadAllText(Path.Combine(directory, "ca.pem"));

        ClusterCommand.Init(directory, ["second"], now);

        Assert.Equal(authority, File.ReadAllText(Path.Combine(directory, "ca.pem")));
        var tls = new ClusterTls(Path.Combine(directory, "first.pem"), Path.Combine(directory, "first.key"), Path.Combine(directory, "ca.pem"));
        using var second = X509Certificate2.CreateFromPemFile(Path.Combine(directory, "second.pem"), Path.Combine(directory, "second.key"));
        Assert.Equal("CN=second", second.Subject);
        Assert.True(tls.IsOfCluster(second));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(directory, "ca.key")));
        Assert.Throws<CommandException>(() => ClusterCommand.Init(directory, ["../out"], now));
    }

    [Fact]
    public void A_key_of_another_certificate_is_refused_before_the_process_listens()
    {
        var directory = Path.Combine(_folder.FullName, "pki");
        ClusterCommand.Init(directory, ["first", "second"], TimeProvider.System.GetUtcNow());
        var (certificate, other) = (Path.Combine(directory, "first.pem"), Path.Combine(directory, "second.key"));

        foreach (var settings in new Dictionary<string, string?>[]
        {
            new() { ["Nephos:TlsCertificateFile"] = certificate, ["Nephos:TlsKeyFile"] = other },
            new() { ["Nephos:ClusterCertificateFile"] = certificate, ["Nephos:ClusterKeyFile"] = other, ["Nephos:ClusterAuthorityFile"] = Path.Combine(directory, "ca.pem") },
        })
        {
            settings["Nephos:StateDirectory"] = _folder.FullName;
            settings["State:Engine"] = "Memory";
            Assert.Contains("does not match", Assert.Throws<ValidationException>(() => NephosApplication.Build([], settings)).Message, StringComparison.Ordinal);
        }
    }

    private (string, string)[] Certificates(string authority, string node)
    {
        var directory = Path.Combine(_folder.FullName, authority);
        return
        [
            ("Nephos:ClusterCertificateFile", Path.Combine(directory, $"{node}.pem")), ("Nephos:ClusterKeyFile", Path.Combine(directory, $"{node}.key")),
            ("Nephos:ClusterAuthorityFile", Path.Combine(directory, "ca.pem")),
        ];
    }
}
