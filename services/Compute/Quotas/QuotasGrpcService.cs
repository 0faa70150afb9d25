using Grpc.Core;
using Nephos.Hosting.Grpc;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Compute.Quotas;

internal sealed class QuotasGrpcService(QuotaService quotas) : Wire.ComputeQuotas.ComputeQuotasBase
{
    public override async Task<Wire.Quota> GetQuota(Wire.GetQuotaRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var projectId = request.ProjectId.Length > 0 ? request.ProjectId : operation.RequireProject();
        return ToWire(projectId, await quotas.GetAsync(operation, projectId, context.CancellationToken));
    }

    public override async Task<Wire.Quota> GetDefaultQuota(Wire.GetDefaultQuotaRequest request, ServerCallContext context) =>
        ToWire(request.ProjectId, await quotas.DefaultsAsync(context.CancellationToken));

    public override async Task<Wire.Quota> UpdateDefaultQuota(Wire.UpdateDefaultQuotaRequest request, ServerCallContext context) =>
        ToWire("", await quotas.SetDefaultsAsync(context.GetOperation(), request.Limits, context.CancellationToken));

    public override async Task<Wire.Quota> UpdateQuota(Wire.UpdateQuotaRequest request, ServerCallContext context) => ToWire(
        request.ProjectId,
        await quotas.SetAsync(context.GetOperation(), request.ProjectId, request.Limits, request.Force, context.CancellationToken));

    public override async Task<Wire.DeleteQuotaResponse> DeleteQuota(Wire.DeleteQuotaRequest request, ServerCallContext context)
    {
        await quotas.ResetAsync(context.GetOperation(), request.ProjectId, context.CancellationToken);
        return new Wire.DeleteQuotaResponse();
    }

    private static Wire.Quota ToWire(string projectId, IReadOnlyList<QuotaEntry> entries) => new()
    {
        ProjectId = projectId,
        Entries = { entries.Where(entry => QuotaResource.All.Contains(entry.Resource)).Select(entry => new Wire.QuotaEntry { Resource = entry.Resource, Limit = entry.Limit, InUse = entry.InUse }) },
    };
}
