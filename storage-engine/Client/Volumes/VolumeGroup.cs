using Nephos.Replication.Volumes;

namespace Nephos.Client.Volumes;

/// <summary>The replicas of a volume, as the one writer of an epoch drives them. Has no threads: whoever calls does the work.</summary>
/// <remarks>
/// Each write gets a sequence and goes to every replica that is reached, in that order; it is acknowledged when a majority has it in its journal, a
/// complete replica among them. A complete replica has all writes up to its last one, so the complete one that knows most has everything that was ever
/// acknowledged: with that one a new writer goes on. What a replica misses is noted block by block and brought to it while writes go on; until then it
/// says of itself, durably, that it is not complete.
/// While less than a majority is complete, one device that loses its power must not lose what was acknowledged: then a write counts only
/// when a complete replica has it durably, and a replica gives up being complete only when another one has durably what was acknowledged.
/// A replica that is slow or gone never holds up the others. With less than a majority, requests wait.
/// </remarks>
internal sealed partial class VolumeGroup : IDisposable
{
    public const int BlockBytes = 4096;

    /// <summary>What may wait for one replica before it counts as absent and is repaired later instead.</summary>
    private const int LaneItemsMax = 512;

    private const long LaneBytesMax = 32 << 20;

    private readonly object _gate = new();
    private readonly GroupMember[] _members;
    private readonly TimeProvider _time;
    private readonly Queue<WriteBatch> _inFlight = new();
    private VolumeHistory _history = VolumeHistory.Empty;
    private long _submitted;
    private long _acknowledged;

    // Stands in the history behind writes that were given up: what holds them is told apart by it from what does not.
    private long _barrier;
    private bool _closing;
    private bool _allFailed;
    private bool _draining;

    private VolumeGroup(Guid volumeId, long epoch, long sizeBytes, IReadOnlyList<ReplicaEndpoint> endpoints, TimeProvider time)
    {
        VolumeId = volumeId;
        Epoch = epoch;
        _sizeBytes = sizeBytes;
        _time = time;
        _members = [.. endpoints.Select((endpoint, index) => new GroupMember(index, endpoint))];
    }

    public Guid VolumeId { get; }

    public long Epoch { get; }

    public int MemberCount => _members.Length;

    /// <summary>How many replicas a write needs, and how many a new writer.</summary>
    public int Majority => _members.Length / 2 + 1;

    /// <summary>A newer epoch exists: nothing can be completed any more.</summary>
    public bool Fenced { get; private set; }

    /// <summary>Called under the gate when there is work in the lane of a member that nobody is doing.</summary>
    public Action<int>? LaneWaits { get; set; }

    /// <summary>Called under the gate when writes wait until a member has made them durable, with the last of them.</summary>
    public Action<int, long>? SyncWaits { get; set; }

    /// <summary>Called under the gate when a member has something to be repaired, or is to be reached again.</summary>
    public Action? RepairWaits { get; set; }

    private long _sizeBytes;

    public long SizeBytes
    {
        get => Volatile.Read(ref _sizeBytes);
        set => Volatile.Write(ref _sizeBytes, value);
    }

    /// <summary>Called instead of waiting, under the gate, by whoever has one thread for everything; throws.</summary>
    public Action? OnWait { get; set; }

    // Under the gate.
    private void Pause(int milliseconds = Timeout.Infinite)
    {
        if (OnWait is not null) OnWait();
        else Monitor.Wait(_gate, milliseconds);
    }

    /// <summary>Gives the writes of a batch their sequences and puts them into the lanes.</summary>
    /// <param name="batch">Its memory stays untouched until it is released.</param>
    /// <param name="wake">Whether others shall be told that lanes wait; else the caller works them off.</param>
    public void Submit(WriteBatch batch, bool wake = true)
    {
        lock (_gate)
        {
            if (EndedWith() is { } status)
            {
                batch.Status = status;
                batch.IsDone = true;
                return;
            }
            batch.First = _submitted + 1;
            foreach (ref var write in batch.Span)
            {
                write.Sequence = _submitted + 1;
                _submitted += write.Records;
            }
            batch.Last = _submitted;
            _inFlight.Enqueue(batch);
            foreach (var member in _members) Give(member, batch, wake);
            // Those that were too far behind have been given up now.
            Advance();
        }
    }

    // Under the gate.
    private void Give(GroupMember member, WriteBatch batch, bool wake = true)
    {
        if (member.Link is { } slow && (slow.Lane.Count >= LaneItemsMax || slow.WaitingBytes >= LaneBytesMax)) Lose(member, ReplicaStatus.Ok, "it is too slow");
        if (member.Link is not { } link)
        {
            member.Misses(batch.Span);
            return;
        }
        member.Has(batch.Span);
        batch.Readers++;
        link.WaitingBytes += batch.Bytes;
        link.Lane.Enqueue(new LaneItem(batch, null));
        if (wake && !link.IsRunning) LaneWaits?.Invoke(member.Index);
    }

    // How requests end that can not be done any more; null while they can.
    private ReplicaStatus? EndedWith()
    {
        if (Fenced) return ReplicaStatus.Fenced;
        if (_closing) return ReplicaStatus.Closing;
        return _allFailed ? ReplicaStatus.Failed : null;
    }

    private int CountOf(ReplicaStatus status) => _members.Count(member => member.State == MemberState.Absent && member.LastStatus == status);

    /// <summary>Waits until a batch is acknowledged or can not be.</summary>
    public ReplicaStatus Wait(WriteBatch batch)
    {
        lock (_gate)
        {
            while (!batch.IsDone) Pause();
            return batch.Status;
        }
    }

    /// <summary>Waits until nothing is in flight.</summary>
    public void WaitForAll()
    {
        lock (_gate)
            while (_inFlight.Count > 0) Pause();
    }

    /// <summary>Whether no replica reads the memory of the batch any more.</summary>
    public bool IsReleased(WriteBatch batch)
    {
        lock (_gate) return batch.Readers == 0;
    }

    /// <summary>Does what waits for a member, unless somebody else is at it.</summary>
    public void RunLane(int index)
    {
        var member = _members[index];
        ReplicaLink link;
        lock (_gate)
        {
            if (member.Link is not { IsRunning: false, IsFull: false, Lane.Count: > 0 } idle) return;
            link = idle;
            link.IsRunning = true;
        }
        while (true)
        {
            LaneItem item = default;
            var count = 0;
            lock (_gate)
            {
                if (link.IsFull || member.Link != link || link.Lane.Count == 0)
                {
                    link.IsRunning = false;
                    if (_draining) Monitor.PulseAll(_gate);
                    return;
                }
                if (link.Lane.Peek().Batch is not null) count = Take(link);
                else item = link.Lane.Dequeue();
            }
            if (count > 0) RunWrites(member, link, count);
            else if (item.Repair is { } repair) RunRepair(member, link, repair);
            else Begin(member, link, item.IsWhole);
        }
    }

    // Under the gate. The batches that go with one call.
    private static int Take(ReplicaLink link)
    {
        var count = 0;
        while (link.Lane.TryPeek(out var item) && item.Batch is { } batch && (count == 0 || count + batch.Count <= ReplicaLink.CallWritesMax))
        {
            batch.Span.CopyTo(link.Call.AsSpan(count));
            count += batch.Count;
            link.WaitingBytes -= batch.Bytes;
            link.Taken.Add(batch);
            link.Lane.Dequeue();
        }
        return count;
    }

    private void RunWrites(GroupMember member, ReplicaLink link, int count)
    {
        var began = _time.GetTimestamp();
        var status = TryWrite(link, link.Call.AsSpan(0, count), out var trouble);
        // How far it came is known to the replica only.
        long? reached = status == ReplicaStatus.NoSpace ? Reached(link) : null;
        lock (_gate)
        {
            if (member.Link == link && status is not (ReplicaStatus.Ok or ReplicaStatus.NoSpace)) Lose(member, status, trouble);
            if (member.Link != link)
            {
                // Given up. Whether it has them will show when it comes back.
                foreach (var batch in link.Taken) Miss(member, batch);
                link.Taken.Clear();
            }
            else if (status == ReplicaStatus.Ok)
            {
                member.Written = link.Taken[^1].Last;
                link.ConfirmedAt = began;
                foreach (var batch in link.Taken) batch.Readers--;
                link.Taken.Clear();
            }
            else if (reached is { } sequence)
            {
                member.Written = Math.Max(member.Written, sequence);
                foreach (var batch in link.Taken)
                    if (batch.Last <= member.Written) batch.Readers--;
                link.Taken.RemoveAll(batch => batch.Last <= member.Written);
                link.IsFull = true;
                // Others had space for what is acknowledged: this one lacks it.
                if (member.Written < _acknowledged) Lose(member, ReplicaStatus.NoSpace, "it has no space");
            }
            else
            {
                Lose(member, status, "it has no space and can not be asked how far it came");
                foreach (var batch in link.Taken) Miss(member, batch);
                link.Taken.Clear();
            }
            Advance();
        }
    }

    // A lost connection is no answer, and neither good nor bad. Nothing is allocated when all is well.
    private ReplicaStatus TryWrite(ReplicaLink link, ReadOnlySpan<BlockWrite> writes, out string trouble)
    {
        try
        {
            var status = link.Replica.Write(Epoch, writes);
            trouble = status == ReplicaStatus.Ok ? "" : $"it answered {status}";
            return status;
        }
        catch (VolumeHeadException e)
        {
            trouble = e.Message;
            return ReplicaStatus.Unreachable;
        }
    }

    private static long? Reached(ReplicaLink link)
    {
        try
        {
            return link.Replica.Describe().History.Sequence;
        }
        catch (VolumeHeadException)
        {
            return null;
        }
    }

    private static ReplicaStatus Try(Func<ReplicaStatus> call, out string trouble)
    {
        try
        {
            var status = call();
            trouble = status == ReplicaStatus.Ok ? "" : $"it answered {status}";
            return status;
        }
        catch (VolumeHeadException e)
        {
            trouble = e.Message;
            return ReplicaStatus.Unreachable;
        }
    }

    // Under the gate.
    private static void Miss(GroupMember member, WriteBatch batch)
    {
        member.Misses(batch.Span);
        batch.Readers--;
    }

    // Under the gate. From now on only notes are kept for it.
    private void Lose(GroupMember member, ReplicaStatus status, string trouble)
    {
        if (status == ReplicaStatus.Fenced) Fence();
        if (member.Link is not { } link) return;
        member.Link = null;
        member.State = MemberState.Absent;
        member.LastStatus = status;
        member.Trouble = trouble;
        if (!link.IsRunning || link.IsFull)
        {
            foreach (var batch in link.Taken) Miss(member, batch);
            link.Taken.Clear();
        }
        foreach (var (batch, repair, _) in link.Lane)
        {
            if (batch is not null) Miss(member, batch);
            if (repair is not null) repair.IsDone = true;
        }
        link.Lane.Clear();
        _allFailed = CountOf(ReplicaStatus.Failed) == _members.Length;
        if (CountOf(ReplicaStatus.NotFound) > _members.Length - Majority) Fence();
        NoteRisk();
        RepairWaits?.Invoke();
        Monitor.PulseAll(_gate);
    }

    // Under the gate.
    private void Fence()
    {
        if (Fenced) return;
        Fenced = true;
        End(ReplicaStatus.Fenced);
    }

    // Under the gate. Nothing waits any more.
    private void End(ReplicaStatus status)
    {
        foreach (var batch in _inFlight)
        {
            batch.Status = status;
            batch.IsDone = true;
        }
        _inFlight.Clear();
        Monitor.PulseAll(_gate);
    }

    // Under the gate, after anything that may decide a write.
    private void Advance()
    {
        Span<long> written = stackalloc long[_members.Length];
        var (count, complete, whole, durable) = (0, 0, -1L, -1L);
        foreach (var member in _members)
        {
            if (member.Link is null) continue;
            written[count++] = member.Written;
            if (member.State != MemberState.Complete) continue;
            complete++;
            whole = Math.Max(whole, member.Written);
            durable = Math.Max(durable, member.Durable);
        }
        if (count >= Majority)
        {
            written = written[..count];
            written.Sort();
            Acknowledge(Math.Min(complete >= Majority ? whole : durable, written[count - Majority]));
            if (complete < Majority) AskForSyncs();
        }
        if (_inFlight.Count == 0) return;
        if (EndedWith() is { } status) End(status);
        else if (IsAnyFull()) GiveUpWithoutSpace();
    }

    // Under the gate.
    private void AskForSyncs()
    {
        foreach (var member in _members)
            if (member.State == MemberState.Complete && member.Written > member.Durable && member.Written > _acknowledged) SyncWaits?.Invoke(member.Index, member.Written);
    }

    private bool IsAnyFull()
    {
        foreach (var member in _members)
            if (member.Link is { IsFull: true }) return true;
        return false;
    }

    private void Acknowledge(long sequence)
    {
        if (sequence <= _acknowledged) return;
        _acknowledged = sequence;
        while (_inFlight.TryPeek(out var batch) && batch.Last <= sequence)
        {
            batch.IsDone = true;
            _inFlight.Dequeue();
        }
        Monitor.PulseAll(_gate);
        // A majority had space: whoever has none lacks what the others have.
        foreach (var member in _members)
            if (member.Link is { IsFull: true } && member.Written < sequence) Lose(member, ReplicaStatus.NoSpace, "it has no space");
    }

    // When so many replicas are full that no majority can be had, what is in flight fails, and all replicas are told to go on behind it. As with a write, that
    // counts when a majority has been told: until then nothing is read that a takeover could still bring back.
    private void GiveUpWithoutSpace()
    {
        if (_members.Count(member => member.Link is { IsFull: true } || member.LastStatus == ReplicaStatus.NoSpace) <= _members.Length - Majority) return;
        if (_members.Any(member => member.Link is { IsFull: false } link && (link.IsRunning || link.Lane.Count > 0))) return;
        // What a complete one holds counts; best one that has taken nothing of it.
        var reference = Array.Find(_members, member => member.State == MemberState.Complete && member.Written == _acknowledged)
            ?? Array.Find(_members, member => member.State == MemberState.Complete);
        if (reference is null) return;
        var isTaken = reference.Written > _acknowledged;
        _barrier = ++_submitted;
        foreach (var member in _members)
        {
            if (member.Link is not { } link) continue;
            // Where there is more of it, or less, that is mended. What one in repair lacked was not brought to it where it was about to be written over.
            if (member != reference && (isTaken || member.State == MemberState.Repairing || Math.Max(member.Written, link.FoundAt) > _acknowledged))
            {
                member.State = MemberState.Repairing;
                foreach (var batch in _inFlight) member.Misses(batch.Span);
            }
            foreach (var batch in _inFlight) batch.Readers = 0;
            link.Taken.Clear();
            link.Lane.Clear();
            link.WaitingBytes = 0;
            link.IsFull = false;
            link.BeginsAt = _barrier;
            link.Lane.Enqueue(new LaneItem(null, null, member.IsClean));
            if (!link.IsRunning) LaneWaits?.Invoke(member.Index);
            (member.Written, member.Joined) = (_acknowledged, _barrier);
        }
        End(ReplicaStatus.NoSpace);
        NoteRisk();
        RepairWaits?.Invoke();
    }

    // Tells a replica what it holds now.
    private void Begin(GroupMember member, ReplicaLink link, bool isWhole)
    {
        VolumeHistory history;
        bool complete;
        lock (_gate)
        {
            complete = member.State == MemberState.Complete || (member.State == MemberState.Repairing && isWhole && member.IsClean);
            history = _history with { Sequence = Math.Max(member.Written, link.BeginsAt) };
        }
        var trouble = NotWithout;
        var status = complete || IsSafeWithout(member) ? Try(() => link.Replica.Begin(history, complete), out trouble) : ReplicaStatus.Gap;
        lock (_gate)
        {
            if (member.Link != link) return;
            if (status != ReplicaStatus.Ok)
            {
                Lose(member, status, trouble);
                Advance();
                return;
            }
            member.Written = Math.Max(member.Written, history.Sequence);
            member.Durable = Math.Max(member.Durable, history.Sequence);
            if (complete && member.IsClean) member.State = MemberState.Complete;
            Advance();
            NoteRisk();
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Waits some time until every replica that is reached has everything, so that the next head finds them the same.</summary>
    public void Drain(TimeSpan time)
    {
        var began = _time.GetTimestamp();
        lock (_gate)
        {
            _draining = true;
            while (Array.Exists(_members, member => member.Link is { } link && (link.IsRunning || link.Lane.Count > 0)))
                if (time - _time.GetElapsedTime(began) is var left && (left <= TimeSpan.Zero || !Monitor.Wait(_gate, left))) return;
        }
    }

    /// <summary>Requests that wait for replicas end from now on, unanswered.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _closing = true;
            End(ReplicaStatus.Closing);
        }
    }

    public void Dispose()
    {
        Close();
        foreach (var member in _members)
        {
            ReplicaLink? link;
            lock (_gate)
            {
                link = member.Link;
                member.Link = null;
            }
            link?.Replica.Dispose();
        }
    }
}
