using Microsoft.Extensions.Logging;
using Nephos.Client.Objects;
using Nephos.Kernel.State;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects.Cluster;
using Nephos.Node.Objects.Devices;
using Nephos.Node.Objects.Groups;
using Nephos.Node.Objects.Namespace;

namespace Nephos.Node.Objects.Repair;

/// <summary>
/// The engine's background work, each kind in a loop of its own: look after devices, repair, check, remove what was released, expire, compact,
/// scrub. Each step is bounded and then yields in proportion to the time it took.
/// </summary>
internal sealed partial class Upkeep : IAsyncDisposable
{
    private const int LedgerStepBlobs = 256;
    private const int ReleasedStepRows = 256;
    private const int RemovedAtOnce = 32;
    private const long ScrubStepBytes = 8 << 20;
    private readonly DeviceSet _devices;
    private readonly ShardSet _shards;
    private readonly PayloadStore _payloads;
    private readonly RiskLedger _ledger;
    private readonly StorageCluster _cluster;
    private readonly ReferenceTable _references;
    private readonly UpkeepOptions _options;
    private readonly TimeProvider _time;
    private readonly TaskScheduler _background;
    private readonly ILogger _logger;
    private readonly BlobRepair _ledgerRepair;
    private readonly BlobRepair _checkRepair;
    private readonly CancellationTokenSource _stop = new();
    private volatile TaskCompletionSource _checkWanted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<Task> _loops = [];
    private long _toRemove;
    private volatile bool _isUrgent;

    public Upkeep(
        DeviceSet devices, ShardSet shards, IBlobNode node, PayloadStore payloads, RiskLedger ledger, StorageCluster cluster,
        ReferenceTable references, UpkeepOptions options, ShardHost host, ILogger logger)
    {
        (_devices, _shards, _payloads, _ledger, _cluster, _references) = (devices, shards, payloads, ledger, cluster, references);
        (_options, _time, _background, _logger) = (options, host.Time, host.Background, logger);
        _ledgerRepair = new BlobRepair(node, devices);
        _checkRepair = new BlobRepair(node, devices);
        Check = new FullCheck(node, references, cluster, _checkRepair, options.OrphanGrace, host.Time);
    }

    public FullCheck Check { get; }

    /// <summary>What concerns the whole store is done by the process that writes the first shard.</summary>
    public bool IsKeeper => _shards.First.IsWriter;

    public DateTimeOffset? LastFullCheck { get; private set; }

    public KeeperReport Report => new(Check.AtRisk, Check.WithoutSpare, Check.Missing, LastFullCheck);

    public long Repaired => _ledgerRepair.Repaired + _checkRepair.Repaired;

    public long ToRemove => Interlocked.Read(ref _toRemove);

    public void Start(Func<CancellationToken, Task> followWeights, Func<CancellationToken, Task> followShards)
    {
        Loop("ring", _options.RingPeriod, followWeights);
        Loop("shards", _options.ShardPeriod, followShards);
        Loop("devices", _options.DeviceCheckPeriod, CheckDevicesAsync);
        Loop("ledger", _options.LedgerPeriod, RepairLedgerAsync);
        Loop("released", _options.ReleasedPeriod, RemoveReleasedAsync);
        Loop("expiry", _options.ExpiryPeriod, ExpireAsync);
        Loop("compaction", _options.CompactionPeriod, CompactAsync);
        Loop("scrub", _options.ScrubPeriod, ScrubAsync);
        _loops.Add(RunAsync(CheckLoopAsync));
    }

    public async ValueTask DisposeAsync()
    {
        _stop.Cancel();
        await Task.WhenAll(_loops);
        _stop.Dispose();
    }

    /// <summary>Begins a full check soon, at full speed: a device came without its data.</summary>
    public void WantCheck()
    {
        _isUrgent = true;
        LastFullCheck = null;
        _checkWanted.TrySetResult();
    }

    private void Loop(string name, TimeSpan period, Func<CancellationToken, Task> step) => _loops.Add(RunAsync(async () =>
    {
        using var timer = new PeriodicTimer(period, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                try
                {
                    await step(_stop.Token);
                }
                catch (Exception failure) when (failure is ObjectEngineException or IOException or RocksDbSharp.RocksDbException
                    or ReplicaUnavailableException or InvalidDataException or StateUnavailableException)
                {
                    LogStepFailed(failure, name);
                }
            }
        }
        catch (OperationCanceledException)
        {
        }
    }));

    private Task RunAsync(Func<Task> loop) =>
        Task.Factory.StartNew(loop, CancellationToken.None, TaskCreationOptions.DenyChildAttach, _background).Unwrap();

    private async Task CheckLoopAsync()
    {
        try
        {
            // The first one at once.
            _checkWanted.TrySetResult();
            while (true)
            {
                await WaitForCheckAsync(Check.AtRisk + Check.Missing > 0 ? _options.RiskPeriod : Check.HasSuspects ? _options.SuspectPeriod : _options.FullCheckPeriod);
                try
                {
                    if (!IsKeeper)
                    {
                        await Task.Delay(_options.LedgerPeriod, _time, _stop.Token);
                        WantCheck();
                        continue;
                    }

                    if (!_cluster.AllFollow(_devices.Ring.Version))
                    {
                        // What is written by the ring before would not be where this check looks.
                        await Task.Delay(_options.RingPeriod, _time, _stop.Token);
                        _checkWanted.TrySetResult();
                        continue;
                    }

                    _ledger.HasOverflowed = false;
                    await Check.RunAsync(PauseAsync, _stop.Token);
                    if (!_checkWanted.Task.IsCompleted)
                    {
                        // Nothing was lost since this pass began.
                        LastFullCheck = _time.GetUtcNow();
                        _isUrgent = false;
                    }

                    LogChecked(Check.AtRisk, Check.Missing, Check.Orphans, Repaired);
                }
                catch (Exception failure) when (failure is ObjectEngineException or IOException or RocksDbSharp.RocksDbException
                    or ReplicaUnavailableException or InvalidDataException)
                {
                    LogStepFailed(failure, "full check");
                    await Task.Delay(_options.LedgerPeriod, _time, _stop.Token);
                    WantCheck();
                }
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    private async Task WaitForCheckAsync(TimeSpan period)
    {
        var wanted = _checkWanted;
        using (_time.CreateTimer(_ => wanted.TrySetResult(), null, period, Timeout.InfiniteTimeSpan))
        using (_stop.Token.Register(() => wanted.TrySetResult()))
        {
            await wanted.Task;
        }

        _stop.Token.ThrowIfCancellationRequested();
        _checkWanted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>Half the time when data is at risk, a tenth otherwise.</summary>
    private Task PauseAsync(TimeSpan worked, CancellationToken cancellationToken) =>
        Task.Delay(worked * (_isUrgent ? 1 : 9), _time, cancellationToken);

    private Task CheckDevicesAsync(CancellationToken cancellationToken)
    {
        if (_devices.Check())
        {
            WantCheck();
        }

        return Task.CompletedTask;
    }

    private async Task RepairLedgerAsync(CancellationToken cancellationToken)
    {
        if (_ledger.HasOverflowed)
        {
            WantCheck();
        }

        foreach (var blob in _ledger.Take(LedgerStepBlobs))
        {
            var started = _time.GetTimestamp();
            if (_cluster.IsPinnedHere(blob))
            {
                continue; // Still being written.
            }

            if (await _references.FindAsync(blob, cancellationToken) is not { } lengthBytes
                || await _ledgerRepair.RunAsync(blob, lengthBytes, verify: true, cancellationToken) == RepairOutcome.Safe)
            {
                _ledger.Clear(blob);
            }

            await PauseAsync(_time.GetElapsedTime(started), cancellationToken);
        }
    }

    /// <summary>Removes the bytes of released blobs everywhere, then forgets that they were released. What is on devices that are away is found as unreferenced when they return.</summary>
    private async Task RemoveReleasedAsync(CancellationToken cancellationToken)
    {
        var before = _time.GetUtcNow() - _options.ReleasedDelay;
        before = _cluster.OldestRead() < before ? _cluster.OldestRead() : before;
        long toRemove = 0;
        foreach (var shard in WrittenHere())
        {
            var from = RowKeys.Released(0);
            while (true)
            {
                var start = from;
                var rows = await shard.QueryAsync((database, group) => ReadTable(database, group, start, ReleasedStepRows), cancellationToken);
                var due = rows.Where(r => Rows.ReadReleased(r.Value).At <= before).ToList();
                toRemove += rows.Sum(r => Rows.ReadReleased(r.Value).Extents.Length);
                foreach (var some in due.SelectMany(r => Rows.ReadReleased(r.Value).Extents).Chunk(RemovedAtOnce))
                {
                    await Task.WhenAll(some.Select(RemoveAsync));
                    cancellationToken.ThrowIfCancellationRequested();
                }

                if (due.Count > 0)
                {
                    toRemove -= due.Sum(r => Rows.ReadReleased(r.Value).Extents.Length);
                    await shard.ExecuteAsync(
                        transaction =>
                        {
                            foreach (var (key, _) in due)
                            {
                                transaction.Delete(key);
                            }

                            return true;
                        },
                        CancellationToken.None);
                }

                if (rows.Count < ReleasedStepRows)
                {
                    break;
                }

                from = RowKeys.After(rows[^1].Key);
            }
        }

        Interlocked.Exchange(ref _toRemove, toRemove);
    }

    /// <summary>Not those that are only to become part of the namespace: what is in them is not yet theirs.</summary>
    private IEnumerable<IndexShard> WrittenHere() => _shards.All.Where(s => s is { IsWriter: true, IsClosed: false });

    private async Task RemoveAsync(Extent extent)
    {
        await _payloads.DeleteAsync(extent.Blob);
        _ledger.Clear(extent.Blob);
    }

    private async Task ExpireAsync(CancellationToken cancellationToken)
    {
        var now = _time.GetUtcNow();
        var end = RowKeys.Expiry(now, ulong.MaxValue);
        foreach (var shard in WrittenHere())
        {
            var rows = await shard.QueryAsync(
                (database, group) => ReadTable(database, group, RowKeys.Expiry(default, 0), ReleasedStepRows), cancellationToken);
            var due = rows.Where(r => r.Key.AsSpan().SequenceCompareTo(end) <= 0);
            foreach (var (key, value) in due)
            {
                var expiry = Rows.ReadExpiry(value);
                await shard.ExecuteAsync(transaction => ExpiryOperations.Expire(transaction, key, expiry, now), CancellationToken.None);
            }
        }
    }

    private async Task CompactAsync(CancellationToken cancellationToken)
    {
        foreach (var slot in _devices.All)
        {
            if (slot.TryUse(out var lease))
            {
                using (lease)
                {
                    lease.Device.Index.CollectGarbage();
                    var started = _time.GetTimestamp();
                    var force = !lease.Device.Volumes.HasRoom;
                    if (await lease.Device.Volumes.CompactStepAsync(force, cancellationToken) && !force)
                    {
                        await Task.Delay(_time.GetElapsedTime(started), _time, cancellationToken);
                    }
                }
            }
        }
    }

    private async Task ScrubAsync(CancellationToken cancellationToken)
    {
        foreach (var slot in _devices.All)
        {
            if (slot.TryUse(out var lease))
            {
                using (lease)
                {
                    var started = _time.GetTimestamp();
                    var corrupt = new List<NeedleKey>();
                    lease.Device.Volumes.ScrubStep(ScrubStepBytes, corrupt);
                    foreach (var key in corrupt)
                    {
                        LogCorrupt(slot.Number, key.BlobHigh, key.BlobLow, key.Frame);
                        _ledger.Note(new BlobId(key.BlobHigh, key.BlobLow));
                    }

                    await Task.Delay(_time.GetElapsedTime(started) * 9, _time, cancellationToken);
                }
            }
        }
    }

    private static List<(byte[] Key, byte[] Value)> ReadTable(IndexDatabase database, uint group, byte[] from, int limit)
    {
        var rows = new List<(byte[], byte[])>();
        using var cursor = database.OpenCursor(group);
        for (cursor.Seek(from); cursor.IsValid && cursor.Key[0] == from[0] && rows.Count < limit; cursor.Next())
        {
            rows.Add((cursor.Key.ToArray(), cursor.Value.ToArray()));
        }

        return rows;
    }

    [LoggerMessage(LogLevel.Warning, "Background work {Name} did not finish a step and will try again")]
    private partial void LogStepFailed(Exception failure, string name);

    [LoggerMessage(LogLevel.Information, "Compared references with devices: {AtRisk} at risk, {Missing} missing, {Orphans} unreferenced removed, {Repaired} copies made so far")]
    private partial void LogChecked(long atRisk, long missing, long orphans, long repaired);

    [LoggerMessage(LogLevel.Warning, "Device {Device}: frame {Frame} of blob {High:x16}{Low:x16} is damaged")]
    private partial void LogCorrupt(int device, ulong high, ulong low, uint frame);
}

/// <summary>How often the background work looks; each bounds its own share of the machine besides.</summary>
public sealed record UpkeepOptions
{
    public TimeSpan DeviceCheckPeriod { get; init; } = TimeSpan.FromSeconds(1);

    public TimeSpan LedgerPeriod { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How often the ring takes the next step towards the weights that were set.</summary>
    public TimeSpan RingPeriod { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How often it is looked whether shards are to be split, merged or cleared away.</summary>
    public TimeSpan ShardPeriod { get; init; } = TimeSpan.FromSeconds(1);

    public TimeSpan FullCheckPeriod { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Time until the next full check when the last one left something at risk: what is counted then is soon out of date.</summary>
    public TimeSpan RiskPeriod { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Time until the next full check when the last one found blobs that nothing seems to refer to.</summary>
    public TimeSpan SuspectPeriod { get; init; } = TimeSpan.FromMinutes(1);

    public TimeSpan ReleasedPeriod { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long the bytes of a replaced or deleted object are kept at least; reads under way keep them longer.</summary>
    public TimeSpan ReleasedDelay { get; init; } = TimeSpan.FromSeconds(10);

    public TimeSpan ExpiryPeriod { get; init; } = TimeSpan.FromSeconds(5);

    public TimeSpan CompactionPeriod { get; init; } = TimeSpan.FromSeconds(10);

    public TimeSpan ScrubPeriod { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Age from which a blob that nothing refers to is taken for left behind.</summary>
    public TimeSpan OrphanGrace { get; init; } = TimeSpan.FromHours(1);
}
