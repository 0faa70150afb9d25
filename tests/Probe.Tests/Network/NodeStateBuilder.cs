using Nephos.Hypervisor.Network;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Probe.Tests.Network;

/// <summary>Writes snapshots as the Network service sends them.</summary>
internal sealed class NodeStateBuilder
{
    private readonly Wire.NodeNetworkState _state = new();
    private uint _next = 1;

    public Wire.NodeNetworkState Wire => _state;

    public NodeState Build()
    {
        _state.Revision++;
        return _state.ToDomain();
    }

    public Wire.NodeNetwork AddNetwork(string physicalNetwork = "")
    {
        var network = new Wire.NodeNetwork
        {
            Id = NewId(),
            Kind = physicalNetwork.Length > 0 ? Nephos.Protos.Network.V1.NodeNetworkKind.Flat : Nephos.Protos.Network.V1.NodeNetworkKind.Vxlan,
            Vni = physicalNetwork.Length > 0 ? 0 : 1000 + _next,
            PhysicalNetwork = physicalNetwork,
            Mtu = physicalNetwork.Length > 0 ? 1500u : 1450u,
            DnsDomain = "cloud.test",
        };
        _state.Networks.Add(network);
        return network;
    }

    public Wire.NodeSubnet AddSubnet(Wire.NodeNetwork network, string cidr, string gateway)
    {
        var subnet = new Wire.NodeSubnet { Id = NewId(), NetworkId = network.Id, Cidr = cidr, GatewayIp = gateway, EnableDhcp = true, DnsNameservers = { "192.0.2.53" } };
        _state.Subnets.Add(subnet);
        return subnet;
    }

    public Wire.NodeSecurityGroup AddGroup(params Wire.NodeSecurityGroupRule[] rules)
    {
        var group = new Wire.NodeSecurityGroup { Id = NewId(), Rules = { rules } };
        group.Rules.Add(new Wire.NodeSecurityGroupRule { Id = NewId(), Direction = Nephos.Protos.Network.V1.NodeRuleDirection.Egress, IpVersion = 4 });
        _state.SecurityGroups.Add(group);
        return group;
    }

    public Wire.NodeSecurityGroupRule Ingress(uint? protocol, uint? port = null, string cidr = "", string group = "")
    {
        var rule = new Wire.NodeSecurityGroupRule
        {
            Id = NewId(), Direction = Nephos.Protos.Network.V1.NodeRuleDirection.Ingress, IpVersion = 4, RemoteCidr = cidr, RemoteGroupId = group,
        };
        if (protocol is { } number)
        {
            rule.Protocol = number;
        }

        if (port is { } first)
        {
            (rule.PortRangeMin, rule.PortRangeMax) = (first, first);
        }

        return rule;
    }

    public Wire.NodePort AddPort(Wire.NodeSubnet subnet, string address, params Wire.NodeSecurityGroup[] groups)
    {
        var port = new Wire.NodePort
        {
            Id = NewId(),
            NetworkId = subnet.NetworkId,
            MacAddress = NewMac(),
            FixedIps = { new Wire.NodeFixedIp { SubnetId = subnet.Id, Address = address } },
            DeviceId = NewId(),
            Epoch = 1,
            AdminStateUp = true,
            PortSecurityEnabled = true,
            SecurityGroupIds = { groups.Select(group => group.Id) },
            DnsName = "guest-" + address.Replace('.', '-').Replace(':', '-'),
        };
        _state.Ports.Add(port);
        return port;
    }

    public Wire.NodeRouter AddRouter(params (Wire.NodeSubnet Subnet, string Address)[] interfaces)
    {
        var router = new Wire.NodeRouter { Id = NewId(), AdminStateUp = true, Epoch = 1 };
        foreach (var (subnet, address) in interfaces)
        {
            router.Interfaces.Add(new Wire.NodeRouterInterface
            {
                PortId = NewId(), NetworkId = subnet.NetworkId, MacAddress = NewMac(),
                FixedIps = { new Wire.NodeFixedIp { SubnetId = subnet.Id, Address = address } },
            });
        }

        _state.Routers.Add(router);
        return router;
    }

    public void SetGateway(Wire.NodeRouter router, Wire.NodeSubnet subnet, string address, bool snat = true) => router.Gateway = new Wire.NodeRouterGateway
    {
        PortId = NewId(), NetworkId = subnet.NetworkId, MacAddress = NewMac(), EnableSnat = snat,
        FixedIps = { new Wire.NodeFixedIp { SubnetId = subnet.Id, Address = address } },
    };

    public Wire.NodeFloatingIp AddFloatingIp(Wire.NodeRouter router, string floating, Wire.NodePort port)
    {
        var ip = new Wire.NodeFloatingIp { Id = NewId(), FloatingAddress = floating, PortId = port.Id, FixedAddress = port.FixedIps[0].Address };
        router.FloatingIps.Add(ip);
        return ip;
    }

    /// <summary>The first digits are always the same, as those of ids that begin with a time are.</summary>
    private string NewId() => $"01890000-0000-7000-8000-{_next++:x12}";

    private string NewMac() => $"fa:16:3e:00:{_next >> 8:x2}:{_next++ & 0xFF:x2}";
}
