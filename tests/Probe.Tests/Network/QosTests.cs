using Nephos.Hypervisor.Network.Nft;
using Xunit;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Probe.Tests.Network;

[Collection(NetworkCollection.Name)]
public sealed class QosTests
{
    [NetworkFact]
    public async Task What_a_guest_sends_carries_the_mark_of_its_policy()
    {
        await using var node = new NodeFixture();
        var open = node.State.AddGroup(node.State.Ingress(null));
        var subnet = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1");
        var (first, second) = (node.State.AddPort(subnet, "10.0.0.11", open), node.State.AddPort(subnet, "10.0.0.12", open));
        first.Qos = new Wire.NodeQos { Dscp = 26 };
        await node.ApplyAsync();
        var (one, two) = (node.Boot(first), node.Boot(second));
        two.Namespace.Run(() =>
        {
            using var rules = new NftContext();
            rules.Run("table ip seen { chain c { type filter hook input priority 0; policy accept;\nip saddr 10.0.0.11 ip dscp != 26 drop\n}\n}\n");
        });

        Assert.True(one.Ping("10.0.0.12"));
        first.Qos = null;
        await node.ApplyAsync();
        Assert.False(one.Ping("10.0.0.12", TimeSpan.FromMilliseconds(600)));
    }
}
