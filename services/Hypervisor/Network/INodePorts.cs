namespace Nephos.Hypervisor.Network;

/// <summary>What the supervisor of guests needs from the network of its node.</summary>
internal interface INodePorts
{
    /// <summary>Whether to use taps or QEMU's user networking.</summary>
    NetworkCapabilities Capabilities { get; }

    /// <summary>The port as it is wired now; null when it is not.</summary>
    WiredPort? Find(Guid portId);

    /// <summary>Waits until the port is wired with at least this epoch: tap, rules, DHCP and metadata are in place before it answers.</summary>
    /// <param name="epoch">0: any.</param>
    /// <exception cref="OperationCanceledException">The caller's deadline passed first; the last error is what <see cref="LastError"/> says.</exception>
    Task<WiredPort> WaitForPortAsync(Guid portId, ulong epoch, CancellationToken cancellationToken);

    /// <summary>Why the port is not wired, for people; empty when nothing failed.</summary>
    string LastError(Guid portId);
}
