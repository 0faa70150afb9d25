using System.Net;
using System.Net.Sockets;
using System.Text;
using Xunit;

namespace Nephos.Probe.Tests.Network;

[Collection(NetworkCollection.Name)]
public sealed class GuestServiceTests
{
    private const byte Discover = 1;
    private const byte Offer = 2;
    private const byte Request = 3;
    private const byte Ack = 5;
    private const byte Nak = 6;

    [NetworkFact]
    public async Task Dhcp_gives_the_address_of_the_port()
    {
        await using var node = new NodeFixture();
        var subnet = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1");
        subnet.HostRoutes.Add(new Nephos.Protos.Network.V1.NodeRoute { Destination = "10.7.0.0/16", Nexthop = "10.0.0.9" });
        var port = node.State.AddPort(subnet, "10.0.0.11", node.State.AddGroup());
        await node.ApplyAsync();
        var client = new DhcpClient(node.Boot(port));

        var offer = await client.AskAsync(Discover);
        Assert.NotNull(offer);
        Assert.Equal((Offer, IPAddress.Parse("10.0.0.11")), (offer.Type, offer.Offered));
        Assert.Equal("255.255.255.0", offer.Address(1).ToString());
        Assert.Equal("10.0.0.1", offer.Address(3).ToString());
        Assert.Equal("192.0.2.53", offer.Address(6).ToString());
        Assert.Equal("guest-10-0-0-11", offer.Text(12));
        Assert.Equal("cloud.test", offer.Text(15));
        Assert.Equal(1450u, offer.Number(26));
        Assert.Equal((86400u, 43200u, 75600u), (offer.Number(51), offer.Number(58), offer.Number(59)));
        byte[] routes = [16, 10, 7, 10, 0, 0, 9, 32, 169, 254, 169, 254, 0, 0, 0, 0, 0, 10, 0, 0, 1];
        Assert.Equal(routes, offer.Options[121]);
        Assert.Equal(routes, offer.Options[249]);

        var server = offer.Options[54];
        var accepted = await client.AskAsync(Request, (54, server), (50, [10, 0, 0, 11]));
        Assert.Equal((Ack, IPAddress.Parse("10.0.0.11")), (accepted?.Type, accepted?.Offered));
        var refused = await client.AskAsync(Request, (54, server), (50, [10, 0, 0, 12]));
        Assert.Equal(Nak, refused?.Type);
    }

    [NetworkFact]
    public async Task Dhcp_follows_a_changed_port_at_once_and_is_silent_where_it_is_off()
    {
        await using var node = new NodeFixture();
        var subnet = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1");
        var port = node.State.AddPort(subnet, "10.0.0.11", node.State.AddGroup());
        await node.ApplyAsync();
        var client = new DhcpClient(node.Boot(port));
        Assert.Equal("10.0.0.11", (await client.AskAsync(Discover))?.Offered.ToString());

        port.FixedIps[0].Address = "10.0.0.77";
        await node.ApplyAsync();
        Assert.Equal("10.0.0.77", (await client.AskAsync(Discover))?.Offered.ToString());

        subnet.EnableDhcp = false;
        await node.ApplyAsync();
        Assert.Null(await client.AskAsync(Discover));
    }

    [NetworkFact]
    public async Task Metadata_knows_who_asks_by_the_network_and_the_address()
    {
        await using var node = new NodeFixture();
        var group = node.State.AddGroup();
        var ports = new[] { 1, 2 }
            .Select(_ => node.State.AddPort(node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1"), "10.0.0.11", group)).ToList();
        await node.ApplyAsync();

        foreach (var port in ports)
        {
            var guest = node.Boot(port);
            guest.SetMetadataRoute();
            var answer = Get(guest, "/openstack/latest/meta_data.json");
            Assert.StartsWith("HTTP/1.1 200", answer, StringComparison.Ordinal);
            Assert.EndsWith($"\r\n\r\n{port.Id} /openstack/latest/meta_data.json", answer, StringComparison.Ordinal);
        }
    }

    [NetworkFact]
    public async Task Metadata_is_reached_through_a_default_gateway_without_passing_it()
    {
        await using var node = new NodeFixture();
        var subnet = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1");
        node.State.AddRouter((subnet, "10.0.0.1"));
        var port = node.State.AddPort(subnet, "10.0.0.11", node.State.AddGroup());
        await node.ApplyAsync();
        var guest = node.Boot(port, gateway: "10.0.0.1");

        Assert.StartsWith("HTTP/1.1 200", Get(guest, "/latest/meta-data/"), StringComparison.Ordinal);
    }

    [NetworkFact]
    public async Task Metadata_refuses_forwarded_requests_other_methods_and_unknown_paths()
    {
        await using var node = new NodeFixture();
        var port = node.State.AddPort(node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1"), "10.0.0.11", node.State.AddGroup());
        await node.ApplyAsync();
        var guest = node.Boot(port);
        guest.SetMetadataRoute();

        Assert.StartsWith("HTTP/1.1 403", Get(guest, "/", "X-Forwarded-For: 10.0.0.12\r\n"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 404", Get(guest, "/missing"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 405", Send(guest, "DELETE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 400", Send(guest, "nonsense\r\n\r\n"), StringComparison.Ordinal);
        Assert.False(guest.Ping("169.254.169.254", TimeSpan.FromMilliseconds(300)));
    }

    private static string Get(Guest guest, string path, string headers = "") =>
        Send(guest, $"GET {path} HTTP/1.1\r\nHost: 169.254.169.254\r\n{headers}Connection: close\r\n\r\n");

    private static string Send(Guest guest, string request)
    {
        using var socket = guest.Run(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        socket.ConnectAsync(IPAddress.Parse("169.254.169.254"), 80, limit.Token).AsTask().GetAwaiter().GetResult();
        socket.Send(Encoding.ASCII.GetBytes(request));
        using var reader = new StreamReader(new NetworkStream(socket) { ReadTimeout = 5000 });
        return reader.ReadToEnd();
    }
}
