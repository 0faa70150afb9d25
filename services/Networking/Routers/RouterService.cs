using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.Addressing;
using Nephos.Networking.Ports;
using Nephos.Networking.Quotas;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;
using Nephos.Networking.Subnets;

namespace Nephos.Networking.Routers;

internal sealed class RouterService(
    NetworkStore store, PortWriter ports, AddressAllocator addresses, QuotaService quotas, RouterPlacer placer, TimeProvider time)
{
    public const int MaxRoutes = 30;

    public async Task<Router> CreateAsync(OperationContext operation, NewRouter request, CancellationToken cancellationToken)
    {
        var projectId = operation.ProjectFor(request.ProjectId);
        CheckGatewayRights(operation, request.Gateway);
        var now = time.GetUtcNow();
        var draft = new Router
        {
            Id = Ids.NewUuid(),
            ProjectId = projectId,
            Name = Checks.Name(request.Name),
            Description = Checks.Description(request.Description),
            AdminStateUp = request.AdminStateUp,
            Tags = Checks.Tags(request.Tags),
            CreatedAt = now,
            UpdatedAt = now,
            IdempotencyKey = Checks.RequestKey(request.IdempotencyKey),
        };
        var router = await store.CreateAsync(
            Tables.Routers, draft,
            async transaction =>
            {
                await quotas.CountAsync(transaction, projectId, QuotaResources.Router, 1, cancellationToken);
                var made = request.Gateway is { } gateway
                    ? draft with { Gateway = await PlugGatewayAsync(transaction, operation, draft, gateway, [], cancellationToken) }
                    : draft;
                return made;
            },
            cancellationToken);
        placer.Nudge();
        return router;
    }

    public async Task<Router> UpdateAsync(OperationContext operation, string id, RouterChanges changes, CancellationToken cancellationToken)
    {
        var router = await store.ChangeAsync(
            operation.ProjectId ?? "",
            async transaction =>
            {
                var before = await GetOwnAsync(transaction, operation, id, "update_router", cancellationToken);
                var interfaces = await InterfacesAsync(transaction, id, cancellationToken);
                var after = Touch(before) with
                {
                    Name = Checks.Name(changes.Name.Or(before.Name)),
                    Description = Checks.Description(changes.Description.Or(before.Description)),
                    AdminStateUp = changes.AdminStateUp.Or(before.AdminStateUp),
                    Gateway = changes.Gateway.IsSet
                        ? await ReplaceGatewayAsync(transaction, operation, before, changes.Gateway.Value, interfaces, cancellationToken)
                        : before.Gateway,
                    Routes = changes.Routes.Or(before.Routes),
                    Tags = changes.Tags.IsSet ? Checks.Tags(changes.Tags.Value) : before.Tags,
                };
                if (changes.Routes.IsSet)
                {
                    await CheckRoutesAsync(transaction, after, interfaces, cancellationToken);
                }

                transaction.Put(Tables.Routers, after);
                return after;
            },
            cancellationToken);
        placer.Nudge();
        return router;
    }

    public Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        store.ChangeAsync(
            operation.ProjectId ?? "",
            async transaction =>
            {
                var router = await GetOwnAsync(transaction, operation, id, "delete_router", cancellationToken);
                var interfaces = await InterfacesAsync(transaction, id, cancellationToken);
                if (interfaces.Count > 0)
                {
                    throw NetworkFaults.RouterInUse(id, string.Join(",", interfaces.Select(port => port.Id)));
                }

                await UnplugGatewayAsync(transaction, router, cancellationToken);
                transaction.Delete(Tables.Routers, id);
                transaction.Delete(Tables.RouterPlacements, id);
                transaction.Delete(Tables.Wired, id);
                await quotas.CountAsync(transaction, router.ProjectId, QuotaResources.Router, -1, cancellationToken);
                return true;
            },
            cancellationToken);

    /// <summary>Plugs the router into a subnet, by its gateway address, or takes over a port.</summary>
    public Task<RouterInterface> AddInterfaceAsync(
        OperationContext operation, string id, string? subnetId, string? portId, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(subnetId) == string.IsNullOrEmpty(portId))
        {
            throw NetworkFaults.Bad("router", string.IsNullOrEmpty(subnetId)
                ? "Either subnet_id or port_id must be specified."
                : "Cannot specify both subnet-id and port-id.");
        }

        return store.ChangeAsync(
            operation.ProjectId ?? "",
            async transaction =>
            {
                var router = await GetOwnAsync(transaction, operation, id, "add_router_interface", cancellationToken);
                var interfaces = await InterfacesAsync(transaction, id, cancellationToken);
                var added = string.IsNullOrEmpty(portId)
                    ? await PlugSubnetAsync(transaction, operation, router, interfaces, subnetId!, cancellationToken)
                    : await PlugPortAsync(transaction, operation, router, interfaces, portId, cancellationToken);

                // The change of the router makes two interfaces that are added at once see each other.
                var after = Touch(router);
                transaction.Put(Tables.Routers, after);
                return added with { Router = after };
            },
            cancellationToken);
    }

    public Task<RouterInterface> RemoveInterfaceAsync(
        OperationContext operation, string id, string? subnetId, string? portId, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(subnetId) && string.IsNullOrEmpty(portId))
        {
            throw NetworkFaults.Bad("router", "Either subnet_id or port_id must be specified.");
        }

        return store.ChangeAsync(
            operation.ProjectId ?? "",
            async transaction =>
            {
                var router = await GetOwnAsync(transaction, operation, id, "remove_router_interface", cancellationToken);
                var interfaces = await InterfacesAsync(transaction, id, cancellationToken);
                var port = string.IsNullOrEmpty(portId)
                    ? interfaces.FirstOrDefault(port => port.FixedIps.Any(ip => ip.SubnetId == subnetId))
                        ?? throw NetworkFaults.InterfaceNotFoundForSubnet(id, Checks.Shown(subnetId))
                    : interfaces.FirstOrDefault(port => port.Id == portId)
                        ?? throw NetworkFaults.InterfaceNotFound(id, Checks.Shown(portId));
                if (!string.IsNullOrEmpty(subnetId) && port.FixedIps.All(ip => ip.SubnetId != subnetId))
                {
                    throw NetworkFaults.Bad("router", $"Subnet {Checks.Shown(subnetId)} does not match port {port.Id}.");
                }

                var removed = string.IsNullOrEmpty(portId)
                    ? [subnetId!]
                    : port.FixedIps.Select(ip => ip.SubnetId).Distinct().ToArray();
                await RequireUnusedAsync(transaction, router, interfaces, removed, cancellationToken);
                var left = port.FixedIps.Where(ip => !removed.Contains(ip.SubnetId)).ToArray();
                if (left.Length == 0)
                {
                    await ports.DeleteAsync(transaction, port, cancellationToken);
                }
                else
                {
                    transaction.Put(Tables.Ports, port with { FixedIps = left, UpdatedAt = time.GetUtcNow(), Revision = port.Revision + 1 });
                }

                var after = Touch(router);
                transaction.Put(Tables.Routers, after);
                return new RouterInterface(after, port, removed);
            },
            cancellationToken);
    }

    private Router Touch(Router router) => router with { UpdatedAt = time.GetUtcNow(), Revision = router.Revision + 1 };

    private async Task<RouterInterface> PlugSubnetAsync(
        StateTransaction transaction, OperationContext operation, Router router, IReadOnlyList<Port> interfaces, string subnetId,
        CancellationToken cancellationToken)
    {
        var subnet = await transaction.ByIdAsync(Tables.Subnets, subnetId, cancellationToken);
        var network = subnet is null ? null : await transaction.GetAsync(Tables.Networks, subnet.NetworkId, cancellationToken);
        if (subnet is null || network is null || !(operation.Sees((SharedResource)network) || operation.Owns(subnet.ProjectId)))
        {
            throw NetworkFaults.SubnetNotFound(Checks.Shown(subnetId));
        }

        if (subnet.GatewayIp is not { } gateway)
        {
            throw NetworkFaults.Bad("router", "Subnet for router interface must have a gateway IP");
        }

        await RequireDisjointAsync(transaction, router, interfaces, [subnet], cancellationToken);
        if (subnet.IpVersion == 6 && await Ipv6InterfaceAsync(transaction, interfaces, network.Id, cancellationToken) is { } existing)
        {
            // IPv6 subnets of one network share an interface.
            var holder = await transaction.FindAsync(Tables.Ports, Tables.ByAddress, Tables.AddressKey(subnet.Id, gateway), cancellationToken);
            if (holder is not null)
            {
                throw NetworkFaults.AddressTaken(gateway, subnet.Id);
            }

            var grown = existing with
            {
                FixedIps = [.. existing.FixedIps, new FixedIp(subnet.Id, gateway)],
                UpdatedAt = time.GetUtcNow(),
                Revision = existing.Revision + 1,
            };
            transaction.Put(Tables.Ports, grown);
            return new RouterInterface(router, grown, [subnet.Id]);
        }

        var port = await NewPortAsync(transaction, router, network, DeviceOwners.RouterInterface, router.ProjectId, cancellationToken);
        var request = new AddressRequest(
            port.Id, network, [subnet], [new WantedAddress(subnet.Id, gateway)], port.MacAddress, port.DeviceOwner, []);
        port = port with { FixedIps = await addresses.AllocateAsync(transaction, request, cancellationToken) };
        await ports.InsertAsync(transaction, port, cancellationToken);
        return new RouterInterface(router, port, [subnet.Id]);
    }

    private async Task<RouterInterface> PlugPortAsync(
        StateTransaction transaction, OperationContext operation, Router router, IReadOnlyList<Port> interfaces, string portId,
        CancellationToken cancellationToken)
    {
        var port = await transaction.ByIdAsync(Tables.Ports, portId, cancellationToken);
        if (port is null || !operation.Owns(port.ProjectId))
        {
            throw NetworkFaults.PortNotFound(Checks.Shown(portId));
        }

        if (port.DeviceId.Length > 0 || port.HostName.Length > 0)
        {
            throw NetworkFaults.PortInUse(port.Id, port.NetworkId, port.DeviceId);
        }

        if (port.FixedIps.Count == 0)
        {
            throw NetworkFaults.Bad("router", "Router port must have at least one fixed IP");
        }

        var subnets = new List<Subnet>();
        foreach (var ip in port.FixedIps)
        {
            if (await transaction.GetAsync(Tables.Subnets, ip.SubnetId, cancellationToken) is { } subnet)
            {
                subnets.Add(subnet);
            }
        }

        if (subnets.Count(subnet => subnet.IpVersion == 4) > 1)
        {
            throw NetworkFaults.Bad("router", "Cannot have multiple IPv4 subnets on router port");
        }

        await RequireDisjointAsync(transaction, router, interfaces, subnets, cancellationToken);
        var taken = port with
        {
            DeviceId = router.Id,
            DeviceOwner = DeviceOwners.RouterInterface,
            UpdatedAt = time.GetUtcNow(),
            Revision = port.Revision + 1,
        };
        transaction.Put(Tables.Ports, taken);
        return new RouterInterface(router, taken, [.. subnets.Select(subnet => subnet.Id)]);
    }

    private static async Task<Port?> Ipv6InterfaceAsync(
        StateTransaction transaction, IReadOnlyList<Port> interfaces, string networkId, CancellationToken cancellationToken)
    {
        foreach (var port in interfaces.Where(port => port.NetworkId == networkId))
        {
            if (port.FixedIps.Count > 0 && port.FixedIps[0].Address.Version == 6)
            {
                return await transaction.GetAsync(Tables.Ports, port.Id, cancellationToken);
            }
        }

        return null;
    }

    private async Task<Port> NewPortAsync(
        StateTransaction transaction, Router router, Networks.Network network, string deviceOwner, string projectId,
        CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        return new Port
        {
            Id = Ids.NewUuid(),
            ProjectId = projectId,
            NetworkId = network.Id,
            MacAddress = await ports.ChooseMacAsync(transaction, network.Id, cancellationToken),
            DeviceId = router.Id,
            DeviceOwner = deviceOwner,
            PortSecurityEnabled = false,
            CreatedAt = now,
            UpdatedAt = now,
        };
    }

    private static void CheckGatewayRights(OperationContext operation, NewGateway? gateway) => operation.RequirePrivileged(
        gateway?.EnableSnat is not null || gateway?.FixedIps is { Count: > 0 }, "external_gateway_info:enable_snat or external_fixed_ips");

    private async Task<Gateway?> ReplaceGatewayAsync(
        StateTransaction transaction, OperationContext operation, Router router, NewGateway? wanted, IReadOnlyList<Port> interfaces,
        CancellationToken cancellationToken)
    {
        CheckGatewayRights(operation, wanted);
        if (wanted is not null && router.Gateway is { } current && current.NetworkId == wanted.NetworkId && wanted.FixedIps is null)
        {
            return current with { EnableSnat = wanted.EnableSnat ?? current.EnableSnat };
        }

        if (router.Gateway is { } old && old.NetworkId != wanted?.NetworkId)
        {
            var users = await transaction.ListByAsync(Tables.FloatingIps, Tables.ByRouter, router.Id, cancellationToken);
            if (users.Count > 0)
            {
                throw NetworkFaults.GatewayInUseByFloatingIp(router.Id, old.NetworkId);
            }
        }

        await UnplugGatewayAsync(transaction, router, cancellationToken);
        return wanted is null ? null : await PlugGatewayAsync(transaction, operation, router, wanted, interfaces, cancellationToken);
    }

    private async Task<Gateway> PlugGatewayAsync(
        StateTransaction transaction, OperationContext operation, Router router, NewGateway wanted, IReadOnlyList<Port> interfaces,
        CancellationToken cancellationToken)
    {
        var network = await transaction.VisibleNetworkAsync(operation, wanted.NetworkId, cancellationToken);
        if (!operation.MayLeaveBy(network))
        {
            throw NetworkFaults.Bad("router", $"Network {network.Id} is not an external network.");
        }

        var subnets = await transaction.ListByAsync(Tables.Subnets, Tables.ByNetwork, network.Id, cancellationToken);
        foreach (var ip in interfaces.SelectMany(port => port.FixedIps))
        {
            if (await transaction.GetAsync(Tables.Subnets, ip.SubnetId, cancellationToken) is { } inside &&
                subnets.FirstOrDefault(subnet => subnet.Cidr.Overlaps(inside.Cidr)) is { } outside)
            {
                throw NetworkFaults.Bad("router",
                    $"Cidr {outside.Cidr} of subnet {outside.Id} overlaps with cidr {inside.Cidr} of subnet {inside.Id}.");
            }
        }

        var port = await NewPortAsync(transaction, router, network, DeviceOwners.RouterGateway, "", cancellationToken);
        var request = new AddressRequest(port.Id, network, subnets, wanted.FixedIps, port.MacAddress, port.DeviceOwner, []);
        port = port with { FixedIps = await addresses.AllocateAsync(transaction, request, cancellationToken) };
        await ports.InsertAsync(transaction, port, cancellationToken);
        return new Gateway(network.Id, port.Id, wanted.EnableSnat ?? true);
    }

    private async Task UnplugGatewayAsync(StateTransaction transaction, Router router, CancellationToken cancellationToken)
    {
        if (router.Gateway is { } gateway && await transaction.GetAsync(Tables.Ports, gateway.PortId, cancellationToken) is { } port)
        {
            await ports.DeleteAsync(transaction, port, cancellationToken);
        }
    }

    private static async Task RequireDisjointAsync(
        StateTransaction transaction, Router router, IReadOnlyList<Port> interfaces, IReadOnlyList<Subnet> added,
        CancellationToken cancellationToken)
    {
        var gateway = router.Gateway is { } outside ? await transaction.GetAsync(Tables.Ports, outside.PortId, cancellationToken) : null;
        foreach (var ip in interfaces.Append(gateway).OfType<Port>().SelectMany(port => port.FixedIps))
        {
            foreach (var subnet in added)
            {
                if (ip.SubnetId == subnet.Id)
                {
                    throw NetworkFaults.Bad("router", $"Router already has a port on subnet {subnet.Id}.");
                }

                if (await transaction.GetAsync(Tables.Subnets, ip.SubnetId, cancellationToken) is { } connected &&
                    connected.Cidr.Overlaps(subnet.Cidr))
                {
                    throw NetworkFaults.Bad("router",
                        $"Cidr {subnet.Cidr} of subnet {subnet.Id} overlaps with cidr {connected.Cidr} of subnet {connected.Id}.");
                }
            }
        }
    }

    private static async Task RequireUnusedAsync(
        StateTransaction transaction, Router router, IReadOnlyList<Port> interfaces, IReadOnlyList<string> subnetIds,
        CancellationToken cancellationToken)
    {
        var floating = await transaction.ListByAsync(Tables.FloatingIps, Tables.ByRouter, router.Id, cancellationToken);
        foreach (var subnetId in subnetIds)
        {
            if (await transaction.GetAsync(Tables.Subnets, subnetId, cancellationToken) is not { } subnet)
            {
                continue;
            }

            if (floating.SelectMany(ip => ip.Destinations).Any(destination => subnet.Cidr.Contains(destination.FixedAddress)))
            {
                throw NetworkFaults.InterfaceInUseByFloatingIp(router.Id, subnetId);
            }

            if (router.Routes.Any(route => subnet.Cidr.Contains(route.Nexthop)))
            {
                throw NetworkFaults.InterfaceInUseByRoute(router.Id, subnetId);
            }
        }
    }

    private static async Task CheckRoutesAsync(
        StateTransaction transaction, Router router, IReadOnlyList<Port> interfaces, CancellationToken cancellationToken)
    {
        if (router.Routes.Count > MaxRoutes)
        {
            throw NetworkFaults.BadRoutes($"a router has at most {MaxRoutes} routes");
        }

        if (router.Routes.Distinct().Count() != router.Routes.Count)
        {
            throw NetworkFaults.BadRoutes("a route is in the list twice");
        }

        var gateway = router.Gateway is { } outside ? await transaction.GetAsync(Tables.Ports, outside.PortId, cancellationToken) : null;
        var own = interfaces.Append(gateway).OfType<Port>().SelectMany(port => port.FixedIps).ToList();
        var connected = new List<Cidr>();
        foreach (var subnetId in own.Select(ip => ip.SubnetId).Distinct())
        {
            if (await transaction.GetAsync(Tables.Subnets, subnetId, cancellationToken) is { } subnet)
            {
                connected.Add(subnet.Cidr);
            }
        }

        foreach (var route in router.Routes)
        {
            if (route.Destination.Version != route.Nexthop.Version)
            {
                throw NetworkFaults.BadRoutes($"destination {route.Destination} and nexthop {route.Nexthop} are of different IP versions");
            }

            if (!connected.Any(cidr => cidr.Contains(route.Nexthop)))
            {
                throw NetworkFaults.BadRoutes($"the nexthop {route.Nexthop} is not connected with router");
            }

            if (own.Any(ip => ip.Address == route.Nexthop))
            {
                throw NetworkFaults.BadRoutes($"the nexthop {route.Nexthop} is used by router");
            }
        }
    }

    private static async Task<IReadOnlyList<Port>> InterfacesAsync(
        StateTransaction transaction, string routerId, CancellationToken cancellationToken) =>
        [.. (await transaction.ListByAsync(Tables.Ports, Tables.ByDevice, routerId, cancellationToken))
            .Where(port => port.DeviceOwner == DeviceOwners.RouterInterface)];

    private static async Task<Router> GetOwnAsync(
        StateTransaction transaction, OperationContext operation, string id, string action, CancellationToken cancellationToken)
    {
        if (await transaction.ByIdAsync(Tables.Routers, id, cancellationToken) is not { } router || !operation.Owns(router.ProjectId))
        {
            throw NetworkFaults.RouterNotFound(Checks.Shown(id));
        }

        operation.RequireMember(action);
        return router;
    }
}
