using Nephos.Hypervisor.Instances;
using Nephos.Hypervisor.Network;
using PortSpec = Nephos.Hypervisor.Instances.PortSpec;

namespace Nephos.Hypervisor.Agent;

/// <summary>Ports as the network of this node wires them; without the rights for that, QEMU's user networking.</summary>
internal sealed class NodePortConnector(INodePorts ports, INetworkDriver driver) : IPortConnector
{
    public PortWiring Kind => ports.Capabilities.CanWire ? PortWiring.Tap : PortWiring.User;

    public string Reason => ports.Capabilities.Reason;

    public async Task<PortEndpoint> ConnectAsync(PortSpec port, CancellationToken cancellationToken)
    {
        if (Kind == PortWiring.User)
        {
            return new PortEndpoint(port, OpenTap: null);
        }
        try
        {
            await ports.WaitForPortAsync(port.Id, epoch: 0, cancellationToken);
            return new PortEndpoint(port, () => driver.OpenTap(port.Id));
        }
        catch (OperationCanceledException exception) when (ports.LastError(port.Id) is { Length: > 0 } reason)
        {
            throw new OperationCanceledException(reason, exception, cancellationToken);
        }
    }
}
