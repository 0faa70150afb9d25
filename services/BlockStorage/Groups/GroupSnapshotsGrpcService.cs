using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.BlockStorage.Groups;

/// <summary>Snapshots of groups over gRPC.</summary>
internal sealed class GroupSnapshotsGrpcService(GroupSnapshotService snapshots, TableCache<GroupSnapshot> cache) : Wire.GroupSnapshots.GroupSnapshotsBase
{
    public override async Task<Wire.GroupSnapshot> CreateGroupSnapshot(Wire.CreateGroupSnapshotRequest request, ServerCallContext context) =>
        ToWire(await snapshots.CreateAsync(
            context.GetOperation(), request.GroupId, request.Name, request.Description.Length > 0 ? request.Description : null, context.CancellationToken));

    public override async Task<Wire.GroupSnapshot> GetGroupSnapshot(Wire.GetGroupSnapshotRequest request, ServerCallContext context) =>
        ToWire(await snapshots.GetAsync(context.GetOperation(), request.GroupSnapshotId, context.CancellationToken));

    public override async Task<Wire.ListGroupSnapshotsResponse> ListGroupSnapshots(Wire.ListGroupSnapshotsRequest request, ServerCallContext context)
    {
        var all = await snapshots.ListAsync(context.GetOperation(), request.AllProjects, context.CancellationToken);
        var page = Paging.Cut(all.OrderBy(snapshot => snapshot.Id, StringComparer.Ordinal), snapshot => snapshot.Id, request.PageToken, request.PageSize);
        var response = new Wire.ListGroupSnapshotsResponse { NextPageToken = page.NextToken ?? "" };
        response.GroupSnapshots.AddRange(page.Items.Select(ToWire));
        return response;
    }

    public override async Task<Empty> DeleteGroupSnapshot(Wire.DeleteGroupSnapshotRequest request, ServerCallContext context)
    {
        await snapshots.DeleteAsync(context.GetOperation(), request.GroupSnapshotId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchGroupSnapshots(
        Wire.WatchGroupSnapshotsRequest request, IServerStreamWriter<Wire.GroupSnapshotEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var project = operation.ListedProject(request.AllProjects);
        return Watching.TellAsync(
            cache, snapshot => project is null || snapshot.ProjectId == project ? ToWire(snapshot) : null,
            responseStream,
            told => told switch
            {
                { Id: null } => new Wire.GroupSnapshotEvent { Revision = told.Revision, Synced = true },
                { Shown: { } shown } => new Wire.GroupSnapshotEvent { Revision = told.Revision, Changed = shown },
                _ => new Wire.GroupSnapshotEvent { Revision = told.Revision, Deleted = told.Id },
            },
            context.CancellationToken);
    }

    private static Wire.GroupSnapshot ToWire(GroupSnapshot snapshot) => new()
    {
        Id = snapshot.Id,
        ProjectId = snapshot.ProjectId,
        GroupId = snapshot.GroupId,
        GroupTypeId = snapshot.GroupTypeId,
        Name = snapshot.Name,
        Description = snapshot.Description ?? "",
        Status = snapshot.Status,
        StatusReason = snapshot.Failure ?? "",
        CreatedAt = snapshot.CreatedAt.ToTimestamp(),
        Generation = snapshot.Generation,
    };
}
