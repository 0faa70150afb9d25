using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Networking.Grpc;
using Nephos.Networking.Networks;
using Nephos.Networking.State;
using Nephos.Networking.Subnets;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.Ports;

internal sealed class PortsGrpcService(PortService ports, NetworkStore store, GrpcStreams streams) : Wire.Ports.PortsBase
{
    public override async Task<Wire.Port> CreatePort(Wire.CreatePortRequest request, ServerCallContext context) =>
        await ShowAsync(await ports.CreateAsync(context.GetOperation(), request.ToNew(), context.CancellationToken), context);

    public override async Task<Wire.CreatePortsResponse> CreatePorts(Wire.CreatePortsRequest request, ServerCallContext context)
    {
        var made = await ports.CreateAsync(context.GetOperation(), [.. request.Ports.Select(PortMapping.ToNew)], context.CancellationToken);
        var view = await store.ViewAsync(context.CancellationToken);
        return new Wire.CreatePortsResponse { Ports = { made.Select(port => port.ToWire(view)) } };
    }

    public override async Task<Wire.Port> GetPort(Wire.GetPortRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        return view.Port(context.GetOperation(), request.PortId).ToWire(view);
    }

    public override async Task<Wire.ListPortsResponse> ListPorts(Wire.ListPortsRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        var page = Paging.Cut(Matching(view, context.GetOperation(), request.Filter), port => port.Id, request.PageToken, request.PageSize);
        return new Wire.ListPortsResponse { Ports = { page.Items.Select(port => port.ToWire(view)) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.Port> UpdatePort(Wire.UpdatePortRequest request, ServerCallContext context) => await ShowAsync(
        await ports.UpdateAsync(context.GetOperation(), request.Port?.Id ?? "", request.ToChanges(), context.CancellationToken), context);

    public override async Task<Empty> DeletePort(Wire.DeletePortRequest request, ServerCallContext context)
    {
        await ports.DeleteAsync(context.GetOperation(), request.PortId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchPorts(
        Wire.WatchPortsRequest request, IServerStreamWriter<Wire.PortEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        return streams.WatchAsync(
            context,
            view => Matching(view, operation, request.Filter).Select(port => new Watched<Wire.Port>(port.Id, new Sources(port, view.WiredOf(port)), () => port.ToWire(view))),
            (revision, port) => responseStream.WriteAsync(new Wire.PortEvent { StoreRevision = revision, Changed = port }),
            (revision, id) => responseStream.WriteAsync(new Wire.PortEvent { StoreRevision = revision, Deleted = id }),
            revision => responseStream.WriteAsync(new Wire.PortEvent { StoreRevision = revision, Synced = true }));
    }

    public override async Task<Wire.Port> BindPort(Wire.BindPortRequest request, ServerCallContext context) => await ShowAsync(
        await ports.BindAsync(
            context.GetOperation(), request.PortId, request.HostName, PortMapping.ToEpoch(request.Epoch),
            request.HasDeviceId ? request.DeviceId : null, request.HasDeviceOwner ? request.DeviceOwner : null, context.CancellationToken),
        context);

    public override async Task<Wire.Port> UnbindPort(Wire.UnbindPortRequest request, ServerCallContext context) => await ShowAsync(
        await ports.UnbindAsync(
            context.GetOperation(), request.PortId, PortMapping.ToEpoch(request.Epoch), request.ReleaseDevice, context.CancellationToken),
        context);

    public override async Task<Wire.GetPortsDetailsResponse> GetPortsDetails(Wire.GetPortsDetailsRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var view = await store.ViewAsync(context.CancellationToken);
        var chosen = request.DeviceId.Length > 0
            ? view.PortsOfDevice(request.DeviceId).Where(port => operation.Sees(port, view)).OrderBy(port => port.CreatedAt).ThenBy(port => port.Id)
            : request.PortIds.Select(id => view.Port(operation, id));
        return new Wire.GetPortsDetailsResponse { Ports = { chosen.Select(port => Details(port, view)) } };
    }

    private async Task<Wire.Port> ShowAsync(Port port, ServerCallContext context) => port.ToWire(await store.ViewAsync(context.CancellationToken));

    private static Wire.PortDetails Details(Port port, NetworkView view) => new()
    {
        Port = port.ToWire(view),
        Network = view.Networks.GetValueOrDefault(port.NetworkId)?.ToWire(view) ?? throw NetworkFaults.NetworkNotFound(port.NetworkId),
        Subnets =
        {
            port.FixedIps.Select(ip => view.Subnets.GetValueOrDefault(ip.SubnetId)).OfType<Subnet>().DistinctBy(subnet => subnet.Id)
                .Select(subnet => subnet.ToWire()),
        },
        FloatingIps =
        {
            view.FloatingIpsOfPort(port.Id).OrderBy(ip => ip.Id, StringComparer.Ordinal).Select(ip => new Wire.PortFloatingIp
            {
                Id = ip.Id,
                FixedAddress = ip.Target!.FixedAddress.ToString(),
                FloatingAddress = ip.Address.ToString(),
            }),
        },
    };

    private static IEnumerable<Port> Matching(NetworkView view, OperationContext operation, Wire.PortFilter? filter)
    {
        // Most lists name a device, and those are found without a look at every port.
        var candidates = filter?.DeviceIds.Count == 1 && filter.DeviceIds[0].Length > 0
            ? view.PortsOfDevice(filter.DeviceIds[0]).OrderBy(port => port.Id, StringComparer.Ordinal)
            : view.Ports.Values;
        return candidates.Where(port => operation.Sees(port, view) && (filter is null ||
            (filter.Ids.Allows(port.Id) && filter.Names.Allows(port.Name) && filter.ProjectIds.Allows(port.ProjectId) &&
             filter.NetworkIds.Allows(port.NetworkId) && filter.DeviceIds.Allows(port.DeviceId) && filter.HostNames.Allows(port.HostName) &&
             filter.MacAddresses.Allows(port.MacAddress) && HasOwner(port, filter) &&
             (filter.SecurityGroupIds.Count == 0 || filter.SecurityGroupIds.Any(port.SecurityGroupIds.Contains)) &&
             (filter.FixedIps.Count == 0 || filter.FixedIps.Any(wanted => port.FixedIps.Any(ip =>
                 (wanted.SubnetId.Length == 0 || wanted.SubnetId == ip.SubnetId) &&
                 (wanted.IpAddress.Length == 0 || wanted.IpAddress == ip.Address.ToString())))))));
    }

    private static bool HasOwner(Port port, Wire.PortFilter filter) => filter.DeviceOwners.Count == 0 || filter.DeviceOwners.Any(owner =>
        owner == port.DeviceOwner || (owner.EndsWith(':') && port.DeviceOwner.StartsWith(owner, StringComparison.Ordinal)));
}

internal static class PortMapping
{
    public static Wire.Port ToWire(this Port port, NetworkView view)
    {
        var wired = view.WiredOf(port);
        return new Wire.Port
        {
            Id = port.Id,
            ProjectId = port.ProjectId,
            NetworkId = port.NetworkId,
            Name = port.Name,
            Description = port.Description,
            MacAddress = port.MacAddress,
            FixedIps = { port.FixedIps.Select(ToWire) },
            AdminStateUp = port.AdminStateUp,
            Status = view.StatusOf(port) switch
            {
                "ACTIVE" => Wire.PortStatus.Active,
                "ERROR" => Wire.PortStatus.Error,
                _ => Wire.PortStatus.Down,
            },
            StatusReason = wired?.Error ?? "",
            DeviceId = port.DeviceId,
            DeviceOwner = port.DeviceOwner,
            SecurityGroupIds = { port.SecurityGroupIds },
            AllowedAddressPairs =
            {
                port.AllowedAddressPairs.Select(pair => new Wire.AddressPair
                {
                    IpAddress = pair.Address.ToString(), MacAddress = pair.MacAddress ?? "",
                }),
            },
            ExtraDhcpOptions =
            {
                port.ExtraDhcpOptions.Select(option => new Wire.DhcpOption { Name = option.Name, Value = option.Value, IpVersion = option.IpVersion }),
            },
            PortSecurityEnabled = port.PortSecurityEnabled,
            DnsName = port.DnsName,
            QosPolicyId = port.QosPolicyId ?? "",
            HostName = port.HostName,
            BindingEpoch = (ulong)port.BindingEpoch,
            Tags = { port.Tags },
            CreatedAt = port.CreatedAt.ToWire(),
            UpdatedAt = port.UpdatedAt.ToWire(),
            Revision = port.Revision,
        };
    }

    public static Wire.FixedIp ToWire(FixedIp ip) => new() { SubnetId = ip.SubnetId, IpAddress = ip.Address.ToString() };

    public static NewPort ToNew(this Wire.CreatePortRequest request) => new()
    {
        ProjectId = request.ProjectId,
        NetworkId = request.NetworkId,
        Name = request.Name,
        Description = request.Description,
        MacAddress = request.MacAddress.NullIfEmpty(),
        FixedIps = request.FixedIps is null ? null : ToWanted(request.FixedIps.FixedIps),
        AdminStateUp = !request.HasAdminStateUp || request.AdminStateUp,
        DeviceId = request.DeviceId,
        DeviceOwner = request.DeviceOwner,
        SecurityGroups = request.SecurityGroups is null ? null : [.. request.SecurityGroups.SecurityGroups],
        AllowedAddressPairs = ToPairs(request.AllowedAddressPairs),
        ExtraDhcpOptions = ToOptions(request.ExtraDhcpOptions),
        PortSecurityEnabled = request.HasPortSecurityEnabled ? request.PortSecurityEnabled : null,
        DnsName = request.DnsName,
        QosPolicyId = request.QosPolicyId.NullIfEmpty(),
        HostName = request.HostName,
        BindingEpoch = ToEpoch(request.BindingEpoch),
        Tags = [.. request.Tags],
        IdempotencyKey = request.IdempotencyKey.NullIfEmpty(),
    };

    public static PortChanges ToChanges(this Wire.UpdatePortRequest request)
    {
        var port = request.Port ?? new Wire.Port();
        var paths = request.UpdateMask.Paths(
            "name", "description", "mac_address", "fixed_ips", "admin_state_up", "device_id", "device_owner", "security_group_ids",
            "allowed_address_pairs", "extra_dhcp_options", "port_security_enabled", "dns_name", "qos_policy_id", "host_name", "tags");
        return new PortChanges
        {
            Name = paths.When("name", () => port.Name),
            Description = paths.When("description", () => port.Description),
            MacAddress = paths.When("mac_address", () => port.MacAddress),
            FixedIps = paths.When("fixed_ips", () => ToWanted(port.FixedIps)),
            AdminStateUp = paths.When("admin_state_up", () => port.AdminStateUp),
            DeviceId = paths.When("device_id", () => port.DeviceId),
            DeviceOwner = paths.When("device_owner", () => port.DeviceOwner),
            SecurityGroups = paths.When<IReadOnlyList<string>>("security_group_ids", () => [.. port.SecurityGroupIds]),
            AllowedAddressPairs = paths.When("allowed_address_pairs", () => ToPairs(port.AllowedAddressPairs)),
            ExtraDhcpOptions = paths.When("extra_dhcp_options", () => ToOptions(port.ExtraDhcpOptions)),
            PortSecurityEnabled = paths.When("port_security_enabled", () => port.PortSecurityEnabled),
            DnsName = paths.When("dns_name", () => port.DnsName),
            QosPolicyId = paths.When("qos_policy_id", () => port.QosPolicyId.NullIfEmpty()),
            HostName = paths.When("host_name", () => port.HostName),
            Tags = paths.When<IReadOnlyList<string>>("tags", () => [.. port.Tags]),
        };
    }

    public static long ToEpoch(ulong epoch) => epoch <= long.MaxValue ? (long)epoch : throw Faults.Invalid("epoch", "must be below 2^63");

    public static IReadOnlyList<WantedAddress> ToWanted(IEnumerable<Wire.FixedIp> ips) => [.. ips.Select(ip => new WantedAddress(
        ip.SubnetId.NullIfEmpty(), ip.IpAddress.Length == 0 ? null : Checks.Address("fixed_ips", ip.IpAddress)))];

    private static IReadOnlyList<AddressPair> ToPairs(IEnumerable<Wire.AddressPair> pairs) => [.. pairs.Select(pair => new AddressPair(
        Addressing.Cidr.TryParse(pair.IpAddress, out var cidr, out _)
            ? cidr
            : throw Faults.Invalid("allowed_address_pairs", $"'{Checks.Shown(pair.IpAddress)}' is not an IP address or CIDR"),
        pair.MacAddress.Length == 0 ? null : Checks.Mac("allowed_address_pairs", pair.MacAddress)))];

    private static IReadOnlyList<DhcpOption> ToOptions(IEnumerable<Wire.DhcpOption> options) =>
        [.. options.Select(option => new DhcpOption(option.Name, option.Value, option.IpVersion == 0 ? 4 : option.IpVersion))];
}
