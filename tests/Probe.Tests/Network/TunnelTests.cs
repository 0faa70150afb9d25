using System.Net;
using Nephos.Hypervisor.Network;
using Nephos.Hypervisor.Network.Namespaces;
using Nephos.Hypervisor.Network.Netlink;
using Xunit;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Probe.Tests.Network;

[Collection(NetworkCollection.Name)]
public sealed class TunnelTests
{
    [NetworkFact]
    public async Task Guests_on_two_nodes_share_a_network_through_a_tunnel()
    {
        await using var left = new NodeFixture(IPAddress.Parse("192.0.2.1"));
        await using var right = new NodeFixture(IPAddress.Parse("192.0.2.2"));
        left.Host.Run(() =>
        {
            using var links = new RouteNetlink();
            links.CreateVeth("under0", "test", "under0", "test", Mac.Derive("under"), right.Host.Descriptor);
        });
        SetUnderlay(left.Host, "192.0.2.1");
        SetUnderlay(right.Host, "192.0.2.2");

        // Both nodes are told the same network, each its own port and the other's.
        var (here, there) = (AddSide(left, "10.0.0.11"), AddSide(right, "10.0.0.12"));
        there.MacAddress = "fa:16:3e:99:00:01";
        (left.State.Wire.Networks[0].Vni, right.State.Wire.Networks[0].Vni) = (77, 77);
        left.State.Wire.Networks[0].RemoteVteps.Add("192.0.2.2");
        right.State.Wire.Networks[0].RemoteVteps.Add("192.0.2.1");
        left.State.Wire.RemotePorts.Add(Remote(there, left, "192.0.2.2"));
        right.State.Wire.RemotePorts.Add(Remote(here, right, "192.0.2.1"));
        await left.ApplyAsync();
        await right.ApplyAsync();
        var (one, two) = (left.Boot(here), right.Boot(there));
        two.Serve(80);

        Assert.True(one.Ping("10.0.0.12"));
        using var conversation = one.Connect("10.0.0.12", 80);
        Assert.Equal("10.0.0.11", conversation?.SeenAs);

        // The other side moves away: its address must not be answered here any more.
        left.State.Wire.RemotePorts.Clear();
        left.State.Wire.Networks[0].RemoteVteps.Clear();
        await left.ApplyAsync();
        Assert.False(one.Ping("10.0.0.12", TimeSpan.FromMilliseconds(600)));
    }

    private static Wire.NodePort AddSide(NodeFixture node, string address)
    {
        var subnet = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1");
        return node.State.AddPort(subnet, address, node.State.AddGroup(node.State.Ingress(null)));
    }

    private static Wire.NodeRemotePort Remote(Wire.NodePort port, NodeFixture seenBy, string vtep) => new()
    {
        PortId = port.Id, NetworkId = seenBy.State.Wire.Networks[0].Id, MacAddress = port.MacAddress, Addresses = { port.FixedIps[0].Address }, VtepAddress = vtep,
    };

    private static void SetUnderlay(NetworkNamespace host, string address) => host.Run(() =>
    {
        using var links = new RouteNetlink();
        var index = links.FindLink("under0")!.Index;
        links.AddAddress(new InterfaceAddress(index, IPAddress.Parse(address), 24));
        links.SetUp(index, up: true);
    });
}
