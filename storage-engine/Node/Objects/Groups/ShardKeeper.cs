using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Nephos.Client.Objects;
using Nephos.Kernel.State;
using Nephos.Node.Objects.Cluster;
using Nephos.Node.Objects.Namespace;

namespace Nephos.Node.Objects.Groups;

/// <summary>
/// Splits shards that grow too large and merges neighbours that have become small, while the store is used.
/// </summary>
/// <remarks>
/// A change replaces shards by new ones and never alters one: (1) the map says which (<see cref="ShardChange"/>); (2) the writer of each
/// source sends its rows to the targets, and again what changed since, until little is left; (3) it closes: one entry of its log, after which
/// no writer answers from this shard; (4) it sends the last changes and notes in the map that it is done. The same write that notes the
/// last source puts the targets into the map, so at every moment exactly one shard may answer for an account, or none for a few
/// milliseconds. Whatever fails before that gives the change up: the sources open again, the targets are thrown away, and a later attempt
/// has new ones, so nothing that was sent late can get into a shard that is used.
/// </remarks>
internal sealed partial class ShardKeeper(
    ShardSet shards, ShardDirectory directory, ShardBounds bounds, Func<IReadOnlyList<IndexShardStatus>> statuses, ShardHost host, ILogger logger)
{
    /// <summary>So many changed rows are sent while the shard is closed.</summary>
    private const int LastChangesMax = 200;

    /// <summary>How often changes are sent before it closes anyway.</summary>
    private const int RoundsMax = 8;

    /// <summary>The pause between changes doubles with every one that is given up, so often.</summary>
    private const int DoublingsMax = 8;

    /// <summary>A measurement takes at most this part of the time.</summary>
    private const int MeasuringShare = 50;

    /// <summary>All sources are to be closed at about the same time; whoever waits longer for another gives up.</summary>
    private static readonly TimeSpan ReadyTimeout = TimeSpan.FromMinutes(2);

    /// <summary>How long a target may take to begin.</summary>
    private static readonly TimeSpan TargetTimeout = TimeSpan.FromSeconds(10);

    /// <summary>How long a source stays closed for a change that does not come about.</summary>
    private static readonly TimeSpan DoneTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Between pages, so that a copy leaves most of the machine to others.</summary>
    private static readonly TimeSpan CopyPause = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);
    private readonly Dictionary<(int Change, int Shard), Task> _copies = [];
    private (int Change, long Since) _waiting = (-1, 0);

    private long? _lastBegun;

    /// <summary>A source of the change that this process began last, until it is known what became of it.</summary>
    private int? _changing;
    private int _givenUp;

    /// <summary>Begins a split of a shard; false when that cannot be now.</summary>
    public Task<bool> SplitAsync(int shard, ulong at, CancellationToken cancellationToken) => shards.ChangeAsync(
        map => statuses().FirstOrDefault(s => s.Shard == shard) is { } status ? map.Split(shard, status.Epoch, at) : null, cancellationToken);

    /// <summary>Begins to merge a shard with the one behind it; false when that cannot be now.</summary>
    public Task<bool> MergeAsync(int shard, CancellationToken cancellationToken) => shards.ChangeAsync(
        map =>
        {
            var all = statuses();
            var next = map.Ranges.SkipWhile(r => r.Shard != shard).Skip(1).FirstOrDefault();
            return all.FirstOrDefault(s => s.Shard == shard) is { } left && all.FirstOrDefault(s => s.Shard == next?.Shard) is { } right
                ? map.Merge(left.Shard, left.Epoch, right.Shard, right.Epoch)
                : null;
        },
        cancellationToken);

    /// <summary>One bounded step: follows the map, looks after the shards written here and, when this process keeps the store, begins what is needed.</summary>
    public async Task StepAsync(CancellationToken cancellationToken)
    {
        await shards.RefreshAsync(cancellationToken);
        await shards.ClearAwayAsync();
        foreach (var shard in shards.All.Where(s => s.IsWriter).ToList())
        {
            shard.Measure(MeasuringShare);
            await TendAsync(shard, cancellationToken);
        }

        foreach (var ended in _copies.Where(c => c.Value.IsCompleted && c.Key.Change != shards.Map.Change?.Id).Select(c => c.Key).ToList())
        {
            _copies.Remove(ended);
        }

        if (shards.First.IsWriter && shards.Map.Change is null)
        {
            await BeginAsync(cancellationToken);
        }
    }

    /// <summary>Waits for the copies under way; their shards have ended by now, or are about to.</summary>
    public Task EndAsync() => Task.WhenAll(_copies.Values);

    private async Task BeginAsync(CancellationToken cancellationToken)
    {
        if (_changing is { } before)
        {
            _givenUp = shards.Map.Has(before) ? _givenUp + 1 : 0;
            _changing = null;
        }

        if (_lastBegun is { } last && host.Time.GetElapsedTime(last) < bounds.Pause * (1 << Math.Min(_givenUp, DoublingsMax)))
        {
            return;
        }

        if (Choose(shards.Map) is { Change.Sources: [var source, ..] } && await shards.ChangeAsync(Choose, cancellationToken))
        {
            (_lastBegun, _changing) = (host.Time.GetTimestamp(), source.Shard);
        }
    }

    /// <summary>What is needed most: a split of the first that is too large, else a merge of the first two that are small together.</summary>
    private ShardMap? Choose(ShardMap map)
    {
        var found = statuses().ToDictionary(s => s.Shard);
        if (map.Ranges.Any(r => !found.TryGetValue(r.Shard, out var status)
            || status is not { State: nameof(Replication.Groups.WriterState.Serving), Objects: not null } || status.ReplicasInSync < status.Replicas))
        {
            return null;
        }

        foreach (var range in map.Ranges)
        {
            if (found[range.Shard] is { SplitAt: { } at } status && status.Objects > bounds.ObjectsMax)
            {
                return map.Split(range.Shard, status.Epoch, at);
            }
        }

        for (var n = 0; n + 1 < map.Ranges.Length && map.Ranges.Length > bounds.CountMin; n++)
        {
            var (left, right) = (found[map.Ranges[n].Shard], found[map.Ranges[n + 1].Shard]);
            if (left.Objects + right.Objects < bounds.ObjectsMax / 4)
            {
                return map.Merge(left.Shard, left.Epoch, right.Shard, right.Epoch);
            }
        }

        return null;
    }

    /// <summary>Brings a shard that is written here on its way: every state it can be found in has one next step.</summary>
    private async Task TendAsync(IndexShard shard, CancellationToken cancellationToken)
    {
        var (map, epoch) = (shards.Map, shard.WriterEpoch);
        if (epoch is null || !map.Has(shard.Number))
        {
            return;
        }

        if (shard.ClosedBy is { } closedBy && map.WasGivenUp(closedBy, shard.Number))
        {
            await shard.ReopenAsync(closedBy);
        }

        if (map.Change is not { } change || change.Find(shard.Number) is not { } source)
        {
            return;
        }

        if (source.State == CopyState.Done)
        {
            _waiting = _waiting.Change == change.Id ? _waiting : (change.Id, host.Time.GetTimestamp());
            if (host.Time.GetElapsedTime(_waiting.Since) > DoneTimeout)
            {
                await GiveUpAsync(change.Id, "the other shard is not copied", _ => true, cancellationToken);
            }
        }
        else if (source.Epoch < epoch)
        {
            await GiveUpAsync(change.Id, $"shard {shard.Number} has a new writer", IsNotDone, cancellationToken);
        }
        else if (source.Epoch == epoch && !_copies.TryGetValue((change.Id, shard.Number), out _))
        {
            _copies[(change.Id, shard.Number)] = CopyAsync(shard, change, source.Epoch, cancellationToken);
        }
        else if (source.Epoch == epoch && _copies[(change.Id, shard.Number)].IsCompleted)
        {
            await GiveUpAsync(change.Id, $"shard {shard.Number} was not copied", IsNotDone, cancellationToken);
        }

        bool IsNotDone(ShardChange found) => found.Find(shard.Number) is { State: not CopyState.Done };
    }

    private async Task GiveUpAsync(int change, string reason, Func<ShardChange, bool> isStillSo, CancellationToken cancellationToken)
    {
        if (await shards.ChangeAsync(map => map.Change is { } found && isStillSo(found) ? map.GiveUp(change) : null, cancellationToken))
        {
            LogGivenUp(change, reason);
        }
    }

    private async Task CopyAsync(IndexShard shard, ShardChange change, ulong epoch, CancellationToken cancellationToken)
    {
        await Task.Yield();
        var started = host.Time.GetTimestamp();
        ChangedKeys? changed = null;
        try
        {
            changed = await shard.WatchAsync(epoch) ?? throw Failed($"shard {shard.Number} is written elsewhere");
            var copy = new ShardCopy(shard, change.Targets, (target, rows) => SendAsync(change.Id, target, rows, cancellationToken));
            await copy.SendAllAsync(() => Task.Delay(CopyPause, host.Time, cancellationToken));
            for (var round = 0; await copy.CatchUpAsync(changed) > LastChangesMax && round < RoundsMax; round++)
            {
            }

            if (change.Sources.Length > 1)
            {
                await WaitForOthersAsync(shard, change, copy, changed, cancellationToken);
            }

            var closing = host.Time.GetTimestamp();
            if (!await shard.CloseAsync(change.Id, epoch))
            {
                throw Failed($"shard {shard.Number} is written elsewhere");
            }

            var last = await copy.CatchUpAsync(changed);
            if (!await shards.ChangeAsync(map => map.Note(change.Id, shard.Number, CopyState.Done), cancellationToken))
            {
                throw Failed("it was given up meanwhile");
            }

            LogCopied(
                shard.Number, string.Join(" and ", change.Targets.Select(t => t.Shard)), host.Time.GetElapsedTime(started).TotalSeconds,
                last, host.Time.GetElapsedTime(closing).TotalMilliseconds);
        }
        catch (Exception failure) when (failure is ObjectEngineException or IOException or InvalidDataException or ReplicaUnavailableException
            or RocksDbSharp.RocksDbException or StateUnavailableException or OperationCanceledException or ObjectDisposedException)
        {
            LogFailed(failure, shard.Number, change.Id);
        }
        finally
        {
            shard.Unwatch(changed);
        }
    }

    /// <summary>A target may not have begun yet. What was perhaps taken in is not sent again: it could arrive after something newer.</summary>
    private async Task SendAsync(int change, int target, ImmutableArray<ImportedRow> rows, CancellationToken cancellationToken)
    {
        for (var began = host.Time.GetTimestamp(); ;)
        {
            if (shards.Map.Change?.Id != change)
            {
                throw Failed("it was given up meanwhile");
            }

            try
            {
                await directory.CallAsync(target, ShardMethods.Import, new RowImport(rows), cancellationToken);
                return;
            }
            catch (ObjectEngineException failure) when (failure is { WasNotBegun: true, WasMoved: false } && host.Time.GetElapsedTime(began) < TargetTimeout)
            {
                await Task.Delay(Pause, host.Time, cancellationToken);
            }
        }
    }

    /// <summary>Keeps the targets up to date until every source has little left to send.</summary>
    private async Task WaitForOthersAsync(IndexShard shard, ShardChange change, ShardCopy copy, ChangedKeys changed, CancellationToken cancellationToken)
    {
        await shards.ChangeAsync(map => map.Note(change.Id, shard.Number, CopyState.Ready), cancellationToken);
        for (var began = host.Time.GetTimestamp(); ; await Task.Delay(Pause, host.Time, cancellationToken))
        {
            await shards.RefreshAsync(cancellationToken);
            if (shards.Map.Change is not { } current || current.Id != change.Id || host.Time.GetElapsedTime(began) > ReadyTimeout)
            {
                throw Failed("the other shard is not copied");
            }

            await copy.CatchUpAsync(changed);
            if (current.Sources.All(s => s.State != CopyState.Copying))
            {
                return;
            }
        }
    }

    private static ObjectEngineException Failed(string reason) => new(EngineFailure.Unavailable, reason);

    [LoggerMessage(LogLevel.Information, "Shard {Shard} was copied to {Targets} in {Seconds:f1} s; it was closed for {ClosedMs:f0} ms, for the last {Rows} rows")]
    private partial void LogCopied(int shard, string targets, double seconds, int rows, double closedMs);

    [LoggerMessage(LogLevel.Warning, "Shard {Shard} was not copied for change {Change}")]
    private partial void LogFailed(Exception failure, int shard, int change);

    [LoggerMessage(LogLevel.Warning, "Change {Change} of the shard map is given up: {Reason}")]
    private partial void LogGivenUp(int change, string reason);
}

/// <summary>When shards split and merge.</summary>
/// <param name="ObjectsMax">A shard with more objects splits; two neighbours merge when they have less than a quarter of that together.</param>
/// <param name="CountMin">Shards are not merged to fewer than these.</param>
/// <param name="Pause">The least time from one change to the next.</param>
internal sealed record ShardBounds(long ObjectsMax, int CountMin, TimeSpan Pause);
