using Nephos.Kernel.State;
using Nephos.Networking.Addressing;
using Nephos.Networking.Quotas;
using Nephos.Networking.State;

namespace Nephos.Networking.Ports;

/// <summary>The changes of ports that every part of the service makes, inside its transaction.</summary>
internal sealed class PortWriter(QuotaService quotas, Choice choice, NetworkingOptions options, TimeProvider time)
{
    private const int MacTries = 16;

    public async Task<string> ChooseMacAsync(StateTransaction transaction, string networkId, CancellationToken cancellationToken)
    {
        for (var i = 0; i < MacTries; i++)
        {
            var mac = choice.Mac(options.MacPrefix);
            if (await transaction.FindAsync(Tables.Ports, Tables.ByMac, Tables.MacKey(networkId, mac), cancellationToken) is null)
            {
                return mac;
            }
        }

        throw NetworkFaults.MacTaken(options.MacPrefix, networkId);
    }

    public async Task InsertAsync(StateTransaction transaction, Port port, CancellationToken cancellationToken)
    {
        await quotas.CountAsync(transaction, port.ProjectId, QuotaResources.Port, 1, cancellationToken);
        transaction.Insert(Tables.Ports, port);
    }

    /// <summary>Deletes a port; floating IPs that lead to it lead nowhere from then on.</summary>
    public async Task DeleteAsync(StateTransaction transaction, Port port, CancellationToken cancellationToken)
    {
        await DissociateAsync(transaction, port.Id, _ => true, cancellationToken);
        if (await transaction.FindAsync(Tables.FirewallGroups, Tables.ByPort, port.Id, cancellationToken) is { } firewall)
        {
            transaction.Put(Tables.FirewallGroups, firewall with
            {
                PortIds = [.. firewall.PortIds.Where(id => id != port.Id)], UpdatedAt = time.GetUtcNow(), Revision = firewall.Revision + 1,
            });
        }

        transaction.Delete(Tables.Ports, port.Id);
        transaction.Delete(Tables.Wired, port.Id);
        await quotas.CountAsync(transaction, port.ProjectId, QuotaResources.Port, -1, cancellationToken);
    }

    /// <summary>Ends what leads to addresses that a port has no more: the targets and port forwardings of floating IPs.</summary>
    public async Task DissociateAsync(
        StateTransaction transaction, string portId, Func<IpAddress, bool> gone, CancellationToken cancellationToken)
    {
        foreach (var ip in await transaction.ListByAsync(Tables.FloatingIps, Tables.ByPort, portId, cancellationToken))
        {
            var after = ip.Without(portId, gone);
            if (after != ip)
            {
                transaction.Put(Tables.FloatingIps, after with { UpdatedAt = time.GetUtcNow(), Revision = ip.Revision + 1 });
            }
        }
    }
}
