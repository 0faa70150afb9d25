using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Kernel.State;
using Nephos.State;
using Xunit;

namespace Nephos.Services.Tests.State;

public sealed class StateRegistrationTests
{
    [Fact]
    public async Task A_container_has_one_store_and_closes_it()
    {
        IStateStore store;
        await using (var provider = new ServiceCollection().AddStateStore(new StateStoreOptions { Engine = StateEngine.Memory }).BuildServiceProvider())
        {
            store = provider.GetRequiredService<IStateStore>();
            Assert.Same(store, provider.GetRequiredService<IStateStore>());
        }

        await Assert.ThrowsAsync<ObjectDisposedException>(
            async () => await store.CommitAsync(new StateCommit { Deletes = ["a"] }, CancellationToken.None));
    }

    [Fact]
    public void Options_that_contradict_themselves_are_refused()
    {
        StateStoreOptions[] wrong =
        [
            new(),
            new() { Engine = StateEngine.Etcd },
            new() { Engine = StateEngine.Etcd, EtcdEndpoints = ["localhost:2379"] },
            new() { Engine = StateEngine.Etcd, EtcdEndpoints = ["http://a:2379", "https://b:2379"] },
            new() { Engine = StateEngine.Etcd, EtcdEndpoints = ["https://a:2379"], EtcdCertificateFile = "client.pem" },
            new() { Engine = StateEngine.Memory, History = new StateHistoryOptions { MaxBatches = 0 } },
        ];

        foreach (var options in wrong)
        {
            Assert.Throws<ValidationException>(() => StateRegistration.Open(options, TimeProvider.System, NullLoggerFactory.Instance));
        }
    }
}
