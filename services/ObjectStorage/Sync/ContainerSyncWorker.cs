using System.Text;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Nephos.Client.Objects;
using Nephos.Kernel.Errors;
using Nephos.ObjectStorage.Buckets;
using Nephos.ObjectStorage.Swift;

namespace Nephos.ObjectStorage.Sync;

/// <summary>
/// Keeps containers that have <c>X-Container-Sync-To</c> copied to another cluster. A pass walks the container and the journal of the last pass side by
/// side: what is new or changed is put, what is gone is deleted, and what failed is left as it was in the next journal, so that the next pass tries again.
/// </summary>
/// <remarks>A pass may be cut off anywhere: what it did is done again, and the times in the requests make that harmless.</remarks>
internal sealed partial class ContainerSyncWorker(IObjectEngine engine, SyncSender sender, ObjectStorageOptions options, TimeProvider time, ILogger<ContainerSyncWorker> logger)
    : BackgroundService
{
    private const int PageObjects = 1000;

    /// <summary>One pass over all containers that are to be copied.</summary>
    public async Task RunOnceAsync(CancellationToken cancellationToken)
    {
        await foreach (var container in BucketWatch.ListAsync(engine, SyncTarget.IsSet, time.GetUtcNow(), cancellationToken))
        {
            try
            {
                var target = SyncTarget.Parse(container.Metadata[SyncTarget.ToKey], options.ContainerSync);
                await SyncAsync(container, target, cancellationToken);
            }
            catch (Exception failure) when (failure is SwiftFault or ObjectEngineException or FaultException or InvalidDataException)
            {
                LogFailed(container.Name, failure);
            }
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.ContainerSync.Period, time);
        while (options.ContainerSync.Realms.Count > 0 && await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await RunOnceAsync(stoppingToken);
            }
            catch (ObjectEngineException failure)
            {
                LogPassFailed(failure);
            }
        }
    }

    private async Task SyncAsync(BucketRecord container, SyncTarget target, CancellationToken cancellationToken)
    {
        var secret = container.Metadata[SyncTarget.SecretKey];
        var entry = BucketWatch.EntryOf(container.Name);
        await using var writer = engine.Payloads.OpenWriter(new PayloadOptions { Bucket = entry, Key = SyncJournal.Key });
        await SyncJournal.BeginAsync(writer, cancellationToken);
        await using var known = SyncJournal.ReadAsync(engine, entry, cancellationToken).GetAsyncEnumerator(cancellationToken);
        var (hasKnown, hasChanged, sent, removed, failed) = (await known.MoveNextAsync(), false, 0, 0, 0);
        await foreach (var item in ObjectsAsync(container.Name, cancellationToken))
        {
            while (hasKnown && Compare(known.Current.Key, item.Key) < 0)
            {
                await RemoveAsync();
            }
            var before = hasKnown && known.Current.Key == item.Key ? known.Current : default;
            hasKnown = before.Key is null ? hasKnown : await known.MoveNextAsync();
            if (before.Key is not null && before.Modified == item.Modified)
            {
                await SyncJournal.AppendAsync(writer, item.Key, item.Modified, cancellationToken);
            }
            else if (await PutAsync(container.Name, target, secret, item.Key, cancellationToken) is { } modified)
            {
                (hasChanged, sent) = (true, sent + 1);
                await SyncJournal.AppendAsync(writer, item.Key, modified, cancellationToken);
            }
            else
            {
                failed++;
                if (before.Key is not null)
                {
                    await SyncJournal.AppendAsync(writer, before.Key, before.Modified, cancellationToken);
                }
            }
        }
        while (hasKnown)
        {
            await RemoveAsync();
        }
        if (hasChanged)
        {
            var payload = await writer.CompleteAsync(cancellationToken);
            var outcome = await engine.Namespace.PutObjectAsync(
                new PutObject
                {
                    Bucket = entry,
                    Object = new ObjectRecord { Key = SyncJournal.Key, SizeBytes = payload.LengthBytes, Payload = payload, Modified = time.GetUtcNow() },
                },
                CancellationToken.None);
            LogSynced(container.Name, sent, removed, failed, outcome.Status);
        }

        async ValueTask RemoveAsync()
        {
            if (await sender.DeleteAsync(target, secret, known.Current.Key, known.Current.Modified, cancellationToken))
            {
                (hasChanged, removed) = (true, removed + 1);
            }
            else
            {
                failed++;
                await SyncJournal.AppendAsync(writer, known.Current.Key, known.Current.Modified, cancellationToken);
            }
            hasKnown = await known.MoveNextAsync();
        }
    }

    /// <returns>The time of the version that was sent; null when it was not.</returns>
    private async ValueTask<DateTimeOffset?> PutAsync(BucketName container, SyncTarget target, string secret, string key, CancellationToken cancellationToken)
    {
        var found = await engine.Namespace.GetObjectAsync(container, key, VersionSelector.Current, cancellationToken);
        return found is { IsOk: true, Value: { IsDeleteMarker: false } record } && await sender.PutAsync(target, secret, record, cancellationToken) ? record.Modified : null;
    }

    private async IAsyncEnumerable<ObjectSummary> ObjectsAsync(
        BucketName container, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var marker = "";
        while (true)
        {
            var page = await engine.Namespace.ListObjectsAsync(new ListObjects { Bucket = container, Marker = marker, Limit = PageObjects }, cancellationToken);
            // A container that went away meanwhile must not look empty: everything would be deleted elsewhere.
            var (entries, isTruncated, next) = page.IsOk
                ? (page.Value!.Entries, page.Value.IsTruncated, page.Value.NextMarker)
                : throw new ObjectEngineException(EngineFailure.Unavailable, $"Container {container} cannot be listed: {page.Status}.");
            foreach (var item in entries.Select(entry => entry.Object).OfType<ObjectSummary>())
            {
                yield return item;
            }
            if (!isTruncated)
            {
                yield break;
            }
            marker = next;
        }
    }

    private static int Compare(string left, string right) => Encoding.UTF8.GetBytes(left).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(right));

    [LoggerMessage(LogLevel.Information, "Copied container {Container}: {Sent} put, {Removed} deleted, {Failed} to be tried again; journal {Status}")]
    private partial void LogSynced(BucketName container, int sent, int removed, int failed, EngineStatus status);

    [LoggerMessage(LogLevel.Warning, "Container {Container} could not be copied")]
    private partial void LogFailed(BucketName container, Exception failure);

    [LoggerMessage(LogLevel.Warning, "A pass over the containers to be copied was cut off and will be tried again")]
    private partial void LogPassFailed(Exception failure);
}
