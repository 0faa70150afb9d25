using Nephos.Compute.Quotas;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Compute.Instances;

/// <summary>Images of instances. The wish is written first; then it is an error of the call when the image cannot even be begun.</summary>
internal sealed partial class InstanceService
{
    private const int ImageNameCharsMax = 255;

    /// <summary>Makes an image of the root disk.</summary>
    /// <returns>The id of the image, which becomes active later.</returns>
    public async Task<string> CreateImageAsync(
        OperationContext operation, string id, string name, IReadOnlyDictionary<string, string> metadata, CancellationToken cancellationToken)
    {
        RequireLength("name", name);
        var properties = InstanceRules.Metadata(metadata, await MetadataMaxAsync(operation, cancellationToken));
        return await SaveImageAsync(operation, id, "createImage", name, SnapshotImage.Snapshot, properties, rotation: null, cancellationToken);
    }

    /// <summary>Makes an image of the root disk as one of a series, of which only the last few are kept once it is saved.</summary>
    /// <param name="type">Names the series: daily, weekly.</param>
    /// <param name="rotation">How many of the series are kept; 0 makes none and deletes those there are.</param>
    /// <returns>The id of the image, which becomes active later; null when none is made.</returns>
    public async Task<string?> CreateBackupAsync(
        OperationContext operation, string id, string name, string type, int rotation, IReadOnlyDictionary<string, string> metadata,
        CancellationToken cancellationToken)
    {
        RequireLength("name", name);
        RequireLength("backup_type", type);
        var series = new ImageRotation(type, rotation);
        if (rotation == 0)
        {
            operation.RequireMember("os_compute_api:os-create-backup");
            var details = await GetAsync(operation, id, cancellationToken);
            await saver.RotateAsync(details.Instance.ProjectId, id, series, cancellationToken);
            return null;
        }
        var properties = new Dictionary<string, string>(InstanceRules.Metadata(metadata, await MetadataMaxAsync(operation, cancellationToken))) { ["backup_type"] = type };
        return await SaveImageAsync(operation, id, "createBackup", name, SnapshotImage.Backup, properties, series, cancellationToken);
    }

    private async Task<string> SaveImageAsync(
        OperationContext operation, string id, string action, string name, string type, IReadOnlyDictionary<string, string> metadata, ImageRotation? rotation,
        CancellationToken cancellationToken)
    {
        var imageId = Ids.NewUuid();
        var details = await ChangeAsync(operation, id, action, anyTask: false,
            [VmState.Active, VmState.Stopped, VmState.Paused, VmState.Suspended], respectLock: true, (_, instance, before, now) =>
            {
                var volumeId = VolumeIdOf(before, instance.Disks.First(disk => disk.IsRoot)) ?? throw Faults.Conflict($"Instance {id} has no root disk yet.");
                var properties = SnapshotImage.PropertiesOf(instance, type, operation.UserId);
                foreach (var (key, value) in metadata)
                {
                    properties[key] = value;
                }
                return Task.FromResult((instance with { ImageSave = new ImageSave(imageId, volumeId, name, properties, rotation, now, Begun: false), UpdatedAt = now }, true));
            }, cancellationToken);
        var save = details.Instance.ImageSave!;
        try
        {
            await saver.BeginAsync(id, save, cancellationToken);
        }
        catch (FaultException fault) when (PassState.IsPermanent(fault))
        {
            await saver.EndAsync(id, save, fault.Message, cancellationToken);
            throw;
        }
        return imageId;
    }

    private Task<long> MetadataMaxAsync(OperationContext operation, CancellationToken cancellationToken) =>
        quotas.LimitAsync(operation.ProjectId, QuotaResource.MetadataItems, cancellationToken);

    private static void RequireLength(string field, string text)
    {
        if (text.Length is 0 or > ImageNameCharsMax)
        {
            throw Faults.Invalid(field, $"1 to {ImageNameCharsMax} characters");
        }
    }
}
