using Microsoft.Win32.SafeHandles;

namespace Nephos.Hypervisor.Network;

/// <summary>Makes the network of one node as desired. Two implementations: Linux, and one in memory for tests and scale.</summary>
/// <remarks>Thread safe; calls of <see cref="ApplyAsync"/> run one after the other.</remarks>
internal interface INetworkDriver : IAsyncDisposable
{
    /// <summary>What this node can do, with reasons. Probed once.</summary>
    NetworkCapabilities Capabilities { get; }

    /// <summary>Applies the whole desired state: compares with what is there, makes what is missing, mends what differs and
    /// removes what is not wanted. An item that fails does not stop the others; its status says why. Running it again is the retry.</summary>
    Task<NetworkReport> ApplyAsync(NodeState desired, CancellationToken cancellationToken);

    /// <summary>The wired port, or null when the port is not wired as of the last apply.</summary>
    WiredPort? FindPort(Guid portId);

    /// <summary>Opens the tap of a wired port for a QEMU that gets it as a file descriptor (with vnet headers). The caller owns the handle.</summary>
    /// <exception cref="InvalidOperationException">The port is not wired, or another process holds its tap.</exception>
    SafeFileHandle OpenTap(Guid portId);

    /// <summary>Objects of this node's data plane, looked up now, that the last applied state does not want: left from an earlier life, or
    /// about to be removed. Before the first state: all there are.</summary>
    IReadOnlyList<NetworkOrphan> ListOrphans();

    /// <summary>Removes everything that this node's prefix names: namespaces, links, rules. Nothing else is touched.</summary>
    Task RemoveAllAsync(CancellationToken cancellationToken);
}

/// <summary>A port that a guest can be plugged into.</summary>
/// <param name="TapName">Persistent tap inside the namespace; start QEMU there with <c>-netdev tap,ifname=…,script=no,downscript=no</c>.</param>
/// <param name="NamespaceName">Name below /run/netns, as <c>ip netns</c> takes it.</param>
/// <param name="NamespacePath">File to give to setns.</param>
/// <param name="Mtu">Bytes; give it to the device as host_mtu too.</param>
internal sealed record WiredPort(Guid PortId, ulong Epoch, string TapName, string NamespaceName, string NamespacePath, Mac Mac, int Mtu);

/// <param name="Name">Of a device inside of a namespace: <c>namespace/device</c>.</param>
internal sealed record NetworkOrphan(string Kind, string Name, string Alias);

internal enum ItemState
{
    Active,
    Down,
    Failed,
}

internal sealed record ItemStatus(Guid Id, ulong Epoch, ItemState State, string Error);

/// <summary>What became of a desired state. Complete: what is not listed does not exist here.</summary>
/// <param name="MoreToRemove">True: unwanted objects are left for the next pass, which should come soon.</param>
internal sealed record NetworkReport(
    ulong Revision,
    IReadOnlyList<ItemStatus> Ports,
    IReadOnlyList<ItemStatus> Routers,
    IReadOnlyList<ItemStatus> FloatingIps,
    IReadOnlyList<ItemStatus> Networks,
    bool MoreToRemove)
{
    public IEnumerable<ItemStatus> All => Ports.Concat(Routers).Concat(FloatingIps).Concat(Networks);

    public bool HasFailures => All.Any(item => item.State == ItemState.Failed);

    public bool IsSameAs(NetworkReport other) =>
        Revision == other.Revision && Ports.SequenceEqual(other.Ports) && Routers.SequenceEqual(other.Routers)
        && FloatingIps.SequenceEqual(other.FloatingIps) && Networks.SequenceEqual(other.Networks);
}
