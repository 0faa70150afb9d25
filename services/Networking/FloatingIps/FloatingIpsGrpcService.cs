using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Operations;
using Nephos.Networking.Addressing;
using Nephos.Networking.Grpc;
using Nephos.Networking.State;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.FloatingIps;

internal sealed class FloatingIpsGrpcService(
    FloatingIpService floatingIps, PortForwardingService forwardings, NetworkStore store, GrpcStreams streams)
    : Wire.FloatingIps.FloatingIpsBase
{
    public override async Task<Wire.FloatingIp> CreateFloatingIp(Wire.CreateFloatingIpRequest request, ServerCallContext context) =>
        await ShowAsync(await floatingIps.CreateAsync(context.GetOperation(), request.ToNew(), context.CancellationToken), context);

    public override async Task<Wire.FloatingIp> GetFloatingIp(Wire.GetFloatingIpRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        return view.FloatingIp(context.GetOperation(), request.FloatingIpId).ToWire(view);
    }

    public override async Task<Wire.ListFloatingIpsResponse> ListFloatingIps(Wire.ListFloatingIpsRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        var page = Paging.Cut(Matching(view, context.GetOperation(), request.Filter), ip => ip.Id, request.PageToken, request.PageSize);
        return new Wire.ListFloatingIpsResponse { FloatingIps = { page.Items.Select(ip => ip.ToWire(view)) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.FloatingIp> UpdateFloatingIp(Wire.UpdateFloatingIpRequest request, ServerCallContext context) => await ShowAsync(
        await floatingIps.UpdateAsync(context.GetOperation(), request.FloatingIp?.Id ?? "", request.ToChanges(), context.CancellationToken),
        context);

    public override async Task<Empty> DeleteFloatingIp(Wire.DeleteFloatingIpRequest request, ServerCallContext context)
    {
        await floatingIps.DeleteAsync(context.GetOperation(), request.FloatingIpId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchFloatingIps(
        Wire.WatchFloatingIpsRequest request, IServerStreamWriter<Wire.FloatingIpEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        return streams.WatchAsync(
            context,
            view => Matching(view, operation, request.Filter).Select(ip => new Watched<Wire.FloatingIp>(ip.Id, new Sources(ip, view.WiredOf(ip)), () => ip.ToWire(view))),
            (revision, ip) => responseStream.WriteAsync(new Wire.FloatingIpEvent { StoreRevision = revision, Changed = ip }),
            (revision, id) => responseStream.WriteAsync(new Wire.FloatingIpEvent { StoreRevision = revision, Deleted = id }),
            revision => responseStream.WriteAsync(new Wire.FloatingIpEvent { StoreRevision = revision, Synced = true }));
    }

    public override async Task<Wire.PortForwarding> CreatePortForwarding(Wire.CreatePortForwardingRequest request, ServerCallContext context)
    {
        var (ip, forwarding) = await forwardings.CreateAsync(
            context.GetOperation(), request.FloatingIpId, request.ToNew(), context.CancellationToken);
        return forwarding.ToWire(ip);
    }

    public override async Task<Wire.PortForwarding> UpdatePortForwarding(Wire.UpdatePortForwardingRequest request, ServerCallContext context)
    {
        var wanted = request.PortForwarding ?? new Wire.PortForwarding();
        var (ip, forwarding) = await forwardings.UpdateAsync(
            context.GetOperation(), wanted.FloatingIpId, wanted.Id, request.ToChanges(), context.CancellationToken);
        return forwarding.ToWire(ip);
    }

    public override async Task<Empty> DeletePortForwarding(Wire.DeletePortForwardingRequest request, ServerCallContext context)
    {
        await forwardings.DeleteAsync(context.GetOperation(), request.FloatingIpId, request.PortForwardingId, context.CancellationToken);
        return new Empty();
    }

    private async Task<Wire.FloatingIp> ShowAsync(FloatingIp ip, ServerCallContext context) =>
        ip.ToWire(await store.ViewAsync(context.CancellationToken));

    private static IEnumerable<FloatingIp> Matching(NetworkView view, OperationContext operation, Wire.FloatingIpFilter? filter) =>
        view.FloatingIps.Values.Where(ip => operation.Owns(ip.ProjectId) && (filter is null ||
            (filter.Ids.Allows(ip.Id) && filter.ProjectIds.Allows(ip.ProjectId) && filter.PortIds.Allows(ip.Target?.PortId ?? "") &&
             filter.FloatingIpAddresses.Allows(ip.Address.ToString()) && filter.FloatingNetworkIds.Allows(ip.FloatingNetworkId) &&
             filter.RouterIds.Allows(ip.RouterId ?? ""))));
}

internal static class FloatingIpMapping
{
    public static Wire.FloatingIp ToWire(this FloatingIp ip, NetworkView view) => new()
    {
        Id = ip.Id,
        ProjectId = ip.ProjectId,
        Description = ip.Description,
        FloatingNetworkId = ip.FloatingNetworkId,
        FloatingIpAddress = ip.Address.ToString(),
        PortId = ip.Target?.PortId ?? "",
        FixedIpAddress = ip.Target?.FixedAddress.ToString() ?? "",
        RouterId = ip.RouterId ?? "",
        Status = view.StatusOf(ip) switch
        {
            "ACTIVE" => Wire.FloatingIpStatus.Active,
            "ERROR" => Wire.FloatingIpStatus.Error,
            _ => Wire.FloatingIpStatus.Down,
        },
        PortForwardings = { ip.PortForwardings.Select(one => one.ToWire(ip)) },
        Tags = { ip.Tags },
        CreatedAt = ip.CreatedAt.ToWire(),
        UpdatedAt = ip.UpdatedAt.ToWire(),
        Revision = ip.Revision,
    };

    public static Wire.PortForwarding ToWire(this PortForwarding forwarding, FloatingIp ip) => new()
    {
        Id = forwarding.Id,
        FloatingIpId = ip.Id,
        Protocol = forwarding.Protocol,
        ExternalPort = (uint)forwarding.ExternalPort,
        InternalPortId = forwarding.PortId,
        InternalIpAddress = forwarding.FixedAddress.ToString(),
        InternalPort = (uint)forwarding.InternalPort,
        Description = forwarding.Description,
    };

    public static NewPortForwarding ToNew(this Wire.CreatePortForwardingRequest request) => new(
        request.Protocol, (int)Math.Min(request.ExternalPort, int.MaxValue), request.InternalPortId,
        request.InternalIpAddress.Length == 0 ? null : Checks.Address("internal_ip_address", request.InternalIpAddress),
        (int)Math.Min(request.InternalPort, int.MaxValue), request.Description, request.IdempotencyKey.NullIfEmpty());

    public static PortForwardingChanges ToChanges(this Wire.UpdatePortForwardingRequest request)
    {
        var forwarding = request.PortForwarding ?? new Wire.PortForwarding();
        var paths = request.UpdateMask.Paths(
            "protocol", "external_port", "internal_port_id", "internal_ip_address", "internal_port", "description");
        return new PortForwardingChanges
        {
            Protocol = paths.When("protocol", () => forwarding.Protocol),
            ExternalPort = paths.When("external_port", () => (int)Math.Min(forwarding.ExternalPort, int.MaxValue)),
            PortId = paths.When("internal_port_id", () => forwarding.InternalPortId),
            FixedAddress = paths.When<IpAddress?>("internal_ip_address", () => Checks.Address("internal_ip_address", forwarding.InternalIpAddress)),
            InternalPort = paths.When("internal_port", () => (int)Math.Min(forwarding.InternalPort, int.MaxValue)),
            Description = paths.When("description", () => forwarding.Description),
        };
    }

    public static NewFloatingIp ToNew(this Wire.CreateFloatingIpRequest request) => new()
    {
        ProjectId = request.ProjectId,
        Description = request.Description,
        NetworkId = request.FloatingNetworkId,
        SubnetId = request.SubnetId.NullIfEmpty(),
        Address = request.FloatingIpAddress.Length == 0 ? null : Checks.Address("floating_ip_address", request.FloatingIpAddress),
        PortId = request.PortId.NullIfEmpty(),
        FixedAddress = request.FixedIpAddress.Length == 0 ? null : Checks.Address("fixed_ip_address", request.FixedIpAddress),
        Tags = [.. request.Tags],
        IdempotencyKey = request.IdempotencyKey.NullIfEmpty(),
    };

    public static FloatingIpChanges ToChanges(this Wire.UpdateFloatingIpRequest request)
    {
        var ip = request.FloatingIp ?? new Wire.FloatingIp();
        var paths = request.UpdateMask.Paths("description", "port_id", "fixed_ip_address", "tags");
        return new FloatingIpChanges
        {
            Description = paths.When("description", () => ip.Description),
            PortId = paths.When("port_id", () => ip.PortId.NullIfEmpty()),
            FixedAddress = paths.Contains("fixed_ip_address") && ip.FixedIpAddress.Length > 0
                ? Checks.Address("fixed_ip_address", ip.FixedIpAddress)
                : null,
            Tags = paths.When<IReadOnlyList<string>>("tags", () => [.. ip.Tags]),
        };
    }
}
