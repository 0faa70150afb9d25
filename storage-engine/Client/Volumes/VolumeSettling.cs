using Nephos.Client.Nbd;

namespace Nephos.Client.Volumes;

/// <summary>Making the replicas of a volume the same when no head does.</summary>
public static class VolumeSettling
{
    /// <summary>Takes the volume over under an epoch and repairs every replica that is reached, as far as that goes.</summary>
    /// <param name="volumeId">The volume.</param>
    /// <param name="epoch">No head has it.</param>
    /// <param name="sizeBytes">Of the volume.</param>
    /// <param name="endpoints">All members.</param>
    /// <param name="replicas">The way to each; null where it can not be reached. Disposed.</param>
    /// <param name="time">The clock.</param>
    /// <exception cref="VolumeHeadException">A newer epoch is sealed, or less than a majority is reached and complete.</exception>
    public static void Settle(
        Guid volumeId, long epoch, long sizeBytes, IReadOnlyList<ReplicaEndpoint> endpoints, IReadOnlyList<IBlockReplica?> replicas, TimeProvider time)
    {
        using var group = VolumeGroup.Open(volumeId, epoch, sizeBytes, endpoints, replicas, time);
        using var buffer = new NativeBuffer(VolumeGroup.RepairBytes);
        while (group.RunRepairStep(buffer)) { }
    }
}
