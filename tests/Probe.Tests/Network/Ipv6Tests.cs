using System.Net;
using Nephos.Hypervisor.Network;
using Xunit;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Probe.Tests.Network;

/// <summary>IPv6 as guests find it: prefixes, routers and addresses that nobody set by hand.</summary>
[Collection(NetworkCollection.Name)]
public sealed class Ipv6Tests
{
    private const byte Solicit = 1;
    private const byte Advertise = 2;
    private const byte Request = 3;
    private const byte Reply = 7;
    private const byte InformationRequest = 11;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly byte[] Association = [0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0];

    [NetworkFact]
    public async Task Guests_make_their_addresses_of_what_is_advertised_and_meet_through_the_router()
    {
        await using var node = new NodeFixture();
        var open = OpenGroup(node);
        var (left, right) = (Subnet(node, "fd00:1::/64", "fd00:1::1", "slaac"), Subnet(node, "fd00:2::/64", "fd00:2::1", "slaac"));
        var (first, second) = (AutoPort(node, left, open), AutoPort(node, right, open));
        node.State.AddRouter((left, "fd00:1::1"), (right, "fd00:2::1"));
        await node.ApplyAsync();
        var (one, two) = (node.BootBare(first), node.BootBare(second));

        await HasAsync(one, first.FixedIps[0].Address);
        await HasAsync(two, second.FixedIps[0].Address);
        two.Serve(80);
        using var conversation = one.Connect(second.FixedIps[0].Address, 80, Patience);

        Assert.Equal(first.FixedIps[0].Address, conversation?.SeenAs);
    }

    [NetworkFact]
    public async Task A_prefix_that_comes_later_is_told_to_guests_that_are_up()
    {
        await using var node = new NodeFixture();
        var subnet = Subnet(node, "fd00:1::/64", "", "");
        var port = AutoPort(node, subnet, OpenGroup(node));
        await node.ApplyAsync();
        var guest = node.BootBare(port);
        await HasAsync(guest, Mac.Parse(port.MacAddress).LinkLocal().ToString());

        subnet.Ipv6RaMode = subnet.Ipv6AddressMode = "slaac";
        await node.ApplyAsync();

        await HasAsync(guest, port.FixedIps[0].Address);
    }

    [NetworkFact]
    public async Task Dhcpv6_gives_the_address_of_the_port_and_what_else_guests_need()
    {
        await using var node = new NodeFixture();
        var subnet = Subnet(node, "fd00:1::/64", "fd00:1::1", "dhcpv6-stateful");
        subnet.DnsNameservers.Add("fd00::53");
        var port = node.State.AddPort(subnet, "fd00:1::77", OpenGroup(node));
        await node.ApplyAsync();
        var client = new Dhcpv6Client(node.BootBare(port));

        var offer = await client.AskAsync(Solicit, (3, Association));
        Assert.Equal(Advertise, offer?.Type);
        var server = offer!.Value.Options[2];
        var reply = await client.AskAsync(Request, (2, server), (3, Association));

        Assert.Equal(Reply, reply?.Type);
        var given = reply!.Value.Options[3];
        Assert.Equal([0, 0, 0, 9], given[..4]);
        Assert.Equal(IPAddress.Parse("fd00:1::77"), new IPAddress(Dhcpv6Client.Read(given.AsSpan(12))[5].AsSpan(0, 16)));
        Assert.Equal(IPAddress.Parse("fd00::53"), new IPAddress(reply.Value.Options[23]));
        Assert.Equal("\u0005cloud\u0004test\0", System.Text.Encoding.ASCII.GetString(reply.Value.Options[24]));
        // Another server was chosen.
        Assert.Null(await client.AskAsync(Request, TimeSpan.FromMilliseconds(600), (2, [0, 3, 0, 1, 2, 2, 2, 2, 2, 2]), (3, Association)));
    }

    [NetworkFact]
    public async Task Stateless_dhcpv6_gives_no_addresses()
    {
        await using var node = new NodeFixture();
        var subnet = Subnet(node, "fd00:1::/64", "fd00:1::1", "dhcpv6-stateless");
        subnet.DnsNameservers.Add("fd00::53");
        var port = AutoPort(node, subnet, OpenGroup(node));
        await node.ApplyAsync();
        var guest = node.BootBare(port);
        var client = new Dhcpv6Client(guest);
        await HasAsync(guest, port.FixedIps[0].Address);

        var offer = await client.AskAsync(Solicit, (3, Association));
        // No address is available.
        Assert.Equal([0, 2], Dhcpv6Client.Read(offer!.Value.Options[3].AsSpan(12))[13]);
        var names = await client.AskAsync(InformationRequest);
        Assert.Equal(IPAddress.Parse("fd00::53"), new IPAddress(names!.Value.Options[23]));
    }

    private static Wire.NodeSubnet Subnet(NodeFixture node, string cidr, string gateway, string mode)
    {
        var subnet = node.State.AddSubnet(node.State.AddNetwork(), cidr, gateway);
        subnet.DnsNameservers.Clear();
        (subnet.Ipv6RaMode, subnet.Ipv6AddressMode) = (mode, mode);
        return subnet;
    }

    /// <summary>A port with the address that its guest will make of the prefix.</summary>
    private static Wire.NodePort AutoPort(NodeFixture node, Wire.NodeSubnet subnet, Wire.NodeSecurityGroup group)
    {
        var port = node.State.AddPort(subnet, "::", group);
        var bytes = IPNetwork.Parse(subnet.Cidr).BaseAddress.GetAddressBytes();
        Mac.Parse(port.MacAddress).LinkLocal().GetAddressBytes().AsSpan(8).CopyTo(bytes.AsSpan(8));
        port.FixedIps[0].Address = new IPAddress(bytes).ToString();
        port.DnsName = "guest";
        return port;
    }

    private static Wire.NodeSecurityGroup OpenGroup(NodeFixture node)
    {
        var (ingress, egress) = (node.State.Ingress(null), node.State.Ingress(null));
        ingress.IpVersion = egress.IpVersion = 6;
        egress.Direction = Wire.NodeRuleDirection.Egress;
        return node.State.AddGroup(ingress, egress);
    }

    /// <summary>Waits until the guest's kernel has the address.</summary>
    private static async Task HasAsync(Guest guest, string address)
    {
        var digits = Convert.ToHexStringLower(IPAddress.Parse(address).GetAddressBytes());
        using var limit = new CancellationTokenSource(Patience);
        while (!guest.Run(() => File.ReadAllText("/proc/thread-self/net/if_inet6")).Contains(digits, StringComparison.Ordinal))
        {
            await Task.Delay(50, limit.Token);
        }
    }
}
