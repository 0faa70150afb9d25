using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Compute.Actions;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Compute.Instances;

internal sealed class InstancesGrpcService(
    InstanceService instances, InstanceCreation creation, InstanceList list, InstanceViews views, ActionReader actions) : Wire.Instances.InstancesBase
{
    public override async Task<Wire.CreateInstancesResponse> CreateInstances(Wire.CreateInstancesRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var made = await creation.CreateAsync(operation, ToWish(request), context.CancellationToken);
        return new Wire.CreateInstancesResponse
        {
            ReservationId = made[0].Instance.ReservationId, Instances = { made.Select(item => item.ToWire(operation.IsAdmin)) },
        };
    }

    public override Task<Wire.Instance> GetInstance(Wire.GetInstanceRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.GetAsync(operation, request.Id, context.CancellationToken));

    public override async Task<Wire.ListInstancesResponse> ListInstances(Wire.ListInstancesRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var found = await list.FindAsync(operation, new InstanceQuery
        {
            AllProjects = request.AllProjects,
            ProjectId = Given(request.ProjectId),
            Name = Given(request.Name),
            Statuses = request.Statuses.Count == 0 ? null : request.Statuses.Select(InstanceMapping.FromWire).OfType<InstanceStatus>().ToHashSet(),
            ImageId = Given(request.ImageId),
            FlavorId = Given(request.FlavorId),
            NodeName = Given(request.HypervisorName),
            ChangedSince = request.ChangesSince?.ToDateTimeOffset(),
            ReservationId = Given(request.ReservationId),
        }, context.CancellationToken);
        var page = Paging.Cut(found, item => item.Instance.Id, request.PageToken, request.PageSize);
        return new Wire.ListInstancesResponse
        {
            Instances = { page.Items.Select(item => item.ToWire(operation.IsAdmin)) }, NextPageToken = page.NextToken ?? "",
        };
    }

    public override async Task WatchInstances(
        Wire.WatchInstancesRequest request, IServerStreamWriter<Wire.InstanceEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        if (request.AllProjects && !operation.IsAdmin && !operation.IsService)
        {
            throw Faults.Forbidden("os_compute_api:servers:index:get_all_tenants");
        }
        var projectId = request.AllProjects ? null : operation.RequireProject();
        await foreach (var change in views.WatchAsync(context.CancellationToken))
        {
            if (change is null)
            {
                await responseStream.WriteAsync(new Wire.InstanceEvent { Synced = true }, context.CancellationToken);
            }
            else if (projectId is null || change.ProjectId == projectId)
            {
                var details = views.DetailsOf(change);
                await responseStream.WriteAsync(new Wire.InstanceEvent
                {
                    Instance = details.ToWire(operation.IsAdmin), Deleted = change.DeletedAt is not null,
                }, context.CancellationToken);
            }
        }
    }

    public override Task<Wire.Instance> UpdateInstance(Wire.UpdateInstanceRequest request, ServerCallContext context)
    {
        var mask = Mask(request.UpdateMask, "name", "description", "hostname", "access_ipv4", "access_ipv6", "auto_disk_config");
        return AnswerAsync(context, operation => instances.UpdateAsync(
            operation, request.Id, mask("name") ? request.Name : null, (mask("description"), Given(request.Description)),
            mask("hostname") ? request.Hostname : null, mask("access_ipv4") ? request.AccessIpv4 : null, mask("access_ipv6") ? request.AccessIpv6 : null,
            mask("auto_disk_config") ? request.AutoDiskConfig : null, context.CancellationToken));
    }

    public override async Task<Wire.DeleteInstanceResponse> DeleteInstance(Wire.DeleteInstanceRequest request, ServerCallContext context)
    {
        await instances.DeleteAsync(context.GetOperation(), request.Id, context.CancellationToken);
        return new Wire.DeleteInstanceResponse();
    }

    public override Task<Wire.Instance> StartInstance(Wire.InstanceActionRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.StartAsync(operation, request.Id, context.CancellationToken));

    public override Task<Wire.Instance> StopInstance(Wire.InstanceActionRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.StopAsync(operation, request.Id, context.CancellationToken));

    public override Task<Wire.Instance> RebootInstance(Wire.RebootInstanceRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.RebootAsync(
            operation, request.Id, request.Kind == Wire.RebootKind.Hard ? RebootKind.Hard : RebootKind.Soft, context.CancellationToken));

    public override Task<Wire.Instance> PauseInstance(Wire.InstanceActionRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.PauseAsync(operation, request.Id, context.CancellationToken));

    public override Task<Wire.Instance> UnpauseInstance(Wire.InstanceActionRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.UnpauseAsync(operation, request.Id, context.CancellationToken));

    public override Task<Wire.Instance> SuspendInstance(Wire.InstanceActionRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.SuspendAsync(operation, request.Id, context.CancellationToken));

    public override Task<Wire.Instance> ResumeInstance(Wire.InstanceActionRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.ResumeAsync(operation, request.Id, context.CancellationToken));

    public override Task<Wire.Instance> ShelveInstance(Wire.InstanceActionRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.ShelveAsync(operation, request.Id, context.CancellationToken));

    public override Task<Wire.Instance> UnshelveInstance(Wire.InstanceActionRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.UnshelveAsync(operation, request.Id, (false, null), null, context.CancellationToken));

    public override Task<Wire.Instance> RescueInstance(Wire.RescueInstanceRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.RescueAsync(operation, request.Id, Given(request.ImageId), context.CancellationToken));

    public override Task<Wire.Instance> UnrescueInstance(Wire.InstanceActionRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.UnrescueAsync(operation, request.Id, context.CancellationToken));

    public override Task<Wire.Instance> MigrateInstance(Wire.MoveInstanceRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.MigrateAsync(operation, request.Id, Given(request.HypervisorName), context.CancellationToken));

    public override Task<Wire.Instance> EvacuateInstance(Wire.MoveInstanceRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.EvacuateAsync(operation, request.Id, Given(request.HypervisorName), context.CancellationToken));

    public override Task<Wire.Instance> ResetInstanceState(Wire.ResetInstanceStateRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.ResetStateAsync(operation, request.Id, request.Error, context.CancellationToken));

    public override Task<Wire.Instance> LockInstance(Wire.LockInstanceRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.LockAsync(operation, request.Id, Given(request.Reason), context.CancellationToken));

    public override Task<Wire.Instance> UnlockInstance(Wire.InstanceActionRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.UnlockAsync(operation, request.Id, context.CancellationToken));

    public override Task<Wire.Instance> ResizeInstance(Wire.ResizeInstanceRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.ResizeAsync(operation, request.Id, request.FlavorId, autoDiskConfig: null, context.CancellationToken));

    public override Task<Wire.Instance> ConfirmResize(Wire.InstanceActionRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.ConfirmResizeAsync(operation, request.Id, context.CancellationToken));

    public override Task<Wire.Instance> RevertResize(Wire.InstanceActionRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.RevertResizeAsync(operation, request.Id, context.CancellationToken));

    public override Task<Wire.Instance> RebuildInstance(Wire.RebuildInstanceRequest request, ServerCallContext context)
    {
        var mask = Mask(
            request.UpdateMask, "name", "description", "hostname", "metadata", "key_name", "user_data", "access_ipv4", "access_ipv6", "auto_disk_config");
        return AnswerAsync(context, operation => instances.RebuildAsync(operation, request.Id, new RebuildWish(
            request.ImageId,
            mask("name") ? request.Name : null,
            (mask("description"), Given(request.Description)),
            mask("hostname") ? request.Hostname : null,
            mask("metadata") ? request.Metadata : null,
            (mask("key_name"), Given(request.KeyName)),
            (mask("user_data"), Given(request.UserData)),
            mask("access_ipv4") ? request.AccessIpv4 : null,
            mask("access_ipv6") ? request.AccessIpv6 : null,
            mask("auto_disk_config") ? request.AutoDiskConfig : null), context.CancellationToken));
    }

    public override async Task<Wire.CreateImageResponse> CreateImage(Wire.CreateImageRequest request, ServerCallContext context) => new()
    {
        ImageId = await instances.CreateImageAsync(context.GetOperation(), request.Id, request.Name, request.Metadata, context.CancellationToken),
    };

    public override async Task<Wire.GetConsoleOutputResponse> GetConsoleOutput(Wire.GetConsoleOutputRequest request, ServerCallContext context) => new()
    {
        Output = await instances.GetConsoleAsync(context.GetOperation(), request.Id, request.Lines, context.CancellationToken),
    };

    public override Task<Wire.Instance> UpdateMetadata(Wire.UpdateMetadataRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.UpdateMetadataAsync(
            operation, request.Id, request.Set, request.Remove, request.Replace, context.CancellationToken));

    public override Task<Wire.Instance> UpdateTags(Wire.UpdateTagsRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.UpdateTagsAsync(
            operation, request.Id, request.Add, request.Remove, request.Replace, context.CancellationToken));

    public override Task<Wire.Instance> AttachVolume(Wire.AttachVolumeRequest request, ServerCallContext context) =>
        AnswerAsync(context, async operation => (await instances.AttachVolumeAsync(
            operation, request.Id, request.VolumeId, Given(request.Device), Given(request.Tag), request.DeleteOnTermination, context.CancellationToken)).Details);

    public override Task<Wire.Instance> DetachVolume(Wire.DetachVolumeRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.DetachVolumeAsync(operation, request.Id, request.VolumeId, context.CancellationToken));

    public override Task<Wire.Instance> UpdateVolumeAttachment(Wire.UpdateVolumeAttachmentRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.UpdateVolumeAttachmentAsync(
            operation, request.Id, request.VolumeId, request.DeleteOnTermination, context.CancellationToken));

    public override async Task<Wire.AttachPortResponse> AttachPort(Wire.AttachPortRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var nic = request.Nic ?? new Wire.NicRequest();
        var (details, _, portId) = await instances.AttachPortAsync(operation, request.Id, ToWish(nic), context.CancellationToken);
        return new Wire.AttachPortResponse { Instance = details.ToWire(operation.IsAdmin), PortId = portId };
    }

    public override Task<Wire.Instance> DetachPort(Wire.DetachPortRequest request, ServerCallContext context) =>
        AnswerAsync(context, operation => instances.DetachPortAsync(operation, request.Id, request.PortId, context.CancellationToken));

    public override async Task<Wire.ListInstanceActionsResponse> ListInstanceActions(Wire.ListInstanceActionsRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var found = await actions.ListAsync(operation, request.Id, context.CancellationToken);
        var page = Paging.Cut(found, action => action.Key, request.PageToken, request.PageSize);
        return new Wire.ListInstanceActionsResponse { Actions = { page.Items.Select(action => action.ToWire(operation.IsAdmin)) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.InstanceAction> GetInstanceAction(Wire.GetInstanceActionRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        return (await actions.GetAsync(operation, request.Id, request.RequestId, context.CancellationToken)).ToWire(operation.IsAdmin);
    }

    private static async Task<Wire.Instance> AnswerAsync(ServerCallContext context, Func<OperationContext, Task<InstanceDetails>> call)
    {
        var operation = context.GetOperation();
        return (await call(operation)).ToWire(operation.IsAdmin);
    }

    private static InstanceWish ToWish(Wire.CreateInstancesRequest request) => new()
    {
        Name = request.Name,
        Description = Given(request.Description),
        HostName = Given(request.Hostname),
        FlavorId = request.FlavorId,
        ImageId = Given(request.ImageId),
        Nics = [.. request.Nics.Select(ToWish)],
        NoNetwork = request.NetworkPolicy == Wire.NetworkPolicy.None,
        Disks = [.. request.BlockDevices.Select(ToWish)],
        UserData = Given(request.UserData),
        ConfigDrive = request.ConfigDrive,
        KeyName = Given(request.KeyName),
        Metadata = request.Metadata,
        Tags = request.Tags,
        SecurityGroups = request.SecurityGroups,
        AvailabilityZone = Given(request.AvailabilityZone),
        MinCount = request.MinCount,
        MaxCount = request.MaxCount,
        AccessIpv4 = request.AccessIpv4,
        AccessIpv6 = request.AccessIpv6,
        AutoDiskConfig = request.AutoDiskConfig,
        IdempotencyKey = Given(request.IdempotencyKey),
        Hints = request.GroupId.Length == 0 && request.SameHostIds.Count == 0 && request.DifferentHostIds.Count == 0
            ? null
            : new Groups.PlaceHints(Given(request.GroupId), request.SameHostIds, request.DifferentHostIds),
    };

    private static NicWish ToWish(Wire.NicRequest nic) => new(Given(nic.PortId), Given(nic.NetworkId), Given(nic.FixedIp), Given(nic.Tag));

    private static DiskWish ToWish(Wire.BlockDeviceRequest device) => new(
        device.Source switch
        {
            Wire.BlockSource.Volume => DiskSource.Volume,
            Wire.BlockSource.Snapshot => DiskSource.Snapshot,
            Wire.BlockSource.Image => DiskSource.Image,
            Wire.BlockSource.Blank => DiskSource.Blank,
            _ => throw Faults.Invalid("block_devices.source", "must be volume, snapshot, image or blank"),
        },
        Given(device.SourceId), device.Local, device.BootIndex, device.SizeGib == 0 ? null : device.SizeGib, device.DeleteOnTermination,
        Given(device.Device), Given(device.VolumeType), Given(device.Tag), Swap: false);

    private static Func<string, bool> Mask(FieldMask? mask, params string[] known)
    {
        if (mask is null || mask.Paths.Count == 0)
        {
            throw Faults.Invalid("update_mask", $"must name one or more of {string.Join(", ", known)}");
        }
        return mask.Paths.FirstOrDefault(path => !known.Contains(path)) is { } unknown
            ? throw Faults.Invalid("update_mask", $"does not know {unknown}; known are {string.Join(", ", known)}")
            : mask.Paths.Contains;
    }

    private static string? Given(string text) => text.Length == 0 ? null : text;
}
