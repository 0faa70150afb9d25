using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.Addressing;
using Nephos.Networking.Networks;
using Nephos.Networking.Ports;
using Nephos.Networking.Quotas;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;
using Nephos.Networking.SubnetPools;

namespace Nephos.Networking.Subnets;

internal sealed record NewSubnet
{
    public string ProjectId { get; init; } = "";

    public required string NetworkId { get; init; }

    public string Name { get; init; } = "";

    public string Description { get; init; } = "";

    /// <summary>Null: that of the CIDR or of the pool.</summary>
    public int? IpVersion { get; init; }

    public Cidr? Cidr { get; init; }

    public int? PrefixLength { get; init; }

    public string? SubnetPoolId { get; init; }

    public bool UseDefaultPool { get; init; }

    /// <summary>Left out: the first address. Null: none.</summary>
    public Optional<IpAddress?> GatewayIp { get; init; }

    /// <summary>Null: all but the gateway.</summary>
    public IReadOnlyList<AddressRange>? AllocationPools { get; init; }

    public IReadOnlyList<IpAddress> DnsNameservers { get; init; } = [];

    public IReadOnlyList<Route> HostRoutes { get; init; } = [];

    public bool EnableDhcp { get; init; } = true;

    public Ipv6Mode? RaMode { get; init; }

    public Ipv6Mode? AddressMode { get; init; }

    public IReadOnlyList<string> ServiceTypes { get; init; } = [];

    public IReadOnlyList<string> Tags { get; init; } = [];

    public string? IdempotencyKey { get; init; }
}

internal sealed record SubnetChanges
{
    public Optional<string> Name { get; init; }

    public Optional<string> Description { get; init; }

    public Optional<IpAddress?> GatewayIp { get; init; }

    public Optional<IReadOnlyList<AddressRange>> AllocationPools { get; init; }

    public Optional<IReadOnlyList<IpAddress>> DnsNameservers { get; init; }

    public Optional<IReadOnlyList<Route>> HostRoutes { get; init; }

    public Optional<bool> EnableDhcp { get; init; }

    public Optional<IReadOnlyList<string>> ServiceTypes { get; init; }

    public Optional<IReadOnlyList<string>> Tags { get; init; }
}

internal sealed class SubnetService(NetworkStore store, QuotaService quotas, TimeProvider time)
{
    // Ports whose addresses change with their subnet do so in commits of this many.
    private const int PortsPerCommit = 128;
    private const int MinIpv6MtuBytes = 1280;

    public async Task<IReadOnlyList<Subnet>> CreateAsync(
        OperationContext operation, IReadOnlyList<NewSubnet> requests, CancellationToken cancellationToken)
    {
        Checks.Bulk("subnets", requests, Checks.MaxPerRequest);
        var subnets = await store.ChangeAsync<IReadOnlyList<Subnet>>(
            operation.ProjectFor(requests[0].ProjectId),
            async transaction =>
            {
                var made = new List<Subnet>(requests.Count);
                foreach (var request in requests)
                {
                    made.Add(await InsertAsync(transaction, operation, request, cancellationToken));
                }

                return made;
            },
            cancellationToken);
        foreach (var subnet in subnets.Where(subnet => subnet.HasAutoAddresses))
        {
            while (await AddAutoAddressesAsync(subnet, cancellationToken))
            {
            }
        }

        return subnets;
    }

    public Task<Subnet> UpdateAsync(OperationContext operation, string id, SubnetChanges changes, CancellationToken cancellationToken) =>
        store.ChangeAsync(
            "",
            async transaction =>
            {
                var before = await GetOwnAsync(transaction, operation, id, "update_subnet", cancellationToken);
                var after = before with
                {
                    Name = Checks.Name(changes.Name.Or(before.Name)),
                    Description = Checks.Description(changes.Description.Or(before.Description)),
                    GatewayIp = changes.GatewayIp.Or(before.GatewayIp),
                    AllocationPools = changes.AllocationPools.Or(before.AllocationPools),
                    DnsNameservers = changes.DnsNameservers.Or(before.DnsNameservers),
                    HostRoutes = changes.HostRoutes.Or(before.HostRoutes),
                    EnableDhcp = changes.EnableDhcp.Or(before.EnableDhcp),
                    ServiceTypes = changes.ServiceTypes.Or(before.ServiceTypes),
                    Tags = changes.Tags.IsSet ? Checks.Tags(changes.Tags.Value) : before.Tags,
                    UpdatedAt = time.GetUtcNow(),
                    Revision = before.Revision + 1,
                };
                SubnetRules.Check(after);
                if (before.GatewayIp is { } gateway && after.GatewayIp != gateway &&
                    await transaction.FindAsync(Tables.Ports, Tables.ByAddress, Tables.AddressKey(id, gateway), cancellationToken)
                        is { DeviceOwner: DeviceOwners.RouterInterface } port)
                {
                    throw NetworkFaults.Of(Protos.Errors.V1.ErrorReason.PortHasGatewayAddress,
                        $"Current gateway ip {gateway} already in use by port {port.Id}. Unable to update.");
                }

                transaction.Put(Tables.Subnets, after);
                return after;
            },
            cancellationToken);

    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        while (!await store.ChangeAsync(
            "",
            async transaction =>
            {
                var subnet = await GetOwnAsync(transaction, operation, id, "delete_subnet", cancellationToken);
                var ports = await transaction.ListByAsync(Tables.Ports, Tables.BySubnet, id, cancellationToken);
                if (ports.FirstOrDefault(port => port.BelongsToRouter || !subnet.HasAutoAddresses) is { } user)
                {
                    throw NetworkFaults.SubnetInUse(id, user.BelongsToRouter
                        ? $"One or more ports have an IP allocation from this subnet (router port {user.Id})."
                        : "One or more ports have an IP allocation from this subnet.");
                }

                foreach (var port in ports.Take(PortsPerCommit))
                {
                    transaction.Put(Tables.Ports, port with { FixedIps = [.. port.FixedIps.Where(ip => ip.SubnetId != id)] });
                }

                if (ports.Count > PortsPerCommit)
                {
                    return false;
                }

                transaction.Delete(Tables.Subnets, id);
                await quotas.CountAsync(transaction, subnet.ProjectId, QuotaResources.Subnet, -1, cancellationToken);
                return true;
            },
            cancellationToken))
        {
        }
    }

    private async Task<Subnet> InsertAsync(
        StateTransaction transaction, OperationContext operation, NewSubnet request, CancellationToken cancellationToken)
    {
        var network = await transaction.VisibleNetworkAsync(operation, request.NetworkId, cancellationToken);
        operation.RequireOwner(network.ProjectId, "create_subnet");
        var projectId = operation.ProjectFor(request.ProjectId);
        var (cidr, pool) = await CidrOfAsync(transaction, operation, request, projectId, cancellationToken);
        if (request.IpVersion is { } version && version != cidr.Version)
        {
            throw NetworkFaults.Input($"cidr '{cidr}' does not match the ip_version '{version}'");
        }

        if (cidr.Version == 6 && network.MtuBytes < MinIpv6MtuBytes)
        {
            throw NetworkFaults.Input($"The network's MTU of {network.MtuBytes} is too small for IPv6, which needs {MinIpv6MtuBytes}.");
        }

        var gateway = request.GatewayIp.IsSet ? request.GatewayIp.Value : cidr.Hosts.Start;
        var now = time.GetUtcNow();
        var subnet = new Subnet
        {
            Id = Ids.NewUuid(),
            ProjectId = projectId,
            NetworkId = network.Id,
            Name = Checks.Name(request.Name),
            Description = Checks.Description(request.Description),
            Cidr = cidr,
            GatewayIp = gateway,
            AllocationPools = request.AllocationPools ?? SubnetRules.DefaultPools(cidr, gateway),
            DnsNameservers = request.DnsNameservers,
            HostRoutes = request.HostRoutes,
            EnableDhcp = request.EnableDhcp,
            RaMode = request.RaMode,
            AddressMode = request.AddressMode,
            SubnetPoolId = pool?.Id,
            ServiceTypes = request.ServiceTypes,
            Tags = Checks.Tags(request.Tags),
            CreatedAt = now,
            UpdatedAt = now,
            IdempotencyKey = Checks.RequestKey(request.IdempotencyKey),
        };
        SubnetRules.Check(subnet);
        if (await transaction.EarlierAsync(Tables.Subnets, subnet, cancellationToken) is { } earlier)
        {
            return earlier;
        }

        var siblings = await transaction.ListByAsync(Tables.Subnets, Tables.ByNetwork, network.Id, cancellationToken);
        if (siblings.Any(sibling => sibling.Cidr.Overlaps(cidr)))
        {
            throw NetworkFaults.Input($"Requested subnet with cidr: {cidr} for network: {network.Id} overlaps with another subnet.");
        }

        foreach (var poolId in siblings.Where(sibling => sibling.IpVersion == cidr.Version).Select(sibling => sibling.SubnetPoolId).Distinct())
        {
            var other = poolId is null ? null : await transaction.GetAsync(Tables.SubnetPools, poolId, cancellationToken);
            if (other?.AddressScopeId != pool?.AddressScopeId)
            {
                throw NetworkFaults.Of(Protos.Errors.V1.ErrorReason.NetworkAddressScopeConflict,
                    $"Subnets of network {network.Id} must all be of one address scope.");
            }
        }

        await quotas.CountAsync(transaction, projectId, QuotaResources.Subnet, 1, cancellationToken);
        transaction.Insert(Tables.Subnets, subnet);
        return subnet;
    }

    private static async Task<(Cidr Cidr, SubnetPool? Pool)> CidrOfAsync(
        StateTransaction transaction, OperationContext operation, NewSubnet request, string projectId, CancellationToken cancellationToken)
    {
        var pool = await PoolOfAsync(transaction, operation, request, cancellationToken);
        if (pool is null)
        {
            return (request.Cidr ?? throw Faults.Invalid("cidr", "a subnet needs a cidr or a subnetpool"), null);
        }

        if (request.IpVersion is { } version && version != pool.IpVersion)
        {
            throw Faults.Invalid("ip_version", $"the subnet pool has IP version {pool.IpVersion}");
        }

        var length = request.Cidr?.PrefixLength ?? request.PrefixLength ?? pool.DefaultPrefixLength;
        if (length < pool.MinPrefixLength || length > pool.MaxPrefixLength)
        {
            throw NetworkFaults.SubnetAllocation(
                $"a prefix length of {length} is not within {pool.MinPrefixLength} to {pool.MaxPrefixLength}, which the subnet pool allows");
        }

        var taken = await transaction.ListByAsync(Tables.Subnets, Tables.ByPool, pool.Id, cancellationToken);
        var cidr = request.Cidr ?? PoolAllocation.FindFree(pool.Prefixes, taken.Select(subnet => subnet.Cidr), length)
            ?? throw NetworkFaults.SubnetAllocation("Insufficient prefix space to allocate subnet size /" + length);
        if (!pool.Prefixes.Any(prefix => prefix.Contains(cidr)) || taken.Any(subnet => subnet.Cidr.Overlaps(cidr)))
        {
            throw NetworkFaults.SubnetAllocation("Cannot allocate requested subnet from the available set of prefixes");
        }

        if (pool.DefaultQuota is { } quota)
        {
            var used = taken.Where(subnet => subnet.ProjectId == projectId).Select(subnet => subnet.Cidr).Append(cidr)
                .Aggregate(UInt128.Zero, (sum, one) => sum + SubnetPoolService.QuotaUnits(one));
            if (used > (UInt128)quota)
            {
                throw NetworkFaults.PoolQuotaExceeded();
            }
        }

        return (cidr, pool);
    }

    private static async Task<SubnetPool?> PoolOfAsync(
        StateTransaction transaction, OperationContext operation, NewSubnet request, CancellationToken cancellationToken)
    {
        if (request.SubnetPoolId is { Length: > 0 } id)
        {
            return await transaction.ByIdAsync(Tables.SubnetPools, id, cancellationToken) is { } pool &&
                   operation.Sees(pool)
                ? pool
                : throw NetworkFaults.SubnetPoolNotFound(Checks.Shown(id));
        }

        return request.UseDefaultPool
            ? await transaction.FindAsync(Tables.SubnetPools, Tables.ByDefault, $"{request.IpVersion ?? 4}", cancellationToken)
                ?? throw Faults.Invalid("use_default_subnetpool", $"no default subnetpool was found for IPv{request.IpVersion ?? 4}")
            : null;
    }

    // Ports that exist get their address of the new subnet too: the hosts behind them will make it by themselves.
    private Task<bool> AddAutoAddressesAsync(Subnet subnet, CancellationToken cancellationToken) =>
        store.ChangeAsync(
            "",
            async transaction =>
            {
                if (await transaction.GetAsync(Tables.Subnets, subnet.Id, cancellationToken) is null)
                {
                    return false;
                }

                var ports = await transaction.ListByAsync(Tables.Ports, Tables.ByNetwork, subnet.NetworkId, cancellationToken);
                var lacking = ports
                    .Where(port => !port.BelongsToRouter && port.DeviceOwner != DeviceOwners.FloatingIp && subnet.Serves(port.DeviceOwner) &&
                        port.FixedIps.All(ip => ip.SubnetId != subnet.Id))
                    .ToList();
                foreach (var port in lacking.Take(PortsPerCommit))
                {
                    var address = new FixedIp(subnet.Id, MacAddress.Eui64(port.MacAddress, subnet.Cidr));
                    transaction.Put(Tables.Ports, port with { FixedIps = [.. port.FixedIps, address] });
                }

                return lacking.Count > PortsPerCommit;
            },
            cancellationToken);

    private static async Task<Subnet> GetOwnAsync(
        StateTransaction transaction, OperationContext operation, string id, string action, CancellationToken cancellationToken)
    {
        var subnet = await transaction.ByIdAsync(Tables.Subnets, id, cancellationToken);
        var network = subnet is null ? null : await transaction.GetAsync(Tables.Networks, subnet.NetworkId, cancellationToken);
        if (subnet is null || !(operation.Owns(subnet.ProjectId) || (network is not null && operation.Sees((SharedResource)network))))
        {
            throw NetworkFaults.SubnetNotFound(Checks.Shown(id));
        }

        operation.RequireMember(action);
        if (!operation.Owns(subnet.ProjectId) && !operation.Owns(network!.ProjectId))
        {
            throw Faults.Forbidden(action);
        }

        return subnet;
    }
}
