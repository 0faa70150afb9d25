using System.Buffers;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Encryption;
using Nephos.BlockStorage.Messages;
using Nephos.BlockStorage.Quotas;
using Nephos.BlockStorage.Volumes;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.BlockStorage.Backups;

/// <summary>Makes backups, deletes them, and restores volumes from them. Each step may be cut off anywhere and run twice.</summary>
internal sealed partial class BackupSteps(
    IStateStore store, IBlockDevices devices, IBackupObjects objects, ChunkStore chunks, BucketGates gates, BackupRestorer restorer, QuotaService quotas,
    MessageLog messages, TimeProvider time, ILogger<BackupSteps> logger)
{
    /// <summary>Chunks of one backup on their way to the object store at once.</summary>
    private const int UploadsMax = 4;

    /// <param name="id">Of a backup, or of a volume that is to be restored.</param>
    /// <param name="cancellationToken">Ends the work; a later run goes on.</param>
    public async Task RunAsync(string id, CancellationToken cancellationToken)
    {
        if (await store.GetAsync(Backup.Table, id, cancellationToken) is { } backup) await RunBackupAsync(backup, cancellationToken);
        else if (await store.GetAsync(Volume.Table, id, cancellationToken) is { RestoreFrom: not null } volume)
            await restorer.RunAsync(volume, cancellationToken);
    }

    private async Task RunBackupAsync(Backup backup, CancellationToken cancellationToken)
    {
        if (backup.Deleting)
        {
            await DeleteAsync(backup, cancellationToken);
            return;
        }
        if (!backup.IsPending) return;
        try
        {
            using var entered = await gates.EnterAsync(backup.Bucket, cancellationToken);
            await CreateAsync(backup, cancellationToken);
        }
        catch (FaultException fault) when (IsFinal(fault))
        {
            LogGivenUp(fault, backup.Id);
            await DropLocalAsync(backup, cancellationToken);
            await FinishAsync(backup.Id, (current, _) => current with { Failure = fault.Message }, cancellationToken);
            await messages.AddAsync(backup.ProjectId, "VOLUME_BACKUP", backup.Id, MessageLog.BackupFailed, fault.Message, cancellationToken);
        }
    }

    private static bool IsFinal(FaultException fault) =>
        fault.Reason is ErrorReason.NotFound or ErrorReason.InvalidArgument or ErrorReason.StorageFull or ErrorReason.DataLoss or ErrorReason.Conflict;

    private async Task CreateAsync(Backup backup, CancellationToken cancellationToken)
    {
        var key = BackupManifest.KeyOf(backup.Id);
        var manifest = await objects.GetAsync(backup.Bucket, key, cancellationToken) is { } written ? BackupManifest.Parse(written) : null;
        if (manifest is null)
        {
            if (backup.SnapshotId is null) await devices.CreateSnapshotAsync(backup.DeviceId!, backup.VolumeId, backup.Id, cancellationToken);
            manifest = await WriteAsync(backup, cancellationToken);
            // Given up meanwhile.
            if (manifest is null) return;
            await objects.PutAsync(backup.Bucket, key, manifest.ToBytes(), cancellationToken);
        }
        await DropOlderLocalsAsync(backup, cancellationToken);
        var kept = await FinishAsync(
            backup.Id,
            (current, volume) => current with
            {
                Done = true,
                ChunkCount = manifest.ChunkCount,
                AddedBytes = manifest.AddedBytes,
                // With the volume goes what is frozen of it.
                LocalSnapshot = backup.SnapshotId is null && volume is { Deleting: false },
            },
            cancellationToken);
        if (kept is { LocalSnapshot: false }) await DropLocalAsync(backup, cancellationToken);
        LogDone(backup.Id, manifest.SizeBytes, manifest.AddedBytes);
    }

    // Null when the backup is not wanted any more.
    private async Task<BackupManifest?> WriteAsync(Backup backup, CancellationToken cancellationToken)
    {
        var source = backup.SnapshotId ?? backup.Id;
        var (parent, changed) = await CompareAsync(backup, source, cancellationToken);
        var pages = new BackupPage[BackupManifest.CountPages(backup.SizeBytes)];
        for (var page = 0; page < pages.Length; page++) pages[page] = parent?.Manifest.Pages.ElementAtOrDefault(page) ?? BackupPage.Empty;
        var addedBytes = 0L;
        foreach (var (page, ranges) in SplitByPage(changed))
        {
            if (await store.GetAsync(Backup.Table, backup.Id, cancellationToken) is not { Deleting: false }) return null;
            var digests = parent is null
                ? new byte[BackupManifest.PageChunks * ChunkDigest.Bytes]
                : [.. await parent.GetPageAsync(page, cancellationToken)];
            foreach (var range in ranges) addedBytes += await StoreRangeAsync(backup, source, page, range, digests, cancellationToken);
            var used = CountUsed(digests);
            if (used == 0)
            {
                pages[page] = BackupPage.Empty;
                continue;
            }
            var (digest, added) = await chunks.PutAsync(backup.Bucket, digests, cancellationToken);
            addedBytes += added;
            pages[page] = new BackupPage(digest.ToString(), used);
        }
        return new BackupManifest
        {
            BackupId = backup.Id,
            ProjectId = backup.ProjectId,
            VolumeId = backup.VolumeId,
            Name = backup.Name,
            SizeBytes = backup.SizeBytes,
            DataAt = backup.DataAt,
            Source = backup.Source,
            AddedBytes = addedBytes,
            Pages = pages,
        };
    }

    // The backup to compare with, and what may differ from it. Whatever is in the way of comparing, everything is read instead.
    private async Task<(BackupIndex? Parent, IReadOnlyList<BlockSpan> Changed)> CompareAsync(Backup backup, string source, CancellationToken cancellationToken)
    {
        IReadOnlyList<BlockSpan> everything = [new BlockSpan(0, backup.SizeBytes)];
        if (backup.ParentId is null || await store.GetAsync(Backup.Table, backup.ParentId, cancellationToken) is not { LocalSnapshot: true, Done: true } parent
            || parent.DeviceId != backup.DeviceId)
            return (null, everything);
        if (await objects.GetAsync(parent.Bucket, BackupManifest.KeyOf(parent.Id), cancellationToken) is not { } written) return (null, everything);
        try
        {
            var changed = await devices.ListChangedAsync(backup.DeviceId!, backup.VolumeId, source, parent.Id, cancellationToken);
            return (new BackupIndex(chunks, parent.Bucket, BackupManifest.Parse(written)), changed);
        }
        catch (FaultException fault) when (fault.Reason is ErrorReason.NotFound or ErrorReason.DataLoss)
        {
            LogNotCompared(backup.Id, parent.Id, fault.Message);
            return (null, everything);
        }
    }

    private static IEnumerable<(int Page, List<BlockSpan> Ranges)> SplitByPage(IReadOnlyList<BlockSpan> ranges)
    {
        const long pageBytes = (long)BackupManifest.PageChunks * ChunkStore.ChunkBytes;
        return ranges.SelectMany(Split).GroupBy(span => (int)(span.Offset / pageBytes)).Select(group => (group.Key, group.ToList()));

        static IEnumerable<BlockSpan> Split(BlockSpan range)
        {
            for (var offset = range.Offset; offset < range.End;)
            {
                var end = Math.Min(range.End, (offset / pageBytes + 1) * pageBytes);
                yield return new BlockSpan(offset, end - offset);
                offset = end;
            }
        }
    }

    private async Task<long> StoreRangeAsync(
        Backup backup, string source, int page, BlockSpan range, byte[] digests, CancellationToken cancellationToken)
    {
        var first = (long)page * BackupManifest.PageChunks;
        var from = (int)(range.Offset / ChunkStore.ChunkBytes - first);
        var to = (int)((range.End + ChunkStore.ChunkBytes - 1) / ChunkStore.ChunkBytes - first);
        // What is not found to hold anything is a hole.
        digests.AsSpan(from * ChunkDigest.Bytes, (to - from) * ChunkDigest.Bytes).Clear();
        var (_, blocks) = await devices.ReadAsync(backup.DeviceId!, backup.VolumeId, source, range, cancellationToken);
        var added = 0L;
        await Parallel.ForEachAsync(
            GatherAsync(blocks, backup.SizeBytes, cancellationToken),
            new ParallelOptions { MaxDegreeOfParallelism = UploadsMax, CancellationToken = cancellationToken },
            async (chunk, ending) =>
            {
                try
                {
                    var content = chunk.Buffer.AsMemory(0, chunk.Length);
                    if (content.Span.IndexOfAnyExcept((byte)0) < 0) return;
                    var (digest, bytes) = await chunks.PutAsync(backup.Bucket, content, ending);
                    digest.Write(digests.AsSpan((int)(chunk.Index - first) * ChunkDigest.Bytes));
                    Interlocked.Add(ref added, bytes);
                }
                finally
                {
                    ArrayPool<byte>.Shared.Return(chunk.Buffer);
                }
            });
        return added;
    }

    private readonly record struct FullChunk(long Index, byte[] Buffer, int Length);

    // Pieces of content in ascending order, put together to chunks of the volume.
    private static async IAsyncEnumerable<FullChunk> GatherAsync(
        IAsyncEnumerable<BlockChunk> pieces, long sizeBytes, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        FullChunk? open = null;
        await foreach (var piece in pieces.WithCancellation(cancellationToken))
        {
            for (var done = 0; done < piece.Data.Length;)
            {
                var at = piece.Offset + done;
                var index = at / ChunkStore.ChunkBytes;
                if (open is { } other && other.Index != index)
                {
                    yield return other;
                    open = null;
                }
                open ??= Begin(index);
                var place = (int)(at - index * ChunkStore.ChunkBytes);
                var count = Math.Min(piece.Data.Length - done, ChunkStore.ChunkBytes - place);
                piece.Data.Span.Slice(done, count).CopyTo(open.Value.Buffer.AsSpan(place));
                done += count;
            }
        }
        if (open is { } last) yield return last;

        FullChunk Begin(long index)
        {
            var buffer = ArrayPool<byte>.Shared.Rent(ChunkStore.ChunkBytes);
            buffer.AsSpan(0, ChunkStore.ChunkBytes).Clear();
            return new FullChunk(index, buffer, (int)Math.Min(ChunkStore.ChunkBytes, sizeBytes - index * ChunkStore.ChunkBytes));
        }
    }

    private static int CountUsed(byte[] digests)
    {
        var used = 0;
        for (var at = 0; at < digests.Length; at += ChunkDigest.Bytes)
            if (!ChunkDigest.Read(digests.AsSpan(at)).IsHole) used++;
        return used;
    }

    // One frozen layer for each volume is enough: the newest.
    private async Task DropOlderLocalsAsync(Backup backup, CancellationToken cancellationToken)
    {
        if (backup.SnapshotId is not null) return;
        foreach (var other in await store.ListByAsync(Backup.Table, "volume", backup.VolumeId, cancellationToken))
            if (other.LocalSnapshot && other.Id != backup.Id) await ForgetLocalAsync(other, cancellationToken);
    }

    /// <summary>Removes the frozen content of a backup from its device.</summary>
    public async Task ForgetLocalAsync(Backup backup, CancellationToken cancellationToken)
    {
        await DropLocalAsync(backup, cancellationToken);
        await store.TransactAsync(
            async transaction =>
            {
                if (await transaction.GetAsync(Backup.Table, backup.Id, cancellationToken) is { } current)
                    transaction.Put(Backup.Table, current with { LocalSnapshot = false });
            },
            cancellationToken);
    }

    private async Task DropLocalAsync(Backup backup, CancellationToken cancellationToken)
    {
        if (backup.DeviceId is { } device && backup.SnapshotId is null)
            await devices.DeleteSnapshotAsync(device, backup.VolumeId, backup.Id, cancellationToken);
    }

    private async Task DeleteAsync(Backup backup, CancellationToken cancellationToken)
    {
        await DropLocalAsync(backup, cancellationToken);
        await objects.DeleteAsync(backup.Bucket, BackupManifest.KeyOf(backup.Id), cancellationToken);
        await store.TransactAsync(
            async transaction =>
            {
                if (await transaction.GetAsync(Backup.Table, backup.Id, cancellationToken) is not { } current) return;
                transaction.Delete(Backup.Table, backup.Id);
                await VolumeKeys.ReleaseAsync(transaction, current.KeyId, backup.Id, cancellationToken);
                transaction.Put(BackupBucket.Table, new BackupBucket(backup.Bucket, time.GetUtcNow()));
                await quotas.ChangeAsync(transaction, current.ProjectId, QuotaChange.Backups(-1, -current.SizeGib), cancellationToken);
            },
            cancellationToken);
    }

    private Task<Backup?> FinishAsync(string id, Func<Backup, Volume?, Backup> change, CancellationToken cancellationToken) => store.TransactAsync(
        async transaction =>
        {
            if (await transaction.GetAsync(Backup.Table, id, cancellationToken) is not { } backup) return null;
            var volume = await transaction.GetAsync(Volume.Table, backup.VolumeId, cancellationToken);
            backup = change(backup, volume).Changed(time.GetUtcNow());
            transaction.Put(Backup.Table, backup);
            if (backup.Failure is not null) transaction.Put(BackupBucket.Table, new BackupBucket(backup.Bucket, time.GetUtcNow()));
            if (volume?.BackingUp == id) transaction.Put(Volume.Table, (volume with { BackingUp = null }).Changed(time.GetUtcNow()));
            return backup;
        },
        cancellationToken);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Backup {BackupId} can not be made")]
    private partial void LogGivenUp(Exception exception, string backupId);

    [LoggerMessage(Level = LogLevel.Information, Message = "Backup {BackupId} is complete: {SizeBytes} bytes of volume, {AddedBytes} new bytes in the object store")]
    private partial void LogDone(string backupId, long sizeBytes, long addedBytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Backup {BackupId} is not compared with {ParentId}, so everything is read: {Reason}")]
    private partial void LogNotCompared(string backupId, string parentId, string reason);
}
