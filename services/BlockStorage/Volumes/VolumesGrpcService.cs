using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.BlockStorage.Attachments;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.BlockStorage.Volumes;

internal sealed class VolumesGrpcService(VolumeService volumes, TableCache<Volume> volumeCache, TableCache<Attachment> attachmentCache)
    : Wire.Volumes.VolumesBase
{
    public override async Task<Wire.Volume> CreateVolume(Wire.CreateVolumeRequest request, ServerCallContext context)
    {
        var wish = new VolumeWish
        {
            Name = request.Name,
            Description = Given(request.Description),
            SizeBytes = request.SizeBytes,
            ImageId = request.SourceCase == Wire.CreateVolumeRequest.SourceOneofCase.ImageId ? request.ImageId : null,
            SnapshotId = request.SourceCase == Wire.CreateVolumeRequest.SourceOneofCase.SnapshotId ? request.SnapshotId : null,
            VolumeId = request.SourceCase == Wire.CreateVolumeRequest.SourceOneofCase.VolumeId ? request.VolumeId : null,
            BackupId = request.SourceCase == Wire.CreateVolumeRequest.SourceOneofCase.BackupId ? request.BackupId : null,
            GroupId = Given(request.GroupId),
            VolumeType = Given(request.VolumeType),
            AvailabilityZone = Given(request.AvailabilityZone),
            Metadata = request.Metadata,
            Hidden = request.Hidden,
            OwnerInstanceId = Given(request.OwnerInstanceId),
            ProjectId = Given(request.ProjectId),
            UserId = Given(request.UserId),
            IdempotencyKey = request.IdempotencyKey,
        };
        if (request.Multiattach) throw Faults.Invalid("multiattach", $"comes from the volume type: its extra spec {VolumeTypes.VolumeType.MultiattachSpec} is '{VolumeTypes.VolumeType.SpecTrue}'");
        return (await volumes.CreateAsync(context.GetOperation(), wish, wait: true, context.CancellationToken)).ToWire();
    }

    public override async Task<Wire.Volume> GetVolume(Wire.GetVolumeRequest request, ServerCallContext context) =>
        (await volumes.GetAsync(context.GetOperation(), request.VolumeId, context.CancellationToken)).ToWire();

    public override async Task<Wire.ListVolumesResponse> ListVolumes(Wire.ListVolumesRequest request, ServerCallContext context)
    {
        var all = await volumes.ListAsync(context.GetOperation(), FromWire(request.Filter), context.CancellationToken);
        var page = Paging.Cut(all.OrderBy(view => view.Volume.Id, StringComparer.Ordinal), view => view.Volume.Id, request.PageToken, request.PageSize);
        var response = new Wire.ListVolumesResponse { NextPageToken = page.NextToken ?? "" };
        response.Volumes.AddRange(page.Items.Select(view => view.ToWire()));
        return response;
    }

    public override async Task<Wire.Volume> UpdateVolume(Wire.UpdateVolumeRequest request, ServerCallContext context)
    {
        var wanted = request.Volume ?? throw Faults.Invalid("volume", "is required");
        var paths = request.UpdateMask?.Paths.ToHashSet() ?? [];
        if (paths.Count == 0) throw Faults.Invalid("update_mask", "names no field");
        if (paths.FirstOrDefault(path => path is not ("name" or "description" or "metadata" or "bootable" or "read_only" or "image_metadata")) is { } other)
            throw Faults.Invalid("update_mask", $"{other} can not be changed");
        var view = await volumes.UpdateAsync(
            context.GetOperation(), request.VolumeId,
            volume => volume with
            {
                Name = paths.Contains("name") ? wanted.Name : volume.Name,
                Description = paths.Contains("description") ? wanted.Description : volume.Description,
                Metadata = paths.Contains("metadata") ? new Dictionary<string, string>(wanted.Metadata) : volume.Metadata,
                Bootable = paths.Contains("bootable") ? wanted.Bootable : volume.Bootable,
                ReadOnlyFlag = paths.Contains("read_only") ? wanted.ReadOnly : volume.ReadOnlyFlag,
                ImageMetadata = paths.Contains("image_metadata") ? new Dictionary<string, string>(wanted.ImageMetadata) : volume.ImageMetadata,
            },
            context.CancellationToken);
        return view.ToWire();
    }

    public override async Task<Empty> DeleteVolume(Wire.DeleteVolumeRequest request, ServerCallContext context)
    {
        await volumes.DeleteAsync(context.GetOperation(), request.VolumeId, request.Cascade, request.Force, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.Volume> ExtendVolume(Wire.ExtendVolumeRequest request, ServerCallContext context) =>
        (await volumes.ExtendAsync(context.GetOperation(), request.VolumeId, request.SizeBytes, request.Online, context.CancellationToken)).ToWire();

    public override async Task<Wire.Volume> RetypeVolume(Wire.RetypeVolumeRequest request, ServerCallContext context) =>
        (await volumes.RetypeAsync(context.GetOperation(), request.VolumeId, request.VolumeType, context.CancellationToken)).ToWire();

    public override async Task<Wire.Volume> RevertVolume(Wire.RevertVolumeRequest request, ServerCallContext context) =>
        (await volumes.RevertAsync(context.GetOperation(), request.VolumeId, request.SnapshotId, context.CancellationToken)).ToWire();

    public override async Task<Wire.UploadVolumeToImageResponse> UploadVolumeToImage(Wire.UploadVolumeToImageRequest request, ServerCallContext context)
    {
        var wanted = new VolumeUpload(
            request.ImageId, request.ImageName, Given(request.DiskFormat) ?? "raw", Given(request.ContainerFormat) ?? "bare");
        var (imageId, view) = await volumes.UploadAsync(
            context.GetOperation(), request.VolumeId, wanted, request.Properties, request.Visibility, request.Protected, request.Force, context.CancellationToken);
        return new Wire.UploadVolumeToImageResponse
        {
            ImageId = imageId,
            Volume = view.ToWire(),
            DiskFormat = wanted.DiskFormat,
            ContainerFormat = wanted.ContainerFormat,
            ImageName = wanted.ImageName,
        };
    }

    public override async Task<Wire.Volume> ReserveVolume(Wire.ReserveVolumeRequest request, ServerCallContext context) =>
        (await volumes.ReserveAsync(context.GetOperation(), request.VolumeId, context.CancellationToken)).ToWire();

    public override async Task<Wire.Volume> UnreserveVolume(Wire.UnreserveVolumeRequest request, ServerCallContext context) =>
        (await volumes.UnreserveAsync(context.GetOperation(), request.VolumeId, context.CancellationToken)).ToWire();

    public override async Task WatchVolumes(Wire.WatchVolumesRequest request, IServerStreamWriter<Wire.VolumeEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var filter = FromWire(request.Filter);
        if (!operation.IsAdmin && !operation.IsService) operation.RequireProject();
        var sent = new Dictionary<string, Wire.Volume>(StringComparer.Ordinal);
        await foreach (var change in Watching.JoinAsync(volumeCache, attachmentCache, attachment => attachment.VolumeId, context.CancellationToken))
        {
            if (change.Id is not { } id)
            {
                await responseStream.WriteAsync(new Wire.VolumeEvent { Revision = change.Revision, Synced = true }, context.CancellationToken);
                continue;
            }
            var view = await FindAsync(operation, filter, id, context.CancellationToken);
            if (view is null)
            {
                if (sent.Remove(id))
                    await responseStream.WriteAsync(new Wire.VolumeEvent { Revision = change.Revision, Deleted = id }, context.CancellationToken);
                continue;
            }
            var wire = view.ToWire();
            if (sent.TryGetValue(id, out var before) && before.Equals(wire)) continue;
            sent[id] = wire;
            await responseStream.WriteAsync(new Wire.VolumeEvent { Revision = change.Revision, Changed = wire }, context.CancellationToken);
        }
    }

    // The volume as a list with the filter would show it; null when it would not.
    private async Task<VolumeView?> FindAsync(OperationContext operation, VolumeFilter filter, string id, CancellationToken cancellationToken)
    {
        if (volumeCache.Get(id) is not { } volume || !operation.CanSee(volume.ProjectId)) return null;
        var wide = operation.SeesAll;
        var project = wide ? filter.ProjectId ?? (filter.AllProjects ? null : operation.ProjectId) : operation.ProjectId;
        if (project is not null && volume.ProjectId != project) return null;
        if (volume.Hidden && !(filter.IncludeHidden && wide)) return null;
        var view = await volumes.ViewAsync(volume, cancellationToken);
        var matches = (filter.Name is null || volume.Name == filter.Name)
            && (filter.OwnerInstanceId is null || volume.OwnerInstanceId == filter.OwnerInstanceId)
            && (filter.InstanceId is null || view.Attachments.Any(attachment => attachment.InstanceId == filter.InstanceId))
            && (filter.Status is null || view.Status == filter.Status);
        return matches ? view : null;
    }

    private static VolumeFilter FromWire(Wire.VolumeFilter? filter) => filter is null ? new VolumeFilter() : new VolumeFilter
    {
        AllProjects = filter.AllProjects,
        ProjectId = Given(filter.ProjectId),
        Name = Given(filter.Name),
        Status = VolumeMapping.FromWire(filter.Status),
        IncludeHidden = filter.IncludeHidden,
        OwnerInstanceId = Given(filter.OwnerInstanceId),
        InstanceId = Given(filter.InstanceId),
    };

    private static string? Given(string text) => text.Length > 0 ? text : null;
}
