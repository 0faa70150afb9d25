using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;

namespace Nephos.Networking.State;

/// <summary>Where the services read and change their records.</summary>
internal sealed class NetworkStore(IStateStore store, NetworkTableCaches caches)
{
    // Changes of one project wait for each other here instead of losing races for its quota; other processes still may race.
    private const int GateCount = 64;

    private readonly SemaphoreSlim[] _gates = [.. Enumerable.Range(0, GateCount).Select(_ => new SemaphoreSlim(1, 1))];
    private NetworkView? _view;

    /// <summary>A view that shows everything acknowledged before the call.</summary>
    public async ValueTask<NetworkView> ViewAsync(CancellationToken cancellationToken)
    {
        var revision = await store.GetRevisionAsync(cancellationToken);
        await caches.WaitForRevisionAsync(revision, cancellationToken);
        var previous = Volatile.Read(ref _view);
        var view = new NetworkView(caches, revision, previous);
        Volatile.Write(ref _view, view);
        return view;
    }

    /// <summary>Runs a transaction; the losers of races for unique values get the fault of their resource.</summary>
    /// <param name="projectId">Whose quota it touches, or "".</param>
    /// <param name="body">May run several times.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public async Task<T> ChangeAsync<T>(string projectId, Func<StateTransaction, Task<T>> body, CancellationToken cancellationToken)
    {
        var gate = _gates[(uint)projectId.GetHashCode(StringComparison.Ordinal) % GateCount];
        await gate.WaitAsync(cancellationToken);
        try
        {
            return await store.TransactAsync(body, cancellationToken);
        }
        catch (UniqueViolationException e)
        {
            throw NetworkFaults.Taken(e);
        }
        catch (StateConflictException)
        {
            throw Faults.Aborted("Too many changes of the same objects at once; try again.");
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>Adds a record; answers what an earlier request with the same key made, if there was one.</summary>
    public Task<T> CreateAsync<T>(TableSchema<T> table, T draft, CancellationToken cancellationToken)
        where T : Resource => CreateAsync(table, draft, _ => Task.FromResult(draft), cancellationToken);

    /// <summary>The same for records that need a look at others.</summary>
    /// <param name="table">Where it goes.</param>
    /// <param name="draft">Its project is the one whose quota it touches.</param>
    /// <param name="complete">Checks and counts the draft, and answers the whole record; may run several times.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<T> CreateAsync<T>(
        TableSchema<T> table, T draft, Func<StateTransaction, Task<T>> complete, CancellationToken cancellationToken)
        where T : Resource => ChangeAsync(
        draft.ProjectId,
        async transaction =>
        {
            if (await transaction.EarlierAsync(table, draft, cancellationToken) is { } earlier)
            {
                return earlier;
            }

            var record = await complete(transaction);
            transaction.Insert(table, record);
            return record;
        },
        cancellationToken);

    /// <summary>The current view, then another whenever something has changed; changes that come close together share one.</summary>
    public async IAsyncEnumerable<NetworkView> WatchAsync(
        TimeProvider time, TimeSpan delay, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var signal = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        Task[] feeds =
        [
            FeedAsync(caches.Networks, signal.Writer, stop.Token), FeedAsync(caches.Subnets, signal.Writer, stop.Token),
            FeedAsync(caches.SubnetPools, signal.Writer, stop.Token), FeedAsync(caches.Ports, signal.Writer, stop.Token),
            FeedAsync(caches.Routers, signal.Writer, stop.Token), FeedAsync(caches.RouterPlacements, signal.Writer, stop.Token),
            FeedAsync(caches.FloatingIps, signal.Writer, stop.Token), FeedAsync(caches.SecurityGroups, signal.Writer, stop.Token),
            FeedAsync(caches.AddressScopes, signal.Writer, stop.Token), FeedAsync(caches.AddressGroups, signal.Writer, stop.Token),
            FeedAsync(caches.QosPolicies, signal.Writer, stop.Token),
            FeedAsync(caches.FirewallRules, signal.Writer, stop.Token),
            FeedAsync(caches.FirewallPolicies, signal.Writer, stop.Token),
            FeedAsync(caches.FirewallGroups, signal.Writer, stop.Token),
            FeedAsync(caches.Nodes, signal.Writer, stop.Token), FeedAsync(caches.Wired, signal.Writer, stop.Token),
        ];
        try
        {
            var last = await ViewAsync(cancellationToken);
            yield return last;
            while (true)
            {
                await signal.Reader.ReadAsync(cancellationToken);
                if (delay > TimeSpan.Zero)
                {
                    await Task.Delay(delay, time, cancellationToken);
                }

                var view = await ViewAsync(cancellationToken);
                if (!view.HasSameTablesAs(last))
                {
                    last = view;
                    yield return view;
                }
            }
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAll(feeds).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static async Task FeedAsync<T>(TableCache<T> cache, ChannelWriter<bool> signal, CancellationToken cancellationToken)
        where T : class
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await foreach (var _ in cache.WatchAsync(cancellationToken))
                {
                    signal.TryWrite(true);
                }

                return;
            }
            catch (StateCompactedException)
            {
                // Fell behind: what matters is only that something changed.
                signal.TryWrite(true);
            }
        }
    }
}
