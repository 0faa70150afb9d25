using Nephos.Images.Data;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Images.Catalog;

/// <summary>What can be done with image records. Data comes and goes through <see cref="ImageUploads"/> and <see cref="ImageDownloads"/>.</summary>
internal sealed class ImageService(
    IStateStore store, TableCache<Image> cache, ImageReconciler reconciler, ImagesOptions options, TimeProvider time)
{
    private const int MaxIdempotencyKeyChars = 255;

    /// <summary>The image, as far as the caller may know of it.</summary>
    /// <exception cref="FaultException">NotFound.</exception>
    public async Task<Image> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var image = Ids.IsUuid(id) ? await store.GetAsync(ImageTables.Images, id.ToLowerInvariant(), cancellationToken) : null;
        return image is not null && operation.CanSee(image) ? image : throw ImageFaults.NotFound(id);
    }

    /// <summary>Every image that the caller may see, at one moment, ordered by id.</summary>
    public async Task<IReadOnlyList<Image>> ListAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        await cache.CatchUpAsync(cancellationToken);
        return [.. cache.List().Where(operation.CanSee)];
    }

    /// <summary>The images that the caller may see, then each change; a change without After says that one can no longer be seen.</summary>
    public async IAsyncEnumerable<TableChange<Image>> WatchAsync(
        OperationContext operation, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var change in cache.WatchAsync(cancellationToken))
        {
            var before = change.Before is { } b && operation.CanSee(b) ? b : null;
            var after = change.After is { } a && operation.CanSee(a) ? a : null;
            if (before is not null || after is not null)
            {
                yield return change with { Before = before, After = after };
            }
        }
    }

    /// <param name="operation">The caller.</param>
    /// <param name="wanted">Its id may be empty for a new one, and its owner for the caller's project.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <exception cref="FaultException">InvalidArgument, Forbidden, AlreadyExists for a taken id, ImageLimitExceeded.</exception>
    public async Task<Image> CreateAsync(OperationContext operation, Image wanted, CancellationToken cancellationToken)
    {
        operation.RequireMember("add_image");
        var now = time.GetUtcNow();
        var owner = wanted.Owner.Length > 0 ? wanted.Owner : operation.RequireProject();
        if (!operation.CanSee(owner))
        {
            throw ImageFaults.Forbidden("You are not permitted to create images owned by another project.");
        }
        RequirePublish(operation, wanted.Visibility);
        if (wanted.Id.Length > 0 && !Ids.IsUuid(wanted.Id))
        {
            throw Faults.Invalid("id", "must be a UUID");
        }
        if (wanted.IdempotencyKey is { Length: > MaxIdempotencyKeyChars })
        {
            throw Faults.Invalid("idempotency_key", $"at most {MaxIdempotencyKeyChars} characters");
        }
        var image = ImageRules.Check(wanted with
        {
            Id = wanted.Id.Length > 0 ? wanted.Id.ToLowerInvariant() : Ids.NewUuid(),
            Owner = owner,
            Status = ImageStatus.Queued,
            CreatedAt = now,
            UpdatedAt = now,
            Members = [],
            Data = null,
            UploadId = null,
            IdempotencyKey = wanted.IdempotencyKey is { Length: > 0 } key ? $"{owner}/{key}" : null,
        });
        try
        {
            return await store.TransactAsync(async transaction =>
            {
                if (image.IdempotencyKey is { } idempotency &&
                    await transaction.FindAsync(ImageTables.Images, "idempotency", idempotency, cancellationToken) is { } made)
                {
                    return made;
                }
                var usage = await transaction.UsageOfAsync(owner, cancellationToken);
                if (options.QuotaImages >= 0 && usage.Images >= options.QuotaImages)
                {
                    throw ImageFaults.OverQuota("images", options.QuotaImages);
                }
                transaction.Put(ImageTables.Usage, usage with { Images = usage.Images + 1 });
                transaction.Insert(ImageTables.Images, image);
                return image;
            }, cancellationToken);
        }
        catch (UniqueViolationException violation) when (violation.Index == UniqueViolationException.KeyIndex)
        {
            throw new FaultException(Protos.Errors.V1.ErrorReason.AlreadyExists, $"Image ID {image.Id} already exists!");
        }
    }

    /// <summary>Changes what a user may change: the change sees the newest record, and may run several times.</summary>
    /// <exception cref="FaultException">NotFound, Forbidden, InvalidArgument, ImageLimitExceeded, and what the change throws.</exception>
    public Task<Image> UpdateAsync(OperationContext operation, string id, Func<Image, Image> change, CancellationToken cancellationToken) =>
        ChangeAsync(operation, id, "modify", async (transaction, image) =>
        {
            var changed = ImageRules.Check(change(image) with
            {
                Id = image.Id, Status = image.Status, CreatedAt = image.CreatedAt, Data = image.Data, UploadId = image.UploadId,
                Members = image.Members, IdempotencyKey = image.IdempotencyKey,
            });
            if (changed.Visibility != image.Visibility)
            {
                RequirePublish(operation, changed.Visibility);
            }
            if (image.Status != ImageStatus.Queued && (changed.DiskFormat != image.DiskFormat || changed.ContainerFormat != image.ContainerFormat))
            {
                var field = changed.DiskFormat != image.DiskFormat ? "disk_format" : "container_format";
                throw ImageFaults.Forbidden($"Attribute {field} can be only replaced for a queued image.");
            }
            if (changed.Owner != image.Owner)
            {
                operation.RequireAdmin("change the owner of an image");
                await MoveUsageAsync(transaction, image, changed.Owner, cancellationToken);
            }
            return changed;
        }, cancellationToken);

    public Task<Image> DeactivateAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        SetStatusAsync(operation, id, ImageStatus.Deactivated, cancellationToken);

    public Task<Image> ReactivateAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        SetStatusAsync(operation, id, ImageStatus.Active, cancellationToken);

    /// <summary>The record goes at once; its data is removed soon after, whatever happens to this process.</summary>
    /// <exception cref="FaultException">NotFound; Forbidden when protected or of another project.</exception>
    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        await store.TransactAsync(async transaction =>
        {
            var image = await FindAsync(transaction, operation, id, cancellationToken);
            operation.RequireChange(image, "delete");
            if (image.Protected)
            {
                throw ImageFaults.Protected(image.Id);
            }
            var usage = await transaction.UsageOfAsync(image.Owner, cancellationToken);
            transaction.Put(ImageTables.Usage, usage with
            {
                Images = Math.Max(0, usage.Images - 1), Bytes = Math.Max(0, usage.Bytes - (image.SizeBytes ?? 0)),
            });
            transaction.Delete(ImageTables.Images, image.Id);
            var now = time.GetUtcNow();
            if (image.Data is { } data)
            {
                transaction.Doom(data.Key, now);
            }
            if (image.UploadId is { } upload)
            {
                transaction.Doom(DataKeys.Of(image.Id, upload), now + options.TransferDeadline);
                transaction.Delete(ImageTables.Uploads, upload);
            }
        }, cancellationToken);
        reconciler.Nudge();
    }

    internal async Task<Image> ChangeAsync(
        OperationContext operation, string id, string action, Func<StateTransaction, Image, Task<Image>> change, CancellationToken cancellationToken) =>
        await store.TransactAsync(async transaction =>
        {
            var image = await FindAsync(transaction, operation, id, cancellationToken);
            operation.RequireChange(image, action);
            return Put(transaction, image, await change(transaction, image));
        }, cancellationToken);

    internal static async Task<Image> FindAsync(
        StateTransaction transaction, OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var image = Ids.IsUuid(id) ? await transaction.GetAsync(ImageTables.Images, id.ToLowerInvariant(), cancellationToken) : null;
        return image is not null && operation.CanSee(image) ? image : throw ImageFaults.NotFound(id);
    }

    internal Image Put(StateTransaction transaction, Image before, Image after)
    {
        if (ReferenceEquals(before, after))
        {
            return before;
        }
        var changed = after with { UpdatedAt = time.GetUtcNow() };
        transaction.Put(ImageTables.Images, changed);
        return changed;
    }

    private Task<Image> SetStatusAsync(OperationContext operation, string id, ImageStatus to, CancellationToken cancellationToken) =>
        ChangeAsync(operation, id, to == ImageStatus.Active ? "reactivate" : "deactivate", (_, image) => Task.FromResult(image.Status switch
        {
            ImageStatus.Active or ImageStatus.Deactivated => image.Status == to ? image : image with { Status = to },
            _ => throw ImageFaults.Forbidden(ImageFaults.Transition(NameOf(image.Status), NameOf(to)).Message),
        }), cancellationToken);

    private static string NameOf(ImageStatus status) => status.ToString().ToLowerInvariant();

    private static void RequirePublish(OperationContext operation, Visibility visibility)
    {
        if (visibility == Visibility.Public)
        {
            operation.RequireAdmin("publicize_image");
        }
    }

    private static async Task MoveUsageAsync(StateTransaction transaction, Image image, string newOwner, CancellationToken cancellationToken)
    {
        var bytes = image.SizeBytes ?? 0;
        var old = await transaction.UsageOfAsync(image.Owner, cancellationToken);
        var to = await transaction.UsageOfAsync(newOwner, cancellationToken);
        transaction.Put(ImageTables.Usage, old with { Images = Math.Max(0, old.Images - 1), Bytes = Math.Max(0, old.Bytes - bytes) });
        transaction.Put(ImageTables.Usage, to with { Images = to.Images + 1, Bytes = to.Bytes + bytes });
    }
}
