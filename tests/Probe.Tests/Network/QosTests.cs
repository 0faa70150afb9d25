using System.Net;
using System.Net.Sockets;
using Nephos.Hypervisor.Network.Nft;
using Xunit;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Probe.Tests.Network;

[Collection(NetworkCollection.Name)]
public sealed class QosTests
{
    private const uint Kbps = 4000;
    private const int BytesPerSecond = (int)Kbps * 1000 / 8;

    [NetworkFact]
    public Task What_a_guest_sends_is_limited_to_its_rate_after_the_burst() => RequireLimitAsync(new Wire.NodeQos { EgressKbps = Kbps }, ofSender: true);

    [NetworkFact]
    public Task What_a_guest_receives_is_limited_to_its_rate_after_the_burst() => RequireLimitAsync(new Wire.NodeQos { IngressKbps = Kbps }, ofSender: false);

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

    private static async Task RequireLimitAsync(Wire.NodeQos limit, bool ofSender)
    {
        await using var node = new NodeFixture();
        var open = node.State.AddGroup(node.State.Ingress(null));
        var subnet = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1");
        var (first, second) = (node.State.AddPort(subnet, "10.0.0.11", open), node.State.AddPort(subnet, "10.0.0.12", open));
        (ofSender ? first : second).Qos = limit;
        await node.ApplyAsync();
        var (one, two) = (node.Boot(first), node.Boot(second));
        Assert.True(one.Ping("10.0.0.12"));

        // The bucket holds a second; headers and what is sent twice count too, so that the other second can only take longer.
        const int Bytes = 2 * BytesPerSecond;
        var limited = await TransferAsync(one, two, "10.0.0.12", Bytes);
        limit.EgressKbps = limit.IngressKbps = 0;
        await node.ApplyAsync();
        var free = await TransferAsync(one, two, "10.0.0.12", Bytes);

        Assert.True(limited >= TimeSpan.FromSeconds(1), $"{Bytes} bytes took {limited} at {BytesPerSecond} bytes per second");
        Assert.True(free < limited, $"without a limit {free}, with one {limited}");
    }

    /// <summary>From the first byte that is sent to the last one that arrives.</summary>
    private static async Task<TimeSpan> TransferAsync(Guest from, Guest to, string address, int bytes)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        using var listener = to.Run(() =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Any, 0));
            socket.Listen();
            return socket;
        });
        using var sender = from.Run(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        await sender.ConnectAsync(IPAddress.Parse(address), ((IPEndPoint)listener.LocalEndPoint!).Port, patience.Token);
        using var receiver = await listener.AcceptAsync(patience.Token);
        var began = TimeProvider.System.GetTimestamp();
        var sending = SendAsync();
        var buffer = new byte[64 * 1024];
        for (var got = 0; got < bytes;)
        {
            var count = await receiver.ReceiveAsync(buffer, patience.Token);
            Assert.True(count > 0, $"the connection ended after {got} bytes");
            got += count;
        }

        var elapsed = TimeProvider.System.GetElapsedTime(began);
        await sending;
        return elapsed;

        async Task SendAsync()
        {
            var data = new byte[16 * 1024];
            for (var left = bytes; left > 0;)
            {
                left -= await sender.SendAsync(data.AsMemory(0, Math.Min(left, data.Length)), patience.Token);
            }
        }
    }
}
