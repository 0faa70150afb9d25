using Nephos.Replication.Volumes;

namespace Nephos.Client.Volumes;

/// <summary>How replicas come into the group: at a takeover, and when they are back.</summary>
internal sealed partial class VolumeGroup
{
    /// <summary>Takes a volume over under an epoch: seals a majority, finds the replica that knows most, and goes on behind its last write.</summary>
    /// <remarks>Serves at once; replicas that lack something are repaired while it does.</remarks>
    /// <param name="volumeId">The volume.</param>
    /// <param name="epoch">Granted to this writer alone.</param>
    /// <param name="sizeBytes">Of the volume; no replica may be smaller.</param>
    /// <param name="endpoints">All members.</param>
    /// <param name="replicas">The way to each member; null where it can not be reached. Belong to the group from now on.</param>
    /// <param name="time">For the age of confirmations.</param>
    /// <param name="parallel">Whether the members are asked at the same time.</param>
    /// <exception cref="VolumeHeadException">A newer epoch is sealed, or less than a majority is reached and complete.</exception>
    public static VolumeGroup Open(
        Guid volumeId, long epoch, long sizeBytes, IReadOnlyList<ReplicaEndpoint> endpoints, IReadOnlyList<IBlockReplica?> replicas, TimeProvider time,
        bool parallel = true)
    {
        var group = new VolumeGroup(volumeId, epoch, sizeBytes, endpoints, time);
        try
        {
            group.TakeOver(replicas, parallel);
            return group;
        }
        catch
        {
            group.Dispose();
            foreach (var replica in replicas) replica?.Dispose();
            throw;
        }
    }

    /// <summary>Whether every member has sealed the epoch: then no head of before can read anywhere any more.</summary>
    public bool SealedEverywhere { get; private set; }

    private void TakeOver(IReadOnlyList<IBlockReplica?> replicas, bool parallel)
    {
        var found = new ReplicaDescription?[_members.Length];
        ForEach(parallel, member => found[member.Index] = Probe(member, replicas[member.Index]));
        SealedEverywhere = Array.TrueForAll(found, description => description is not null);
        if (Fenced) throw new VolumeHeadException($"A newer epoch than {Epoch} of volume {VolumeId} is sealed.");
        ReplicaDescription? best = null;
        foreach (var description in found)
            if (description is { Complete: true } && (best is null || best.History.IsBehind(description.History))) best = description;
        if (best is null || !KnowsAll(best, found))
        {
            var complete = found.Count(description => description is { Complete: true });
            throw new VolumeHeadException($"Volume {VolumeId} has {complete} of {_members.Length} replicas complete and reached; {Majority} are needed.{Troubles()}");
        }
        if (best.SizeBytes < SizeBytes)
            throw new VolumeHeadException($"The replicas of volume {VolumeId} have {best.SizeBytes} bytes, fewer than {SizeBytes}.");
        _history = best.History.Begun(Epoch);
        _submitted = _acknowledged = best.History.Sequence;
        var source = Array.IndexOf(found, best);
        Join(_members[source], replicas[source]!, best);
        ForEach(parallel, member =>
        {
            if (member.Index != source && found[member.Index] is { } description) Join(member, replicas[member.Index]!, description);
        });
        if (_members.Count(member => member.Link is not null) < Majority)
            throw new VolumeHeadException($"Volume {VolumeId} could not be begun at {Majority} of its replicas.{Troubles()}");
        lock (_gate)
        {
            _takeoverPending = CountComplete() < Majority;
            NoteRisk();
        }
    }

    // Each may wait for its disk.
    private void ForEach(bool parallel, Action<GroupMember> action)
    {
        if (parallel) Parallel.ForEach(_members, action);
        else Array.ForEach(_members, member => action(member));
    }

    // Whether the replica has everything that was acknowledged. A write was acknowledged by a majority, and of those one was complete: so another complete
    // one agrees, or there is none that is not reached, or one that is being repaired would know of a write that this one lacks.
    private bool KnowsAll(ReplicaDescription best, ReplicaDescription?[] found)
    {
        if (found.Count(description => description is not null) < Majority) return false;
        return found.Count(description => description is { Complete: true }) >= Majority
            || Array.TrueForAll(found, description => description is not null)
            || !Array.Exists(found, description => description is not null && best.History.IsBehind(description.History));
    }

    private string Troubles() => string.Concat(
        _members.Where(member => member.Trouble is not null).Select(member => $" Device {member.Endpoint.DeviceId}: {member.Trouble}."));

    private int CountComplete() => _members.Count(member => member.State == MemberState.Complete);

    private ReplicaDescription? Probe(GroupMember member, IBlockReplica? replica)
    {
        if (replica is null)
        {
            member.Trouble ??= "it can not be reached";
            return null;
        }
        ReplicaDescription? description = null;
        var status = Try(() => (description = replica.Describe()).SealedEpoch > Epoch ? ReplicaStatus.Fenced : replica.Seal(Epoch), out var trouble);
        // What came between the two calls is in the history only now.
        if (status == ReplicaStatus.Ok) status = Try(() => (description = replica.Describe()).SealedEpoch > Epoch ? ReplicaStatus.Fenced : ReplicaStatus.Ok, out trouble);
        if (status == ReplicaStatus.Ok) return description;
        lock (_gate)
        {
            (member.LastStatus, member.Trouble) = (status, trouble);
            if (status == ReplicaStatus.Fenced) Fence();
        }
        return null;
    }

    /// <summary>Takes a member in that is reached (again).</summary>
    /// <returns>False when it failed, or nobody can say yet what it lacks.</returns>
    public bool TryRejoin(int index, IBlockReplica replica)
    {
        var member = _members[index];
        if (Probe(member, replica) is { } description && Join(member, replica, description)) return true;
        replica.Dispose();
        return false;
    }

    private bool Join(GroupMember member, IBlockReplica replica, ReplicaDescription description)
    {
        if (!TryNoteMissing(member, replica, description))
        {
            lock (_gate)
                if (description.Complete && CountComplete() == 0 && _members.Count(other => other.Link is not null) >= Majority) Fence();
            return false;
        }
        VolumeHistory history;
        bool complete;
        lock (_gate)
        {
            var lacksAcknowledged = LacksAcknowledged(description.History);
            complete = IsWholeBut(member, lacksAcknowledged);
            history = _history with { Sequence = complete ? HeldBy(description.History) : NotInMemory };
            // It must stay what it is, the only one to take over from: a new head will find out what is left. One that is behind waits for who is not.
            if (!complete && description.Complete && CountComplete() == 0)
            {
                if (!lacksAcknowledged || !IsMoreToCome(member)) Fence();
                return false;
            }
        }
        var begins = 0L;
        var trouble = NotWithout;
        var isSafe = complete || !description.Complete || IsSafeWithout(member);
        var status = isSafe ? Try(() => replica.Begin(history, complete), out trouble) : ReplicaStatus.Gap;
        if (status == ReplicaStatus.Ok) status = Try(() => { begins = replica.Describe().Begins; return ReplicaStatus.Ok; }, out trouble);
        lock (_gate)
        {
            if (status == ReplicaStatus.Ok && complete && NotInMemory > history.Sequence) (status, trouble) = (ReplicaStatus.Gap, "writes went on meanwhile");
            if (status != ReplicaStatus.Ok)
            {
                (member.LastStatus, member.Trouble) = (status, trouble);
                if (status == ReplicaStatus.Fenced) Fence();
                return false;
            }
            var link = new ReplicaLink(replica, -begins) { ConfirmedAt = _time.GetTimestamp(), FoundAt = description.History.Sequence };
            Attach(member, link, complete ? history.Sequence : NotInMemory, complete);
            return true;
        }
    }

    // Under the gate. Writes up to here are not in memory any more.
    private long NotInMemory => Math.Max(_acknowledged, _barrier);

    // Under the gate. Up to where a complete replica has all, in whole batches: what it holds beyond what its history says, another one that says the same lacks.
    private long HeldBy(VolumeHistory held)
    {
        var sequence = NotInMemory;
        if (held.Epoch != Epoch) return sequence;
        foreach (var batch in _inFlight)
            if (batch.Last <= held.Sequence) sequence = batch.Last;
        return sequence;
    }

    private const string NotWithout = "no other replica has durably what it holds";

    // Once a replica is not complete any more, nobody can take over from it: what was acknowledged must be durable at another one first.
    private bool IsSafeWithout(GroupMember member)
    {
        GroupMember? other;
        ReplicaLink link;
        long written;
        lock (_gate)
        {
            other = Array.Find(_members, candidate => candidate != member && candidate.State == MemberState.Complete && candidate.Written >= _acknowledged);
            if (other?.Link is not { } way) return false;
            if (other.Durable >= _acknowledged) return true;
            (link, written) = (way, other.Written);
        }
        var status = Try(() => link.Replica.Flush(Epoch), out var trouble);
        lock (_gate)
        {
            if (other.Link != link) return false;
            if (status == ReplicaStatus.Ok) other.Durable = Math.Max(other.Durable, written);
            else Lose(other, status, trouble);
            Advance();
            return status == ReplicaStatus.Ok;
        }
    }

    // Under the gate.
    private bool LacksAcknowledged(VolumeHistory held) => !(held.CommonWith(_history with { Sequence = _submitted }) >= _acknowledged);

    // Under the gate. Whether members are away that may have what this one lacks.
    private bool IsMoreToCome(GroupMember member) =>
        _members.Count(other => other.Link is not null) < Majority && Array.Exists(_members, other => other != member && other.Link is null);

    // Under the gate. Whether all that the member lacks is still in memory: also what was written over since, as that may be lost again. With other complete
    // members writes go on meanwhile, so it is not tried.
    private bool IsWholeBut(GroupMember member, bool lacksAcknowledged)
    {
        if (!member.Unknown.IsEmpty) return false;
        if (member.Dirty.IsEmpty && _inFlight.Count == 0) return true;
        if (CountComplete() > 0 || lacksAcknowledged) return false;
        var lacking = new BlockBitmap();
        for (long from = 0; member.Dirty.TryFind(from, long.MaxValue, out var block, out var count); from = block + count) lacking.Add(block, count);
        foreach (var batch in _inFlight)
            foreach (ref readonly var write in batch.Span) lacking.Remove(write.Offset / BlockBytes, write.Length / BlockBytes);
        return lacking.IsEmpty;
    }

    // Under the gate. From here on the member gets every write.
    private void Attach(GroupMember member, ReplicaLink link, long held, bool complete)
    {
        member.Link = link;
        member.State = complete ? MemberState.Complete : MemberState.Repairing;
        member.Trouble = null;
        member.LastStatus = ReplicaStatus.Ok;
        _allFailed = false;
        member.Joined = _submitted;
        member.Written = member.Durable = held;
        foreach (var batch in _inFlight)
        {
            if (batch.Last > held) Give(member, batch);
            else member.Has(batch.Span);
        }
        Advance();
        NoteRisk();
        RepairWaits?.Invoke();
        Monitor.PulseAll(_gate);
    }

    // Notes which blocks the member lacks. What it missed while it was away is noted already; beyond that it may have lost writes that it had taken, and
    // have some that nobody else has.
    private bool TryNoteMissing(GroupMember member, IBlockReplica replica, ReplicaDescription description)
    {
        VolumeHistory own;
        long known;
        lock (_gate) (own, known) = (_history with { Sequence = _submitted }, member.Written);
        var common = description.History.CommonWith(own);
        if (!description.Complete || common is not { } same || description.SizeBytes < SizeBytes)
        {
            lock (_gate) member.Unknown.Add(0, SizeBytes / BlockBytes);
            return true;
        }
        var listed = true;
        void Note(long offset, long length)
        {
            lock (_gate) member.Dirty.Add(offset / BlockBytes, (Math.Min(offset + length, SizeBytes) - offset + BlockBytes - 1) / BlockBytes);
        }
        // The only complete one is what the others are compared with, whatever it holds.
        bool isReference;
        lock (_gate) isReference = description.History.Sequence == same && CountComplete() == 0;
        if (!isReference) listed &= Listed(replica, same, Note);
        // Lost with its power, or written before this head: who has all of it knows where that was.
        if (known < 0 || known > same)
        {
            IBlockReplica? source;
            lock (_gate) source = Array.Find(_members, other => other.State == MemberState.Complete && other.Written >= Math.Max(known, same))?.Link?.Replica;
            if (source is not null) listed &= Listed(source, same, Note);
            else if (known > same || own.Sequence > same) return false;
        }
        if (!listed)
            lock (_gate) member.Unknown.Add(0, SizeBytes / BlockBytes);
        return true;
    }

    private bool Listed(IBlockReplica replica, long sequence, Action<long, long> note)
    {
        try
        {
            return replica.TryListWritten(Epoch, sequence, note);
        }
        catch (VolumeHeadException)
        {
            return false;
        }
    }

    /// <summary>The members that are to be reached again.</summary>
    public IReadOnlyList<int> Absent
    {
        get { lock (_gate) return [.. _members.Where(member => member.State == MemberState.Absent).Select(member => member.Index)]; }
    }

    public ReplicaEndpoint EndpointOf(int index) => _members[index].Endpoint;
}
