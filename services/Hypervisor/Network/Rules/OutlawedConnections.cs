using System.Net;
using Nephos.Hypervisor.Network.Netlink;

namespace Nephos.Hypervisor.Network.Rules;

/// <summary>Ends connections that began under rules that are no more: packet rules let established connections pass, so taking a
/// rule away includes forgetting what it let in.</summary>
internal static class OutlawedConnections
{
    /// <summary>The connections that the new state would not let begin, and those of addresses that are gone.</summary>
    /// <param name="zones">Number in connection tracking to the network.</param>
    public static IEnumerable<Connection> Find(
        IEnumerable<Connection> connections, SecurityPolicy policy, IReadOnlySet<(Guid Network, IPAddress Address)> goneAddresses,
        IReadOnlyDictionary<ushort, Guid> zones)
    {
        foreach (var connection in connections)
        {
            if (!zones.TryGetValue(connection.Zone, out var network))
            {
                continue;
            }

            if (goneAddresses.Contains((network, connection.Original.Source)) || goneAddresses.Contains((network, connection.Original.Destination))
                || !policy.Permits(network, connection.Original))
            {
                yield return connection;
            }
        }
    }
}
