using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Kernel.State;
using Nephos.State;
using Xunit;

namespace Nephos.Services.Tests.State;

[NeedsProgram("etcd")]
public sealed class EtcdTlsTests : IAsyncLifetime
{
    private readonly EtcdCertificates _certificates = new();
    private readonly EtcdProcess _etcd;

    public EtcdTlsTests() => _etcd = new EtcdProcess(_certificates);

    public Task InitializeAsync() => _etcd.InitializeAsync();

    public async Task DisposeAsync()
    {
        await _etcd.DisposeAsync();
        _certificates.Dispose();
    }

    [StoreFact]
    public async Task Only_who_trusts_the_authority_and_has_a_certificate_of_it_is_served()
    {
        var options = new StateStoreOptions
        {
            Engine = StateEngine.Etcd,
            EtcdEndpoints = [_etcd.Endpoint],
            EtcdCaFile = _certificates.CaFile,
            EtcdCertificateFile = _certificates.ClientFile,
            EtcdKeyFile = _certificates.ClientKeyFile,
        };

        Assert.Equal("1", await PutAndGetAsync(options));
        await Assert.ThrowsAsync<StateUnavailableException>(() => PutAndGetAsync(options with { EtcdCaFile = "" }));
        await Assert.ThrowsAsync<StateUnavailableException>(
            () => PutAndGetAsync(options with { EtcdCertificateFile = "", EtcdKeyFile = "" }));
    }

    private static async Task<string> PutAndGetAsync(StateStoreOptions options)
    {
        await using var store = StateRegistration.Open(options, TimeProvider.System, NullLoggerFactory.Instance);
        await store.CommitAsync(new StateCommit { Puts = [new("a", "1"u8.ToArray())] }, CancellationToken.None);
        return Encoding.UTF8.GetString((await store.GetAsync("a", CancellationToken.None))!.Value.Span);
    }
}
