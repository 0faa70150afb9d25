using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Kernel.State;
using Nephos.State;

namespace Nephos.Services.Tests.State;

/// <summary>The conformance of stores in etcd, however many members it has.</summary>
public abstract class EtcdConformance : StateStoreConformance
{
    protected static IStateStore Open(IReadOnlyList<string> endpoints, string prefix, StateHistoryOptions history) => StateRegistration.Open(
        new StateStoreOptions { Engine = StateEngine.Etcd, EtcdEndpoints = endpoints, EtcdPrefix = prefix, History = history },
        TimeProvider.System,
        NullLoggerFactory.Instance);

    /// <summary>An empty store whose watches are connected.</summary>
    protected static async Task<IStateStore> ConnectAsync(IReadOnlyList<string> endpoints, string prefix, StateHistoryOptions history)
    {
        var store = Open(endpoints, prefix, history);

        // Connecting takes a moment, and what came before it is compacted for this process.
        while (true)
        {
            var written = await store.CommitAsync(new StateCommit { Puts = [Put("connected", "?")] }, None);
            try
            {
                await CollectAsync(store, "", written.Revision, written.Revision);
                break;
            }
            catch (StateCompactedException)
            {
            }
        }

        await store.CommitAsync(new StateCommit { Deletes = ["connected"] }, None);
        return store;
    }

    // etcd runs on its own clock.
    protected override void Advance(TimeSpan time)
    {
    }
}
