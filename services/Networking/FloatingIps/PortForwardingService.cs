using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.Addressing;
using Nephos.Networking.State;

namespace Nephos.Networking.FloatingIps;

/// <param name="FixedAddress">Null: the only IPv4 address of the port.</param>
internal sealed record NewPortForwarding(
    string Protocol, int ExternalPort, string PortId, IpAddress? FixedAddress, int InternalPort, string Description, string? IdempotencyKey);

internal sealed record PortForwardingChanges
{
    public Optional<string> Protocol { get; init; }

    public Optional<int> ExternalPort { get; init; }

    public Optional<string> PortId { get; init; }

    public Optional<IpAddress?> FixedAddress { get; init; }

    public Optional<int> InternalPort { get; init; }

    public Optional<string> Description { get; init; }
}

/// <summary>Makes port numbers of one floating IP lead to guests behind one router.</summary>
internal sealed class PortForwardingService(NetworkStore store, TimeProvider time)
{
    /// <summary>A floating IP with all its port forwardings is one record.</summary>
    public const int MaxPerFloatingIp = 500;

    private const int MaxPort = 65535;

    public static readonly IReadOnlyList<string> Protocols = ["tcp", "udp"];

    public Task<(FloatingIp Ip, PortForwarding Forwarding)> CreateAsync(
        OperationContext operation, string floatingIpId, NewPortForwarding request, CancellationToken cancellationToken) => store.ChangeAsync(
        operation.ProjectId ?? "",
        async transaction =>
        {
            var ip = await FloatingIpService.GetOwnAsync(transaction, operation, floatingIpId, "create_floatingip_port_forwarding", cancellationToken);
            var key = Checks.RequestKey(request.IdempotencyKey);
            if (key is not null && ip.PortForwardings.FirstOrDefault(one => one.IdempotencyKey == key) is { } earlier)
            {
                return (ip, earlier);
            }

            if (ip.Target is { } target)
            {
                throw NetworkFaults.Bad("port_forwarding",
                    $"Floating IP {ip.Id} is associated with port {target.PortId}; only a free one can have port forwardings.");
            }

            if (ip.PortForwardings.Count >= MaxPerFloatingIp)
            {
                throw NetworkFaults.OverQuota("port_forwarding", MaxPerFloatingIp);
            }

            var draft = new PortForwarding
            {
                Id = Ids.NewUuid(),
                Protocol = request.Protocol,
                ExternalPort = request.ExternalPort,
                PortId = request.PortId,
                FixedAddress = request.FixedAddress ?? default,
                InternalPort = request.InternalPort,
                Description = request.Description,
                IdempotencyKey = key,
            };
            return await PutAsync(transaction, operation, ip, draft, request.FixedAddress, cancellationToken);
        },
        cancellationToken);

    public Task<(FloatingIp Ip, PortForwarding Forwarding)> UpdateAsync(
        OperationContext operation, string floatingIpId, string id, PortForwardingChanges changes, CancellationToken cancellationToken) =>
        store.ChangeAsync(
            operation.ProjectId ?? "",
            async transaction =>
            {
                var (ip, before) = await GetOwnAsync(transaction, operation, floatingIpId, id, "update_floatingip_port_forwarding", cancellationToken);
                var after = before with
                {
                    Protocol = changes.Protocol.Or(before.Protocol),
                    ExternalPort = changes.ExternalPort.Or(before.ExternalPort),
                    PortId = changes.PortId.Or(before.PortId),
                    InternalPort = changes.InternalPort.Or(before.InternalPort),
                    Description = changes.Description.Or(before.Description),
                };
                var wanted = changes.FixedAddress.IsSet ? changes.FixedAddress.Value : after.PortId == before.PortId ? (IpAddress?)before.FixedAddress : null;
                return await PutAsync(transaction, operation, ip, after, wanted, cancellationToken);
            },
            cancellationToken);

    public Task DeleteAsync(OperationContext operation, string floatingIpId, string id, CancellationToken cancellationToken) => store.ChangeAsync(
        operation.ProjectId ?? "",
        async transaction =>
        {
            var (ip, gone) = await GetOwnAsync(transaction, operation, floatingIpId, id, "delete_floatingip_port_forwarding", cancellationToken);
            var left = ip.PortForwardings.Where(one => one != gone).ToArray();
            transaction.Put(Tables.FloatingIps, Touch(ip) with
            {
                PortForwardings = left,
                ForwardingRouterId = left.Length == 0 ? null : ip.ForwardingRouterId,
            });
            return true;
        },
        cancellationToken);

    // Checks a new or changed port forwarding against everything else, and writes it into its floating IP.
    private async Task<(FloatingIp Ip, PortForwarding Forwarding)> PutAsync(
        StateTransaction transaction, OperationContext operation, FloatingIp ip, PortForwarding draft, IpAddress? wanted,
        CancellationToken cancellationToken)
    {
        Check(draft);
        var port = await transaction.ByIdAsync(Tables.Ports, draft.PortId, cancellationToken);
        if (port is null || !operation.Owns(port.ProjectId))
        {
            throw NetworkFaults.PortNotFound(Checks.Shown(draft.PortId));
        }

        var fixedIp = FloatingIpService.FixedIpOf(port, wanted);
        var forwarding = draft with { FixedAddress = fixedIp.Address };
        var others = ip.PortForwardings.Where(one => one.Id != draft.Id).ToList();
        RequireFree(others, forwarding);
        var routerId = await FloatingIpService.RouterForAsync(transaction, port, fixedIp, ip.FloatingNetworkId, cancellationToken)
            ?? throw NetworkFaults.NotReachable(ip.FloatingNetworkId, fixedIp.SubnetId, port.Id);
        if (others.Count > 0 && routerId != ip.ForwardingRouterId)
        {
            throw NetworkFaults.Bad("port_forwarding",
                $"Port {port.Id} is behind router {routerId}, and floating IP {ip.Id} is forwarded by router {ip.ForwardingRouterId}.");
        }

        var holder = Tables.TargetKey(port.Id, fixedIp.Address, ip.FloatingNetworkId);
        if (await transaction.FindAsync(Tables.FloatingIps, Tables.ByTarget, holder, cancellationToken) is not null)
        {
            throw NetworkFaults.PortHasFloatingIp(ip, port.Id, fixedIp.Address);
        }

        var isNew = others.Count == ip.PortForwardings.Count;
        var after = Touch(ip) with
        {
            PortForwardings = isNew
                ? [.. others, forwarding]
                : [.. ip.PortForwardings.Select(one => one.Id == forwarding.Id ? forwarding : one)],
            ForwardingRouterId = routerId,
        };
        transaction.Put(Tables.FloatingIps, after);
        return (after, forwarding);
    }

    private FloatingIp Touch(FloatingIp ip) => ip with { UpdatedAt = time.GetUtcNow(), Revision = ip.Revision + 1 };

    private static void Check(PortForwarding forwarding)
    {
        if (!Protocols.Contains(forwarding.Protocol))
        {
            throw Faults.Invalid("protocol", $"'{Checks.Shown(forwarding.Protocol)}' is not in [{string.Join(", ", Protocols.Select(name => $"'{name}'"))}]");
        }

        foreach (var (field, value) in new[] { ("external_port", forwarding.ExternalPort), ("internal_port", forwarding.InternalPort) })
        {
            if (value is < 1 or > MaxPort)
            {
                throw Faults.Invalid(field, $"must be 1 to {MaxPort}");
            }
        }

        Checks.Description(forwarding.Description);
    }

    private static void RequireFree(IEnumerable<PortForwarding> others, PortForwarding wanted)
    {
        foreach (var other in others.Where(other => other.Protocol == wanted.Protocol))
        {
            if (other.ExternalPort == wanted.ExternalPort)
            {
                throw Duplicate($"'external_port': {wanted.ExternalPort}, 'protocol': '{wanted.Protocol}'");
            }

            if (Tables.InternalPortKey(other) == Tables.InternalPortKey(wanted))
            {
                throw Duplicate($"'internal_port_id': '{wanted.PortId}', 'internal_port': {wanted.InternalPort}, 'protocol': '{wanted.Protocol}'");
            }
        }
    }

    private static FaultException Duplicate(string values) => NetworkFaults.Bad("port_forwarding",
        $"A duplicate port forwarding entry with same attributes already exists, conflicting values are {{{values}}}.");

    private static async Task<(FloatingIp Ip, PortForwarding Forwarding)> GetOwnAsync(
        StateTransaction transaction, OperationContext operation, string floatingIpId, string id, string action, CancellationToken cancellationToken)
    {
        var ip = await FloatingIpService.GetOwnAsync(transaction, operation, floatingIpId, action, cancellationToken);
        return (ip, ip.PortForwardings.FirstOrDefault(one => one.Id == id) ?? throw NetworkFaults.PortForwardingNotFound(Checks.Shown(id)));
    }
}
