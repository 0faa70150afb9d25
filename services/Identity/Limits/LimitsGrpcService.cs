using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Identity.Shared;
using Nephos.Identity.Wiring;
using Nephos.Kernel;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Identity.Limits;

internal sealed class LimitsGrpcService(IStateStore store, LimitService limits) : Wire.Limits.LimitsBase
{
    public override async Task<Wire.ListRegisteredLimitsResponse> CreateRegisteredLimits(
        Wire.CreateRegisteredLimitsRequest request, ServerCallContext context)
    {
        var drafts = request.Limits.Select(limit => new RegisteredLimit
        {
            Id = "",
            ServiceId = limit.ServiceId,
            RegionId = limit.RegionId.NullIfEmpty(),
            ResourceName = limit.ResourceName,
            DefaultLimit = limit.DefaultLimit,
            Description = limit.Description.NullIfEmpty(),
        }).ToList();
        var made = await limits.CreateRegisteredAsync(context.GetOperation(), drafts, context.CancellationToken);
        return new Wire.ListRegisteredLimitsResponse { Limits = { made.Select(ToWire) } };
    }

    public override async Task<Wire.RegisteredLimit> GetRegisteredLimit(Wire.GetRegisteredLimitRequest request, ServerCallContext context) =>
        ToWire(await limits.GetRegisteredAsync(context.GetOperation(), request.RegisteredLimitId, context.CancellationToken));

    public override async Task<Wire.ListRegisteredLimitsResponse> ListRegisteredLimits(
        Wire.ListRegisteredLimitsRequest request, ServerCallContext context)
    {
        var found = (await limits.ListRegisteredAsync(context.GetOperation(), context.CancellationToken)).Where(limit =>
            (request.ServiceId.Length == 0 || limit.ServiceId == request.ServiceId) &&
            (request.RegionId.Length == 0 || limit.RegionId == request.RegionId) &&
            (request.ResourceName.Length == 0 || limit.ResourceName == request.ResourceName));
        var page = Paging.Cut(found, limit => limit.Id, request.PageToken, request.PageSize);
        return new Wire.ListRegisteredLimitsResponse { Limits = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.RegisteredLimit> UpdateRegisteredLimit(Wire.UpdateRegisteredLimitRequest request, ServerCallContext context) =>
        ToWire(await limits.UpdateRegisteredAsync(
            context.GetOperation(), request.RegisteredLimitId, request.HasDefaultLimit ? request.DefaultLimit : null,
            request.HasDescription ? Change.To(request.Description.NullIfEmpty()) : default, context.CancellationToken));

    public override async Task<Empty> DeleteRegisteredLimit(Wire.DeleteRegisteredLimitRequest request, ServerCallContext context)
    {
        await limits.DeleteRegisteredAsync(context.GetOperation(), request.RegisteredLimitId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.ListLimitsResponse> CreateLimits(Wire.CreateLimitsRequest request, ServerCallContext context)
    {
        var drafts = request.Limits.Select(limit => new Limit
        {
            Id = "",
            ServiceId = limit.ServiceId,
            RegionId = limit.RegionId.NullIfEmpty(),
            ResourceName = limit.ResourceName,
            ProjectId = limit.ProjectId.NullIfEmpty(),
            DomainId = limit.DomainId.NullIfEmpty(),
            ResourceLimit = limit.ResourceLimit,
            Description = limit.Description.NullIfEmpty(),
        }).ToList();
        var made = await limits.CreateAsync(context.GetOperation(), drafts, context.CancellationToken);
        return new Wire.ListLimitsResponse { Limits = { made.Select(ToWire) } };
    }

    public override async Task<Wire.Limit> GetLimit(Wire.GetLimitRequest request, ServerCallContext context) =>
        ToWire(await limits.GetAsync(context.GetOperation(), request.LimitId, context.CancellationToken));

    public override async Task<Wire.ListLimitsResponse> ListLimits(Wire.ListLimitsRequest request, ServerCallContext context)
    {
        var found = (await limits.ListAsync(context.GetOperation(), context.CancellationToken)).Where(limit =>
            (request.ServiceId.Length == 0 || limit.ServiceId == request.ServiceId) &&
            (request.RegionId.Length == 0 || limit.RegionId == request.RegionId) &&
            (request.ResourceName.Length == 0 || limit.ResourceName == request.ResourceName) &&
            (request.ProjectId.Length == 0 || limit.ProjectId == request.ProjectId) &&
            (request.DomainId.Length == 0 || limit.DomainId == request.DomainId));
        var page = Paging.Cut(found, limit => limit.Id, request.PageToken, request.PageSize);
        return new Wire.ListLimitsResponse { Limits = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.Limit> UpdateLimit(Wire.UpdateLimitRequest request, ServerCallContext context) =>
        ToWire(await limits.UpdateAsync(
            context.GetOperation(), request.LimitId, request.HasResourceLimit ? request.ResourceLimit : null,
            request.HasDescription ? Change.To(request.Description.NullIfEmpty()) : default, context.CancellationToken));

    public override async Task<Empty> DeleteLimit(Wire.DeleteLimitRequest request, ServerCallContext context)
    {
        await limits.DeleteAsync(context.GetOperation(), request.LimitId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchRegisteredLimits(
        Wire.WatchRegisteredLimitsRequest request, IServerStreamWriter<Wire.RegisteredLimitEvent> responseStream, ServerCallContext context) =>
        responseStream.SendListAsync(
            store,
            IdentityTables.RegisteredLimits.Name,
            async () => (await limits.ListRegisteredAsync(context.GetOperation(), context.CancellationToken)).Select(ToWire),
            limit => limit.Id,
            limit => new Wire.RegisteredLimitEvent { Changed = limit },
            id => new Wire.RegisteredLimitEvent { Deleted = id },
            () => new Wire.RegisteredLimitEvent { Synchronized = true },
            context.CancellationToken);

    public override Task WatchLimits(
        Wire.WatchLimitsRequest request, IServerStreamWriter<Wire.LimitEvent> responseStream, ServerCallContext context) =>
        responseStream.SendListAsync(
            store,
            IdentityTables.Limits.Name,
            async () => (await limits.ListAsync(context.GetOperation(), context.CancellationToken)).Select(ToWire),
            limit => limit.Id,
            limit => new Wire.LimitEvent { Changed = limit },
            id => new Wire.LimitEvent { Deleted = id },
            () => new Wire.LimitEvent { Synchronized = true },
            context.CancellationToken);

    private static Wire.RegisteredLimit ToWire(RegisteredLimit limit) => new()
    {
        Id = limit.Id,
        ServiceId = limit.ServiceId,
        RegionId = limit.RegionId ?? "",
        ResourceName = limit.ResourceName,
        DefaultLimit = limit.DefaultLimit,
        Description = limit.Description ?? "",
    };

    private static Wire.Limit ToWire(Limit limit) => new()
    {
        Id = limit.Id,
        ServiceId = limit.ServiceId,
        RegionId = limit.RegionId ?? "",
        ResourceName = limit.ResourceName,
        ProjectId = limit.ProjectId ?? "",
        DomainId = limit.DomainId ?? "",
        ResourceLimit = limit.ResourceLimit,
        Description = limit.Description ?? "",
    };
}
