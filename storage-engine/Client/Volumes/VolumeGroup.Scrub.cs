namespace Nephos.Client.Volumes;

/// <summary>Looking for damage before somebody reads it.</summary>
internal sealed partial class VolumeGroup
{
    /// <summary>What one look for data covers where there is none.</summary>
    private const long LookBytes = 1L << 30;

    private long _scrubAt;

    /// <summary>Reads the next data of every complete replica, which compares it with its sums; what is damaged is noted for repair.</summary>
    /// <param name="buffer">At least <see cref="RepairBytes"/>, for this call.</param>
    public void RunScrubStep(Nbd.NativeBuffer buffer)
    {
        List<(GroupMember Member, ReplicaLink Link)> complete;
        lock (_gate)
        {
            if (_scrubAt >= SizeBytes) _scrubAt = 0;
            complete = [.. _members.Where(member => member is { State: MemberState.Complete, Link: not null }).Select(member => (member, member.Link!))];
        }
        if (complete.Count == 0 || NextData(complete[0].Link) is not { } length) return;
        foreach (var (member, link) in complete)
        {
            var (block, count) = (_scrubAt / BlockBytes, length / BlockBytes);
            if (TryRead(link, _scrubAt, buffer.Span[..length], out _) != ReplicaStatus.Corrupt) continue;
            lock (_gate)
                if (member.Link == link && !member.Lacks(block, count)) FindDamage(member, link, block, count);
        }
        _scrubAt += length;
    }

    // How many bytes of data there are at the next place with some, which becomes the place; null when this look found none.
    private int? NextData(ReplicaLink link)
    {
        Span<BlockRange> ranges = stackalloc BlockRange[2];
        var look = Math.Min(LookBytes, SizeBytes - _scrubAt);
        var status = ReplicaStatus.Unreachable;
        var count = 0;
        try
        {
            status = link.Replica.GetRanges(Epoch, _scrubAt, look, ranges, out count);
        }
        catch (VolumeHeadException)
        {
            // Whoever writes to it will find that too.
        }
        foreach (ref readonly var range in ranges[..(status == ReplicaStatus.Ok ? count : 0)])
        {
            _scrubAt = range.Offset;
            if (range.Kind == BlockRangeKind.Data) return (int)Math.Min(RepairBytes, range.Length);
            _scrubAt += range.Length;
        }
        return null;
    }
}
