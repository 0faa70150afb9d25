using Microsoft.Extensions.Logging;
using Nephos.Images.Catalog;
using Nephos.Kernel.Reconciliation;
using Nephos.Kernel.State;

namespace Nephos.Images.Data;

/// <summary>Puts images whose upload died back to queued, and removes the data that nothing refers to any more.</summary>
internal sealed partial class ImageReconciler(
    IStateStore store, IImageBlobs blobs, ImagesOptions options, TimeProvider time, ReconcilerRegistry registry, ILogger<ImageReconciler> logger)
    : Reconciler("image/data", options.ReconcilePeriod, time, registry, logger)
{
    private const int MaxRemovalsPerPass = 256;

    private readonly TimeProvider _time = time;

    protected override async Task<ReconcileResult> ReconcileAsync(CancellationToken cancellationToken)
    {
        var (examined, changed) = await RequeueAsync(cancellationToken);
        var doomed = await store.ListAsync(ImageTables.Doomed, "", cancellationToken);
        var due = doomed.Where(IsDue).ToList();
        var failures = new List<Exception>();
        foreach (var data in due.Take(MaxRemovalsPerPass))
        {
            try
            {
                await RemoveAsync(data, cancellationToken);
                changed++;
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                // One piece that cannot be removed does not keep the others.
                failures.Add(exception);
            }
        }
        if (failures.Count > 0)
        {
            throw new AggregateException($"{failures.Count} pieces of data could not be removed: {failures[0].Message}", failures);
        }
        return new ReconcileResult(examined + doomed.Count, changed, Math.Max(0, due.Count - MaxRemovalsPerPass));
    }

    private async Task<(int Examined, int Changed)> RequeueAsync(CancellationToken cancellationToken)
    {
        var saving = await store.ListByAsync(ImageTables.Images, "status", nameof(ImageStatus.Saving), cancellationToken);
        var changed = 0;
        foreach (var found in saving)
        {
            if (found.UploadId is { } upload && await store.GetAsync(ImageTables.Uploads, upload, cancellationToken) is null)
            {
                changed += await RequeueAsync(found.Id, upload, cancellationToken) ? 1 : 0;
            }
        }
        return (saving.Count, changed);
    }

    private async Task<bool> RequeueAsync(string imageId, string uploadId, CancellationToken cancellationToken)
    {
        var requeued = await store.TransactAsync(async transaction =>
        {
            var image = await transaction.GetAsync(ImageTables.Images, imageId, cancellationToken);
            if (image?.UploadId != uploadId)
            {
                return false;
            }
            // A writer that only lost touch may go on until its own deadline.
            transaction.Doom(DataKeys.Of(imageId, uploadId), _time.GetUtcNow() + options.TransferDeadline);
            transaction.Put(ImageTables.Images, image with { Status = ImageStatus.Queued, UploadId = null, UpdatedAt = _time.GetUtcNow() });
            return true;
        }, cancellationToken);
        if (requeued)
        {
            LogRequeued(imageId, uploadId);
        }
        return requeued;
    }

    private bool IsDue(DoomedData data) => !data.RemovedOnce || _time.GetUtcNow() >= data.LastAt;

    private async Task RemoveAsync(DoomedData data, CancellationToken cancellationToken)
    {
        var last = _time.GetUtcNow() >= data.LastAt;
        await blobs.DeleteAsync(data.Key, cancellationToken);
        await store.TransactAsync(transaction =>
        {
            if (last)
            {
                transaction.Delete(ImageTables.Doomed, data.Key);
            }
            else
            {
                transaction.Put(ImageTables.Doomed, data with { RemovedOnce = true });
            }
            return Task.CompletedTask;
        }, cancellationToken);
    }

    [LoggerMessage(LogLevel.Warning, "Upload {UploadId} of image {ImageId} died; the image is queued again")]
    private partial void LogRequeued(string imageId, string uploadId);
}
