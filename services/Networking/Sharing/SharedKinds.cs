using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.Networking.Ports;
using Nephos.Networking.State;

namespace Nephos.Networking.Sharing;

/// <summary>Every kind of object that can be shared.</summary>
internal static class SharedKinds
{
    public static readonly SharedKind Networks = new SharedKind<Networks.Network>(
        "network", Tables.Networks, view => view.Networks.Values, UsersOfNetworkAsync);

    public static readonly SharedKind QosPolicies = new SharedKind<Qos.QosPolicy>(
        "qos_policy", Tables.QosPolicies, view => view.QosPolicies.Values,
        async (transaction, id, _, cancellationToken) =>
        [
            .. await OwnersAsync(transaction, Tables.Networks, Tables.ByQosPolicy, id, cancellationToken),
            .. await OwnersAsync(transaction, Tables.Ports, Tables.ByQosPolicy, id, cancellationToken),
        ]);

    public static readonly IReadOnlyList<SharedKind> All =
    [
        Networks, QosPolicies,
        new SharedKind<SecurityGroups.SecurityGroup>("security_group", Tables.SecurityGroups, view => view.SecurityGroups.Values,
            (transaction, id, _, cancellationToken) => OwnersAsync(transaction, Tables.Ports, Tables.BySecurityGroup, id, cancellationToken)),
        new SharedKind<SubnetPools.SubnetPool>("subnetpool", Tables.SubnetPools, view => view.SubnetPools.Values,
            (transaction, id, _, cancellationToken) => OwnersAsync(transaction, Tables.Subnets, Tables.ByPool, id, cancellationToken)),
        new SharedKind<AddressScopes.AddressScope>("address_scope", Tables.AddressScopes, view => view.AddressScopes.Values,
            (transaction, id, _, cancellationToken) => OwnersAsync(transaction, Tables.SubnetPools, Tables.ByScope, id, cancellationToken)),
        new SharedKind<AddressGroups.AddressGroup>("address_group", Tables.AddressGroups, view => view.AddressGroups.Values,
            (transaction, id, _, cancellationToken) => OwnersAsync(transaction, Tables.SecurityGroups, Tables.ByAddressGroup, id, cancellationToken)),
    ];

    /// <exception cref="FaultException">InvalidNetworkInput: there is no such kind.</exception>
    public static SharedKind Named(string name) => All.FirstOrDefault(kind => kind.Name == name)
        ?? throw NetworkFaults.Input($"'{Checks.Shown(name)}' is not in [{string.Join(", ", All.Select(kind => $"'{kind.Name}'"))}]");

    private static async Task<IReadOnlyCollection<string>> OwnersAsync<T>(
        StateTransaction transaction, TableSchema<T> table, string index, string id, CancellationToken cancellationToken)
        where T : Resource =>
        [.. (await transaction.ListByAsync(table, index, id, cancellationToken)).Select(user => user.ProjectId).Distinct()];

    private static async Task<IReadOnlyCollection<string>> UsersOfNetworkAsync(
        StateTransaction transaction, string id, GrantAction action, CancellationToken cancellationToken)
    {
        var ports = await transaction.ListByAsync(Tables.Ports, Tables.ByNetwork, id, cancellationToken);
        if (action == GrantAction.Shared)
        {
            return [.. ports.Select(port => port.ProjectId).Where(project => project.Length > 0).Distinct()];
        }

        var projects = new HashSet<string>(StringComparer.Ordinal);
        foreach (var port in ports)
        {
            Resource? user = port.DeviceOwner switch
            {
                DeviceOwners.RouterGateway => await transaction.GetAsync(Tables.Routers, port.DeviceId, cancellationToken),
                DeviceOwners.FloatingIp => await transaction.GetAsync(Tables.FloatingIps, port.DeviceId, cancellationToken),
                _ => null,
            };
            if (user is not null)
            {
                projects.Add(user.ProjectId);
            }
        }

        return projects;
    }
}
