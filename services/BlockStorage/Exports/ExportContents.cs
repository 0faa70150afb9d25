using Nephos.BlockStorage.Backups;
using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Encryption;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.Volumes;
using Nephos.Client.Volumes;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Exports;

/// <summary>Opens what exports name. Encrypted content is decrypted for its owner.</summary>
internal sealed class ExportContents(IStateStore store, IBlockDevices devices, IBackupObjects objects, ChunkStore chunks, VolumeKeys keys)
{
    /// <summary>The newest snapshots that one is compared with.</summary>
    private const int BasesMax = 64;

    public static bool IsReadable(Snapshot? snapshot) => snapshot is { Taken: true, Deleting: false, Failure: null };

    public static bool IsReadable(Backup? backup) => backup is { Done: true, Deleting: false, Failure: null };

    /// <summary>Whether there still is what the export names.</summary>
    public async Task<bool> ExistsAsync(Export export, CancellationToken cancellationToken) => export.SnapshotId is { } snapshot
        ? IsReadable(await store.GetAsync(Snapshot.Table, snapshot, cancellationToken))
        : IsReadable(await store.GetAsync(Backup.Table, export.BackupId!, cancellationToken));

    /// <exception cref="FaultException">NotFound, DataLoss, or Unavailable for the moment.</exception>
    public Task<IFrozenContent> OpenAsync(Export export, CancellationToken cancellationToken) => export.SnapshotId is { } snapshot
        ? OpenSnapshotAsync(snapshot, cancellationToken)
        : OpenBackupAsync(export.BackupId!, cancellationToken);

    private async Task<IFrozenContent> OpenSnapshotAsync(string id, CancellationToken cancellationToken)
    {
        var snapshot = await store.GetAsync(Snapshot.Table, id, cancellationToken);
        if (!IsReadable(snapshot)) throw BlockStorageFaults.SnapshotNotFound(id);
        var volume = await store.GetAsync(Volume.Table, snapshot!.VolumeId, cancellationToken) ?? throw BlockStorageFaults.VolumeNotFound(snapshot.VolumeId);
        var bases = (await store.ListByAsync(Snapshot.Table, "volume", snapshot.VolumeId, cancellationToken))
            .Where(other => other.Id != id && IsReadable(other) && other.DeviceId == snapshot.DeviceId && other.CreatedAt <= snapshot.CreatedAt)
            .OrderByDescending(other => other.CreatedAt).Take(BasesMax).Select(other => other.Id);
        return new SnapshotContent(devices, snapshot, [.. bases], await CipherAsync(volume.KeyId, cancellationToken));
    }

    private async Task<IFrozenContent> OpenBackupAsync(string id, CancellationToken cancellationToken)
    {
        var backup = await store.GetAsync(Backup.Table, id, cancellationToken);
        if (!IsReadable(backup)) throw BlockStorageFaults.BackupNotFound(id);
        var index = await BackupIndex.OpenAsync(objects, chunks, backup!, cancellationToken);
        return new BackupContent(chunks, index, backup!.Bucket, await CipherAsync(backup.KeyId, cancellationToken));
    }

    private async Task<BlockCipher?> CipherAsync(string? keyId, CancellationToken cancellationToken) =>
        await keys.UnwrapAsync(keyId, cancellationToken) is { Length: > 0 } key ? new BlockCipher(key) : null;
}
