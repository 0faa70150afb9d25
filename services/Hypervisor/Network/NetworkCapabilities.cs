namespace Nephos.Hypervisor.Network;

/// <summary>Whether guests can have real networks on this node.</summary>
/// <param name="CanWire">True: ports become taps in a data-plane namespace. False: use QEMU's user networking.</param>
/// <param name="Tunnels">True when VXLAN devices can be made (needed with more than one node).</param>
/// <param name="Reasons">For people: what is missing and what to do, one sentence each. Empty when nothing is.</param>
internal sealed record NetworkCapabilities(bool CanWire, bool Tunnels, IReadOnlyList<string> Reasons)
{
    public string Reason => string.Join(" ", Reasons);
}
