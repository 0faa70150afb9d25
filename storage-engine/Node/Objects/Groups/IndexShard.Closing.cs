using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects.Namespace;

namespace Nephos.Node.Objects.Groups;

// What a shard does while others take its place: tells what changes, and closes, for good or until the change is given up.
internal sealed partial class IndexShard
{
    private const int IsOpen = -1, IsRetired = int.MaxValue;
    private int _closedBy = IsOpen;
    private ChangedKeys? _watched;
    private (ulong Epoch, ulong Sequence) _measured;
    private long _measuredAt;
    private TimeSpan _measuring;

    /// <summary>Others take its place, or took it: nothing is answered from here.</summary>
    public bool IsClosed => Volatile.Read(ref _closedBy) != IsOpen;

    /// <summary>The change that it is closed by.</summary>
    public int? ClosedBy => Volatile.Read(ref _closedBy) is var change and not IsOpen ? change : null;

    /// <summary>The epoch at which this process writes it; null when it does not.</summary>
    public ulong? WriterEpoch => IsWriter ? _writer?.Configuration.Epoch : null;

    /// <summary>How much is in it, as of the last time it was measured here.</summary>
    public ShardLoad? Load { get; private set; }

    /// <summary>Measures the load, unless nothing was decided since, or measuring it takes more than a part of the time.</summary>
    /// <param name="share">One in so many.</param>
    public void Measure(int share)
    {
        var decided = _writer is { } writer ? (writer.Configuration.Epoch, writer.Committed) : default;
        if (Load is not null && (decided == _measured || _host.Time.GetElapsedTime(_measuredAt) < _measuring * share))
        {
            return;
        }

        var began = _host.Time.GetTimestamp();
        Load = Inspect(ShardLoad.Measure);
        _measured = decided;
        _measuredAt = _host.Time.GetTimestamp();
        _measuring = _host.Time.GetElapsedTime(began);
    }

    /// <summary>
    /// From now on the keys of all rows that change are noted, for this caller only; null when this process does not write the shard at
    /// this epoch.
    /// </summary>
    public async Task<ChangedKeys?> WatchAsync(ulong epoch)
    {
        // With the gate held no batch is under way.
        await _gate.WaitAsync();
        try
        {
            if (WriterEpoch != epoch)
            {
                return null;
            }

            if (_watched is { } earlier)
            {
                earlier.IsIncomplete = true;
            }

            return _watched = new ChangedKeys();
        }
        finally
        {
            _gate.Release();
        }
    }

    public void Unwatch(ChangedKeys? watched) => Interlocked.CompareExchange(ref _watched, null, watched);

    /// <summary>Decides that nothing happens here any more; when this returns true, nothing does.</summary>
    public async Task<bool> CloseAsync(int change, ulong epoch)
    {
        await _gate.WaitAsync();
        try
        {
            if (IsClosed || WriterEpoch != epoch)
            {
                return false;
            }

            var batch = new IndexBatch();
            batch.Put(RowKeys.Closed, BitConverter.GetBytes(change));
            if (!await DecideAsync(batch))
            {
                return false;
            }

            // It may have been retired meanwhile, and that is for good.
            Interlocked.CompareExchange(ref _closedBy, change, IsOpen);
            return true;
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Undoes <see cref="CloseAsync"/>. Only when the change was given up, and so can never take place.</summary>
    public async Task ReopenAsync(int change)
    {
        await _gate.WaitAsync();
        try
        {
            if (ClosedBy != change || !IsWriter)
            {
                return;
            }

            var row = Inspect((database, group) => database.Get(group, RowKeys.Closed));
            if (row is not null && BitConverter.ToInt32(row) == change)
            {
                var batch = new IndexBatch();
                batch.Delete(RowKeys.Closed);
                if (!await DecideAsync(batch))
                {
                    return;
                }
            }

            Interlocked.CompareExchange(ref _closedBy, IsOpen, change);
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>The map says that it is gone: whoever still asks looks at the map again.</summary>
    public void Retire()
    {
        Volatile.Write(ref _closedBy, IsRetired);
        foreach (var replica in _replicas.Values)
        {
            // What is still on its way to it must not be taken in when its place has been cleared.
            replica.Retire();
        }
    }

    /// <summary>Runs a read also when the shard is closed, for those who copy it.</summary>
    public T Inspect<T>(Func<IndexDatabase, uint, T> query)
    {
        for (var attempt = 0; attempt < 3; attempt++)
        {
            if (_home is { } home)
            {
                try
                {
                    return home.Query(query);
                }
                catch (Exception failure) when (failure is ReplicaUnavailableException or RocksDbSharp.RocksDbException)
                {
                    LogHomeLost(Number, failure.Message);
                }
            }

            ChooseHome();
        }

        throw IsClosed ? Moved() : NotBegun($"Shard {Number} has no replica to read from: {Explain()}.");
    }

    private ObjectEngineException Moved() =>
        new(EngineFailure.Unavailable, $"Shard {Number} was replaced by others, or is about to be.") { WasNotBegun = true, WasMoved = true };

    /// <summary>The caller holds the gate.</summary>
    private async Task<bool> DecideAsync(IndexBatch batch)
    {
        if (_writer is not { State: Replication.Groups.WriterState.Serving } writer)
        {
            return false;
        }

        var sequence = await writer.ProposeAsync(batch.WrittenMemory);
        if (sequence == 0)
        {
            return false;
        }

        TakeIn(writer, sequence);
        return true;
    }

    /// <summary>A shard stays closed whoever writes it. Only <see cref="ReopenAsync"/> opens: what is read here may be a moment old.</summary>
    private void LearnWhetherClosed(IndexReplica replica)
    {
        var before = Volatile.Read(ref _closedBy);
        if (before != IsRetired && replica.Query((database, group) => database.Get(group, RowKeys.Closed)) is { } row)
        {
            Interlocked.CompareExchange(ref _closedBy, BitConverter.ToInt32(row), before);
        }
    }
}

/// <summary>The keys of rows that changed since they were last taken.</summary>
internal sealed class ChangedKeys
{
    /// <summary>Whoever changes more while a shard is copied is too quick for it.</summary>
    private const int KeysMax = 1_000_000;
    private readonly Lock _gate = new();
    private HashSet<byte[]> _keys = new(KeyComparer.Instance);

    /// <summary>Something may have changed that is not noted.</summary>
    public bool IsIncomplete { get; set; }

    public void Note(IEnumerable<byte[]> keys)
    {
        lock (_gate)
        {
            _keys.UnionWith(keys);
            IsIncomplete |= _keys.Count > KeysMax;
        }
    }

    /// <summary>In key order.</summary>
    public List<byte[]> Take()
    {
        HashSet<byte[]> taken;
        lock (_gate)
        {
            (taken, _keys) = (_keys, new HashSet<byte[]>(KeyComparer.Instance));
        }

        return [.. taken.Order(KeyComparer.Instance)];
    }
}
