using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.Networks;
using Nephos.Networking.Qos;
using Nephos.Networking.SecurityGroups;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Networking.Ports;

internal sealed class PortService(
    NetworkStore store, PortWriter writer, AddressAllocator addresses, DefaultGroups defaultGroups, TimeProvider time)
{
    public async Task<Port> CreateAsync(OperationContext operation, NewPort request, CancellationToken cancellationToken) =>
        (await CreateAsync(operation, [request], cancellationToken))[0];

    /// <summary>All or none.</summary>
    public async Task<IReadOnlyList<Port>> CreateAsync(
        OperationContext operation, IReadOnlyList<NewPort> requests, CancellationToken cancellationToken)
    {
        Checks.Bulk("ports", requests, Checks.MaxPerRequest);
        var projects = requests.Select(request => operation.ProjectFor(request.ProjectId)).ToList();
        for (var i = 0; i < requests.Count; i++)
        {
            CheckOwner(requests[i].DeviceOwner);
            if (requests[i].SecurityGroups is null)
            {
                await defaultGroups.EnsureAsync(projects[i], cancellationToken);
            }
        }

        return await store.ChangeAsync<IReadOnlyList<Port>>(
            projects[0],
            async transaction =>
            {
                var ports = new List<Port>(requests.Count);
                for (var i = 0; i < requests.Count; i++)
                {
                    ports.Add(await InsertAsync(transaction, operation, requests[i], projects[i], cancellationToken));
                }

                return ports;
            },
            cancellationToken);
    }

    public Task<Port> UpdateAsync(OperationContext operation, string id, PortChanges changes, CancellationToken cancellationToken) =>
        store.ChangeAsync(
            operation.ProjectId ?? "",
            async transaction =>
            {
                var (before, network) = await GetOwnAsync(transaction, operation, id, "update_port", cancellationToken);
                CheckRights(operation, network, before, changes);
                var after = PortRules.Check(before with
                {
                    Name = changes.Name.Or(before.Name),
                    Description = changes.Description.Or(before.Description),
                    MacAddress = changes.MacAddress.IsSet ? Checks.Mac("mac_address", changes.MacAddress.Value) : before.MacAddress,
                    AdminStateUp = changes.AdminStateUp.Or(before.AdminStateUp),
                    DeviceId = changes.DeviceId.Or(before.DeviceId),
                    DeviceOwner = changes.DeviceOwner.Or(before.DeviceOwner),
                    SecurityGroupIds = changes.SecurityGroups.IsSet
                        ? await GroupsAsync(transaction, operation, before.ProjectId, changes.SecurityGroups.Value, cancellationToken)
                        : before.SecurityGroupIds,
                    AllowedAddressPairs = changes.AllowedAddressPairs.Or(before.AllowedAddressPairs),
                    ExtraDhcpOptions = changes.ExtraDhcpOptions.Or(before.ExtraDhcpOptions),
                    PortSecurityEnabled = changes.PortSecurityEnabled.Or(before.PortSecurityEnabled),
                    DnsName = changes.DnsName.Or(before.DnsName),
                    HostName = changes.HostName.Or(before.HostName),
                    BindingEpoch = changes.HostName.IsSet && changes.HostName.Value != before.HostName
                        ? before.BindingEpoch + 1
                        : before.BindingEpoch,
                    VnicType = changes.VnicType.Or(before.VnicType),
                    QosPolicyId = changes.QosPolicyId.IsSet
                        ? await QosService.UsableAsync(transaction, operation, changes.QosPolicyId.Value, cancellationToken)
                        : before.QosPolicyId,
                    Tags = changes.Tags.IsSet ? Checks.Tags(changes.Tags.Value) : before.Tags,
                    UpdatedAt = time.GetUtcNow(),
                    Revision = before.Revision + 1,
                });
                if (changes.FixedIps.IsSet || after.MacAddress != before.MacAddress)
                {
                    after = after with
                    {
                        FixedIps = await ReallocateAsync(transaction, network, before, after, changes, cancellationToken),
                    };
                    await writer.DissociateAsync(
                        transaction, id, address => after.FixedIps.All(left => left.Address != address), cancellationToken);
                }

                transaction.Put(Tables.Ports, after);
                return after;
            },
            cancellationToken);

    public Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        store.ChangeAsync(
            operation.ProjectId ?? "",
            async transaction =>
            {
                var (port, _) = await GetOwnAsync(transaction, operation, id, "delete_port", cancellationToken);
                if (DeviceOwners.IsReserved(port.DeviceOwner))
                {
                    throw NetworkFaults.ServicePortInUse(id, port.DeviceOwner);
                }

                await writer.DeleteAsync(transaction, port, cancellationToken);
                return true;
            },
            cancellationToken);

    /// <summary>Gives a port to a device on a node. Repeating it changes nothing.</summary>
    /// <exception cref="FaultException">Aborted: it was bound with a higher epoch. PortInUse: it belongs to another device.</exception>
    public Task<Port> BindAsync(
        OperationContext operation, string id, string hostName, long epoch, string? deviceId, string? deviceOwner,
        CancellationToken cancellationToken)
    {
        RequireBinder(operation);
        if (hostName.Length == 0)
        {
            throw Faults.Invalid("host_name", "must not be empty");
        }

        CheckOwner(deviceOwner ?? "");
        return store.ChangeAsync(
            operation.ProjectId ?? "",
            async transaction =>
            {
                var (before, _) = await GetOwnAsync(transaction, operation, id, "bind_port", cancellationToken);
                if (DeviceOwners.IsReserved(before.DeviceOwner) ||
                    (deviceId is { Length: > 0 } && before.DeviceId.Length > 0 && before.DeviceId != deviceId))
                {
                    throw NetworkFaults.PortInUse(id, before.NetworkId, before.DeviceId);
                }

                if (epoch < before.BindingEpoch)
                {
                    throw Faults.Aborted($"Port {id} was bound with epoch {before.BindingEpoch}, which is above {epoch}.");
                }

                var after = PortRules.Check(before with
                {
                    HostName = hostName,
                    BindingEpoch = epoch,
                    DeviceId = deviceId ?? before.DeviceId,
                    DeviceOwner = deviceOwner ?? before.DeviceOwner,
                });
                return Put(transaction, before, after);
            },
            cancellationToken);
    }

    /// <summary>Takes a port off its node. Repeating it changes nothing.</summary>
    /// <param name="releaseDevice">Also takes it off its device.</param>
    public Task<Port> UnbindAsync(
        OperationContext operation, string id, long epoch, bool releaseDevice, CancellationToken cancellationToken)
    {
        RequireBinder(operation);
        return store.ChangeAsync(
            operation.ProjectId ?? "",
            async transaction =>
            {
                var (before, _) = await GetOwnAsync(transaction, operation, id, "unbind_port", cancellationToken);
                if (epoch < before.BindingEpoch || DeviceOwners.IsReserved(before.DeviceOwner))
                {
                    return before;
                }

                var after = before with
                {
                    HostName = "",
                    BindingEpoch = epoch,
                    DeviceId = releaseDevice ? "" : before.DeviceId,
                    DeviceOwner = releaseDevice ? "" : before.DeviceOwner,
                };
                return Put(transaction, before, after);
            },
            cancellationToken);
    }

    private Port Put(StateTransaction transaction, Port before, Port after)
    {
        if (before == after)
        {
            return before;
        }

        after = after with { UpdatedAt = time.GetUtcNow(), Revision = before.Revision + 1 };
        transaction.Put(Tables.Ports, after);
        return after;
    }

    private async Task<Port> InsertAsync(
        StateTransaction transaction, OperationContext operation, NewPort request, string projectId, CancellationToken cancellationToken)
    {
        var network = await transaction.VisibleNetworkAsync(operation, request.NetworkId, cancellationToken);
        var isOwner = operation.Owns(network.ProjectId);
        if (!operation.Sees((SharedResource)network))
        {
            throw Faults.Forbidden("create_port on an external network that is not shared");
        }

        if (!isOwner && (request.MacAddress is not null || request.PortSecurityEnabled is not null || request.AllowedAddressPairs.Count > 0 ||
                request.FixedIps?.Any(ip => ip.Address is not null) == true))
        {
            throw Faults.Forbidden("create_port with addresses or port security on a network of another project");
        }

        if (!operation.MayBind() && (request.HostName.Length > 0 || request.BindingEpoch != 0))
        {
            throw Faults.Forbidden("create_port:binding:host_id");
        }

        var isService = request.DeviceOwner.StartsWith(DeviceOwners.Prefix, StringComparison.Ordinal);
        var portSecurity = request.PortSecurityEnabled ?? (network.PortSecurityEnabled && !isService);
        var now = time.GetUtcNow();
        var port = PortRules.Check(new Port
        {
            Id = Ids.NewUuid(),
            ProjectId = projectId,
            NetworkId = network.Id,
            Name = request.Name,
            Description = request.Description,
            MacAddress = request.MacAddress is { } given
                ? Checks.Mac("mac_address", given)
                : await writer.ChooseMacAsync(transaction, network.Id, cancellationToken),
            AdminStateUp = request.AdminStateUp,
            DeviceId = request.DeviceId,
            DeviceOwner = request.DeviceOwner,
            SecurityGroupIds = request.SecurityGroups is null
                ? await DefaultGroupsAsync(transaction, projectId, portSecurity && !isService, cancellationToken)
                : await GroupsAsync(transaction, operation, projectId, request.SecurityGroups, cancellationToken),
            AllowedAddressPairs = request.AllowedAddressPairs,
            ExtraDhcpOptions = request.ExtraDhcpOptions,
            PortSecurityEnabled = portSecurity,
            DnsName = request.DnsName,
            HostName = request.HostName,
            BindingEpoch = request.BindingEpoch,
            VnicType = request.VnicType,
            QosPolicyId = await QosService.UsableAsync(transaction, operation, request.QosPolicyId, cancellationToken),
            Tags = Checks.Tags(request.Tags),
            CreatedAt = now,
            UpdatedAt = now,
            IdempotencyKey = Checks.RequestKey(request.IdempotencyKey),
        });
        if (await transaction.EarlierAsync(Tables.Ports, port, cancellationToken) is { } earlier)
        {
            return earlier;
        }

        if (await transaction.FindAsync(Tables.Ports, Tables.ByMac, Tables.MacKey(network.Id, port.MacAddress), cancellationToken) is not null)
        {
            throw NetworkFaults.MacTaken(port.MacAddress, network.Id);
        }

        var subnets = await transaction.ListByAsync(Tables.Subnets, Tables.ByNetwork, network.Id, cancellationToken);
        port = port with
        {
            FixedIps = await addresses.AllocateAsync(
                transaction, new AddressRequest(port.Id, network, subnets, request.FixedIps, port.MacAddress, port.DeviceOwner, []), cancellationToken),
        };
        await writer.InsertAsync(transaction, port, cancellationToken);
        return port;
    }

    private async Task<IReadOnlyList<FixedIp>> ReallocateAsync(
        StateTransaction transaction, Network network, Port before, Port after, PortChanges changes, CancellationToken cancellationToken)
    {
        var subnets = await transaction.ListByAsync(Tables.Subnets, Tables.ByNetwork, network.Id, cancellationToken);

        // Addresses made of the old MAC address are made anew.
        var automatic = subnets.Where(subnet => subnet.HasAutoAddresses).Select(subnet => subnet.Id).ToHashSet();
        var kept = before.MacAddress == after.MacAddress ? before.FixedIps : [.. before.FixedIps.Where(ip => !automatic.Contains(ip.SubnetId))];
        var wanted = changes.FixedIps.IsSet
            ? changes.FixedIps.Value
            : [.. kept.Select(ip => new WantedAddress(ip.SubnetId, ip.Address))];
        return await addresses.AllocateAsync(
            transaction, new AddressRequest(after.Id, network, subnets, wanted, after.MacAddress, after.DeviceOwner, kept), cancellationToken);
    }

    private static async Task<IReadOnlyList<string>> DefaultGroupsAsync(
        StateTransaction transaction, string projectId, bool wanted, CancellationToken cancellationToken) =>
        wanted && await transaction.FindAsync(Tables.SecurityGroups, Tables.ByDefault, projectId, cancellationToken) is { } group ? [group.Id] : [];

    private static async Task<IReadOnlyList<string>> GroupsAsync(
        StateTransaction transaction, OperationContext operation, string projectId, IReadOnlyList<string> named, CancellationToken cancellationToken)
    {
        if (named.Count > PortRules.MaxSecurityGroups)
        {
            throw Faults.Invalid("security_groups", $"must be at most {PortRules.MaxSecurityGroups}");
        }

        var ids = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var name in named)
        {
            var group = await transaction.ByIdAsync(Tables.SecurityGroups, name, cancellationToken);
            if (group is not null && group.ProjectId != projectId && !operation.Sees(group) && !group.Allows(GrantAction.Shared, projectId))
            {
                group = null;
            }

            group ??= await GroupByNameAsync(transaction, projectId, name, cancellationToken);
            ids.Add(group.Id);
        }

        return [.. ids];
    }

    private static async Task<SecurityGroup> GroupByNameAsync(
        StateTransaction transaction, string projectId, string name, CancellationToken cancellationToken)
    {
        if (name == SecurityGroup.DefaultName &&
            await transaction.FindAsync(Tables.SecurityGroups, Tables.ByDefault, projectId, cancellationToken) is { } standard)
        {
            return standard;
        }

        var named = (await transaction.ListByAsync(Tables.SecurityGroups, Tables.ByProject, projectId, cancellationToken))
            .Where(group => group.Name == name).ToList();
        return named.Count switch
        {
            1 => named[0],
            0 => throw NetworkFaults.SecurityGroupNotFound(Checks.Shown(name)),
            _ => throw NetworkFaults.Ambiguous("security group", Checks.Shown(name)),
        };
    }

    private static void CheckRights(OperationContext operation, Network network, Port before, PortChanges changes)
    {
        var isNetworkOwner = operation.Owns(network.ProjectId);
        if (!operation.IsPrivileged() && changes.MacAddress.IsSet && changes.MacAddress.Value != before.MacAddress)
        {
            throw Faults.Forbidden("update_port:mac_address");
        }

        if (!operation.MayBind() && changes.HostName.Or(before.HostName) != before.HostName)
        {
            throw Faults.Forbidden("update_port:binding:host_id");
        }

        if (!isNetworkOwner && (changes.PortSecurityEnabled.Or(before.PortSecurityEnabled) != before.PortSecurityEnabled ||
                changes.AllowedAddressPairs.IsSet ||
                (changes.FixedIps.IsSet && changes.FixedIps.Value.Any(ip => ip.Address is { } address && before.FixedIps.All(has => has.Address != address)))))
        {
            throw Faults.Forbidden("update_port with addresses or port security on a network of another project");
        }

        var owner = changes.DeviceOwner.Or(before.DeviceOwner);
        if (owner != before.DeviceOwner || changes.DeviceId.Or(before.DeviceId) != before.DeviceId)
        {
            CheckOwner(owner);
            if (DeviceOwners.IsReserved(before.DeviceOwner))
            {
                throw NetworkFaults.PortInUse(before.Id, before.NetworkId, before.DeviceId);
            }
        }

        // Which subnets a router connects is decided by its own calls; these know what they must not overlap.
        if (DeviceOwners.IsReserved(before.DeviceOwner) && changes.FixedIps.IsSet &&
            !changes.FixedIps.Value.Select(ip => ip.SubnetId).ToHashSet().SetEquals(before.FixedIps.Select(ip => ip.SubnetId)))
        {
            throw NetworkFaults.PortInUse(before.Id, before.NetworkId, before.DeviceId);
        }
    }

    // Those ports are made by the objects they belong to, and go with them.
    private static void CheckOwner(string deviceOwner)
    {
        if (DeviceOwners.IsReserved(deviceOwner))
        {
            throw NetworkFaults.Of(ErrorReason.InvalidNetworkInput,
                $"Invalid input for operation: device_owner {deviceOwner} is set by the service itself.");
        }
    }

    private static void RequireBinder(OperationContext operation)
    {
        if (!operation.MayBind())
        {
            throw Faults.Forbidden("bind ports to nodes");
        }
    }

    private static async Task<(Port Port, Network Network)> GetOwnAsync(
        StateTransaction transaction, OperationContext operation, string id, string action, CancellationToken cancellationToken)
    {
        var port = await transaction.ByIdAsync(Tables.Ports, id, cancellationToken);
        var network = port is null ? null : await transaction.GetAsync(Tables.Networks, port.NetworkId, cancellationToken);
        if (port is null || network is null || !(operation.Owns(port.ProjectId) || operation.Owns(network.ProjectId)))
        {
            throw NetworkFaults.PortNotFound(Checks.Shown(id));
        }

        operation.RequireMember(action);
        return (port, network);
    }
}
