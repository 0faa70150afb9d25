using System.Collections.Concurrent;
using Nephos.Kernel.State;
using Nephos.State;
using Xunit;

namespace Nephos.Services.Tests.State;

/// <summary>The state store on three members of etcd, whose leader is killed.</summary>
[NeedsProgram("etcd", Variable = EtcdCluster.Variable)]
public sealed class EtcdClusterTests(EtcdCluster etcd) : EtcdConformance, IClassFixture<EtcdCluster>
{
    private const int Writers = 4;
    private const int WritesAfterKill = 10;
    private static readonly TimeSpan LeaseTime = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    [StoreFact]
    public async Task Writes_watches_and_leases_outlive_the_leader_and_nothing_acknowledged_is_lost()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        var lease = await Store.GrantLeaseAsync(LeaseTime, None);
        var first = await PutAsync("lease/holder", "here", lease);
        var writers = Enumerable.Range(0, Writers).Select(number => new Writer(Store, $"count/{number}")).ToList();
        var seen = new ConcurrentQueue<StateEvent>();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(patience.Token);
        var work = Task.WhenAll([.. writers.Select(writer => writer.RunAsync(stop.Token)), WatchAsync(), KeepAliveAsync()]);

        for (var kill = 0; kill < 2; kill++)
        {
            await UntilEachWroteMoreAsync(WritesAfterKill);
            var leader = await etcd.FindLeaderAsync();
            await etcd.KillAsync(leader);
            await UntilEachWroteMoreAsync(WritesAfterKill);
            await etcd.RestartAsync(leader);
        }

        var last = await PutUntilDoneAsync("count/end", "end");
        while (!seen.Any(change => change.Key == "count/end"))
        {
            await Task.Delay(Pause, patience.Token);
        }

        await stop.CancelAsync();
        await work;

        Assert.Equal("here", Text(await Store.GetAsync("lease/holder", None)));
        foreach (var writer in writers)
        {
            // Every acknowledged step is in the count; one whose answer was lost may be.
            var count = int.Parse(Text(await Store.GetAsync(writer.Key, None)));
            Assert.InRange(count, writer.Acknowledged.Count, writer.Acknowledged.Count + writer.Unknown);
            // Told once each, in order, none left out: the count grows by one.
            var told = seen.Where(change => change.Key == writer.Key).Select(change => int.Parse(Text(change.Entry))).ToList();
            Assert.Equal(Enumerable.Range(1, count), told);
            var revisions = seen.Where(change => change.Key == writer.Key).Select(change => change.Entry!.Revision).ToHashSet();
            Assert.All(writer.Acknowledged, revision => Assert.Contains(revision, revisions));
        }

        async Task UntilEachWroteMoreAsync(int count)
        {
            foreach (var (writer, goal) in writers.Select(writer => (writer, writer.Acknowledged.Count + count)).ToList())
            {
                while (writer.Acknowledged.Count < goal)
                {
                    await Task.Delay(Pause, patience.Token);
                }
            }
        }

        async Task WatchAsync()
        {
            try
            {
                await foreach (var batch in Store.WatchAsync("count/", first.Revision, stop.Token))
                {
                    foreach (var change in batch.Events)
                    {
                        seen.Enqueue(change);
                    }
                }
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
            }
        }

        async Task KeepAliveAsync()
        {
            while (!stop.IsCancellationRequested)
            {
                try
                {
                    await Store.KeepLeaseAliveAsync(lease, None);
                }
                catch (StateUnavailableException)
                {
                    // The next time.
                }
                await Task.Delay(TimeSpan.FromSeconds(1), stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        async Task<long> PutUntilDoneAsync(string key, string value)
        {
            while (true)
            {
                try
                {
                    return (await PutAsync(key, value)).Revision;
                }
                catch (StateUnavailableException)
                {
                    await Task.Delay(Pause, patience.Token);
                }
            }
        }
    }

    protected override Task<IStateStore> OpenAsync(StateHistoryOptions history) => ConnectAsync(etcd.Endpoints, etcd.NewPrefix(), history);

    /// <summary>Counts up in one key, each step on the one before.</summary>
    private sealed class Writer(IStateStore store, string key)
    {
        private int _unknown;

        public string Key => key;

        /// <summary>Revisions of steps that were told done.</summary>
        public ConcurrentQueue<long> Acknowledged { get; } = [];

        /// <summary>Steps whose end was not told.</summary>
        public int Unknown => _unknown;

        public async Task RunAsync(CancellationToken cancellationToken)
        {
            while (!cancellationToken.IsCancellationRequested)
            {
                var asked = false;
                try
                {
                    var before = await store.GetAsync(key, None);
                    var next = before is null ? 1 : int.Parse(Text(before)) + 1;
                    asked = true;
                    var result = await store.CommitAsync(
                        new StateCommit { Preconditions = [new(key, before?.Revision ?? 0)], Puts = [Put(key, $"{next}")] }, None);
                    if (result.Succeeded)
                    {
                        Acknowledged.Enqueue(result.Revision);
                    }
                }
                catch (StateUnavailableException)
                {
                    if (asked)
                    {
                        Interlocked.Increment(ref _unknown);
                    }
                }
                await Task.Delay(Pause, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }
}
