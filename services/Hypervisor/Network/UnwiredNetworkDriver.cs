using Microsoft.Win32.SafeHandles;

namespace Nephos.Hypervisor.Network;

/// <summary>Stands where the rights or the kernel for a data plane are missing: wires nothing and says why.</summary>
internal sealed class UnwiredNetworkDriver(NetworkCapabilities capabilities) : INetworkDriver
{
    public NetworkCapabilities Capabilities => capabilities;

    public Task<NetworkReport> ApplyAsync(NodeState desired, CancellationToken cancellationToken) => Task.FromResult(new NetworkReport(
        desired.Revision,
        [.. desired.Ports.Select(port => Failed(port.Id, port.Epoch)), .. desired.Rejected.Ports],
        [.. desired.Routers.Select(router => Failed(router.Id, router.Epoch)), .. desired.Rejected.Routers],
        [.. desired.Routers.SelectMany(router => router.FloatingIps.Select(ip => Failed(ip.Id, router.Epoch)))],
        [.. desired.Networks.Keys.Select(id => Failed(id, 0)), .. desired.Rejected.Networks],
        MoreToRemove: false));

    public WiredPort? FindPort(Guid portId) => null;

    public SafeFileHandle OpenTap(Guid portId) => throw new InvalidOperationException(capabilities.Reason);

    public IReadOnlyList<NetworkOrphan> ListOrphans() => [];

    public Task RemoveAllAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public ValueTask DisposeAsync() => default;

    private ItemStatus Failed(Guid id, ulong epoch) => new(id, epoch, ItemState.Failed, capabilities.Reason);
}
