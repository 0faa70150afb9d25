using System.Diagnostics;
using Nephos.Hypervisor.Network.Nft;
using Xunit;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Probe.Tests.Network;

[Collection(NetworkCollection.Name)]
public sealed class QosTests
{
    // 600 kB at 500 kB/s, of which 131 kB may go at once: nothing less than the limit makes it last so long.
    private const uint Kbps = 4000;
    private const int Lines = 60;
    private static readonly string s_line = new('x', 10_000);
    private static readonly TimeSpan s_atLeast = TimeSpan.FromMilliseconds(850);

    [NetworkFact]
    public Task A_guest_sends_no_faster_than_its_limit() => LimitAsync(egress: true);

    [NetworkFact]
    public Task A_guest_receives_no_faster_than_its_limit() => LimitAsync(egress: false);

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
            rules.Run("table ip seen { chain c { type filter hook input priority 0; policy accept;\nip saddr 10.0.0.11 ip dscp != 26 drop\n} }");
        });

        Assert.True(one.Ping("10.0.0.12"));
        first.Qos = null;
        await node.ApplyAsync();
        Assert.False(one.Ping("10.0.0.12", TimeSpan.FromMilliseconds(600)));
    }

    private static async Task LimitAsync(bool egress)
    {
        await using var node = new NodeFixture();
        var open = node.State.AddGroup(node.State.Ingress(null));
        var subnet = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1");
        var (first, second) = (node.State.AddPort(subnet, "10.0.0.11", open), node.State.AddPort(subnet, "10.0.0.12", open));
        first.Qos = egress ? new Wire.NodeQos { EgressKbps = Kbps } : new Wire.NodeQos { IngressKbps = Kbps };
        await node.ApplyAsync();
        var (one, two) = (node.Boot(first), node.Boot(second));
        two.Serve(80);

        using (var limited = one.Connect("10.0.0.12", 80))
        {
            Assert.True(TimeOf(limited) >= s_atLeast);
        }

        // Taken away while the guest runs.
        first.Qos = null;
        await node.ApplyAsync();
        using var free = one.Connect("10.0.0.12", 80);
        Assert.True(free!.Echoes("still there"));
    }

    private static TimeSpan TimeOf(Conversation? conversation)
    {
        Assert.NotNull(conversation);
        var began = Stopwatch.GetTimestamp();
        for (var i = 0; i < Lines; i++)
        {
            Assert.True(conversation.Echoes(s_line));
        }

        return Stopwatch.GetElapsedTime(began);
    }
}
