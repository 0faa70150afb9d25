using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.Addressing;
using Nephos.Networking.Ports;
using Nephos.Networking.Quotas;
using Nephos.Networking.State;
using Nephos.Networking.Subnets;

namespace Nephos.Networking.FloatingIps;

internal sealed record NewFloatingIp
{
    public string ProjectId { get; init; } = "";

    public string Description { get; init; } = "";

    public required string NetworkId { get; init; }

    /// <summary>Null: any.</summary>
    public string? SubnetId { get; init; }

    /// <summary>Null: any.</summary>
    public IpAddress? Address { get; init; }

    /// <summary>Null: leads nowhere yet.</summary>
    public string? PortId { get; init; }

    /// <summary>Null: the only IPv4 address of the port.</summary>
    public IpAddress? FixedAddress { get; init; }

    public IReadOnlyList<string> Tags { get; init; } = [];

    public string? IdempotencyKey { get; init; }
}

internal sealed record FloatingIpChanges
{
    public Optional<string> Description { get; init; }

    /// <summary>Null dissociates.</summary>
    public Optional<string?> PortId { get; init; }

    public IpAddress? FixedAddress { get; init; }

    public Optional<IReadOnlyList<string>> Tags { get; init; }
}

internal sealed class FloatingIpService(
    NetworkStore store, PortWriter ports, AddressAllocator addresses, QuotaService quotas, TimeProvider time)
{
    public Task<FloatingIp> CreateAsync(OperationContext operation, NewFloatingIp request, CancellationToken cancellationToken)
    {
        var projectId = operation.ProjectFor(request.ProjectId);
        operation.RequirePrivileged(request.Address is not null, "create_floatingip:floating_ip_address");
        if (request.PortId is null && request.FixedAddress is not null)
        {
            throw NetworkFaults.Bad("floatingip", "fixed_ip_address cannot be specified without a port_id");
        }

        return store.ChangeAsync(
            projectId,
            async transaction =>
            {
                var now = time.GetUtcNow();
                var network = await transaction.VisibleNetworkAsync(operation, request.NetworkId, cancellationToken);
                if (!operation.MayLeaveBy(network))
                {
                    throw NetworkFaults.Bad("floatingip", $"Network {network.Id} is not a valid external network.");
                }

                var id = Ids.NewUuid();
                var key = Checks.RequestKey(request.IdempotencyKey);
                if (key is not null && await transaction.FindAsync(
                        Tables.FloatingIps, Tables.ByRequest, Tables.RequestKey(projectId, key), cancellationToken) is { } earlier)
                {
                    return earlier;
                }

                var holder = await HolderAsync(transaction, id, network, request, now, cancellationToken);
                var address = holder.FixedIps[0].Address;
                var ip = new FloatingIp
                {
                    Id = id,
                    ProjectId = projectId,
                    Description = Checks.Description(request.Description),
                    FloatingNetworkId = network.Id,
                    Address = address,
                    HolderPortId = holder.Id,
                    Tags = Checks.Tags(request.Tags),
                    CreatedAt = now,
                    UpdatedAt = now,
                    IdempotencyKey = key,
                };
                if (request.PortId is { } portId)
                {
                    ip = ip with { Target = await TargetAsync(transaction, operation, ip, portId, request.FixedAddress, cancellationToken) };
                }

                await quotas.CountAsync(transaction, projectId, QuotaResources.FloatingIp, 1, cancellationToken);
                await ports.InsertAsync(transaction, holder, cancellationToken);
                transaction.Insert(Tables.FloatingIps, ip);
                return ip;
            },
            cancellationToken);
    }

    public Task<FloatingIp> UpdateAsync(
        OperationContext operation, string id, FloatingIpChanges changes, CancellationToken cancellationToken) =>
        store.ChangeAsync(
            operation.ProjectId ?? "",
            async transaction =>
            {
                var before = await GetOwnAsync(transaction, operation, id, "update_floatingip", cancellationToken);
                var portId = changes.PortId.IsSet ? changes.PortId.Value : before.Target?.PortId;
                if (string.IsNullOrEmpty(portId) && changes.FixedAddress is not null)
                {
                    throw NetworkFaults.Bad("floatingip", "fixed_ip_address cannot be specified without a port_id");
                }

                if (before.PortForwardings.Count > 0 && changes.PortId.IsSet)
                {
                    throw NetworkFaults.FloatingIpForwards(id);
                }

                var target = before.Target;
                if (string.IsNullOrEmpty(portId))
                {
                    target = null;
                }
                else if (changes.PortId.IsSet || changes.FixedAddress is not null)
                {
                    target = await TargetAsync(transaction, operation, before, portId, changes.FixedAddress, cancellationToken);
                }

                var after = before with
                {
                    Description = Checks.Description(changes.Description.Or(before.Description)),
                    Target = target,
                    Tags = changes.Tags.IsSet ? Checks.Tags(changes.Tags.Value) : before.Tags,
                    UpdatedAt = time.GetUtcNow(),
                    Revision = before.Revision + 1,
                };
                transaction.Put(Tables.FloatingIps, after);
                return after;
            },
            cancellationToken);

    public Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        store.ChangeAsync(
            operation.ProjectId ?? "",
            async transaction =>
            {
                var ip = await GetOwnAsync(transaction, operation, id, "delete_floatingip", cancellationToken);
                if (ip.PortForwardings.Count > 0)
                {
                    throw NetworkFaults.FloatingIpForwards(id);
                }

                if (await transaction.GetAsync(Tables.Ports, ip.HolderPortId, cancellationToken) is { } holder)
                {
                    await ports.DeleteAsync(transaction, holder, cancellationToken);
                }

                transaction.Delete(Tables.FloatingIps, id);
                transaction.Delete(Tables.Wired, id);
                await quotas.CountAsync(transaction, ip.ProjectId, QuotaResources.FloatingIp, -1, cancellationToken);
                return true;
            },
            cancellationToken);

    // The address is held by a port of its own, so that no other port can get it.
    private async Task<Port> HolderAsync(
        StateTransaction transaction, string id, Networks.Network network, NewFloatingIp request, DateTimeOffset now,
        CancellationToken cancellationToken)
    {
        var subnets = (await transaction.ListByAsync(Tables.Subnets, Tables.ByNetwork, network.Id, cancellationToken))
            .Where(subnet => subnet.IpVersion == 4).ToList();
        if (subnets.Count == 0)
        {
            throw NetworkFaults.Bad("floatingip", $"Network {network.Id} does not contain any IPv4 subnet");
        }

        if (request.SubnetId is { } subnetId && subnets.All(subnet => subnet.Id != subnetId))
        {
            throw NetworkFaults.Bad("floatingip", $"Subnet {Checks.Shown(subnetId)} is not an IPv4 subnet of network {network.Id}");
        }

        IReadOnlyList<WantedAddress>? wanted =
            request.SubnetId is null && request.Address is null ? null : [new WantedAddress(request.SubnetId, request.Address)];
        var mac = await ports.ChooseMacAsync(transaction, network.Id, cancellationToken);
        var holderId = Ids.NewUuid();
        return new Port
        {
            Id = holderId,
            ProjectId = "",
            NetworkId = network.Id,
            MacAddress = mac,
            FixedIps = await addresses.AllocateAsync(
                transaction,
                new AddressRequest(holderId, network, subnets, wanted, mac, DeviceOwners.FloatingIp, []),
                cancellationToken),
            DeviceId = id,
            DeviceOwner = DeviceOwners.FloatingIp,
            PortSecurityEnabled = false,
            CreatedAt = now,
            UpdatedAt = now,
        };
    }

    private static async Task<FloatingTarget> TargetAsync(
        StateTransaction transaction, OperationContext operation, FloatingIp ip, string portId, IpAddress? wanted,
        CancellationToken cancellationToken)
    {
        var port = await transaction.ByIdAsync(Tables.Ports, portId, cancellationToken);
        if (port is null || !operation.Owns(port.ProjectId))
        {
            throw NetworkFaults.PortNotFound(Checks.Shown(portId));
        }

        if (port.ProjectId != ip.ProjectId && !operation.IsPrivileged())
        {
            throw NetworkFaults.Bad("floatingip", $"Port {portId} is associated with a different tenant than Floating IP {ip.Id} and therefore cannot be bound.");
        }

        var fixedIp = FixedIpOf(port, wanted);
        var routerId = await RouterForAsync(transaction, port, fixedIp, ip.FloatingNetworkId, cancellationToken)
            ?? throw NetworkFaults.NotReachable(ip.FloatingNetworkId, fixedIp.SubnetId, portId);
        var key = Tables.TargetKey(portId, fixedIp.Address, ip.FloatingNetworkId);
        if (await transaction.FindAsync(Tables.FloatingIps, Tables.ByTarget, key, cancellationToken) is { } other && other.Id != ip.Id)
        {
            throw NetworkFaults.AlreadyAssociated(ip.Address, portId, fixedIp.Address, ip.FloatingNetworkId);
        }

        var forwarding = (await transaction.ListByAsync(Tables.FloatingIps, Tables.ByPort, portId, cancellationToken))
            .FirstOrDefault(other => other.PortForwardings.Any(one => one.PortId == portId && one.FixedAddress == fixedIp.Address));
        if (forwarding is not null)
        {
            throw NetworkFaults.PortForwards(portId, forwarding.Id);
        }

        return new FloatingTarget(portId, fixedIp.Address, routerId);
    }

    public static FixedIp FixedIpOf(Port port, IpAddress? wanted)
    {
        if (wanted is { } address)
        {
            return port.FixedIps.FirstOrDefault(ip => ip.Address == address && address.Version == 4)
                ?? throw NetworkFaults.Bad("floatingip", $"Port {port.Id} does not have fixed ip {address}");
        }

        var candidates = port.FixedIps.Where(ip => ip.Address.Version == 4).ToList();
        return candidates.Count switch
        {
            1 => candidates[0],
            0 => throw NetworkFaults.Bad("floatingip", $"Cannot add floating IP to port {port.Id} that has no fixed IPv4 addresses"),
            _ => throw NetworkFaults.Bad("floatingip",
                $"Port {port.Id} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a floating IP"),
        };
    }

    // The router with an interface on the subnet and its gateway on the external network; best the one that is the subnet's gateway.
    public static async Task<string?> RouterForAsync(
        StateTransaction transaction, Port port, FixedIp fixedIp, string externalNetworkId, CancellationToken cancellationToken)
    {
        var subnet = await transaction.GetAsync(Tables.Subnets, fixedIp.SubnetId, cancellationToken);
        var interfaces = (await transaction.ListByAsync(Tables.Ports, Tables.BySubnet, fixedIp.SubnetId, cancellationToken))
            .Where(other => other.DeviceOwner == DeviceOwners.RouterInterface && other.NetworkId == port.NetworkId)
            .OrderByDescending(other => other.FixedIps.Any(ip => ip.Address == subnet?.GatewayIp));
        foreach (var candidate in interfaces)
        {
            var router = await transaction.GetAsync(Tables.Routers, candidate.DeviceId, cancellationToken);
            if (router?.Gateway?.NetworkId == externalNetworkId)
            {
                // Read so that an interface that is removed meanwhile makes this transaction lose.
                await transaction.GetAsync(Tables.Ports, candidate.Id, cancellationToken);
                return router.Id;
            }
        }

        return null;
    }

    public static async Task<FloatingIp> GetOwnAsync(
        StateTransaction transaction, OperationContext operation, string id, string action, CancellationToken cancellationToken)
    {
        if (await transaction.ByIdAsync(Tables.FloatingIps, id, cancellationToken) is not { } ip || !operation.Owns(ip.ProjectId))
        {
            throw NetworkFaults.FloatingIpNotFound(Checks.Shown(id));
        }

        operation.RequireMember(action);
        return ip;
    }
}
