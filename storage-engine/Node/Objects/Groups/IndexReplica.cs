using System.Collections.Immutable;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects.Devices;
using Nephos.Replication.Groups;

namespace Nephos.Node.Objects.Groups;

/// <summary>
/// A replica of an index group on a local device: the core decides, the journal makes durable, the database takes in what is decided.
/// Thread-safe. Throws <see cref="ReplicaUnavailableException"/> when its device is gone.
/// </summary>
internal sealed class IndexReplica : IReplicaPeer
{
    private const int ReadEntriesMax = 64;
    private const int ReadBytesMax = 2 << 20;
    private readonly DeviceSlot _slot;
    private readonly ObjectDevice _device;
    private readonly Guid _group;
    private readonly uint _number;
    private readonly Lock _gate = new();

    // A record is several rows: a read must not see some of them before a batch and some after it.
    private readonly ReaderWriterLockSlim _rows = new();
    private readonly Lock _applyGate = new();
    private readonly SortedDictionary<ulong, (ulong Epoch, ReadOnlyMemory<byte> Body)> _unapplied = [];
    private ReplicaCore _core;
    private ulong _applied;
    private bool _isInstalling;
    private long _heardAt;

    // Memory and journal differ: this object must not answer any more. The journal is read again by the next one.
    private volatile bool _isBroken;

    private readonly TimeProvider _time;

    private IndexReplica(
        DeviceSlot slot, ObjectDevice device, Guid group, uint number, ReplicaId id, ReplicaCore core, ulong applied, TimeProvider time)
    {
        (_slot, _device, _group, _number, Id, _core, _applied, _time) = (slot, device, group, number, id, core, applied, time);
        _heardAt = time.GetTimestamp();
    }

    public ReplicaId Id { get; }

    public DeviceSlot Slot => _slot;

    /// <summary>The device it was opened on is still there.</summary>
    public bool IsUsable
    {
        get
        {
            if (!_slot.TryUse(out var lease))
            {
                return false;
            }

            using (lease)
            {
                return !_isBroken && ReferenceEquals(lease.Device, _device);
            }
        }
    }

    /// <summary>How long no writer that it obeys has been heard of.</summary>
    public TimeSpan Silence => _time.GetElapsedTime(Volatile.Read(ref _heardAt));

    /// <summary>Writers below this epoch are refused.</summary>
    public ulong Promised
    {
        get
        {
            lock (_gate)
            {
                return _core.Promised;
            }
        }
    }

    /// <summary>The end of its log.</summary>
    public LogPosition Last
    {
        get
        {
            lock (_gate)
            {
                return _core.Last;
            }
        }
    }

    /// <summary>Everything up to here is in the database.</summary>
    public ulong Applied
    {
        get
        {
            lock (_applyGate)
            {
                return _applied;
            }
        }
    }

    /// <summary>The replica that the device holds, when it holds a sound one.</summary>
    public static IndexReplica? Open(DeviceSlot slot, Guid group, uint number, TimeProvider time)
    {
        if (!slot.TryUse(out var lease))
        {
            return null;
        }

        using (lease)
        {
            var log = lease.Device.Journal.Find(group);
            var applied = lease.Device.Index.Applied(number);
            // What was trimmed from the journal must be in the database, or a copy was under way when the process ended.
            if (log is null || log.IsDamaged || applied.Sequence < log.TrimmedSequence)
            {
                return null;
            }

            var runs = new EpochRuns(new LogPosition(log.TrimmedEpoch, log.TrimmedSequence));
            foreach (var (epoch, sequence) in log.Positions())
            {
                runs.Append(new LogPosition(epoch, sequence));
            }

            if (runs.EpochOf(applied.Sequence) != applied.Epoch)
            {
                return null;
            }

            var core = new ReplicaCore(log.Promised, runs, Math.Max(log.Committed, applied.Sequence));
            return new IndexReplica(
                slot, lease.Device, group, number, new ReplicaId(log.Replica), core, applied.Sequence, time);
        }
    }

    /// <summary>Begins an empty replica in place of what the device may hold for the group.</summary>
    public static async ValueTask<IndexReplica?> CreateAsync(DeviceSlot slot, Guid group, uint number, Guid id, TimeProvider time)
    {
        if (!slot.TryUse(out var lease))
        {
            return null;
        }

        using (lease)
        {
            lease.Device.Index.Clear(number);
            if (await lease.Device.Journal.CreateAsync(group, id) != StoreStatus.Ok)
            {
                return null;
            }

            return new IndexReplica(
                slot, lease.Device, group, number, new ReplicaId(id), new ReplicaCore(0, new EpochRuns(default), 0), 0, time);
        }
    }

    /// <summary>Answers a writer when what the answer says is durable.</summary>
    public async ValueTask<ReplicaReply> HandleAsync(ReplicaRequest request)
    {
        using var lease = Use();
        if (request is ReplicaRequest.Read read)
        {
            return Read(lease.Device, read);
        }

        ReplicaReply reply;
        ValueTask<StoreStatus> durable;
        ulong committed = 0;
        lock (_gate)
        {
            if (_isInstalling)
            {
                throw new ReplicaUnavailableException($"Replica {Id} is being copied.");
            }

            var effects = new List<ReplicaEffect>();
            reply = _core.Step(request, effects);
            if (reply is ReplicaReply.Confirmed or ReplicaReply.Refused)
            {
                return reply;
            }

            Volatile.Write(ref _heardAt, _time.GetTimestamp());
            ulong promised = 0;
            List<JournalEntry>? entries = null;
            foreach (var effect in effects)
            {
                switch (effect.Kind)
                {
                    case ReplicaEffectKind.Promise:
                        promised = effect.Number;
                        break;
                    case ReplicaEffectKind.Truncate:
                        Forget(effect.Number);
                        break;
                    case ReplicaEffectKind.Append:
                        var position = effect.Entry.Position;
                        (entries ??= []).Add(new JournalEntry(position.Epoch, position.Sequence, effect.Entry.Body));
                        Remember(effect.Entry);
                        break;
                    case ReplicaEffectKind.Commit:
                        committed = effect.Number;
                        break;
                }
            }

            // Posted under the lock: the journal takes requests in the order in which the core decided them. Also an answer that
            // changes nothing waits for what came before it.
            durable = lease.Device.Journal.AppendAsync(_group, promised, entries ?? []);
        }

        if (await durable != StoreStatus.Ok)
        {
            _isBroken = true;
            throw new ReplicaUnavailableException($"The journal of device {_slot.Number} takes nothing.");
        }

        if (committed > 0)
        {
            ApplyUpTo(lease.Device, committed);
        }

        return reply;
    }

    /// <summary>Takes decided entries into the database; they must be durable here.</summary>
    public void ApplyUpTo(ulong committed)
    {
        using var lease = Use();
        ApplyUpTo(lease.Device, committed);
    }

    /// <summary>Runs a read on the rows of the group.</summary>
    public T Query<T>(Func<IndexDatabase, uint, T> query)
    {
        using var lease = Use();
        _rows.EnterReadLock();
        try
        {
            return query(lease.Device.Index, _number);
        }
        finally
        {
            _rows.ExitReadLock();
        }
    }

    /// <summary>A copy of its rows as they are now; it keeps the device open until disposed.</summary>
    public IRowSource OpenCopy()
    {
        var lease = Use();
        try
        {
            lock (_applyGate)
            {
                return new LocalRows(lease, lease.Device.Index.OpenCopy(_number));
            }
        }
        catch
        {
            lease.Dispose();
            throw;
        }
    }

    /// <summary>Another replica takes its place on the device: this one answers nothing any more.</summary>
    public void Retire() => _isBroken = true;

    /// <summary>Replaces rows and log by a full copy of another replica; returns where the log begins now.</summary>
    public async ValueTask<LogPosition> InstallAsync(IRowSource source, ulong epoch, CancellationToken cancellationToken)
    {
        using var lease = Use();
        var position = source.Position;
        lock (_gate)
        {
            if (_isInstalling)
            {
                throw new ReplicaUnavailableException($"Replica {Id} is being copied.");
            }

            if (!_core.NeedsCopyAt(position))
            {
                return position;
            }

            _isInstalling = true;
        }

        try
        {
            lock (_applyGate)
            {
                // Until the copy is whole there is nothing to open after a crash: the log is trimmed to what the rows do not have.
                lease.Device.Index.Clear(_number);
            }

            for (var page = await source.NextAsync(); !page.IsEmpty; page = await source.NextAsync())
            {
                cancellationToken.ThrowIfCancellationRequested();
                lease.Device.Index.Take(_number, page.Span);
            }

            lease.Device.Index.EndTake(_number, position.Epoch, position.Sequence);
            ulong promised;
            lock (_gate)
            {
                promised = Math.Max(_core.Promised, epoch);
            }

            if (await lease.Device.Journal.ResetAsync(_group, promised, position.Epoch, position.Sequence) != StoreStatus.Ok)
            {
                throw new ReplicaUnavailableException($"The journal of device {_slot.Number} takes nothing.");
            }

            lock (_gate)
            {
                _core = new ReplicaCore(promised, new EpochRuns(position), position.Sequence);
                lock (_applyGate)
                {
                    _unapplied.Clear();
                    _applied = position.Sequence;
                }
            }

            return position;
        }
        catch
        {
            // Some rows are gone, some are new: whoever opens the device's replica anew finds out what it is worth.
            _isBroken = true;
            throw;
        }
        finally
        {
            lock (_gate)
            {
                _isInstalling = false;
            }
        }
    }

    /// <summary>When the journal grows, makes the rows durable and forgets the entries that they hold.</summary>
    public async ValueTask TrimAsync()
    {
        using var lease = Use();
        while (lease.Device.Journal.WantsTrim && await TrimOldestAsync(lease.Device))
        {
        }
    }

    /// <summary>Gives up this replica's part of the oldest segment; false when there is nothing that may be given up.</summary>
    private async ValueTask<bool> TrimOldestAsync(ObjectDevice device)
    {
        var wanted = Math.Min(device.Journal.OldestSegmentEnd(_group), Applied);
        if (wanted == 0)
        {
            return false;
        }

        if (device.Index.AppliedDurably(_number).Sequence < wanted)
        {
            device.Index.Flush();
        }

        lock (_gate)
        {
            if (wanted > _core.Committed || wanted <= _core.TrimmedTo.Sequence)
            {
                return false;
            }

            _core.Trim(wanted);
        }

        return await device.Journal.TrimAsync(_group, wanted) == StoreStatus.Ok;
    }

    private DeviceLease Use()
    {
        if (_slot.TryUse(out var lease))
        {
            if (!_isBroken && ReferenceEquals(lease.Device, _device))
            {
                return lease;
            }

            lease.Dispose();
        }

        throw new ReplicaUnavailableException($"Device {_slot.Number} is away.");
    }

    private ReplicaReply Read(ObjectDevice device, ReplicaRequest.Read read)
    {
        LogPosition previous;
        lock (_gate)
        {
            if (read.Epoch < _core.Promised)
            {
                return new ReplicaReply.Refused(read.Epoch, _core.Promised);
            }

            if (_core.PreviousOf(read.From) is not { } before)
            {
                return read.From <= _core.TrimmedTo.Sequence
                    ? new ReplicaReply.Trimmed(read.Epoch, read.For, _core.TrimmedTo)
                    : new ReplicaReply.Entries(read.Epoch, read.For, _core.Last, []);
            }

            previous = before;
        }

        var entries = device.Journal.Read(_group, read.From, ReadEntriesMax, ReadBytesMax);
        return new ReplicaReply.Entries(
            read.Epoch,
            read.For,
            previous,
            [.. entries.Select(e => new LogEntry(new LogPosition(e.Epoch, e.Sequence), e.Body))]);
    }

    private void Remember(in LogEntry entry)
    {
        lock (_applyGate)
        {
            _unapplied[entry.Position.Sequence] = (entry.Position.Epoch, entry.Body);
        }
    }

    private void Forget(ulong after)
    {
        lock (_applyGate)
        {
            foreach (var sequence in _unapplied.Keys.Where(s => s > after).ToList())
            {
                _unapplied.Remove(sequence);
            }
        }
    }

    private void ApplyUpTo(ObjectDevice device, ulong committed)
    {
        lock (_applyGate)
        {
            while (_applied < committed)
            {
                var next = _applied + 1;
                if (!_unapplied.Remove(next, out var entry))
                {
                    // From before a restart.
                    if (device.Journal.Read(_group, next, 1, 1).FirstOrDefault() is not { Sequence: > 0 } stored)
                    {
                        return;
                    }

                    entry = (stored.Epoch, stored.Body);
                }

                _rows.EnterWriteLock();
                try
                {
                    device.Index.Apply(_number, entry.Body.Span, entry.Epoch, next);
                }
                finally
                {
                    _rows.ExitWriteLock();
                }

                _applied = next;
            }

            device.Journal.NoteCommitted(_group, committed);
        }
    }
}

internal sealed class LocalRows(DeviceLease lease, IndexCopy copy) : IRowSource
{
    private const int PageBytes = 1 << 20;

    public LogPosition Position => new(copy.Position.Epoch, copy.Position.Sequence);

    public ValueTask<ReadOnlyMemory<byte>> NextAsync() => ValueTask.FromResult(copy.Next(PageBytes));

    public ValueTask DisposeAsync()
    {
        copy.Dispose();
        lease.Dispose();
        return ValueTask.CompletedTask;
    }
}

/// <summary>The replica's device is gone, full or being replaced.</summary>
internal sealed class ReplicaUnavailableException(string message) : Exception(message);
