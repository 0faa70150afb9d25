using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Networking.Addressing;
using Nephos.Networking.Grpc;
using Nephos.Networking.State;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.Subnets;

internal sealed class SubnetsGrpcService(SubnetService subnets, NetworkStore store, GrpcStreams streams) : Wire.Subnets.SubnetsBase
{
    public override async Task<Wire.Subnet> CreateSubnet(Wire.CreateSubnetRequest request, ServerCallContext context) =>
        (await subnets.CreateAsync(context.GetOperation(), [request.ToNew()], context.CancellationToken))[0].ToWire();

    public override async Task<Wire.Subnet> GetSubnet(Wire.GetSubnetRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        return view.Subnet(context.GetOperation(), request.SubnetId).ToWire();
    }

    public override async Task<Wire.ListSubnetsResponse> ListSubnets(Wire.ListSubnetsRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        var page = Paging.Cut(Matching(view, context.GetOperation(), request.Filter), subnet => subnet.Id, request.PageToken, request.PageSize);
        return new Wire.ListSubnetsResponse { Subnets = { page.Items.Select(subnet => subnet.ToWire()) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.Subnet> UpdateSubnet(Wire.UpdateSubnetRequest request, ServerCallContext context) =>
        (await subnets.UpdateAsync(context.GetOperation(), request.Subnet?.Id ?? "", request.ToChanges(), context.CancellationToken)).ToWire();

    public override async Task<Empty> DeleteSubnet(Wire.DeleteSubnetRequest request, ServerCallContext context)
    {
        await subnets.DeleteAsync(context.GetOperation(), request.SubnetId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchSubnets(
        Wire.WatchSubnetsRequest request, IServerStreamWriter<Wire.SubnetEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        return streams.WatchAsync(
            context,
            view => Matching(view, operation, request.Filter).Select(subnet => new Watched<Wire.Subnet>(subnet.Id, new Sources(subnet, null), subnet.ToWire)),
            (revision, subnet) => responseStream.WriteAsync(new Wire.SubnetEvent { StoreRevision = revision, Changed = subnet }),
            (revision, id) => responseStream.WriteAsync(new Wire.SubnetEvent { StoreRevision = revision, Deleted = id }),
            revision => responseStream.WriteAsync(new Wire.SubnetEvent { StoreRevision = revision, Synced = true }));
    }

    private static IEnumerable<Subnet> Matching(NetworkView view, OperationContext operation, Wire.SubnetFilter? filter) =>
        view.Subnets.Values.Where(subnet => operation.Sees(subnet, view) && (filter is null ||
            (filter.Ids.Allows(subnet.Id) && filter.Names.Allows(subnet.Name) && filter.ProjectIds.Allows(subnet.ProjectId) &&
             filter.NetworkIds.Allows(subnet.NetworkId) && (filter.IpVersion == 0 || filter.IpVersion == subnet.IpVersion))));
}

internal static class SubnetMapping
{
    public static Wire.Subnet ToWire(this Subnet subnet) => new()
    {
        Id = subnet.Id,
        ProjectId = subnet.ProjectId,
        NetworkId = subnet.NetworkId,
        Name = subnet.Name,
        Description = subnet.Description,
        IpVersion = subnet.IpVersion,
        Cidr = subnet.Cidr.ToString(),
        GatewayIp = subnet.GatewayIp?.ToString() ?? "",
        AllocationPools = { subnet.AllocationPools.Select(pool => new Wire.AllocationPool { Start = pool.Start.ToString(), End = pool.End.ToString() }) },
        DnsNameservers = { subnet.DnsNameservers.Select(address => address.ToString()) },
        HostRoutes = { subnet.HostRoutes.Select(route => route.ToWire()) },
        EnableDhcp = subnet.EnableDhcp,
        Ipv6RaMode = subnet.RaMode.ToWire(),
        Ipv6AddressMode = subnet.AddressMode.ToWire(),
        SubnetPoolId = subnet.SubnetPoolId ?? "",
        ServiceTypes = { subnet.ServiceTypes },
        Tags = { subnet.Tags },
        CreatedAt = subnet.CreatedAt.ToWire(),
        UpdatedAt = subnet.UpdatedAt.ToWire(),
        Revision = subnet.Revision,
    };

    public static NewSubnet ToNew(this Wire.CreateSubnetRequest request) => new()
    {
        ProjectId = request.ProjectId,
        NetworkId = request.NetworkId,
        Name = request.Name,
        Description = request.Description,
        IpVersion = request.IpVersion switch
        {
            0 => null,
            4 or 6 => request.IpVersion,
            _ => throw Faults.Invalid("ip_version", "must be 4 or 6"),
        },
        Cidr = request.Cidr.Length == 0 ? null : Checks.Block("cidr", request.Cidr),
        PrefixLength = request.PrefixLength == 0 ? null : request.PrefixLength,
        SubnetPoolId = request.SubnetPoolId.NullIfEmpty(),
        GatewayIp = request.HasGatewayIp ? new Optional<IpAddress?>(true, ToGateway(request.GatewayIp)) : default,
        AllocationPools = request.AllocationPools.Count == 0 ? null : ToPools(request.AllocationPools),
        DnsNameservers = ToNameservers(request.DnsNameservers),
        HostRoutes = request.HostRoutes.ToRoutes(),
        EnableDhcp = !request.HasEnableDhcp || request.EnableDhcp,
        RaMode = request.Ipv6RaMode.ToMode(),
        AddressMode = request.Ipv6AddressMode.ToMode(),
        ServiceTypes = [.. request.ServiceTypes],
        Tags = [.. request.Tags],
        IdempotencyKey = request.IdempotencyKey.NullIfEmpty(),
    };

    public static SubnetChanges ToChanges(this Wire.UpdateSubnetRequest request)
    {
        var subnet = request.Subnet ?? new Wire.Subnet();
        var paths = request.UpdateMask.Paths(
            "name", "description", "gateway_ip", "allocation_pools", "dns_nameservers", "host_routes", "enable_dhcp", "service_types", "tags");
        return new SubnetChanges
        {
            Name = paths.When("name", () => subnet.Name),
            Description = paths.When("description", () => subnet.Description),
            GatewayIp = paths.When("gateway_ip", () => ToGateway(subnet.GatewayIp)),
            AllocationPools = paths.When("allocation_pools", () => ToPools(subnet.AllocationPools)),
            DnsNameservers = paths.When("dns_nameservers", () => ToNameservers(subnet.DnsNameservers)),
            HostRoutes = paths.When("host_routes", () => subnet.HostRoutes.ToRoutes()),
            EnableDhcp = paths.When("enable_dhcp", () => subnet.EnableDhcp),
            ServiceTypes = paths.When<IReadOnlyList<string>>("service_types", () => [.. subnet.ServiceTypes]),
            Tags = paths.When<IReadOnlyList<string>>("tags", () => [.. subnet.Tags]),
        };
    }

    private static IpAddress? ToGateway(string text) => text.Length == 0 ? null : Checks.Address("gateway_ip", text);

    private static IReadOnlyList<AddressRange> ToPools(IEnumerable<Wire.AllocationPool> pools) => [.. pools.Select(pool => new AddressRange(
        Checks.Address("allocation_pools", pool.Start), Checks.Address("allocation_pools", pool.End)))];

    private static IReadOnlyList<IpAddress> ToNameservers(IEnumerable<string> servers) =>
        [.. servers.Select(server => Checks.Address("dns_nameservers", server))];

    private static Wire.Ipv6Mode ToWire(this Ipv6Mode? mode) => mode switch
    {
        null => Wire.Ipv6Mode.Unspecified,
        Ipv6Mode.Slaac => Wire.Ipv6Mode.Slaac,
        Ipv6Mode.Dhcpv6Stateful => Wire.Ipv6Mode.Dhcpv6Stateful,
        _ => Wire.Ipv6Mode.Dhcpv6Stateless,
    };

    private static Ipv6Mode? ToMode(this Wire.Ipv6Mode mode) => mode switch
    {
        Wire.Ipv6Mode.Unspecified => null,
        Wire.Ipv6Mode.Slaac => Ipv6Mode.Slaac,
        Wire.Ipv6Mode.Dhcpv6Stateful => Ipv6Mode.Dhcpv6Stateful,
        Wire.Ipv6Mode.Dhcpv6Stateless => Ipv6Mode.Dhcpv6Stateless,
        _ => throw Faults.Invalid("ipv6_mode", "is not a known mode"),
    };
}
