using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.BlockStorage;

internal static class BlockStorageFaults
{
    public static FaultException VolumeNotFound(string id) => Faults.NotFound("Volume", id);

    public static FaultException SnapshotNotFound(string id) => Faults.NotFound("Snapshot", id);

    /// <summary>The state of a volume forbids it.</summary>
    public static FaultException InvalidVolume(string rule) => Faults.Conflict($"Invalid volume: {rule}");

    public static FaultException InvalidSnapshot(string rule) => Faults.Conflict($"Invalid snapshot: {rule}");

    public static FaultException OverQuota(string resource, long requested, long used, long limit)
    {
        var (message, kind) = resource switch
        {
            "volumes" => ($"VolumeLimitExceeded: Maximum number of volumes allowed ({limit}) exceeded for quota 'volumes'.", resource),
            "snapshots" => ($"SnapshotLimitExceeded: Maximum number of snapshots allowed ({limit}) exceeded", resource),
            _ => ($"VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested {requested}G, quota is {limit}G and {used}G has been consumed.", resource),
        };
        return new FaultException(
            ErrorReason.QuotaExceeded, message,
            new Dictionary<string, string> { ["resource"] = kind, ["limit"] = $"{limit}", ["used"] = $"{used}", ["requested"] = $"{requested}" });
    }
}
