using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.Compute.Seams;

/// <summary>Volumes and snapshots of the block storage service, for the old calls of the compute API; always with the rights of the user.</summary>
internal sealed class VolumeProxy(Wire.Volumes.VolumesClient volumes, Wire.Snapshots.SnapshotsClient snapshots, ServiceCalls calls)
{
    private const int PageItems = 1000;

    public async Task<IReadOnlyList<Wire.Volume>> ListAsync(OperationContext operation, CancellationToken cancellationToken) =>
        (await volumes.ListVolumesAsync(new Wire.ListVolumesRequest { PageSize = PageItems }, await calls.WithUserRightsAsync(operation, cancellationToken))).Volumes;

    public Task<Wire.Volume> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken) => FoundAsync("Volume", id, async () =>
        await volumes.GetVolumeAsync(new Wire.GetVolumeRequest { VolumeId = id }, await calls.WithUserRightsAsync(operation, cancellationToken)));

    public async Task<Wire.Volume> CreateAsync(OperationContext operation, Wire.CreateVolumeRequest request, CancellationToken cancellationToken) =>
        await volumes.CreateVolumeAsync(request, await calls.WithUserRightsAsync(operation, cancellationToken));

    public Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken) => FoundAsync("Volume", id, async () =>
        await volumes.DeleteVolumeAsync(new Wire.DeleteVolumeRequest { VolumeId = id }, await calls.WithUserRightsAsync(operation, cancellationToken)));

    public async Task<IReadOnlyList<Wire.Snapshot>> ListSnapshotsAsync(OperationContext operation, CancellationToken cancellationToken) =>
        (await snapshots.ListSnapshotsAsync(
            new Wire.ListSnapshotsRequest { PageSize = PageItems }, await calls.WithUserRightsAsync(operation, cancellationToken))).Snapshots;

    public Task<Wire.Snapshot> GetSnapshotAsync(OperationContext operation, string id, CancellationToken cancellationToken) => FoundAsync("Snapshot", id, async () =>
        await snapshots.GetSnapshotAsync(new Wire.GetSnapshotRequest { SnapshotId = id }, await calls.WithUserRightsAsync(operation, cancellationToken)));

    public async Task<Wire.Snapshot> CreateSnapshotAsync(OperationContext operation, Wire.CreateSnapshotRequest request, CancellationToken cancellationToken) =>
        await snapshots.CreateSnapshotAsync(request, await calls.WithUserRightsAsync(operation, cancellationToken));

    public Task DeleteSnapshotAsync(OperationContext operation, string id, CancellationToken cancellationToken) => FoundAsync("Snapshot", id, async () =>
        await snapshots.DeleteSnapshotAsync(new Wire.DeleteSnapshotRequest { SnapshotId = id }, await calls.WithUserRightsAsync(operation, cancellationToken)));

    private static Task<T> FoundAsync<T>(string kind, string id, Func<Task<T>> call) =>
        Ids.IsUuid(id) ? call() : throw new FaultException(ErrorReason.NotFound, $"{kind} {(id.Length > 64 ? id[..64] : id)} could not be found.");
}
