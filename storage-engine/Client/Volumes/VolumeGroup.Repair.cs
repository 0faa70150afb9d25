using System.Numerics;

namespace Nephos.Client.Volumes;

/// <summary>Bringing members what they lack, while writes go on.</summary>
internal sealed partial class VolumeGroup
{
    /// <summary>Blocks that are compared with one call.</summary>
    private const int CompareBlocks = 1024;

    /// <summary>Blocks that are copied with one call.</summary>
    private const int CopyBlocks = 64;

    /// <summary>What a repair copies at once.</summary>
    public const int RepairBytes = CopyBlocks * BlockBytes;

    private long _repairedBytes;

    /// <summary>Does one step for one member: compares, copies, or declares it complete. Blocks while it runs.</summary>
    /// <param name="buffer">At least 256 KiB at a page boundary, for this call.</param>
    /// <returns>False when there is nothing to do, or nobody to copy from.</returns>
    public bool RunRepairStep(Nbd.NativeBuffer buffer)
    {
        GroupMember? member;
        var (block, count, declare) = (0L, 0L, false);
        lock (_gate)
        {
            member = Array.Find(_members, candidate =>
                candidate.Link is { IsFull: false } && (candidate.State == MemberState.Repairing || !candidate.IsClean) && HasSource(candidate));
            if (member is null) return false;
            if (!member.Unknown.TryFind(0, CompareBlocks, out block, out count) && !member.Dirty.TryFind(0, CopyBlocks, out block, out count))
            {
                declare = true;
                member.Link!.Lane.Enqueue(new LaneItem(null, null, IsWhole: true));
            }
        }
        if (!declare) return RunRepairOf(member, block, count, buffer);
        RunLaneOrWait(member);
        lock (_gate) return member.State == MemberState.Complete;
    }

    private bool HasSource(GroupMember target) => target.State == MemberState.Repairing && target.IsClean ? true : FindSource(target, 0, 0) is not null;

    // Under the gate. A replica that has everything the target may lack.
    private GroupMember? FindSource(GroupMember target, long block, long count) => Array.Find(_members, other =>
        other != target && other.State == MemberState.Complete && other.Written >= target.Joined && (count == 0 || !other.Lacks(block, count)));

    // The lane may be somebody else's, then he does it.
    private void RunLaneOrWait(GroupMember member)
    {
        lock (_gate)
            if (member.Link is { IsRunning: false }) LaneWaits?.Invoke(member.Index);
        RunLane(member.Index);
    }

    // Repairs the part of a range that the member lacks.
    private bool RunRepairOf(GroupMember member, long block, long count, Nbd.NativeBuffer buffer)
    {
        GroupMember? source;
        IBlockReplica target;
        bool compare;
        lock (_gate)
        {
            source = FindSource(member, block, count);
            if (member.Link is not { } link || source is null) return false;
            target = link.Replica;
            compare = member.Unknown.Intersects(block, count);
        }
        if (compare && !Compare(member, source, target, block, count)) return false;
        for (var done = 0L; done < count; done += CopyBlocks)
        {
            var part = Math.Min(CopyBlocks, count - done);
            lock (_gate)
                if (!member.Dirty.Intersects(block + done, part)) continue;
            if (!Copy(member, source, block + done, (int)part, buffer)) return false;
        }
        return true;
    }

    private bool Compare(GroupMember member, GroupMember source, IBlockReplica target, long block, long count)
    {
        var (wanted, present) = (new uint[count], new uint[count]);
        if (!TryAsk(source, replica => replica.GetSums(Epoch, block * BlockBytes, wanted))) return false;
        var status = Try(() => target.GetSums(Epoch, block * BlockBytes, present), out var trouble);
        lock (_gate)
        {
            if (member.Link?.Replica != target) return false;
            // What can not be summed up is copied.
            if (status is not (ReplicaStatus.Ok or ReplicaStatus.Corrupt))
            {
                Lose(member, status, trouble);
                return false;
            }
            for (var i = 0; i < count; i++)
            {
                if (!member.Unknown[block + i]) continue;
                member.Unknown.Remove(block + i, 1);
                if (status != ReplicaStatus.Ok || wanted[i] != present[i]) member.Dirty.Add(block + i, 1);
            }
            return true;
        }
    }

    // Asks the source of a repair. One that can not answer is none any more, so that another one is looked for.
    private bool TryAsk(GroupMember source, Func<IBlockReplica, ReplicaStatus> question)
    {
        ReplicaLink? link;
        lock (_gate) link = source.Link;
        if (link is null) return false;
        var status = Try(() => question(link.Replica), out var trouble);
        if (status == ReplicaStatus.Ok) return true;
        lock (_gate)
        {
            // Damage is no reason to give it up.
            if (source.Link == link && status != ReplicaStatus.Corrupt) Lose(source, status, trouble);
            Advance();
        }
        return false;
    }

    private bool Copy(GroupMember member, GroupMember source, long block, int count, Nbd.NativeBuffer buffer)
    {
        var length = count * BlockBytes;
        if (!TryAsk(source, replica => replica.Read(Epoch, block * BlockBytes, buffer.Span[..length])))
        {
            // What is damaged there is got from elsewhere, or left until there is somebody who has it.
            lock (_gate)
                if (source.Link is { } damaged) FindDamage(source, damaged, block, count);
            return false;
        }
        var repair = new BlockRepair(block * BlockBytes, length, buffer.Address(0));
        lock (_gate)
        {
            if (member.Link is not { } link) return false;
            link.Lane.Enqueue(new LaneItem(null, repair));
        }
        RunLaneOrWait(member);
        lock (_gate)
        {
            while (!repair.IsDone) Pause();
            _repairedBytes += length;
            return member.Link is not null;
        }
    }

    // In the lane. What was written since the content was read is left alone.
    private unsafe void RunRepair(GroupMember member, ReplicaLink link, BlockRepair repair)
    {
        var writes = link.Call;
        var count = 0;
        lock (_gate)
        {
            var end = (repair.Offset + repair.Length) / BlockBytes;
            for (var block = repair.Offset / BlockBytes; member.Link == link && member.Dirty.TryFind(block, end - block, out var first, out var length) && first < end;)
            {
                length = Math.Min(length, end - first);
                var data = repair.Data + (nint)(first * BlockBytes - repair.Offset);
                // SAFETY: the buffer of the repair has its length and stays until it is done.
                var zero = !new ReadOnlySpan<byte>((void*)data, (int)length * BlockBytes).ContainsAnyExcept((byte)0);
                writes[count++] = new BlockWrite
                {
                    Sequence = link.RepairSequence, Offset = first * BlockBytes, Length = length * BlockBytes, Data = data,
                    Kind = zero ? BlockWriteKind.Zero : BlockWriteKind.Data,
                };
                block = first + length;
                if (block >= end) break;
            }
        }
        var trouble = "";
        var status = count == 0 ? ReplicaStatus.Ok : TryWrite(link, writes.AsSpan(0, count), out trouble);
        lock (_gate)
        {
            repair.IsDone = true;
            if (member.Link == link && status == ReplicaStatus.Ok) member.Has(writes.AsSpan(0, count));
            else if (member.Link == link) Lose(member, status, trouble);
            Advance();
            Monitor.PulseAll(_gate);
        }
    }

    // Under the gate. The blocks get good content from others; until then nobody reads them there.
    private void NoteDamage(GroupMember member, long block, long count)
    {
        member.Dirty.Add(block, count);
        DamagedBlocks += count;
        RepairWaits?.Invoke();
    }

    /// <summary>Whether there is nothing to repair.</summary>
    public bool IsWhole
    {
        get { lock (_gate) return Array.TrueForAll(_members, member => member.State == MemberState.Complete && member.IsClean); }
    }

    /// <summary>Blocks whose sum did not match at some replica.</summary>
    public long DamagedBlocks { get; private set; }

    private long _atRiskSince;

    // Under the gate. Counts the time with fewer copies than there should be.
    private void NoteRisk()
    {
        var whole = CountComplete() == _members.Length;
        if (whole) _atRiskSince = 0;
        else if (_atRiskSince == 0) _atRiskSince = _time.GetTimestamp();
        if (_takeoverPending && CountComplete() >= Majority) _takeoverPending = false;
    }

    /// <summary>What is published of the group.</summary>
    public GroupStatus Status
    {
        get
        {
            lock (_gate)
            {
                return new GroupStatus(
                    _submitted, _acknowledged, _atRiskSince == 0 ? TimeSpan.Zero : _time.GetElapsedTime(_atRiskSince), _repairedBytes, DamagedBlocks,
                    [.. _members.Select(member => new ReplicaProgress(
                        member.Endpoint.DeviceId, member.State == MemberState.Complete, member.Link is not null,
                        member.Dirty.Count * BlockBytes, member.Unknown.Count * BlockBytes, member.Trouble))]);
            }
        }
    }
}

/// <summary>How the replicas of an open volume are.</summary>
/// <param name="AtRisk">How long there have been fewer complete replicas than members.</param>
/// <param name="RepairedBytes">Copied to replicas since the head was opened.</param>
/// <param name="DamagedBlocks">Blocks that did not have the sum they were written with, at some replica.</param>
public sealed record GroupStatus(
    long Submitted, long Acknowledged, TimeSpan AtRisk, long RepairedBytes, long DamagedBlocks, IReadOnlyList<ReplicaProgress> Replicas)
{
    public int CompleteCount => Replicas.Count(replica => replica.Complete);
}

/// <summary>How one replica is.</summary>
/// <param name="LackingBytes">Known to be missing there.</param>
/// <param name="ToCompareBytes">Not known yet.</param>
public sealed record ReplicaProgress(string DeviceId, bool Complete, bool Reached, long LackingBytes, long ToCompareBytes, string? Trouble);
