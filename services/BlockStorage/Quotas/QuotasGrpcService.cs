using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
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
        ToWire(await quotas.SetAsync(context.GetOperation(), request.ProjectId, Checked(request.Limits), context.CancellationToken));

    public override async Task<Empty> ResetQuota(Wire.ResetQuotaRequest request, ServerCallContext context)
    {
        await quotas.ResetAsync(context.GetOperation(), request.ProjectId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.Quota> GetQuotaClass(Wire.GetQuotaClassRequest request, ServerCallContext context) =>
        ToWire(await quotas.GetClassAsync(context.GetOperation(), request.Name, context.CancellationToken));

    public override async Task<Wire.Quota> UpdateQuotaClass(Wire.UpdateQuotaClassRequest request, ServerCallContext context) =>
        ToWire(await quotas.SetClassAsync(context.GetOperation(), request.Name, Checked(request.Limits), context.CancellationToken));

    private static Dictionary<string, long> Checked(MapField<string, long> limits) =>
        limits.ToDictionary(limit => limit.Key, limit => QuotaService.CheckLimit(limit.Key, limit.Value));

    private static Wire.Quota ToWire(ProjectQuota quota)
    {
        var wire = new Wire.Quota { ProjectId = quota.ProjectId };
        foreach (var (resource, entry) in quota.Entries) wire.Resources[resource] = new Wire.QuotaEntry { Limit = entry.Limit, Used = entry.Used };
        return wire;
    }
}
