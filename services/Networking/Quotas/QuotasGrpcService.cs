using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Operations;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.Quotas;

internal sealed class QuotasGrpcService(QuotaService quotas) : Wire.NetworkQuotas.NetworkQuotasBase
{
    public override async Task<Wire.Quota> GetQuota(Wire.GetQuotaRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var projectId = request.ProjectId.Length > 0 ? request.ProjectId : operation.RequireProject();
        return await ShowAsync(operation, projectId, request.Defaults, context.CancellationToken);
    }

    public override async Task<Wire.ListQuotasResponse> ListQuotas(Wire.ListQuotasRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var response = new Wire.ListQuotasResponse();
        foreach (var projectId in await quotas.ListProjectsAsync(operation, context.CancellationToken))
        {
            response.Quotas.Add(await ShowAsync(operation, projectId, defaults: false, context.CancellationToken));
        }

        return response;
    }

    public override async Task<Wire.Quota> UpdateQuota(Wire.UpdateQuotaRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        await quotas.UpdateAsync(operation, request.ProjectId, request.Limits.ToDictionary(), context.CancellationToken);
        return await ShowAsync(operation, request.ProjectId, defaults: false, context.CancellationToken);
    }

    public override async Task<Empty> ResetQuota(Wire.ResetQuotaRequest request, ServerCallContext context)
    {
        await quotas.ResetAsync(context.GetOperation(), request.ProjectId, context.CancellationToken);
        return new Empty();
    }

    private async Task<Wire.Quota> ShowAsync(
        OperationContext operation, string projectId, bool defaults, CancellationToken cancellationToken)
    {
        var items = await quotas.GetAsync(operation, projectId, defaults, cancellationToken);
        var quota = new Wire.Quota { ProjectId = projectId };
        foreach (var (resource, item) in items)
        {
            quota.Items[resource] = new Wire.QuotaItem { Limit = item.Limit, Used = item.Used };
        }

        return quota;
    }
}
