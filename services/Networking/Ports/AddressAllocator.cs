using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.Networking.Addressing;
using Nephos.Networking.Networks;
using Nephos.Networking.State;
using Nephos.Networking.Subnets;

namespace Nephos.Networking.Ports;

/// <summary>An address that a request asks for: any of a subnet, this one, or this one of this subnet.</summary>
internal sealed record WantedAddress(string? SubnetId, IpAddress? Address);

/// <param name="Subnets">All of the network, in key order.</param>
/// <param name="Wanted">Null: the service chooses.</param>
/// <param name="Current">The addresses the port has; empty for a new one.</param>
internal sealed record AddressRequest(
    string? PortId,
    Network Network,
    IReadOnlyList<Subnet> Subnets,
    IReadOnlyList<WantedAddress>? Wanted,
    string MacAddress,
    string DeviceOwner,
    IReadOnlyList<FixedIp> Current);

/// <summary>Gives ports their addresses. Two transactions can choose the same one, and only one of them commits.</summary>
internal sealed class AddressAllocator(Choice choice)
{
    public const int MaxAddressesPerPort = 16;

    // With more of the pool taken than a few guesses find a hole in, it is cheaper to look at all addresses.
    private const int Guesses = 8;
    private const int HolesToChooseFrom = 64;

    /// <exception cref="FaultException">The address is taken, is of no subnet, or none is left.</exception>
    public async Task<IReadOnlyList<FixedIp>> AllocateAsync(
        StateTransaction transaction, AddressRequest request, CancellationToken cancellationToken)
    {
        var subnets = request.Subnets.Where(subnet => subnet.Serves(request.DeviceOwner)).ToList();
        var chosen = request.Wanted is null
            ? await ChooseAsync(transaction, request, subnets, cancellationToken)
            : await TakeWantedAsync(transaction, request, request.Wanted, cancellationToken);

        // Hosts on such subnets give themselves an address whether it was asked for or not. Routers do not.
        if (!request.DeviceOwner.Equals(DeviceOwners.RouterInterface, StringComparison.Ordinal) &&
            request.DeviceOwner != DeviceOwners.FloatingIp)
        {
            foreach (var subnet in subnets.Where(subnet => subnet.HasAutoAddresses && chosen.All(ip => ip.SubnetId != subnet.Id)))
            {
                chosen.Add(new FixedIp(subnet.Id, MacAddress.Eui64(request.MacAddress, subnet.Cidr)));
            }
        }

        if (chosen.Count > MaxAddressesPerPort)
        {
            throw NetworkFaults.Input("Exceeded maximum amount of fixed IPs per port.");
        }

        foreach (var ip in chosen)
        {
            // Read so that a subnet that is deleted meanwhile makes this transaction lose.
            await transaction.GetAsync(Tables.Subnets, ip.SubnetId, cancellationToken);
            await RequireFreeAsync(transaction, request, ip, cancellationToken);
        }

        return chosen;
    }

    // One address of each IP version, of the first subnet that has one left.
    private async Task<List<FixedIp>> ChooseAsync(
        StateTransaction transaction, AddressRequest request, List<Subnet> subnets, CancellationToken cancellationToken)
    {
        var chosen = new List<FixedIp>();
        foreach (var version in new[] { 4, 6 })
        {
            var candidates = subnets.Where(subnet => subnet.IpVersion == version && !subnet.HasAutoAddresses).ToList();
            if (candidates.Count > 0)
            {
                chosen.Add(await OneOfAsync(transaction, request.Network.Id, candidates, chosen, cancellationToken));
            }
        }

        return chosen;
    }

    private async Task<List<FixedIp>> TakeWantedAsync(
        StateTransaction transaction, AddressRequest request, IReadOnlyList<WantedAddress> wanted, CancellationToken cancellationToken)
    {
        if (wanted.Count > MaxAddressesPerPort)
        {
            throw NetworkFaults.Input("Exceeded maximum amount of fixed IPs per port.");
        }

        var chosen = new List<FixedIp>();
        var unused = request.Current.ToList();
        var open = new List<Subnet>();
        foreach (var one in wanted)
        {
            var subnet = SubnetOf(request, one);
            var isRouter = request.DeviceOwner == DeviceOwners.RouterInterface;
            if (one.Address is { } address)
            {
                if (subnet.HasAutoAddresses && !isRouter && address != MacAddress.Eui64(request.MacAddress, subnet.Cidr) &&
                    unused.All(ip => ip.Address != address))
                {
                    throw NetworkFaults.Input(
                        $"IPv6 address {address} cannot be directly assigned to a port on subnet {subnet.Id} as the subnet is configured for automatic addresses");
                }

                if (chosen.Any(ip => ip.Address == address))
                {
                    throw NetworkFaults.Input($"Duplicate IP address '{address}' in fixed_ips.");
                }

                chosen.Add(new FixedIp(subnet.Id, address));
                unused.RemoveAll(ip => ip.Address == address);
            }
            else if (!subnet.HasAutoAddresses || isRouter)
            {
                open.Add(subnet);
            }
        }

        foreach (var subnet in open)
        {
            // A port that has an address of the subnet keeps it.
            if (unused.FirstOrDefault(ip => ip.SubnetId == subnet.Id) is { } kept)
            {
                chosen.Add(kept);
                unused.Remove(kept);
            }
            else
            {
                chosen.Add(await OneOfAsync(transaction, request.Network.Id, [subnet], chosen, cancellationToken));
            }
        }

        return chosen;
    }

    private static Subnet SubnetOf(AddressRequest request, WantedAddress wanted)
    {
        if (wanted.SubnetId is { } subnetId)
        {
            var subnet = request.Subnets.FirstOrDefault(subnet => subnet.Id == subnetId)
                ?? throw NetworkFaults.Input(
                    $"Failed to create port on network {request.Network.Id}, because fixed_ips included invalid subnet {Checks.Shown(subnetId)}");
            return wanted.Address is not { } given || IsUsable(subnet, given) ? subnet : throw NetworkFaults.AddressNotInSubnet(given);
        }

        var address = wanted.Address ?? throw Faults.Invalid("fixed_ips", "needs a subnet_id or an ip_address");
        return request.Subnets.FirstOrDefault(subnet => IsUsable(subnet, address)) ?? throw NetworkFaults.AddressNotInNetwork(address);
    }

    // Routers may have the anycast address of an IPv6 subnet; it is inside the CIDR but no host address.
    private static bool IsUsable(Subnet subnet, IpAddress address) =>
        subnet.IpVersion == 4 ? subnet.Cidr.Hosts.Contains(address) && address.Version == 4 : subnet.Cidr.Contains(address);

    private async Task<FixedIp> OneOfAsync(
        StateTransaction transaction, string networkId, IReadOnlyList<Subnet> subnets, List<FixedIp> besides, CancellationToken cancellationToken)
    {
        foreach (var subnet in subnets)
        {
            if (await FreeAddressAsync(transaction, subnet, besides, cancellationToken) is { } address)
            {
                return new FixedIp(subnet.Id, address);
            }
        }

        throw NetworkFaults.NoAddressLeft(networkId, subnets.Select(subnet => subnet.Id));
    }

    private async Task<IpAddress?> FreeAddressAsync(
        StateTransaction transaction, Subnet subnet, List<FixedIp> besides, CancellationToken cancellationToken)
    {
        var total = subnet.AllocationPools.Aggregate(UInt128.Zero, (sum, pool) => sum + pool.Count);
        if (total == 0)
        {
            return null;
        }

        for (var guess = 0; guess < Guesses; guess++)
        {
            var address = AddressPools.Nth(subnet.AllocationPools, choice.Below(total));
            if (besides.All(ip => ip.Address != address || ip.SubnetId != subnet.Id) &&
                await transaction.FindAsync(Tables.Ports, Tables.ByAddress, Tables.AddressKey(subnet.Id, address), cancellationToken) is null)
            {
                return address;
            }
        }

        var ports = await transaction.ListByAsync(Tables.Ports, Tables.BySubnet, subnet.Id, cancellationToken);
        var taken = ports.SelectMany(port => port.FixedIps).Concat(besides)
            .Where(ip => ip.SubnetId == subnet.Id).Select(ip => ip.Address).ToHashSet();
        var holes = AddressPools.Free(subnet.AllocationPools, taken).Take(HolesToChooseFrom).ToList();
        return holes.Count == 0 ? null : holes[(int)choice.Below((UInt128)holes.Count)];
    }

    private static async Task RequireFreeAsync(
        StateTransaction transaction, AddressRequest request, FixedIp ip, CancellationToken cancellationToken)
    {
        var holder = await transaction.FindAsync(
            Tables.Ports, Tables.ByAddress, Tables.AddressKey(ip.SubnetId, ip.Address), cancellationToken);
        if (holder is not null && holder.Id != request.PortId)
        {
            throw NetworkFaults.AddressTaken(ip.Address, ip.SubnetId);
        }
    }
}
