using System.Collections.Concurrent;
using Nephos.Hypervisor.Instances;

namespace Nephos.Hypervisor.Simulation;

/// <summary>Volume heads that are only names.</summary>
/// <param name="register">Tells the block service that an attachment is open, when there is one; fails as opening would.</param>
internal sealed class SimulatedVolumeConnector(Func<VolumeSpec, CancellationToken, Task>? register = null) : IVolumeConnector
{
    private readonly ConcurrentDictionary<Guid, ConcurrentDictionary<Guid, VolumeEndpoint>> _open = new();

    public async Task<VolumeEndpoint> OpenAsync(Guid instanceId, VolumeSpec volume, CancellationToken cancellationToken)
    {
        var open = _open.GetOrAdd(instanceId, _ => new());
        if (!open.ContainsKey(volume.AttachmentId) && register is not null)
        {
            await register(volume, cancellationToken);
        }
        return open.GetOrAdd(volume.AttachmentId, id => new VolumeEndpoint(volume, $"simulated/{id}", id.ToString()));
    }

    public Task CloseAsync(Guid instanceId, Guid attachmentId, CancellationToken cancellationToken)
    {
        if (_open.TryGetValue(instanceId, out var open) && open.TryRemove(attachmentId, out _) && open.IsEmpty)
        {
            _open.TryRemove(instanceId, out _);
        }
        return Task.CompletedTask;
    }

    public IReadOnlyCollection<Guid> OpenFor(Guid instanceId) => _open.TryGetValue(instanceId, out var open) ? [.. open.Keys] : [];
}

/// <summary>Ports that are always wired.</summary>
internal sealed class SimulatedPortConnector : IPortConnector
{
    public PortWiring Kind => PortWiring.Simulated;

    public string Reason => "the simulated hypervisor was asked for";

    public Task<PortEndpoint> ConnectAsync(PortSpec port, CancellationToken cancellationToken) =>
        Task.FromResult(new PortEndpoint(port, OpenTap: null));
}
