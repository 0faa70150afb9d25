using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.FloatingIps;
using Nephos.Networking.Ports;
using Nephos.Networking.Qos;
using Nephos.Networking.Quotas;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;

namespace Nephos.Networking.Networks;

internal sealed record NewNetwork
{
    public string ProjectId { get; init; } = "";

    public string Name { get; init; } = "";

    public string Description { get; init; } = "";

    public bool AdminStateUp { get; init; } = true;

    public bool Shared { get; init; }

    public bool External { get; init; }

    public bool IsDefault { get; init; }

    /// <summary>Null: an overlay.</summary>
    public NetworkKind? Kind { get; init; }

    public string? PhysicalNetwork { get; init; }

    public int? SegmentationId { get; init; }

    public int? MtuBytes { get; init; }

    public bool PortSecurityEnabled { get; init; } = true;

    public string DnsDomain { get; init; } = "";

    /// <summary>Left out: the default policy of the project. Null: none.</summary>
    public Optional<string?> QosPolicyId { get; init; }

    public IReadOnlyList<string> Tags { get; init; } = [];

    public string? IdempotencyKey { get; init; }
}

internal sealed record NetworkChanges
{
    public Optional<string> Name { get; init; }

    public Optional<string> Description { get; init; }

    public Optional<bool> AdminStateUp { get; init; }

    public Optional<bool> Shared { get; init; }

    public Optional<bool> External { get; init; }

    public Optional<bool> IsDefault { get; init; }

    public Optional<int> MtuBytes { get; init; }

    public Optional<bool> PortSecurityEnabled { get; init; }

    public Optional<string> DnsDomain { get; init; }

    public Optional<string?> QosPolicyId { get; init; }

    public Optional<IReadOnlyList<string>> Tags { get; init; }
}

internal sealed class NetworkService(NetworkStore store, QuotaService quotas, Choice choice, NetworkingOptions options, TimeProvider time)
{
    private const int MinMtuBytes = 68;
    private const int MinIpv6MtuBytes = 1280;
    private const int VniTries = 32;
    private const int FloatingIpsPerCommit = 64;

    public async Task<Network> CreateAsync(OperationContext operation, NewNetwork request, CancellationToken cancellationToken) =>
        (await CreateAsync(operation, [request], cancellationToken))[0];

    /// <summary>All or none.</summary>
    public Task<IReadOnlyList<Network>> CreateAsync(
        OperationContext operation, IReadOnlyList<NewNetwork> requests, CancellationToken cancellationToken)
    {
        Checks.Bulk("networks", requests, Checks.MaxPerRequest);
        var drafts = requests.Select(request => Draft(operation, request)).ToList();
        return store.ChangeAsync<IReadOnlyList<Network>>(
            drafts[0].ProjectId,
            async transaction =>
            {
                var networks = new List<Network>(drafts.Count);
                foreach (var draft in drafts)
                {
                    networks.Add(await InsertAsync(transaction, operation, draft, requests[networks.Count].QosPolicyId, cancellationToken));
                }

                return networks;
            },
            cancellationToken);
    }

    public async Task<Network> UpdateAsync(
        OperationContext operation, string id, NetworkChanges changes, CancellationToken cancellationToken) =>
        await store.ChangeAsync(
            "",
            async transaction =>
            {
                var before = await GetOwnAsync(transaction, operation, id, "update_network", cancellationToken);
                operation.RequirePrivileged(
                    changes.Shared.Or(before.Shared) != before.Shared || changes.External.Or(before.External) != before.External ||
                    changes.IsDefault.Or(before.IsDefault) != before.IsDefault,
                    "share a network or make it external");
                var after = before with
                {
                    Name = Checks.Name(changes.Name.Or(before.Name)),
                    Description = Checks.Description(changes.Description.Or(before.Description)),
                    AdminStateUp = changes.AdminStateUp.Or(before.AdminStateUp),
                    Grants = GrantsAfter(before, changes),
                    IsDefault = changes.IsDefault.Or(before.IsDefault),
                    MtuBytes = CheckMtu(changes.MtuBytes.IsSet ? changes.MtuBytes.Value : before.MtuBytes, before.Kind),
                    PortSecurityEnabled = changes.PortSecurityEnabled.Or(before.PortSecurityEnabled),
                    DnsDomain = Checks.DnsName("dns_domain", changes.DnsDomain.Or(before.DnsDomain)),
                    QosPolicyId = changes.QosPolicyId.IsSet
                        ? await QosService.UsableAsync(transaction, operation, changes.QosPolicyId.Value, cancellationToken)
                        : before.QosPolicyId,
                    Tags = changes.Tags.IsSet ? Checks.Tags(changes.Tags.Value) : before.Tags,
                    UpdatedAt = time.GetUtcNow(),
                    Revision = before.Revision + 1,
                };
                await CheckUsersLeftAsync(transaction, before, after, cancellationToken);
                transaction.Put(Tables.Networks, after);
                return after;
            },
            cancellationToken);

    /// <summary>Deletes the network with its subnets, and with floating IPs that lead nowhere.</summary>
    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        while (!await store.ChangeAsync("", transaction => DeleteAsync(transaction, operation, id, cancellationToken), cancellationToken))
        {
        }
    }

    /// <returns>False when there was more to delete than one commit holds.</returns>
    private async Task<bool> DeleteAsync(
        StateTransaction transaction, OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var network = await GetOwnAsync(transaction, operation, id, "delete_network", cancellationToken);
        var free = new List<(FloatingIp Ip, Port Holder)>();
        var ports = await transaction.ListByAsync(Tables.Ports, Tables.ByNetwork, id, cancellationToken);
        foreach (var port in ports.Where(port => port.DeviceOwner == DeviceOwners.FloatingIp))
        {
            if (await transaction.GetAsync(Tables.FloatingIps, port.DeviceId, cancellationToken) is { Target: null } ip)
            {
                free.Add((ip, port));
            }
        }

        if (free.Count < ports.Count)
        {
            throw NetworkFaults.NetworkInUse(id, ports.Count - free.Count);
        }

        foreach (var (ip, holder) in free.Take(FloatingIpsPerCommit))
        {
            transaction.Delete(Tables.FloatingIps, ip.Id);
            transaction.Delete(Tables.Ports, holder.Id);
            await quotas.CountAsync(transaction, ip.ProjectId, QuotaResources.FloatingIp, -1, cancellationToken);
        }

        if (free.Count > FloatingIpsPerCommit)
        {
            return false;
        }

        foreach (var subnet in await transaction.ListByAsync(Tables.Subnets, Tables.ByNetwork, id, cancellationToken))
        {
            transaction.Delete(Tables.Subnets, subnet.Id);
            await quotas.CountAsync(transaction, subnet.ProjectId, QuotaResources.Subnet, -1, cancellationToken);
        }

        transaction.Delete(Tables.Networks, id);
        await quotas.CountAsync(transaction, network.ProjectId, QuotaResources.Network, -1, cancellationToken);
        return true;
    }

    private Network Draft(OperationContext operation, NewNetwork request)
    {
        var projectId = operation.ProjectFor(request.ProjectId);
        operation.RequirePrivileged(
            request.Shared || request.External || request.IsDefault || request.Kind is not null || request.PhysicalNetwork is not null ||
            request.SegmentationId is not null,
            "create a shared, external or provider network");
        var kind = request.Kind ?? (request.PhysicalNetwork is null ? NetworkKind.Vxlan : NetworkKind.Flat);
        CheckProvider(request, kind);
        if (request.IsDefault && !request.External)
        {
            throw Faults.Invalid("is_default", "only an external network can be the default external network");
        }

        var now = time.GetUtcNow();
        return new Network
        {
            Id = Ids.NewUuid(),
            ProjectId = projectId,
            Name = Checks.Name(request.Name),
            Description = Checks.Description(request.Description),
            AdminStateUp = request.AdminStateUp,
            Grants = SharedResource.WithEveryone(
                SharedResource.WithEveryone([], GrantAction.Shared, projectId, request.Shared), GrantAction.External, projectId, request.External),
            IsDefault = request.IsDefault,
            Kind = kind,
            PhysicalNetwork = request.PhysicalNetwork,
            SegmentationId = request.SegmentationId,
            MtuBytes = CheckMtu(request.MtuBytes ?? 0, kind),
            PortSecurityEnabled = request.PortSecurityEnabled,
            DnsDomain = Checks.DnsName("dns_domain", request.DnsDomain),
            Tags = Checks.Tags(request.Tags),
            CreatedAt = now,
            UpdatedAt = now,
            IdempotencyKey = Checks.RequestKey(request.IdempotencyKey),
        };
    }

    private void CheckProvider(NewNetwork request, NetworkKind kind)
    {
        if (kind == NetworkKind.Flat)
        {
            if (request.PhysicalNetwork is null)
            {
                throw NetworkFaults.Input("physical_network required for flat provider network.");
            }

            if (!options.EffectivePhysicalNetworks.Contains(request.PhysicalNetwork))
            {
                throw NetworkFaults.Input($"Physical network {Checks.Shown(request.PhysicalNetwork)} is unknown; " +
                    $"known are {string.Join(", ", options.EffectivePhysicalNetworks)}.");
            }

            if (request.SegmentationId is not null)
            {
                throw NetworkFaults.Input("provider:segmentation_id specified for flat network.");
            }
        }
        else
        {
            if (request.PhysicalNetwork is not null)
            {
                throw NetworkFaults.Input("provider:physical_network specified for vxlan network.");
            }

            if (request.SegmentationId is < 1 or > 16777215)
            {
                throw NetworkFaults.Input("provider:segmentation_id of a vxlan network must be 1 to 16777215.");
            }
        }
    }

    private async Task<Network> InsertAsync(
        StateTransaction transaction, OperationContext operation, Network draft, Optional<string?> qosPolicyId, CancellationToken cancellationToken)
    {
        if (await transaction.EarlierAsync(Tables.Networks, draft, cancellationToken) is { } earlier)
        {
            return earlier;
        }

        if (draft is { Kind: NetworkKind.Vxlan, SegmentationId: null })
        {
            draft = draft with { SegmentationId = await ChooseVniAsync(transaction, cancellationToken) };
        }

        draft = draft with
        {
            QosPolicyId = qosPolicyId.IsSet
                ? await QosService.UsableAsync(transaction, operation, qosPolicyId.Value, cancellationToken)
                : (await transaction.FindAsync(Tables.QosPolicies, Tables.ByDefault, draft.ProjectId, cancellationToken))?.Id,
        };
        await quotas.CountAsync(transaction, draft.ProjectId, QuotaResources.Network, 1, cancellationToken);
        transaction.Insert(Tables.Networks, draft);
        return draft;
    }

    private async Task<int> ChooseVniAsync(StateTransaction transaction, CancellationToken cancellationToken)
    {
        var count = options.VniMax - options.VniMin + 1;
        for (var i = 0; i < VniTries; i++)
        {
            var vni = options.VniMin + (int)choice.Below((UInt128)count);
            if (await transaction.FindAsync(Tables.Networks, Tables.ByVni, $"{vni}", cancellationToken) is null)
            {
                return vni;
            }
        }

        // So many are taken that looking at all of them is quicker than guessing on.
        var taken = (await transaction.ListAsync(Tables.Networks, "", cancellationToken)).Select(network => network.SegmentationId).ToHashSet();
        for (var vni = options.VniMin; vni <= options.VniMax; vni++)
        {
            if (!taken.Contains(vni))
            {
                return vni;
            }
        }

        throw NetworkFaults.NoTunnelIdLeft();
    }

    /// <param name="mtuBytes">0: as large as the underlay allows.</param>
    /// <param name="kind">Overlays have less.</param>
    private int CheckMtu(int mtuBytes, NetworkKind kind)
    {
        var most = kind == NetworkKind.Vxlan ? options.UnderlayMtuBytes - Network.VxlanOverheadBytes : options.UnderlayMtuBytes;
        if (mtuBytes == 0)
        {
            return most;
        }

        return mtuBytes < MinMtuBytes || mtuBytes > most
            ? throw NetworkFaults.Input($"Requested MTU is {(mtuBytes < MinMtuBytes ? "too small, minimum is " + MinMtuBytes : "too big, maximum is " + most)}.")
            : mtuBytes;
    }

    private static async Task CheckUsersLeftAsync(
        StateTransaction transaction, Network before, Network after, CancellationToken cancellationToken)
    {
        if (before.MtuBytes != after.MtuBytes && after.MtuBytes < MinIpv6MtuBytes &&
            (await transaction.ListByAsync(Tables.Subnets, Tables.ByNetwork, after.Id, cancellationToken)).Any(subnet => subnet.IpVersion == 6))
        {
            throw NetworkFaults.Input($"The network has an IPv6 subnet, which needs an MTU of {MinIpv6MtuBytes}.");
        }

        if (after.IsDefault && !after.External)
        {
            throw Faults.Invalid("is_default", "only an external network can be the default external network");
        }

        if (before.External && !after.External &&
            (await transaction.ListByAsync(Tables.Ports, Tables.ByNetwork, after.Id, cancellationToken))
                .Any(port => port.DeviceOwner is DeviceOwners.RouterGateway or DeviceOwners.FloatingIp))
        {
            throw Faults.Conflict($"External network {after.Id} cannot be updated to be made non-external, since it has existing gateway ports.");
        }

        if (await RbacService.LosesUserAsync(transaction, SharedKinds.Networks, before, after, cancellationToken) is not null)
        {
            throw Faults.Conflict($"Unable to reconfigure sharing settings for network {after.Id}. Multiple tenants are using it.");
        }
    }

    // The switches of older clients stand for the grants to everyone; switching external off ends those to single projects too.
    private static IReadOnlyList<Grant> GrantsAfter(Network before, NetworkChanges changes)
    {
        var shared = SharedResource.WithEveryone(before.Grants, GrantAction.Shared, before.ProjectId, changes.Shared.Or(before.Shared));
        if (!changes.External.IsSet || changes.External.Value == before.External)
        {
            return shared;
        }

        return changes.External.Value
            ? SharedResource.WithEveryone(shared, GrantAction.External, before.ProjectId, wanted: true)
            : [.. shared.Where(grant => grant.Action != GrantAction.External)];
    }

    private static async Task<Network> GetOwnAsync(
        StateTransaction transaction, OperationContext operation, string id, string action, CancellationToken cancellationToken)
    {
        var network = await transaction.VisibleNetworkAsync(operation, id, cancellationToken);
        operation.RequireOwner(network.ProjectId, action);
        return network;
    }
}
