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

    public static FaultException BackupNotFound(string id) => Faults.NotFound("Backup", id);

    public static FaultException InvalidBackup(string rule) => Faults.Conflict($"Invalid backup: {rule}");

    public static FaultException InvalidGroup(string rule) => Faults.Conflict($"Invalid group: {rule}");

    public static FaultException OverQuota(string resource, long requested, long used, long limit)
    {
        var (message, kind) = resource switch
        {
            "volumes" => ($"VolumeLimitExceeded: Maximum number of volumes allowed ({limit}) exceeded for quota 'volumes'.", resource),
            "snapshots" => ($"SnapshotLimitExceeded: Maximum number of snapshots allowed ({limit}) exceeded", resource),
            "backups" => ($"BackupLimitExceeded: Maximum number of backups allowed ({limit}) exceeded", resource),
            "backup_gigabytes" => ($"VolumeBackupSizeExceedsAvailableQuota: Requested backup exceeds allowed backup gigabytes quota. Requested {requested}G, quota is {limit}G and {used}G has been consumed.", resource),
            "exports" => ($"ExportLimitExceeded: Maximum number of exports of a project ({limit}) exceeded", resource),
            "groups" => ($"GroupLimitExceeded: Maximum number of groups allowed ({limit}) exceeded", resource),
            "per_volume_gigabytes" => ($"VolumeSizeExceedsLimit: Requested volume size {requested}G is larger than maximum allowed limit {limit}G.", resource),
            _ => ($"VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested {requested}G, quota is {limit}G and {used}G has been consumed.", resource),
        };
        return new FaultException(
            ErrorReason.QuotaExceeded, message,
            new Dictionary<string, string> { ["resource"] = kind, ["limit"] = $"{limit}", ["used"] = $"{used}", ["requested"] = $"{requested}" });
    }
}
