using Xunit;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Probe.Tests.Network;

[Collection(NetworkCollection.Name)]
public sealed class FirewallTests
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(600);

    [NetworkFact]
    public async Task A_router_interface_lets_through_what_the_first_matching_rule_allows_and_replies()
    {
        await using var node = new NodeFixture();
        var open = node.State.AddGroup(node.State.Ingress(null));
        var (left, right) = (node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1"),
            node.State.AddSubnet(node.State.AddNetwork(), "10.1.0.0/24", "10.1.0.1"));
        var (first, second) = (node.State.AddPort(left, "10.0.0.11", open), node.State.AddPort(right, "10.1.0.11", open));
        var router = node.State.AddRouter((left, "10.0.0.1"), (right, "10.1.0.1"));
        var everything = new Wire.NodeFirewallRule { Action = Wire.NodeFirewallAction.Allow, IpVersion = 4 };
        var firewall = new Wire.NodeFirewall { Egress = { everything } };
        router.Interfaces[1].Firewall = firewall;
        await node.ApplyAsync();
        var (one, two) = (node.Boot(first, "10.0.0.1"), node.Boot(second, "10.1.0.1"));
        one.Serve(8000);
        two.Serve(80);
        two.Serve(81);

        // Nothing in by default; what goes out gets its replies.
        Assert.False(one.Ping("10.1.0.11", Short));
        Assert.Null(one.Connect("10.1.0.11", 80, Short));
        using (var outwards = two.Connect("10.0.0.11", 8000))
        {
            Assert.NotNull(outwards);
        }

        firewall.Ingress.Add(new Wire.NodeFirewallRule { Action = Wire.NodeFirewallAction.Deny, IpVersion = 4, Protocol = 6, DestinationPortMin = 81, DestinationPortMax = 90 });
        firewall.Ingress.Add(new Wire.NodeFirewallRule { Action = Wire.NodeFirewallAction.Allow, IpVersion = 4, Protocol = 6, Source = "10.0.0.0/24" });
        await node.ApplyAsync();
        using var inwards = one.Connect("10.1.0.11", 80);
        Assert.NotNull(inwards);
        Assert.Null(one.Connect("10.1.0.11", 81, Short));
        Assert.False(one.Ping("10.1.0.11", Short));

        // A rule that goes ends the connection that it allowed.
        firewall.Ingress.RemoveAt(1);
        await node.ApplyAsync();
        Assert.False(inwards.Echoes("after the rule was taken away"));
        router.Interfaces[1].Firewall = null;
        await node.ApplyAsync();
        Assert.True(one.Ping("10.1.0.11"));
    }
}
