using Nephos.Hypervisor.Network.Namespaces;
using Xunit;

namespace Nephos.Probe.Tests.Network;

[Collection(NetworkCollection.Name)]
public sealed class SecurityGroupTests
{
    private const uint Icmp = 1;
    private const uint Tcp = 6;
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(600);

    [NetworkFact]
    public async Task Rules_let_in_what_they_name_and_nothing_else()
    {
        await using var node = new NodeFixture();
        var subnet = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1");
        var plain = node.State.AddGroup();
        var web = node.State.AddGroup(node.State.Ingress(Icmp), node.State.Ingress(Tcp, 80), node.State.Ingress(Tcp, 81, cidr: "10.9.0.0/16"));
        var (first, second) = (node.State.AddPort(subnet, "10.0.0.11", plain), node.State.AddPort(subnet, "10.0.0.12", web));
        await node.ApplyAsync();
        var (client, server) = (node.Boot(first), node.Boot(second));
        server.Serve(80);
        server.Serve(81);
        server.Serve(82);
        client.Serve(80);

        Assert.True(client.Ping("10.0.0.12"));
        using (var conversation = client.Connect("10.0.0.12", 80))
        {
            Assert.Equal("10.0.0.11", conversation?.SeenAs);
        }

        Assert.Null(client.Connect("10.0.0.12", 81, Short));
        Assert.Null(client.Connect("10.0.0.12", 82, Short));
        Assert.False(server.Ping("10.0.0.11", Short));
        Assert.Null(server.Connect("10.0.0.11", 80, Short));
    }

    [NetworkFact]
    public async Task An_established_connection_survives_new_rules_and_is_cut_with_the_rule_that_let_it_in()
    {
        await using var node = new NodeFixture();
        var subnet = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1");
        var group = node.State.AddGroup(node.State.Ingress(Tcp, 80), node.State.Ingress(Tcp, 81));
        var (first, second) = (node.State.AddPort(subnet, "10.0.0.11", group), node.State.AddPort(subnet, "10.0.0.12", group));
        await node.ApplyAsync();
        var (client, server) = (node.Boot(first), node.Boot(second));
        server.Serve(80);
        server.Serve(81);
        using var kept = client.Connect("10.0.0.12", 80)!;
        using var cut = client.Connect("10.0.0.12", 81)!;
        Assert.NotNull(kept);
        Assert.NotNull(cut);

        group.Rules.Add(node.State.Ingress(Icmp));
        await node.ApplyAsync();
        Assert.True(kept.Echoes("after a rule was added"));
        Assert.True(cut.Echoes("after a rule was added"));

        group.Rules.Remove(group.Rules.Single(rule => rule.HasPortRangeMin && rule.PortRangeMin == 81));
        await node.ApplyAsync();
        Assert.True(kept.Echoes("after the other's rule was removed"));
        Assert.False(cut.Echoes("after its rule was removed"));
    }

    [NetworkFact]
    public async Task A_rule_that_names_a_group_lets_in_its_members_only()
    {
        await using var node = new NodeFixture();
        var network = node.State.AddNetwork();
        var subnet = node.State.AddSubnet(network, "10.0.0.0/24", "10.0.0.1");
        var friends = node.State.AddGroup();
        var guarded = node.State.AddGroup(node.State.Ingress(Icmp, group: friends.Id));
        var friend = node.State.AddPort(subnet, "10.0.0.11", friends);
        var stranger = node.State.AddPort(subnet, "10.0.0.12", node.State.AddGroup());
        var target = node.State.AddPort(subnet, "10.0.0.13", guarded);
        var members = new Nephos.Protos.Network.V1.NodeGroupMembers { SecurityGroupId = friends.Id, NetworkId = network.Id, Addresses = { "10.0.0.11" } };
        node.State.Wire.GroupMembers.Add(members);
        await node.ApplyAsync();
        var (first, second, _) = (node.Boot(friend), node.Boot(stranger), node.Boot(target));

        Assert.True(first.Ping("10.0.0.13"));
        Assert.False(second.Ping("10.0.0.13", Short));

        members.Addresses.Clear();
        members.Addresses.Add("10.0.0.12");
        await node.ApplyAsync();
        Assert.True(second.Ping("10.0.0.13"));
        Assert.False(first.Ping("10.0.0.13", Short));
    }

    [NetworkFact]
    public async Task A_guest_cannot_speak_with_an_address_that_is_not_its_own()
    {
        await using var node = new NodeFixture();
        var subnet = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1");
        var open = node.State.AddGroup(node.State.Ingress(null));
        var (first, second) = (node.State.AddPort(subnet, "10.0.0.11", open), node.State.AddPort(subnet, "10.0.0.12", open));
        await node.ApplyAsync();
        var (liar, _) = (node.Boot(first), node.Boot(second));
        Assert.True(liar.Ping("10.0.0.12"));

        liar.RemoveAddress("10.0.0.11/24");
        liar.SetAddress("10.0.0.66/24");
        Assert.False(liar.Ping("10.0.0.12", Short));

        first.AllowedAddressPairs.Add(new Nephos.Protos.Network.V1.NodeAddressPair { IpAddress = "10.0.0.64/28" });
        await node.ApplyAsync();
        Assert.True(liar.Ping("10.0.0.12"));
    }

    [NetworkFact]
    public async Task Without_port_security_nothing_is_filtered()
    {
        await using var node = new NodeFixture();
        var subnet = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1");
        var (first, second) = (node.State.AddPort(subnet, "10.0.0.11"), node.State.AddPort(subnet, "10.0.0.12"));
        (first.PortSecurityEnabled, second.PortSecurityEnabled) = (false, false);
        await node.ApplyAsync();
        var (one, _) = (node.Boot(first), node.Boot(second));
        one.RemoveAddress("10.0.0.11/24");
        one.SetAddress("10.0.0.66/24");

        Assert.True(one.Ping("10.0.0.12"));
    }

    [NetworkFact]
    public async Task Two_tenants_with_the_same_addresses_do_not_meet()
    {
        await using var node = new NodeFixture();
        var open = node.State.AddGroup(node.State.Ingress(null));
        var subnets = new[] { 1, 2 }.Select(_ => node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1")).ToList();
        var ports = subnets.ConvertAll(subnet => (First: node.State.AddPort(subnet, "10.0.0.11", open), Second: node.State.AddPort(subnet, "10.0.0.12", open)));
        var lonely = node.State.AddPort(subnets[1], "10.0.0.13", open);
        await node.ApplyAsync();
        var guests = ports.ConvertAll(pair => (First: node.Boot(pair.First), Second: node.Boot(pair.Second)));
        node.Boot(lonely);
        guests[0].Second.Serve(80);

        // Only the first tenant has a server on .12, only the second has somebody on .13.
        using var conversation = guests[0].First.Connect("10.0.0.12", 80);
        Assert.NotNull(conversation);
        Assert.Null(guests[1].First.Connect("10.0.0.12", 80, Short));
        Assert.True(guests[1].First.Ping("10.0.0.13"));
        Assert.False(guests[0].First.Ping("10.0.0.13", Short));
    }

    [NetworkFact]
    public async Task IPv6_obeys_groups_and_a_guest_cannot_take_anothers_address()
    {
        await using var node = new NodeFixture();
        var network = node.State.AddNetwork();
        var (four, six) = (node.State.AddSubnet(network, "10.0.0.0/24", "10.0.0.1"), node.State.AddSubnet(network, "fd00:10::/64", ""));
        var web = node.State.Ingress(Tcp, 80);
        web.IpVersion = 6;
        var group = node.State.AddGroup(web);
        var out6 = node.State.Ingress(null);
        (out6.IpVersion, out6.Direction) = (6, Nephos.Protos.Network.V1.NodeRuleDirection.Egress);
        group.Rules.Add(out6);
        var ports = new[] { 1, 2, 3 }.Select(i => node.State.AddPort(four, $"10.0.0.1{i}", group)).ToList();
        for (var i = 0; i < 2; i++)
        {
            ports[i].FixedIps.Add(new Nephos.Protos.Network.V1.NodeFixedIp { SubnetId = six.Id, Address = $"fd00:10::1{i + 1}" });
        }

        await node.ApplyAsync();
        var (client, server, liar) = (node.Boot(ports[0]), node.Boot(ports[1]), node.Boot(ports[2]));
        client.SetAddress("fd00:10::11/64");
        server.SetAddress("fd00:10::12/64");
        server.Serve(80);
        server.Serve(81);
        using (var conversation = client.Connect("fd00:10::12", 80))
        {
            Assert.Equal("fd00:10::11", conversation?.SeenAs);
        }

        Assert.Null(client.Connect("fd00:10::12", 81, Short));

        // A third guest that is asked for an address it was not given, and would answer.
        liar.SetAddress("fd00:10::13/64");
        liar.Serve(80);
        Assert.Null(client.Connect("fd00:10::13", 80, Short));
        ports[2].FixedIps.Add(new Nephos.Protos.Network.V1.NodeFixedIp { SubnetId = six.Id, Address = "fd00:10::13" });
        await node.ApplyAsync();
        using var honest = client.Connect("fd00:10::13", 80);
        Assert.NotNull(honest);
    }
}
