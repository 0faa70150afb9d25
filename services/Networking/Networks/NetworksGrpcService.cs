using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Operations;
using Nephos.Networking.AutoAllocation;
using Nephos.Networking.Grpc;
using Nephos.Networking.State;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.Networks;

internal sealed class NetworksGrpcService(NetworkService networks, AutoAllocationService topologies, NetworkStore store, GrpcStreams streams)
    : Wire.Networks.NetworksBase
{
    public override async Task<Wire.Network> CreateNetwork(Wire.CreateNetworkRequest request, ServerCallContext context)
    {
        var network = await networks.CreateAsync(context.GetOperation(), request.ToNew(), context.CancellationToken);
        return network.ToWire(await store.ViewAsync(context.CancellationToken));
    }

    public override async Task<Wire.Network> GetNetwork(Wire.GetNetworkRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        return view.Network(context.GetOperation(), request.NetworkId).ToWire(view);
    }

    public override async Task<Wire.ListNetworksResponse> ListNetworks(Wire.ListNetworksRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        var page = Paging.Cut(
            Matching(view, context.GetOperation(), request.Filter), network => network.Id, request.PageToken, request.PageSize);
        return new Wire.ListNetworksResponse
        {
            Networks = { page.Items.Select(network => network.ToWire(view)) },
            NextPageToken = page.NextToken ?? "",
        };
    }

    public override async Task<Wire.Network> UpdateNetwork(Wire.UpdateNetworkRequest request, ServerCallContext context)
    {
        var network = await networks.UpdateAsync(
            context.GetOperation(), request.Network?.Id ?? "", request.ToChanges(), context.CancellationToken);
        return network.ToWire(await store.ViewAsync(context.CancellationToken));
    }

    public override async Task<Empty> DeleteNetwork(Wire.DeleteNetworkRequest request, ServerCallContext context)
    {
        await networks.DeleteAsync(context.GetOperation(), request.NetworkId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.Network> EnsureAutoAllocatedNetwork(Wire.EnsureAutoAllocatedNetworkRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var projectId = request.ProjectId.Length > 0 ? request.ProjectId : operation.RequireProject();
        var networkId = await topologies.EnsureAsync(operation, projectId, context.CancellationToken);
        var view = await store.ViewAsync(context.CancellationToken);
        return view.Network(operation, networkId).ToWire(view);
    }

    public override Task WatchNetworks(
        Wire.WatchNetworksRequest request, IServerStreamWriter<Wire.NetworkEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        return streams.WatchAsync(
            context,
            view => Matching(view, operation, request.Filter).Select(network => new Watched<Wire.Network>(network.Id, new Sources(network, view.Subnets), () => network.ToWire(view))),
            (revision, network) => responseStream.WriteAsync(new Wire.NetworkEvent { StoreRevision = revision, Changed = network }),
            (revision, id) => responseStream.WriteAsync(new Wire.NetworkEvent { StoreRevision = revision, Deleted = id }),
            revision => responseStream.WriteAsync(new Wire.NetworkEvent { StoreRevision = revision, Synced = true }));
    }

    private static IEnumerable<Network> Matching(NetworkView view, OperationContext operation, Wire.NetworkFilter? filter) =>
        view.Networks.Values.Where(network => operation.Sees(network) && (filter is null ||
            (filter.Ids.Allows(network.Id) && filter.Names.Allows(network.Name) && filter.ProjectIds.Allows(network.ProjectId) &&
             (!filter.HasExternal || filter.External == network.External) && (!filter.HasShared || filter.Shared == network.Shared))));
}

internal static class NetworkMapping
{
    public static Wire.Network ToWire(this Network network, NetworkView view) => new()
    {
        Id = network.Id,
        ProjectId = network.ProjectId,
        Name = network.Name,
        Description = network.Description,
        AdminStateUp = network.AdminStateUp,
        Shared = network.Shared,
        External = network.External,
        IsDefault = network.IsDefault,
        Type = network.Kind == NetworkKind.Flat ? Wire.NetworkType.Flat : Wire.NetworkType.Vxlan,
        PhysicalNetwork = network.PhysicalNetwork ?? "",
        SegmentationId = (uint)(network.SegmentationId ?? 0),
        Mtu = (uint)network.MtuBytes,
        PortSecurityEnabled = network.PortSecurityEnabled,
        DnsDomain = network.DnsDomain,
        QosPolicyId = network.QosPolicyId ?? "",
        SubnetIds = { view.SubnetsOf(network.Id).Select(subnet => subnet.Id) },
        Tags = { network.Tags },
        CreatedAt = network.CreatedAt.ToWire(),
        UpdatedAt = network.UpdatedAt.ToWire(),
        Revision = network.Revision,
    };

    public static NewNetwork ToNew(this Wire.CreateNetworkRequest request) => new()
    {
        ProjectId = request.ProjectId,
        Name = request.Name,
        Description = request.Description,
        AdminStateUp = !request.HasAdminStateUp || request.AdminStateUp,
        Shared = request.Shared,
        External = request.External,
        IsDefault = request.IsDefault,
        Kind = request.Type switch
        {
            Wire.NetworkType.Flat => NetworkKind.Flat,
            Wire.NetworkType.Vxlan => NetworkKind.Vxlan,
            _ => null,
        },
        PhysicalNetwork = request.PhysicalNetwork.NullIfEmpty(),
        SegmentationId = request.SegmentationId == 0 ? null : (int)Math.Min(request.SegmentationId, int.MaxValue),
        MtuBytes = request.Mtu == 0 ? null : (int)Math.Min(request.Mtu, int.MaxValue),
        PortSecurityEnabled = !request.HasPortSecurityEnabled || request.PortSecurityEnabled,
        DnsDomain = request.DnsDomain,
        QosPolicyId = request.QosPolicyId.Length > 0 ? new Optional<string?>(true, request.QosPolicyId) : default,
        Tags = [.. request.Tags],
        IdempotencyKey = request.IdempotencyKey.NullIfEmpty(),
    };

    public static NetworkChanges ToChanges(this Wire.UpdateNetworkRequest request)
    {
        var network = request.Network ?? new Wire.Network();
        var paths = request.UpdateMask.Paths(
            "name", "description", "admin_state_up", "shared", "external", "is_default", "mtu", "port_security_enabled", "dns_domain",
            "qos_policy_id", "tags");
        return new NetworkChanges
        {
            Name = paths.When("name", () => network.Name),
            Description = paths.When("description", () => network.Description),
            AdminStateUp = paths.When("admin_state_up", () => network.AdminStateUp),
            Shared = paths.When("shared", () => network.Shared),
            External = paths.When("external", () => network.External),
            IsDefault = paths.When("is_default", () => network.IsDefault),
            MtuBytes = paths.When("mtu", () => (int)Math.Min(network.Mtu, int.MaxValue)),
            PortSecurityEnabled = paths.When("port_security_enabled", () => network.PortSecurityEnabled),
            DnsDomain = paths.When("dns_domain", () => network.DnsDomain),
            QosPolicyId = paths.When("qos_policy_id", () => network.QosPolicyId.NullIfEmpty()),
            Tags = paths.When<IReadOnlyList<string>>("tags", () => [.. network.Tags]),
        };
    }
}
