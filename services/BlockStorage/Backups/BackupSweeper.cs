using Microsoft.Extensions.Logging;
using Nephos.Kernel.Reconciliation;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Backups;

/// <summary>Has unfinished backups worked on, and deletes the chunks of buckets that no backup names any more.</summary>
internal sealed partial class BackupSweeper(
    IStateStore store, TableCache<Backup> backups, IBackupObjects objects, ChunkStore chunks, BucketGates gates, BackupWorker worker, BlockStorageOptions options,
    TimeProvider time, ReconcilerRegistry registry, ILogger<BackupSweeper> logger)
    : Reconciler("block-storage/backups", Period, time, registry, logger)
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(10);
    private readonly TimeProvider _time = time;

    protected override async Task<ReconcileResult> ReconcileAsync(CancellationToken cancellationToken)
    {
        var pending = backups.List().Where(backup => backup.IsPending).Select(backup => backup.Id).ToList();
        pending.ForEach(worker.Nudge);
        var swept = 0;
        foreach (var bucket in await store.ListAsync(BackupBucket.Table, "", cancellationToken))
        {
            if (bucket.DirtyAt + options.BackupGarbageTime > _time.GetUtcNow()) continue;
            var deleted = await SweepAsync(bucket.Name, cancellationToken);
            LogSwept(bucket.Name, deleted);
            await store.TransactAsync(
                async transaction =>
                {
                    // Dirty again since: then it is swept once more.
                    if (await transaction.GetAsync(BackupBucket.Table, bucket.Name, cancellationToken) == bucket) transaction.Delete(BackupBucket.Table, bucket.Name);
                },
                cancellationToken);
            swept++;
        }
        return new ReconcileResult(backups.List().Count, pending.Count + swept, pending.Count);
    }

    /// <summary>Deletes what no manifest of the bucket leads to.</summary>
    /// <returns>How many chunks.</returns>
    public async Task<int> SweepAsync(string bucket, CancellationToken cancellationToken)
    {
        using var alone = await gates.EnterAloneAsync(bucket, cancellationToken);
        var live = new HashSet<ChunkDigest>();
        await foreach (var item in objects.ListAsync(bucket, BackupManifest.Prefix, cancellationToken))
        {
            // A manifest that can not be read stops the sweep: better garbage than a hole.
            if (await objects.GetAsync(bucket, item.Key, cancellationToken) is { } written)
                await MarkAsync(bucket, BackupManifest.Parse(written), live, cancellationToken);
        }
        var deleted = 0;
        await foreach (var item in objects.ListAsync(bucket, ChunkStore.Prefix, cancellationToken))
        {
            if (ChunkDigest.TryParse(item.Key[ChunkStore.Prefix.Length..], out var digest) && live.Contains(digest)) continue;
            await objects.DeleteAsync(bucket, item.Key, cancellationToken);
            deleted++;
        }
        return deleted;
    }

    private async Task MarkAsync(string bucket, BackupManifest manifest, HashSet<ChunkDigest> live, CancellationToken cancellationToken)
    {
        var index = new BackupIndex(chunks, bucket, manifest);
        for (var page = 0; page < manifest.Pages.Count; page++)
        {
            // Backups share pages: one that was seen was followed.
            if (!ChunkDigest.TryParse(manifest.Pages[page].Digest, out var own) || !live.Add(own)) continue;
            var digests = await index.GetPageAsync(page, cancellationToken);
            for (var at = 0; at < digests.Length; at += ChunkDigest.Bytes) live.Add(ChunkDigest.Read(digests.AsSpan(at)));
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Bucket {Bucket} of backups lost {Deleted} chunks that nothing named")]
    private partial void LogSwept(string bucket, int deleted);
}
