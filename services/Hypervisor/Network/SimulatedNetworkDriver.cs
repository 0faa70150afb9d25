using System.Collections.Immutable;
using Microsoft.Win32.SafeHandles;
using Nephos.Hypervisor.Network.Plans;

namespace Nephos.Hypervisor.Network;

/// <summary>A node's network in memory: works out the same plan as the real one, and keeps it. For tests and for scale.</summary>
internal sealed class SimulatedNetworkDriver(NodeNetworkSettings settings) : INetworkDriver
{
    private readonly Lock _lock = new();
    private readonly NodeNumbers _numbers = new();
    private volatile IReadOnlyDictionary<Guid, WiredPort> _wired = ImmutableDictionary<Guid, WiredPort>.Empty;

    public NetworkCapabilities Capabilities { get; } = new(CanWire: true, Tunnels: true, ["The network is simulated."]);

    /// <summary>The last plan; null before the first.</summary>
    public DataPlanePlan? Applied { get; private set; }

    public Task<NetworkReport> ApplyAsync(NodeState desired, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            _numbers.Assign(desired, []);
            var plan = DataPlanePlan.Create(desired, settings, _numbers);
            Applied = plan;
            var report = new Linux.ReportBuilder(plan);
            foreach (var router in plan.Routers)
            {
                foreach (var problem in router.Problems)
                {
                    report.Fail(router.Router.Id, problem);
                }
            }

            _wired = plan.Ports.Where(report.IsWired).ToDictionary(port => port.Port.Id, port => new WiredPort(
                port.Port.Id, port.Port.Epoch, port.TapName, plan.DataPlane.Name, $"{Namespaces.NetworkNamespace.Folder}/{plan.DataPlane.Name}", port.Port.Mac,
                desired.Networks[port.Port.NetworkId].Mtu));
            return Task.FromResult(report.Build(moreToRemove: false));
        }
    }

    public WiredPort? FindPort(Guid portId) => _wired.GetValueOrDefault(portId);

    public SafeFileHandle OpenTap(Guid portId) => throw new InvalidOperationException("a simulated network has no taps");

    public IReadOnlyList<NetworkOrphan> ListOrphans() => [];

    public Task RemoveAllAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            (Applied, _wired) = (null, ImmutableDictionary<Guid, WiredPort>.Empty);
            return Task.CompletedTask;
        }
    }

    public ValueTask DisposeAsync() => default;
}
