using Grpc.Core;
using Nephos.Hosting.Grpc;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.BlockStorage.Quotas;

internal sealed class QuotasGrpcService(QuotaService quotas) : Wire.BlockQuotas.BlockQuotasBase
{
    public override async Task<Wire.Quota> GetQuota(Wire.GetQuotaRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var project = request.ProjectId.Length > 0 ? request.ProjectId : operation.RequireProject();
        return ToWire(await quotas.GetAsync(operation, project, context.CancellationToken));
    }

    public override async Task<Wire.Quota> UpdateQuota(Wire.UpdateQuotaRequest request, ServerCallContext context) =>
        ToWire(await quotas.SetAsync(
            context.GetOperation(), request.ProjectId, request.HasVolumesLimit ? request.VolumesLimit : null,
            request.HasGigabytesLimit ? request.GigabytesLimit : null, request.HasSnapshotsLimit ? request.SnapshotsLimit : null, context.CancellationToken));

    private static Wire.Quota ToWire(ProjectQuota quota) => new()
    {
        ProjectId = quota.ProjectId,
        VolumesLimit = quota.Volumes.Limit,
        VolumesUsed = quota.Volumes.Used,
        GigabytesLimit = quota.Gigabytes.Limit,
        GigabytesUsed = quota.Gigabytes.Used,
        SnapshotsLimit = quota.Snapshots.Limit,
        SnapshotsUsed = quota.Snapshots.Used,
    };
}
