using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Messages;
using Nephos.BlockStorage.Volumes;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.BlockStorage.Backups;

/// <summary>Fills volumes with the content of backups, and checks backups.</summary>
/// <remarks>
/// When the device still has a frozen layer of a backup of the same volume, the volume begins over it and gets only the chunks that differ:
/// restoring the newest backup moves no data at all. A restore that was cut off begins anew, so that it never mixes two contents.
/// </remarks>
internal sealed partial class BackupRestorer(
    IStateStore store, IBlockDevices devices, IBackupObjects objects, ChunkStore chunks, BucketGates gates, MessageLog messages, TimeProvider time,
    ILogger<BackupRestorer> logger)
{
    private const int WriteBytes = 1 << 20;
    private const int ReadsMax = 4;
    private const int DamagedMax = 1000;

    /// <summary>Chunks that are written before somebody who gave the volume up is noticed.</summary>
    private const int ChunksBetweenLooks = 16;

    public async Task RunAsync(Volume volume, CancellationToken cancellationToken)
    {
        try
        {
            if (volume.Deleting) throw NotWanted(volume.Id);
            var backup = await store.GetAsync(Backup.Table, volume.RestoreFrom!, cancellationToken);
            if (backup is not { Done: true, Deleting: false }) throw BlockStorageFaults.BackupNotFound(volume.RestoreFrom!);
            using var entered = await gates.EnterAsync(backup.Bucket, cancellationToken);
            await FillAsync(volume, backup, cancellationToken);
            await FinishAsync(volume, failure: null, cancellationToken);
            LogRestored(volume.Id, backup.Id);
        }
        catch (FaultException fault) when (fault.Reason is ErrorReason.NotFound or ErrorReason.DataLoss or ErrorReason.StorageFull or ErrorReason.InvalidArgument)
        {
            LogFailed(fault, volume.Id);
            await FinishAsync(volume, $"Backup {volume.RestoreFrom} could not be restored: {fault.Message}", cancellationToken);
            if (!volume.Deleting) await messages.AddAsync(volume.ProjectId, "VOLUME", volume.Id, MessageLog.RestoreFailed, fault.Message, cancellationToken);
        }
    }

    private async Task FillAsync(Volume volume, Backup backup, CancellationToken cancellationToken)
    {
        var wanted = await OpenAsync(backup, cancellationToken);
        var near = await FindNearAsync(volume, backup, cancellationToken);
        var device = volume.DeviceId!;
        await devices.DeleteAsync(device, volume.Id, cancellationToken);
        await devices.CreateAsync(device, volume.Id, volume.SizeBytes, near?.Manifest.BackupId, cancellationToken);
        if (volume.Epoch > 0) await devices.SealAsync(device, volume.Id, volume.Epoch, cancellationToken);
        await devices.WriteAsync(device, volume.Id, volume.Epoch, DifferenceAsync(volume.Id, backup.Bucket, wanted, near, cancellationToken), cancellationToken);
    }

    private Task<BackupIndex> OpenAsync(Backup backup, CancellationToken cancellationToken) => BackupIndex.OpenAsync(objects, chunks, backup, cancellationToken);

    // A backup of the same volume whose content is frozen on the device: this one or another.
    private async Task<BackupIndex?> FindNearAsync(Volume volume, Backup backup, CancellationToken cancellationToken)
    {
        var near = (await store.ListByAsync(Backup.Table, "volume", backup.VolumeId, cancellationToken))
            .Where(other => other is { LocalSnapshot: true, Done: true, Deleting: false } && other.DeviceId == volume.DeviceId && other.SizeBytes <= volume.SizeBytes)
            .MaxBy(other => (other.Id == backup.Id, other.DataAt));
        if (near is null) return null;
        try
        {
            return await OpenAsync(near, cancellationToken);
        }
        catch (FaultException fault) when (fault.Reason == ErrorReason.DataLoss)
        {
            return null;
        }
    }

    private static FaultException NotWanted(string volumeId) => new(ErrorReason.NotFound, $"Volume {volumeId} is being deleted.");

    private async IAsyncEnumerable<BlockChunk> DifferenceAsync(
        string volumeId, string bucket, BackupIndex wanted, BackupIndex? near, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (near?.Manifest.BackupId == wanted.Manifest.BackupId) yield break;
        var count = Math.Max(BackupManifest.CountChunks(wanted.Manifest.SizeBytes), BackupManifest.CountChunks(near?.Manifest.SizeBytes ?? 0));
        var sent = 0L;
        for (var chunk = 0L; chunk < count; chunk++)
        {
            var digest = await wanted.GetAsync(chunk, cancellationToken);
            var present = near is null ? default : await near.GetAsync(chunk, cancellationToken);
            if (digest == present) continue;
            if (sent++ % ChunksBetweenLooks == 0 && await store.GetAsync(Volume.Table, volumeId, cancellationToken) is not { Deleting: false }) throw NotWanted(volumeId);
            var offset = chunk * ChunkStore.ChunkBytes;
            var content = digest.IsHole
                ? new byte[Math.Min(ChunkStore.ChunkBytes, near!.Manifest.SizeBytes - offset)]
                : await chunks.GetAsync(bucket, digest, cancellationToken);
            for (var at = 0; at < content.Length; at += WriteBytes)
            {
                var piece = content.AsMemory(at, Math.Min(WriteBytes, content.Length - at));
                // Over nothing there is no need to write nothing.
                if (!present.IsHole || piece.Span.IndexOfAnyExcept((byte)0) >= 0) yield return new BlockChunk(offset + at, piece);
            }
        }
    }

    private Task FinishAsync(Volume volume, string? failure, CancellationToken cancellationToken) => store.TransactAsync(
        async transaction =>
        {
            if (await transaction.GetAsync(Volume.Table, volume.Id, cancellationToken) is not { } current || current.RestoreFrom != volume.RestoreFrom) return;
            transaction.Put(
                Volume.Table,
                (current with
                {
                    RestoreFrom = null,
                    Failure = failure,
                    Provisioned = failure is null || current.Provisioned,
                    ProvisionedBytes = failure is null ? volume.SizeBytes : current.ProvisionedBytes,
                    SealedEpoch = Math.Max(current.SealedEpoch, failure is null ? volume.Epoch : 0),
                }).Changed(time.GetUtcNow()));
        },
        cancellationToken);

    /// <summary>Reads every chunk of a backup.</summary>
    /// <returns>How many there are, their bytes, and where in the volume those are that can not be read.</returns>
    public async Task<(long Chunks, long Bytes, IReadOnlyList<long> DamagedOffsets)> VerifyAsync(Backup backup, CancellationToken cancellationToken)
    {
        using var entered = await gates.EnterAsync(backup.Bucket, cancellationToken);
        var index = await OpenAsync(backup, cancellationToken);
        var (count, bytes, damaged) = (0L, 0L, new List<long>());
        await Parallel.ForEachAsync(
            ListChunksAsync(index, cancellationToken),
            new ParallelOptions { MaxDegreeOfParallelism = ReadsMax, CancellationToken = cancellationToken },
            async (chunk, ending) =>
            {
                Interlocked.Increment(ref count);
                try
                {
                    Interlocked.Add(ref bytes, (await chunks.GetAsync(backup.Bucket, chunk.Digest, ending)).Length);
                }
                catch (FaultException fault) when (fault.Reason == ErrorReason.DataLoss)
                {
                    lock (damaged)
                        if (damaged.Count < DamagedMax) damaged.Add(chunk.Offset);
                }
            });
        damaged.Sort();
        return (count, bytes, damaged);
    }

    private static async IAsyncEnumerable<(long Offset, ChunkDigest Digest)> ListChunksAsync(
        BackupIndex index, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var chunk = 0L; chunk < BackupManifest.CountChunks(index.Manifest.SizeBytes); chunk++)
        {
            var digest = await index.GetAsync(chunk, cancellationToken);
            if (!digest.IsHole) yield return (chunk * ChunkStore.ChunkBytes, digest);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Volume {VolumeId} has the content of backup {BackupId}")]
    private partial void LogRestored(string volumeId, string backupId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Volume {VolumeId} could not be restored")]
    private partial void LogFailed(Exception exception, string volumeId);
}
