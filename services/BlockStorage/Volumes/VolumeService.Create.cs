using Nephos.BlockStorage.Backups;
using Nephos.BlockStorage.Encryption;
using Nephos.BlockStorage.Groups;
using Nephos.BlockStorage.Images;
using Nephos.BlockStorage.Quotas;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.VolumeTypes;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Volumes;

/// <summary>A volume to be made.</summary>
internal sealed record VolumeWish
{
    public string Name { get; init; } = "";
    public string? Description { get; init; }

    /// <summary>0 takes the size of the source.</summary>
    public long SizeBytes { get; init; }
    public string? ImageId { get; init; }
    public string? SnapshotId { get; init; }
    public string? VolumeId { get; init; }
    public string? BackupId { get; init; }
    public string? GroupId { get; init; }
    public string? VolumeType { get; init; }
    public string? AvailabilityZone { get; init; }
    public IEnumerable<KeyValuePair<string, string>> Metadata { get; init; } = [];
    public bool Hidden { get; init; }
    public string? OwnerInstanceId { get; init; }
    public string? ProjectId { get; init; }
    public string? UserId { get; init; }
    public string IdempotencyKey { get; init; } = "";
}

internal sealed partial class VolumeService
{
    /// <summary>Records the wish for a volume and lets it be made; the answer shows how far that is after a moment.</summary>
    /// <param name="wait">Whether to wait that moment, which is enough for everything but a new image.</param>
    public async Task<VolumeView> CreateAsync(OperationContext operation, VolumeWish wish, bool wait, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:create");
        var privileged = operation.SeesAll;
        if (wish.Hidden && !privileged) throw Faults.Forbidden("volume:create_hidden");
        var projectId = wish.ProjectId is { } other && (privileged || other == operation.ProjectId) ? other : operation.RequireProject();
        var (volume, key) = await PrepareAsync(operation, wish, projectId, cancellationToken);
        if (!volume.Hidden) await quotas.CheckSizeAsync(projectId, volume.SizeGib, cancellationToken);
        try
        {
            await store.TransactAsync(
                async transaction =>
                {
                    // The source may go while this is prepared: its record is part of the commit.
                    await RequireSourceAsync(transaction, volume, cancellationToken);
                    await GroupService.RequireRoomAsync(transaction, volume, cancellationToken);
                    transaction.Insert(Volume.Table, volume);
                    if (key is not null) transaction.Insert(VolumeKey.Table, key);
                    if (!volume.Hidden)
                        await quotas.ChangeAsync(transaction, projectId, QuotaChange.Volumes(1, volume.SizeGib, volume.VolumeTypeId), cancellationToken);
                },
                cancellationToken);
        }
        catch (UniqueViolationException violation) when (violation.Index == "idempotency")
        {
            var first = await store.FindAsync(Volume.Table, "idempotency", $"{projectId}/{volume.IdempotencyKey}", cancellationToken)
                ?? throw Faults.Aborted("The volume of the same idempotency key was just deleted.");
            return await ViewAsync(first, cancellationToken);
        }
        var view = await ViewAsync(volume, cancellationToken);
        if (!wait)
        {
            worker.Nudge(volume.Id);
            return view;
        }
        await worker.RunSoonAsync(volume.Id, cancellationToken);
        return await store.GetAsync(Volume.Table, volume.Id, cancellationToken) is { } now ? await ViewAsync(now, cancellationToken) : view;
    }

    // With the key that is to be made for it.
    private async Task<(Volume Volume, VolumeKey? Key)> PrepareAsync(OperationContext operation, VolumeWish wish, string projectId, CancellationToken cancellationToken)
    {
        if (new[] { wish.ImageId, wish.SnapshotId, wish.VolumeId, wish.BackupId }.Count(source => source is not null) > 1)
            throw Faults.Invalid("source", "at most one of image, snapshot, volume and backup");
        var type = wish.VolumeType is { Length: > 0 } asked ? await types.GetAsync(operation, asked, cancellationToken) : null;
        var zone = wish.AvailabilityZone is { Length: > 0 } wanted ? wanted : options.AvailabilityZone;
        if (zone != options.AvailabilityZone) throw Faults.Invalid("availability_zone", $"Availability zone '{zone}' is invalid.");
        var volume = new Volume
        {
            Id = Ids.NewUuid(),
            ProjectId = projectId,
            UserId = wish.UserId is { Length: > 0 } user && operation.SeesAll ? user : operation.UserId,
            Name = InputRules.Name("name", wish.Name),
            Description = InputRules.Description(wish.Description),
            SizeBytes = wish.SizeBytes,
            VolumeTypeId = "",
            AvailabilityZone = zone,
            Metadata = InputRules.Metadata(wish.Metadata),
            Hidden = wish.Hidden,
            GroupId = wish.GroupId is { Length: > 0 } group ? group : null,
            OwnerInstanceId = wish.OwnerInstanceId is { Length: > 0 } owner ? owner : null,
            IdempotencyKey = InputRules.IdempotencyKey(wish.IdempotencyKey),
            CreatedAt = time.GetUtcNow(),
            Generation = 1,
        };
        var (sized, sourceType) = await TakeSourceAsync(operation, volume, wish, cancellationToken);
        type ??= sourceType is not null ? await types.FindByIdAsync(sourceType, cancellationToken) : null;
        type ??= await types.GetDefaultAsync(projectId, cancellationToken);
        var hasContent = sized.SourceSnapshotId is not null || sized.SourceVolumeId is not null || sized.RestoreFrom is not null;
        if (hasContent) RequireSameEncryption(sized, type);
        var key = type.Encryption is { } encryption && !hasContent ? keys.Make(encryption) : null;
        return (sized with { SizeBytes = InputRules.Size(sized.SizeBytes, wish.Hidden), VolumeTypeId = type.Id, Multiattach = type.IsMultiattach, KeyId = key?.Id ?? sized.KeyId }, key);
    }

    // Content stays as it is on the devices: nobody may believe that it is encrypted when it is not.
    private static void RequireSameEncryption(Volume volume, VolumeType type)
    {
        if (volume.KeyId is not null && type.Encryption is null)
            throw BlockStorageFaults.InvalidVolume($"The content is encrypted, volumes of type {type.Name} are not.");
        if (volume.KeyId is null && type.Encryption is not null)
            throw BlockStorageFaults.InvalidVolume($"The content is not encrypted, volumes of type {type.Name} are.");
    }

    private async Task<(Volume Volume, string? TypeId)> TakeSourceAsync(
        OperationContext operation, Volume volume, VolumeWish wish, CancellationToken cancellationToken)
    {
        if (wish.ImageId is { } imageId)
        {
            var image = await images.FindAsync(operation, imageId, cancellationToken) ?? throw Faults.NotFound("Image", imageId);
            return (FromImage(volume, image), null);
        }
        if (wish.SnapshotId is { } snapshotId)
        {
            var snapshot = await store.GetAsync(Snapshot.Table, snapshotId, cancellationToken);
            if (snapshot is null || !operation.CanSee(snapshot.ProjectId)) throw BlockStorageFaults.SnapshotNotFound(snapshotId);
            var origin = await store.GetAsync(Volume.Table, snapshot.VolumeId, cancellationToken);
            return (Over(volume, snapshot.SizeBytes, "snapshot", origin) with { SourceSnapshotId = snapshotId, DeviceId = snapshot.DeviceId, KeyId = origin?.KeyId }, origin?.VolumeTypeId);
        }
        if (wish.VolumeId is { } sourceId)
        {
            var source = Visible(operation, await store.GetAsync(Volume.Table, sourceId, cancellationToken), sourceId);
            return (Over(volume, source.SizeBytes, "source volume", source) with { SourceVolumeId = sourceId, DeviceId = source.DeviceId, KeyId = source.KeyId }, source.VolumeTypeId);
        }
        if (wish.BackupId is { } backupId)
        {
            var backup = BackupService.Visible(operation, await store.GetAsync(Backup.Table, backupId, cancellationToken), backupId);
            var size = volume.SizeBytes > 0 ? volume.SizeBytes : RoundUpGib(backup.SizeBytes);
            if (size < backup.SizeBytes)
                throw Faults.Invalid("size", $"Volume size {size / Volume.GibBytes}GB cannot be smaller than the backup size {backup.SizeGib}GB. They must be >= backup size.");
            var restored = volume with
            {
                SizeBytes = size,
                RestoreFrom = backupId,
                KeyId = backup.KeyId,
                Description = volume.Description ?? backup.Source.Description,
                Bootable = backup.Source.Bootable,
                ImageMetadata = backup.Source.ImageMetadata,
            };
            // The type may be gone.
            return (restored, await types.FindByIdAsync(backup.Source.VolumeTypeId, cancellationToken) is { } type ? type.Id : null);
        }
        return (volume, null);
    }

    private static Volume FromImage(Volume volume, ImageInfo image)
    {
        if (!image.Active) throw Faults.Invalid("imageRef", $"Image {image.Id} is not active.");
        var smallest = Math.Max(image.VirtualSizeBytes, image.MinDiskGib * Volume.GibBytes);
        var size = volume.SizeBytes > 0 ? volume.SizeBytes : RoundUpGib(Math.Max(smallest, 1));
        if (size < smallest)
        {
            throw Faults.Invalid(
                "size", $"Size of specified image {RoundUpGib(smallest) / Volume.GibBytes}GB is larger than volume size {size / Volume.GibBytes}GB.");
        }
        var described = new Dictionary<string, string>(image.Properties)
        {
            ["image_id"] = image.Id,
            ["image_name"] = image.Name,
            ["checksum"] = image.Checksum,
            ["container_format"] = image.ContainerFormat,
            ["disk_format"] = image.DiskFormat,
            ["min_disk"] = $"{image.MinDiskGib}",
            ["min_ram"] = $"{image.MinRamMib}",
            ["size"] = $"{image.SizeBytes}",
        };
        return volume with { SizeBytes = size, SourceImageId = image.Id, Bootable = true, ImageMetadata = described };
    }

    private static Volume Over(Volume volume, long sourceBytes, string what, Volume? origin)
    {
        var size = volume.SizeBytes > 0 ? volume.SizeBytes : RoundUpGib(sourceBytes);
        if (size < sourceBytes)
        {
            throw Faults.Invalid(
                "size", $"Volume size '{size / Volume.GibBytes}'GB cannot be smaller than the {what} size {RoundUpGib(sourceBytes) / Volume.GibBytes}GB. They must be >= original {what} size.");
        }
        return volume with
        {
            SizeBytes = size,
            Bootable = origin?.Bootable ?? false,
            ImageMetadata = origin?.ImageMetadata ?? new Dictionary<string, string>(),
        };
    }

    private static long RoundUpGib(long bytes) => (bytes + Volume.GibBytes - 1) / Volume.GibBytes * Volume.GibBytes;

    private async Task RequireSourceAsync(StateTransaction transaction, Volume volume, CancellationToken cancellationToken)
    {
        if (volume.SourceSnapshotId is { } snapshotId)
        {
            var snapshot = await transaction.GetAsync(Snapshot.Table, snapshotId, cancellationToken);
            if (snapshot is null || snapshot.Deleting) throw BlockStorageFaults.SnapshotNotFound(snapshotId);
            if (snapshot.Status != SnapshotStatus.Available)
                throw BlockStorageFaults.InvalidSnapshot($"Originating snapshot status must be one of 'available' values, but it is {snapshot.Status.ToString().ToLowerInvariant()}.");
        }
        else if (volume.SourceVolumeId is { } sourceId)
        {
            var source = await transaction.GetAsync(Volume.Table, sourceId, cancellationToken);
            if (source is null || source.Deleting) throw BlockStorageFaults.VolumeNotFound(sourceId);
            var status = (await ViewAsync(source, transaction, cancellationToken)).Status;
            if (status is not (VolumeStatus.Available or VolumeStatus.InUse))
                throw BlockStorageFaults.InvalidVolume($"Source volume {sourceId} must be available or in-use, but it is {status.ToCinder()}.");
        }
        else if (volume.RestoreFrom is { } backupId)
        {
            var backup = await transaction.GetAsync(Backup.Table, backupId, cancellationToken) ?? throw BlockStorageFaults.BackupNotFound(backupId);
            BackupService.RequireRestorable(new BackupView(backup, Restoring: false));
        }
    }
}
