using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Nephos.Images.Catalog;
using Nephos.Images.Formats;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Images.Data;

/// <summary>What the sender says of the data; checked against what comes.</summary>
/// <param name="SizeBytes">Null when unknown.</param>
/// <param name="Sha512">128 hex digits, or null when unknown.</param>
internal sealed record ExpectedData(long? SizeBytes, string? Sha512)
{
    public static readonly ExpectedData Unknown = new(null, null);
}

/// <summary>Brings data in: queued, saving, active; or queued again with nothing left behind.</summary>
/// <remarks>
/// An upload holds a lease. Whoever finds an image that is saving without the lease of its upload puts it back to queued, so a killed
/// process leaves nothing stuck; and the upload that makes an image active proves in the same commit that it still is the one.
/// </remarks>
internal sealed partial class ImageUploads(
    IStateStore store, IImageBlobs blobs, ImageService images, ImageReconciler reconciler, ImagesOptions options, TimeProvider time,
    ILogger<ImageUploads> logger)
{
    /// <summary>Takes all of the data and answers when it is durable and the image active.</summary>
    /// <exception cref="FaultException">
    /// NotFound, Forbidden; Conflict unless the image is queued; InvalidArgument for formats not set, a wrong size or checksum;
    /// ImageContentRefused; TooLarge; ImageLimitExceeded; ImageUploadLost.
    /// </exception>
    public async Task<Image> UploadAsync(
        OperationContext operation, string id, IByteSource source, ExpectedData expected, CancellationToken cancellationToken)
    {
        RequireSize(expected.SizeBytes ?? 0, options.MaxImageBytes);
        if (expected.Sha512 is { } hash && (hash.Length != 128 || !hash.All(char.IsAsciiHexDigit)))
        {
            throw Faults.Invalid("sha512", "must be 128 hex digits");
        }
        var uploadId = Ids.NewHex();
        var lease = await store.GrantLeaseAsync(options.UploadLease, cancellationToken);
        try
        {
            var (image, maxBytes) = await BeginAsync(operation, id, uploadId, lease, cancellationToken);
            RequireQuota(expected.SizeBytes ?? 0, maxBytes);
            LogBegun(image.Id, uploadId);
            using var alive = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var renewal = RenewAsync(lease, alive);
            try
            {
                var data = await StoreAsync(image, uploadId, source, expected, maxBytes, alive.Token);
                var active = await FinishAsync(image.Id, uploadId, data, alive.Token);
                LogActive(image.Id, data.SizeBytes);
                return active;
            }
            catch (Exception exception)
            {
                await GiveUpAsync(image.Id, uploadId, exception);
                if (alive.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
                {
                    throw ImageFaults.UploadLost(image.Id);
                }
                throw;
            }
            finally
            {
                await alive.CancelAsync();
                await renewal;
            }
        }
        finally
        {
            await RevokeAsync(lease);
        }
    }

    private async Task<(Image Image, long MaxBytes)> BeginAsync(
        OperationContext operation, string id, string uploadId, LeaseId lease, CancellationToken cancellationToken)
    {
        var maxBytes = long.MaxValue;
        var image = await images.ChangeAsync(operation, id, "upload data for", async (transaction, image) =>
        {
            if (image.Status != ImageStatus.Queued)
            {
                throw ImageFaults.Transition(image.Status.ToString().ToLowerInvariant(), "saving");
            }
            if (image.DiskFormat is null || image.ContainerFormat is null)
            {
                throw Faults.Invalid("disk_format", "disk_format and container_format must be set before data is uploaded");
            }
            if (options.QuotaBytes >= 0)
            {
                maxBytes = Math.Max(0, options.QuotaBytes - (await transaction.UsageOfAsync(image.Owner, cancellationToken)).Bytes);
            }
            transaction.Insert(ImageTables.Uploads, new UploadMark(uploadId, image.Id), lease);
            return image with { Status = ImageStatus.Saving, UploadId = uploadId };
        }, cancellationToken);
        return (image, maxBytes);
    }

    private async Task<ImageData> StoreAsync(
        Image image, string uploadId, IByteSource source, ExpectedData expected, long maxBytes, CancellationToken cancellationToken)
    {
        var key = DataKeys.Of(image.Id, uploadId);
        using var md5 = IncrementalHash.CreateHash(HashAlgorithmName.MD5);
        using var sha512 = IncrementalHash.CreateHash(HashAlgorithmName.SHA512);
        var inspector = new ContentInspector(image.DiskFormat!, image.ContainerFormat!, options);
        long sizeBytes = 0;
        await using (var writer = await blobs.CreateAsync(key, cancellationToken))
        {
            for (var piece = await source.ReadAsync(cancellationToken); !piece.IsEmpty; piece = await source.ReadAsync(cancellationToken))
            {
                sizeBytes += piece.Length;
                RequireSize(sizeBytes, options.MaxImageBytes);
                RequireQuota(sizeBytes, maxBytes);
                if (expected.SizeBytes < sizeBytes)
                {
                    throw Faults.Invalid("size", $"{expected.SizeBytes} bytes were announced and more came");
                }
                inspector.Append(piece.Span);
                // The store is busy with the piece while it is hashed.
                var write = writer.WriteAsync(piece, cancellationToken);
                md5.AppendData(piece.Span);
                sha512.AppendData(piece.Span);
                await write;
            }
            if (expected.SizeBytes is { } announced && announced != sizeBytes)
            {
                throw Faults.Invalid("size", $"{announced} bytes were announced and {sizeBytes} came");
            }
            var content = inspector.Finish();
            var data = new ImageData(
                key, sizeBytes, content.VirtualSizeBytes,
                Convert.ToHexStringLower(md5.GetHashAndReset()), Convert.ToHexStringLower(sha512.GetHashAndReset()));
            if (expected.Sha512 is { } hash && !hash.Equals(data.Sha512, StringComparison.OrdinalIgnoreCase))
            {
                throw Faults.Invalid("sha512", $"the data has {data.Sha512}");
            }
            await writer.CompleteAsync(cancellationToken);
            if (content.Format == ContentFormat.Qcow2)
            {
                await VerifyAsync(data, cancellationToken);
            }
            return data;
        }
    }

    /// <summary>Walks the tables of the image, so that one cut short or damaged is refused now and not when a server boots from it.</summary>
    private async Task VerifyAsync(ImageData data, CancellationToken cancellationToken)
    {
        try
        {
            var disk = await Qcow2Disk.OpenAsync(new BlobReader(blobs, data.Key, data.SizeBytes), options.MaxVirtualBytes, cancellationToken);
            await disk.VerifyAsync(cancellationToken);
        }
        catch (InvalidDataException exception)
        {
            throw ImageFaults.BadContent(exception.Message);
        }
    }

    private Task<Image> FinishAsync(string imageId, string uploadId, ImageData data, CancellationToken cancellationToken) =>
        store.TransactAsync(async transaction =>
        {
            var image = await transaction.GetAsync(ImageTables.Images, imageId, cancellationToken);
            if (image?.UploadId != uploadId)
            {
                throw ImageFaults.UploadLost(imageId);
            }
            var usage = await transaction.UsageOfAsync(image.Owner, cancellationToken);
            if (options.QuotaBytes >= 0 && usage.Bytes + data.SizeBytes > options.QuotaBytes)
            {
                throw ImageFaults.OverQuota("bytes of images", options.QuotaBytes);
            }
            transaction.Put(ImageTables.Usage, usage with { Bytes = usage.Bytes + data.SizeBytes });
            transaction.Delete(ImageTables.Uploads, uploadId);
            return images.Put(transaction, image, image with { Status = ImageStatus.Active, UploadId = null, Data = data });
        }, cancellationToken);

    private async Task GiveUpAsync(string imageId, string uploadId, Exception cause)
    {
        LogGivenUp(imageId, uploadId, cause.Message);
        try
        {
            // The client that went away must not cancel the cleaning up.
            await store.TransactAsync(async transaction =>
            {
                var image = await transaction.GetAsync(ImageTables.Images, imageId, CancellationToken.None);
                if (image?.Data?.Key == DataKeys.Of(imageId, uploadId))
                {
                    // The commit that made it active was acknowledged to nobody.
                    return;
                }
                transaction.Doom(DataKeys.Of(imageId, uploadId), time.GetUtcNow() + options.UploadLease);
                transaction.Delete(ImageTables.Uploads, uploadId);
                if (image?.UploadId == uploadId)
                {
                    images.Put(transaction, image, image with { Status = ImageStatus.Queued, UploadId = null });
                }
            }, CancellationToken.None);
        }
        catch (Exception exception) when (exception is StateUnavailableException or StateConflictException)
        {
            LogLeftToReconciler(imageId, exception);
        }
        reconciler.Nudge();
    }

    private async Task RenewAsync(LeaseId lease, CancellationTokenSource alive)
    {
        using var timer = new PeriodicTimer(options.UploadLease / 3, time);
        try
        {
            while (await timer.WaitForNextTickAsync(alive.Token))
            {
                await store.KeepLeaseAliveAsync(lease, alive.Token);
            }
        }
        catch (OperationCanceledException)
        {
        }
        catch (Exception exception) when (exception is StateLeaseNotFoundException or StateUnavailableException)
        {
            await alive.CancelAsync();
        }
    }

    private async Task RevokeAsync(LeaseId lease)
    {
        try
        {
            await store.RevokeLeaseAsync(lease, CancellationToken.None);
        }
        catch (StateUnavailableException)
        {
            // It ends by itself.
        }
    }

    private static void RequireSize(long sizeBytes, long maxBytes)
    {
        if (sizeBytes > maxBytes)
        {
            throw Faults.TooLarge("The data of an image", maxBytes);
        }
    }

    private void RequireQuota(long sizeBytes, long maxBytes)
    {
        if (sizeBytes > maxBytes)
        {
            throw ImageFaults.OverQuota("bytes of images", options.QuotaBytes);
        }
    }

    [LoggerMessage(LogLevel.Debug, "Upload {UploadId} of image {ImageId} begins")]
    private partial void LogBegun(string imageId, string uploadId);

    [LoggerMessage(LogLevel.Information, "Image {ImageId} is active with {SizeBytes} bytes")]
    private partial void LogActive(string imageId, long sizeBytes);

    [LoggerMessage(LogLevel.Information, "Upload {UploadId} of image {ImageId} was given up: {Cause}")]
    private partial void LogGivenUp(string imageId, string uploadId, string cause);

    [LoggerMessage(LogLevel.Warning, "Image {ImageId} stays saving until its upload's lease ends")]
    private partial void LogLeftToReconciler(string imageId, Exception exception);
}
