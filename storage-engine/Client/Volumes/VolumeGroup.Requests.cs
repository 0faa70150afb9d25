namespace Nephos.Client.Volumes;

/// <summary>Reading and making durable.</summary>
internal sealed partial class VolumeGroup
{
    /// <summary>A head serves reads only while a majority has answered under its epoch within this time; a takeover that could not seal everywhere waits it out.</summary>
    public static readonly TimeSpan ReadLease = TimeSpan.FromSeconds(1);

    // Some of what this writer found is not on a majority yet.
    private bool _takeoverPending;

    /// <summary>Reads whole blocks, from a replica that has everything that was acknowledged. Waits while there is none.</summary>
    public ReplicaStatus Read(long offset, Span<byte> buffer)
    {
        var (block, count) = (offset / BlockBytes, buffer.Length / BlockBytes);
        while (true)
        {
            if (!TryChooseReader(block, count, out var member, out var link, out var answer)) return answer;
            if (link is null) continue;
            var began = _time.GetTimestamp();
            var status = TryRead(link, offset, buffer, out var trouble);
            if (status == ReplicaStatus.Ok)
            {
                if (IsSettled(link, began) is { } settled) return settled;
                continue;
            }
            lock (_gate)
            {
                if (status == ReplicaStatus.Corrupt && member.Link == link) FindDamage(member, link, block, count);
                else if (status is ReplicaStatus.OutOfRange) return status;
                else if (member.Link == link) Lose(member, status, trouble);
                Advance();
            }
        }
    }

    private ReplicaStatus TryRead(ReplicaLink link, long offset, Span<byte> buffer, out string trouble)
    {
        try
        {
            var status = link.Replica.Read(Epoch, offset, buffer);
            trouble = status == ReplicaStatus.Ok ? "" : $"it answered {status}";
            return status;
        }
        catch (VolumeHeadException e)
        {
            trouble = e.Message;
            return ReplicaStatus.Unreachable;
        }
    }

    // False: the read ends with the answer. True with no link: look again.
    private bool TryChooseReader(long block, long count, out GroupMember member, out ReplicaLink? link, out ReplicaStatus answer)
    {
        link = null;
        lock (_gate)
        {
            member = _members[0];
            answer = EndedWith() ?? ReplicaStatus.Ok;
            if (answer != ReplicaStatus.Ok) return false;
            foreach (var candidate in _members)
            {
                if (candidate.State != MemberState.Complete || candidate.Written < _acknowledged || candidate.Link is not { } way || candidate.Lacks(block, count)) continue;
                (member, link) = (candidate, way);
                break;
            }
            if (link is null)
            {
                if (IsLostEverywhere(block, count)) answer = ReplicaStatus.Corrupt;
                else Pause(100);
                return answer == ReplicaStatus.Ok;
            }
            if (!_takeoverPending) return true;
        }
        if (!IsOnMajority(member, block, count)) link = null;
        return true;
    }

    // Under the gate. Every copy that there is has been damaged.
    private bool IsLostEverywhere(long block, long count) => Array.TrueForAll(_members, member => member.State == MemberState.Complete && member.Lacks(block, count));

    // What is read must not be lost by the next takeover: when it is not on a majority yet it is brought there, and false is answered.
    private bool IsOnMajority(GroupMember reader, long block, long count)
    {
        GroupMember? lacking;
        lock (_gate)
        {
            if (_members.Count(other => other == reader || (other.Link is not null && !other.Lacks(block, count))) >= Majority) return true;
            lacking = Array.Find(_members, other => other != reader && other.Link is not null && other.Lacks(block, count));
            if (lacking is null) Pause(100);
        }
        using var buffer = new Nbd.NativeBuffer(CopyBlocks * BlockBytes);
        if (lacking is not null && !RunRepairOf(lacking, block, count, buffer))
            lock (_gate) Pause(100);
        return false;
    }

    // Under the gate. Finds which blocks of a read are damaged.
    private void FindDamage(GroupMember member, ReplicaLink link, long block, long count)
    {
        var one = new byte[BlockBytes];
        for (var i = 0; i < count; i++)
            if (TryRead(link, (block + i) * BlockBytes, one, out _) == ReplicaStatus.Corrupt) NoteDamage(member, block + i, 1);
        // Gone already: written anew meanwhile.
    }

    // Whether what was read may be given out: it can not be lost any more, and no newer head has begun. Null: read again.
    private ReplicaStatus? IsSettled(ReplicaLink link, long began)
    {
        if (_members.Length == 1) return ReplicaStatus.Ok;
        lock (_gate)
        {
            link.ConfirmedAt = Math.Max(link.ConfirmedAt, began);
            var seen = _submitted;
            while (_acknowledged < seen)
            {
                if (EndedWith() is { } status) return status;
                Pause(100);
            }
            if (IsConfirmed(began)) return ReplicaStatus.Ok;
        }
        return Confirm(began);
    }

    // Under the gate.
    private bool IsConfirmed(long began)
    {
        var oldest = began - (long)(ReadLease.TotalSeconds * _time.TimestampFrequency);
        var confirmed = 0;
        foreach (var member in _members)
            if (member.Link is { } link && link.ConfirmedAt >= oldest) confirmed++;
        return confirmed >= Majority;
    }

    // Asks everybody whether the epoch still counts.
    private ReplicaStatus? Confirm(long began)
    {
        foreach (var member in _members)
        {
            ReplicaLink? link;
            lock (_gate) link = member.Link;
            if (link is null) continue;
            var asked = _time.GetTimestamp();
            var status = TryRead(link, 0, [], out var trouble);
            lock (_gate)
            {
                if (status == ReplicaStatus.Ok) link.ConfirmedAt = Math.Max(link.ConfirmedAt, asked);
                else if (member.Link == link) Lose(member, status, trouble);
                Advance();
                if (EndedWith() is { } ended) return ended;
                if (IsConfirmed(began)) return ReplicaStatus.Ok;
            }
        }
        lock (_gate) Pause(100);
        return null;
    }

    /// <summary>Describes a range by what a complete replica says.</summary>
    public ReplicaStatus GetRanges(long offset, long length, Span<BlockRange> ranges, out int count)
    {
        count = 0;
        while (true)
        {
            // Damage does not matter here: where data is, is known all the same.
            if (!TryChooseReader(0, 0, out var member, out var link, out var answer)) return answer;
            if (link is null) continue;
            var began = _time.GetTimestamp();
            ReplicaStatus status;
            var trouble = "";
            try
            {
                status = link.Replica.GetRanges(Epoch, offset, length, ranges, out count);
            }
            catch (VolumeHeadException e)
            {
                (status, trouble) = (ReplicaStatus.Unreachable, e.Message);
            }
            if (status == ReplicaStatus.Ok)
            {
                if (IsSettled(link, began) is { } settled) return settled;
                continue;
            }
            if (status is ReplicaStatus.OutOfRange or ReplicaStatus.Corrupt) return status;
            lock (_gate)
            {
                if (member.Link == link) Lose(member, status, trouble.Length > 0 ? trouble : $"it answered {status}");
                Advance();
            }
        }
    }

    /// <summary>The last write that was acknowledged.</summary>
    public long Acknowledged
    {
        get { lock (_gate) return _acknowledged; }
    }

    /// <summary>Waits until a majority has everything up to a sequence durably.</summary>
    /// <returns>Null when it takes longer than this: a member may be back that was not asked.</returns>
    public ReplicaStatus? WaitDurable(long sequence, int milliseconds = 200)
    {
        var began = _time.GetTimestamp();
        lock (_gate)
        {
            while (true)
            {
                if (IsDurable(sequence)) return ReplicaStatus.Ok;
                if (EndedWith() is { } status) return status;
                if (_time.GetElapsedTime(began).TotalMilliseconds >= milliseconds) return null;
                Pause(milliseconds);
            }
        }
    }

    // Under the gate. As with the writes themselves, a complete replica is among them.
    private bool IsDurable(long sequence)
    {
        var (count, whole) = (0, false);
        foreach (var member in _members)
        {
            if (member.Link is null || member.Durable < sequence) continue;
            count++;
            whole |= member.State == MemberState.Complete;
        }
        return whole && count >= Majority;
    }

    /// <summary>Makes what a member has durable, unless somebody else is at it or it has nothing up to the sequence that is not.</summary>
    /// <returns>Whether something was done.</returns>
    public bool RunSync(int index, long sequence)
    {
        var member = _members[index];
        ReplicaLink link;
        long written;
        lock (_gate)
        {
            if (member.Link is not { IsSyncing: false } idle || member.Durable >= sequence || member.Written < sequence) return false;
            (link, written) = (idle, member.Written);
            link.IsSyncing = true;
        }
        var began = _time.GetTimestamp();
        var status = Try(() => link.Replica.Flush(Epoch), out var trouble);
        lock (_gate)
        {
            link.IsSyncing = false;
            if (member.Link == link && status == ReplicaStatus.Ok)
            {
                member.Durable = Math.Max(member.Durable, written);
                link.ConfirmedAt = began;
            }
            else if (member.Link == link)
            {
                Lose(member, status, trouble);
            }
            Advance();
            Monitor.PulseAll(_gate);
            return true;
        }
    }

    /// <summary>Waits until a sync of the member would bring something for the sequence.</summary>
    /// <returns>False when it ended meanwhile, or enough others have it.</returns>
    public bool WaitForSync(int index, long sequence)
    {
        lock (_gate)
        {
            while (true)
            {
                var member = _members[index];
                if (EndedWith() is not null || member.Link is not { } link || member.Durable >= sequence) return false;
                if (member.Written >= sequence && !link.IsSyncing) return true;
                Pause();
            }
        }
    }
}
