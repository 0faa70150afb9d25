using Nephos.Kernel.State;
using Nephos.Networking.FloatingIps;
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
        transaction.Delete(Tables.Ports, port.Id);
        transaction.Delete(Tables.Wired, port.Id);
        await quotas.CountAsync(transaction, port.ProjectId, QuotaResources.Port, -1, cancellationToken);
    }

    public async Task DissociateAsync(
        StateTransaction transaction, string portId, Func<FloatingIp, bool> which, CancellationToken cancellationToken)
    {
        foreach (var ip in await transaction.ListByAsync(Tables.FloatingIps, Tables.ByPort, portId, cancellationToken))
        {
            if (which(ip))
            {
                transaction.Put(Tables.FloatingIps, ip with { Target = null, UpdatedAt = time.GetUtcNow(), Revision = ip.Revision + 1 });
            }
        }
    }
}
