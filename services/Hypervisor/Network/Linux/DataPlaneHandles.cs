using Nephos.Hypervisor.Network.Namespaces;
using Nephos.Hypervisor.Network.Netlink;
using Nephos.Hypervisor.Network.Nft;

namespace Nephos.Hypervisor.Network.Linux;

/// <summary>The open ends of one namespace: devices, packet rules, connections. They stay in it whatever thread uses them.</summary>
internal sealed class DataPlaneHandles : IDisposable
{
    private DataPlaneHandles(NetworkNamespace own, RouteNetlink links, NftContext rules, Conntrack connections) =>
        (Namespace, Links, Rules, Connections) = (own, links, rules, connections);

    public NetworkNamespace Namespace { get; }

    public RouteNetlink Links { get; }

    public NftContext Rules { get; }

    public Conntrack Connections { get; }

    /// <summary>Takes ownership of the namespace's handle.</summary>
    public static DataPlaneHandles Open(NetworkNamespace own) =>
        own.Run(() => new DataPlaneHandles(own, new RouteNetlink(), new NftContext(), new Conntrack()));

    public void Dispose()
    {
        Connections.Dispose();
        Rules.Dispose();
        Links.Dispose();
        Namespace.Dispose();
    }
}
