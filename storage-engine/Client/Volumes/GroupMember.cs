using Nephos.Replication.Volumes;

namespace Nephos.Client.Volumes;

internal enum MemberState
{
    /// <summary>Not reached: what it misses is noted.</summary>
    Absent,

    /// <summary>Gets every new write at once, and what it lacks by and by.</summary>
    Repairing,

    /// <summary>Has everything.</summary>
    Complete,
}

/// <summary>What the head knows of one replica. Guarded by the group's gate.</summary>
internal sealed class GroupMember(int index, ReplicaEndpoint endpoint)
{
    public int Index { get; } = index;

    public ReplicaEndpoint Endpoint { get; } = endpoint;

    public MemberState State { get; set; }

    /// <summary>Null while absent.</summary>
    public ReplicaLink? Link { get; set; }

    /// <summary>Why it is absent.</summary>
    public string? Trouble { get; set; }

    /// <summary>The last answer that made it absent; <c>Ok</c> when it could not be reached.</summary>
    public ReplicaStatus LastStatus { get; set; }

    /// <summary>Everything the replica was given up to here is in its journal. Below 0 before it was ever reached.</summary>
    public long Written { get; set; } = -1;

    /// <summary>And durable up to here.</summary>
    public long Durable { get; set; }

    /// <summary>Writes after this one went to it directly when it came back.</summary>
    public long Joined { get; set; }

    /// <summary>Blocks whose content it lacks.</summary>
    public BlockBitmap Dirty { get; } = new();

    /// <summary>Blocks of which it is not known whether it lacks them.</summary>
    public BlockBitmap Unknown { get; } = new();

    public bool IsClean => Dirty.IsEmpty && Unknown.IsEmpty;

    public bool Lacks(long block, long count) => Dirty.Intersects(block, count) || Unknown.Intersects(block, count);

    public void Has(ReadOnlySpan<BlockWrite> writes)
    {
        if (IsClean) return;
        foreach (ref readonly var write in writes)
        {
            var (block, count) = (write.Offset / VolumeGroup.BlockBytes, write.Length / VolumeGroup.BlockBytes);
            Dirty.Remove(block, count);
            Unknown.Remove(block, count);
        }
    }

    public void Misses(ReadOnlySpan<BlockWrite> writes)
    {
        foreach (ref readonly var write in writes) Dirty.Add(write.Offset / VolumeGroup.BlockBytes, write.Length / VolumeGroup.BlockBytes);
    }
}

/// <summary>The way to a replica while it is reached: what is to be done there, in order. A new one is made each time it comes back.</summary>
internal sealed class ReplicaLink(IBlockReplica replica, long repairSequence)
{
    public const int CallWritesMax = 256;

    public IBlockReplica Replica { get; } = replica;

    /// <summary>What marks repairs as of this link, so that one that was stuck on an older link is refused.</summary>
    public long RepairSequence { get; } = repairSequence;

    public Queue<LaneItem> Lane { get; } = new();

    /// <summary>Data of the writes in the lane.</summary>
    public long WaitingBytes { get; set; }

    /// <summary>Somebody works the lane off; only he uses what follows.</summary>
    public bool IsRunning { get; set; }

    /// <summary>Somebody makes writes durable.</summary>
    public bool IsSyncing { get; set; }

    /// <summary>The last write it had when it came back, acknowledged or not.</summary>
    public long FoundAt { get; init; }

    /// <summary>Behind which it is told to go on, when it is told what it holds.</summary>
    public long BeginsAt { get; set; }

    /// <summary>The device had no space for the first batch that is taken.</summary>
    public bool IsFull { get; set; }

    public List<WriteBatch> Taken { get; } = [];

    public BlockWrite[] Call { get; } = new BlockWrite[CallWritesMax];

    /// <summary>When the last call that was answered under our epoch was made.</summary>
    public long ConfirmedAt { get; set; }
}

/// <summary>One thing to do at a replica: writes, content it lacks, or telling it what it holds now.</summary>
/// <param name="IsWhole">When it is told what it holds: it lacks nothing that is not before this in the lane.</param>
internal readonly record struct LaneItem(WriteBatch? Batch, BlockRepair? Repair, bool IsWhole = false);

/// <summary>Content on its way to a replica that lacks it.</summary>
internal sealed class BlockRepair(long offset, int length, nint data)
{
    public long Offset { get; } = offset;
    public int Length { get; } = length;
    public nint Data { get; } = data;

    /// <summary>Guarded by the group's gate.</summary>
    public bool IsDone { get; set; }
}
