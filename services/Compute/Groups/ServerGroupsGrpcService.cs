using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Compute.Groups;

internal sealed class ServerGroupsGrpcService(IStateStore store, ServerGroupService groups) : Wire.ServerGroups.ServerGroupsBase
{
    public override async Task<Wire.ServerGroup> CreateServerGroup(Wire.CreateServerGroupRequest request, ServerCallContext context) =>
        ToWire(await groups.CreateAsync(
            context.GetOperation(), request.Name, FromWire(request.Policy), request.MaxPerHost == 0 ? 1 : request.MaxPerHost, request.IdempotencyKey,
            context.CancellationToken));

    public override async Task<Wire.ServerGroup> GetServerGroup(Wire.GetServerGroupRequest request, ServerCallContext context) =>
        ToWire(await groups.GetAsync(context.GetOperation(), request.Id, context.CancellationToken));

    public override async Task<Wire.ListServerGroupsResponse> ListServerGroups(Wire.ListServerGroupsRequest request, ServerCallContext context)
    {
        var all = await groups.ListAsync(context.GetOperation(), request.AllProjects, context.CancellationToken);
        var page = Paging.Cut([.. all.OrderBy(item => item.Group.Id, StringComparer.Ordinal)], item => item.Group.Id, request.PageToken, request.PageSize);
        return new Wire.ListServerGroupsResponse { Groups = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.DeleteServerGroupResponse> DeleteServerGroup(Wire.DeleteServerGroupRequest request, ServerCallContext context)
    {
        await groups.DeleteAsync(context.GetOperation(), request.Id, context.CancellationToken);
        return new Wire.DeleteServerGroupResponse();
    }

    public override Task WatchServerGroups(
        Wire.WatchServerGroupsRequest request, IServerStreamWriter<Wire.ServerGroupEvent> responseStream, ServerCallContext context) =>
        responseStream.SendListAsync(
            store,
            ServerGroup.Table.Name,
            async () => (await groups.ListAsync(context.GetOperation(), request.AllProjects, context.CancellationToken)).Select(ToWire),
            group => group.Id,
            group => new Wire.ServerGroupEvent { Changed = group },
            id => new Wire.ServerGroupEvent { Deleted = id },
            () => new Wire.ServerGroupEvent { Synchronized = true },
            context.CancellationToken);

    private static GroupPolicy FromWire(Wire.GroupPolicy policy) => policy switch
    {
        Wire.GroupPolicy.Affinity => GroupPolicy.Affinity,
        Wire.GroupPolicy.AntiAffinity => GroupPolicy.AntiAffinity,
        Wire.GroupPolicy.SoftAffinity => GroupPolicy.SoftAffinity,
        Wire.GroupPolicy.SoftAntiAffinity => GroupPolicy.SoftAntiAffinity,
        _ => throw Faults.Invalid("policy", "must be given"),
    };

    private static Wire.ServerGroup ToWire(GroupDetails details) => new()
    {
        Id = details.Group.Id,
        ProjectId = details.Group.ProjectId,
        UserId = details.Group.UserId,
        Name = details.Group.Name,
        Policy = details.Group.Policy switch
        {
            GroupPolicy.Affinity => Wire.GroupPolicy.Affinity,
            GroupPolicy.AntiAffinity => Wire.GroupPolicy.AntiAffinity,
            GroupPolicy.SoftAffinity => Wire.GroupPolicy.SoftAffinity,
            GroupPolicy.SoftAntiAffinity => Wire.GroupPolicy.SoftAntiAffinity,
            _ => throw new ArgumentOutOfRangeException(nameof(details), details.Group.Policy, null),
        },
        MaxPerHost = details.Group.MaxPerHost,
        InstanceIds = { details.Members },
        CreatedAt = Timestamp.FromDateTimeOffset(details.Group.CreatedAt),
    };
}
