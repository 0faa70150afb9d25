using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.BlockStorage.Volumes;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.BlockStorage.Groups;

/// <summary>Groups over gRPC.</summary>
internal sealed class GroupsGrpcService(GroupService groups, TableCache<VolumeGroup> cache, TableCache<Volume> volumes) : Wire.VolumeGroups.VolumeGroupsBase
{
    public override async Task<Wire.VolumeGroup> CreateGroup(Wire.CreateGroupRequest request, ServerCallContext context)
    {
        var wish = new GroupWish
        {
            Name = request.Name,
            Description = Given(request.Description),
            GroupTypeId = request.GroupTypeId,
            VolumeTypes = [.. request.VolumeTypes],
            AvailabilityZone = Given(request.AvailabilityZone),
        };
        return ToWire(await groups.CreateAsync(context.GetOperation(), wish, context.CancellationToken));
    }

    public override async Task<Wire.VolumeGroup> CopyGroup(Wire.CopyGroupRequest request, ServerCallContext context) =>
        ToWire(await groups.CopyAsync(
            context.GetOperation(), Given(request.GroupId), Given(request.GroupSnapshotId), request.Name, Given(request.Description), context.CancellationToken));

    public override async Task<Wire.VolumeGroup> GetGroup(Wire.GetGroupRequest request, ServerCallContext context) =>
        ToWire(await groups.GetAsync(context.GetOperation(), request.GroupId, context.CancellationToken));

    public override async Task<Wire.ListGroupsResponse> ListGroups(Wire.ListGroupsRequest request, ServerCallContext context)
    {
        var all = await groups.ListAsync(context.GetOperation(), request.AllProjects, context.CancellationToken);
        var page = Paging.Cut(all.OrderBy(view => view.Group.Id, StringComparer.Ordinal), view => view.Group.Id, request.PageToken, request.PageSize);
        var response = new Wire.ListGroupsResponse { NextPageToken = page.NextToken ?? "" };
        response.Groups.AddRange(page.Items.Select(ToWire));
        return response;
    }

    public override async Task<Wire.VolumeGroup> UpdateGroup(Wire.UpdateGroupRequest request, ServerCallContext context) =>
        ToWire(await groups.UpdateAsync(
            context.GetOperation(), request.GroupId, request.HasName ? request.Name : null, request.HasDescription ? request.Description : null,
            [.. request.AddVolumeIds], [.. request.RemoveVolumeIds], context.CancellationToken));

    public override async Task<Empty> DeleteGroup(Wire.DeleteGroupRequest request, ServerCallContext context)
    {
        await groups.DeleteAsync(context.GetOperation(), request.GroupId, request.WithVolumes, context.CancellationToken);
        return new Empty();
    }

    public override async Task WatchGroups(Wire.WatchGroupsRequest request, IServerStreamWriter<Wire.GroupEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var project = operation.ListedProject(request.AllProjects);
        var sent = new Dictionary<string, Wire.VolumeGroup>(StringComparer.Ordinal);
        // What a group is shown as depends on its volumes.
        await foreach (var change in Watching.JoinAsync(cache, volumes, volume => volume.GroupId ?? "", context.CancellationToken))
        {
            var told = new Wire.GroupEvent { Revision = change.Revision };
            if (change.Id is not { } id)
            {
                told.Synced = true;
            }
            else if (cache.Get(id) is { } group && (project is null || group.ProjectId == project))
            {
                var wire = ToWire(groups.View(group));
                if (sent.TryGetValue(id, out var before) && before.Equals(wire)) continue;
                sent[id] = told.Changed = wire;
            }
            else
            {
                if (!sent.Remove(id)) continue;
                told.Deleted = id;
            }
            await responseStream.WriteAsync(told, context.CancellationToken);
        }
    }

    private static Wire.VolumeGroup ToWire(GroupView view)
    {
        var group = view.Group;
        var wire = new Wire.VolumeGroup
        {
            Id = group.Id,
            ProjectId = group.ProjectId,
            UserId = group.UserId,
            Name = group.Name,
            Description = group.Description ?? "",
            Status = view.Status,
            GroupTypeId = group.GroupTypeId,
            AvailabilityZone = group.AvailabilityZone,
            SourceGroupId = group.SourceGroupId ?? "",
            SourceGroupSnapshotId = group.SourceSnapshotId ?? "",
            CreatedAt = group.CreatedAt.ToTimestamp(),
            Generation = group.Generation,
        };
        wire.VolumeTypeIds.AddRange(group.VolumeTypeIds);
        wire.VolumeIds.AddRange(view.Members.Select(volume => volume.Id));
        return wire;
    }

    private static string? Given(string text) => text.Length > 0 ? text : null;
}
