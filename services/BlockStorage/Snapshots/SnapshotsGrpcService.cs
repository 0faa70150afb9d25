using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.BlockStorage.Volumes;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.BlockStorage.Snapshots;

internal sealed class SnapshotsGrpcService(SnapshotService snapshots, TableCache<Snapshot> cache) : Wire.Snapshots.SnapshotsBase
{
    public override async Task<Wire.Snapshot> CreateSnapshot(Wire.CreateSnapshotRequest request, ServerCallContext context)
    {
        var wish = new SnapshotWish
        {
            VolumeId = request.VolumeId,
            Name = request.Name,
            Description = Given(request.Description),
            Force = request.Force,
            Metadata = request.Metadata,
            IdempotencyKey = request.IdempotencyKey,
        };
        return (await snapshots.CreateAsync(context.GetOperation(), wish, wait: true, context.CancellationToken)).ToWire();
    }

    public override async Task<Wire.Snapshot> GetSnapshot(Wire.GetSnapshotRequest request, ServerCallContext context) =>
        (await snapshots.GetAsync(context.GetOperation(), request.SnapshotId, context.CancellationToken)).ToWire();

    public override async Task<Wire.ListSnapshotsResponse> ListSnapshots(Wire.ListSnapshotsRequest request, ServerCallContext context)
    {
        var all = await snapshots.ListAsync(context.GetOperation(), FromWire(request.Filter), context.CancellationToken);
        var page = Paging.Cut(all.OrderBy(snapshot => snapshot.Id, StringComparer.Ordinal), snapshot => snapshot.Id, request.PageToken, request.PageSize);
        var response = new Wire.ListSnapshotsResponse { NextPageToken = page.NextToken ?? "" };
        response.Snapshots.AddRange(page.Items.Select(snapshot => snapshot.ToWire()));
        return response;
    }

    public override async Task<Wire.Snapshot> UpdateSnapshot(Wire.UpdateSnapshotRequest request, ServerCallContext context)
    {
        var wanted = request.Snapshot ?? throw Faults.Invalid("snapshot", "is required");
        var paths = request.UpdateMask?.Paths.ToHashSet() ?? [];
        if (paths.Count == 0) throw Faults.Invalid("update_mask", "names no field");
        if (paths.FirstOrDefault(path => path is not ("name" or "description" or "metadata")) is { } other)
            throw Faults.Invalid("update_mask", $"{other} can not be changed");
        var snapshot = await snapshots.UpdateAsync(
            context.GetOperation(), request.SnapshotId,
            snapshot => snapshot with
            {
                Name = paths.Contains("name") ? wanted.Name : snapshot.Name,
                Description = paths.Contains("description") ? wanted.Description : snapshot.Description,
                Metadata = paths.Contains("metadata") ? new Dictionary<string, string>(wanted.Metadata) : snapshot.Metadata,
            },
            context.CancellationToken);
        return snapshot.ToWire();
    }

    public override async Task<Empty> DeleteSnapshot(Wire.DeleteSnapshotRequest request, ServerCallContext context)
    {
        await snapshots.DeleteAsync(context.GetOperation(), request.SnapshotId, context.CancellationToken);
        return new Empty();
    }

    public override async Task WatchSnapshots(
        Wire.WatchSnapshotsRequest request, IServerStreamWriter<Wire.SnapshotEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var filter = FromWire(request.Filter);
        var project = operation.ListedProject(filter.AllProjects, filter.ProjectId);
        await Watching.TellAsync(
            cache, record => Matches(record) ? record.ToWire() : null,
            responseStream,
            told => told switch
            {
                { Id: null } => new Wire.SnapshotEvent { Revision = told.Revision, Synced = true },
                { Shown: { } shown } => new Wire.SnapshotEvent { Revision = told.Revision, Changed = shown },
                _ => new Wire.SnapshotEvent { Revision = told.Revision, Deleted = told.Id },
            },
            context.CancellationToken);

        bool Matches(Snapshot record) =>
            operation.CanSee(record.ProjectId) && (project is null || record.ProjectId == project)
            && (filter.Name is null || record.Name == filter.Name) && (filter.VolumeId is null || record.VolumeId == filter.VolumeId)
            && (filter.Status is null || record.Status == filter.Status);
    }

    private static SnapshotFilter FromWire(Wire.SnapshotFilter? filter) => filter is null ? new SnapshotFilter() : new SnapshotFilter
    {
        AllProjects = filter.AllProjects,
        ProjectId = Given(filter.ProjectId),
        Name = Given(filter.Name),
        VolumeId = Given(filter.VolumeId),
        Status = VolumeMapping.FromWire(filter.Status),
    };

    private static string? Given(string text) => text.Length > 0 ? text : null;
}
