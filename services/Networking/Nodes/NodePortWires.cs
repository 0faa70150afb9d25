using Nephos.Networking.Ports;
using Nephos.Networking.Qos;
using Nephos.Networking.State;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.Nodes;

/// <summary>The messages of a node's ports, which are the bulk of its state: those of ports that did not change are used again.</summary>
internal sealed class NodePortWires
{
    private Dictionary<string, (Port Port, QosPolicy? Qos, Wire.NodePort Wire)> _known = new(StringComparer.Ordinal);

    public IEnumerable<Wire.NodePort> Of(IReadOnlyList<Port> ports, NetworkView view)
    {
        var now = new Dictionary<string, (Port Port, QosPolicy? Qos, Wire.NodePort Wire)>(ports.Count, StringComparer.Ordinal);
        foreach (var port in ports)
        {
            var qos = view.QosPolicyOf(port);
            now[port.Id] = _known.TryGetValue(port.Id, out var before) && ReferenceEquals(before.Port, port) && ReferenceEquals(before.Qos, qos)
                ? before
                : (port, qos, ToWire(port, qos));
        }

        _known = now;
        return ports.Select(port => now[port.Id].Wire);
    }

    private static Wire.NodeQos ToWire(QosPolicy policy)
    {
        var wire = new Wire.NodeQos();
        foreach (var rule in policy.Rules)
        {
            switch (rule)
            {
                case { Kind: QosRuleKind.BandwidthLimit, Direction: QosDirection.Egress }:
                    (wire.EgressKbps, wire.EgressBurstKbits) = ((uint)rule.Kbps, (uint)rule.BurstKbits);
                    break;
                case { Kind: QosRuleKind.BandwidthLimit }:
                    (wire.IngressKbps, wire.IngressBurstKbits) = ((uint)rule.Kbps, (uint)rule.BurstKbits);
                    break;
                case { Kind: QosRuleKind.DscpMarking }:
                    wire.Dscp = (uint)rule.DscpMark;
                    break;
                default:
                    break;
            }
        }

        return wire;
    }

    private static Wire.NodePort ToWire(Port port, QosPolicy? qos) => new()
    {
        Id = port.Id,
        NetworkId = port.NetworkId,
        ProjectId = port.ProjectId,
        MacAddress = port.MacAddress,
        FixedIps = { port.FixedIps.Select(NodeStateBuilder.ToWire) },
        DeviceId = port.DeviceId,
        DeviceOwner = port.DeviceOwner,
        HostName = port.HostName,
        Epoch = (ulong)port.BindingEpoch,
        AdminStateUp = port.AdminStateUp,
        PortSecurityEnabled = port.PortSecurityEnabled,
        SecurityGroupIds = { port.SecurityGroupIds },
        AllowedAddressPairs =
        {
            port.AllowedAddressPairs.Select(pair => new Wire.NodeAddressPair { IpAddress = NodeStateBuilder.Text(pair.Address), MacAddress = pair.MacAddress ?? "" }),
        },
        DnsName = port.DnsName,
        Qos = qos is null ? null : ToWire(qos),
        ExtraDhcpOptions =
        {
            port.ExtraDhcpOptions.Select(option => new Wire.NodeDhcpOption
            {
                Name = option.Name, Value = option.Value, IpVersion = (uint)option.IpVersion,
            }),
        },
    };
}
