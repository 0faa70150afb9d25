using System.Buffers.Binary;
using System.Net;
using CsCheck;
using Nephos.Hypervisor.Network;
using Nephos.Hypervisor.Network.Ipv6;
using Xunit;

namespace Nephos.Services.Tests.HypervisorNetwork;

/// <summary>What guests are told about IPv6, and that nothing they send breaks it.</summary>
public sealed class Ipv6Tests
{
    private static readonly Mac Client = Mac.Parse("fa:16:3e:00:0a:11");
    private static readonly Mac Router = Mac.Parse("fa:16:3e:00:0a:01");
    private static readonly Mac Node = Mac.Parse("fe:00:00:00:00:01");
    private static readonly Guid NetworkId = Guid.Parse("01890000-0000-7000-8000-000000000001");
    private static readonly Guid SubnetId = Guid.Parse("01890000-0000-7000-8000-000000000002");
    private static readonly IPAddress Gateway = IPAddress.Parse("fd00:1::1");

    [Fact]
    public void No_frame_of_a_guest_breaks_the_parser() =>
        Gen.Byte.Array[0, 700].Sample(frame => Dhcpv6Request.TryParse(frame, out _) || true);

    [Fact]
    public void No_damage_to_a_good_frame_breaks_the_parser_or_the_answer() =>
        Gen.Select(Gen.Int[0, 200], Gen.Byte, Gen.Int[0, 200]).Sample((at, value, length) =>
        {
            var frame = Frame(1, (1, [0, 3, 0, 1, 1, 2, 3, 4, 5, 6]), (3, [0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 24, .. new byte[24]]), (14, []));
            frame[at % frame.Length] = value;
            if (Dhcpv6Request.TryParse(frame.AsSpan(0, Math.Min(length, frame.Length)), out var request))
            {
                Assert.InRange(Dhcpv6Reply.Build(request, Lease(Ipv6Mode.DhcpStateful)!, Node, new byte[Dhcpv6Reply.FrameBytesMax]), 0, Dhcpv6Reply.FrameBytesMax);
            }
        });

    [Theory]
    [InlineData(1, false, 2)]
    [InlineData(1, true, 7)]
    [InlineData(3, false, 7)]
    [InlineData(5, false, 7)]
    [InlineData(11, false, 7)]
    public void Each_message_has_its_answer(byte type, bool rapid, byte answer)
    {
        (int, byte[])[] options = [(1, [0, 3, 0, 1, 1, 2, 3, 4, 5, 6]), (3, new byte[12]), .. rapid ? [(14, [])] : Array.Empty<(int, byte[])>()];
        Assert.True(Dhcpv6Request.TryParse(Frame(type, options), out var request));
        var frame = new byte[Dhcpv6Reply.FrameBytesMax];

        Assert.True(Dhcpv6Reply.Build(request, Lease(Ipv6Mode.DhcpStateful)!, Node, frame) > 0);
        Assert.Equal(answer, frame[62]);
        Assert.Equal(0xC0FFEEu, BinaryPrimitives.ReadUInt32BigEndian(frame.AsSpan(62)) & 0xFF_FFFF);
    }

    [Fact]
    public void Nothing_is_answered_where_dhcpv6_is_not_served_or_to_another_card()
    {
        Assert.True(Dhcpv6Request.TryParse(Frame(1, (1, [0, 3, 0, 1, 1, 2, 3, 4, 5, 6])), out var request));
        var frame = new byte[Dhcpv6Reply.FrameBytesMax];

        Assert.Equal(0, Dhcpv6Reply.Build(request, Lease(Ipv6Mode.Slaac)!, Node, frame));
        Assert.Equal(0, Dhcpv6Reply.Build(request, Lease(Ipv6Mode.DhcpStateful)! with { Mac = Router }, Node, frame));
    }

    [Theory]
    [InlineData("Slaac", 0x00, 0xC0)]
    [InlineData("DhcpStateless", 0x40, 0xC0)]
    [InlineData("DhcpStateful", 0xC0, 0x80)]
    public void Flags_say_how_guests_get_their_addresses(string mode, int flags, int prefixFlags)
    {
        var frame = new byte[RouterAdvertisement.FrameBytesMax];
        var length = RouterAdvertisement.Build(Lease(Enum.Parse<Ipv6Mode>(mode))!, Node, frame);

        Assert.True(length > 0);
        Assert.Equal((134, 255), (frame[54], frame[21]));
        Assert.Equal((flags, 1800), (frame[59], BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(60))));
        // After the router's address and the MTU.
        Assert.Equal((3, 64, prefixFlags), (frame[86], frame[88], frame[89]));
        Assert.Equal(Router.LinkLocal(), new IPAddress(frame.AsSpan(22, 16)));
    }

    [Fact]
    public void Without_a_router_prefixes_are_told_and_no_default_route()
    {
        var frame = new byte[RouterAdvertisement.FrameBytesMax];
        RouterAdvertisement.Build(Lease(Ipv6Mode.Slaac)! with { Router = null }, Node, frame);

        Assert.Equal(0, BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(60)));
        Assert.Equal(Node.LinkLocal(), new IPAddress(frame.AsSpan(22, 16)));
    }

    [Fact]
    public void The_router_may_be_on_another_node_and_nothing_is_told_without_a_mode()
    {
        var remote = new RemotePortSpec(Guid.NewGuid(), NetworkId, Router, [Gateway], IPAddress.Loopback, Router: true);

        Assert.Equal(Router, Lease(Ipv6Mode.Slaac, routers: [], remotePorts: [remote])!.Router);
        Assert.Null(Lease(Ipv6Mode.Slaac, routers: [])!.Router);
        Assert.Null(Lease(mode: null));
    }

    private static Ipv6Lease? Lease(Ipv6Mode? mode, IReadOnlyList<RouterSpec>? routers = null, IReadOnlyList<RemotePortSpec>? remotePorts = null)
    {
        var address = new FixedIp(SubnetId, IPAddress.Parse("fd00:1::77"));
        var leg = new RouterLegSpec(Guid.NewGuid(), NetworkId, Router, [new FixedIp(SubnetId, Gateway)]);
        var state = NodeState.Empty with
        {
            Networks = new Dictionary<Guid, NetworkSpec> { [NetworkId] = new(NetworkId, NetworkKind.Vxlan, 1, "", 1450, [], "cloud.test", External: false) },
            Subnets = new Dictionary<Guid, SubnetSpec>
            {
                [SubnetId] = new(SubnetId, NetworkId, IPNetwork.Parse("fd00:1::/64"), Gateway, [], [], EnableDhcp: true, null) { RaMode = mode, AddressMode = mode },
            },
            Routers = routers ?? [new RouterSpec(Guid.NewGuid(), 1, AdminStateUp: true, [leg], null, EnableSnat: false, [], [], [])],
            RemotePorts = remotePorts ?? [],
        };
        return Ipv6Lease.Create(
            new PortSpec(Guid.NewGuid(), NetworkId, Client, [address], null, 1, AdminStateUp: true, PortSecurity: true, [], [], "guest", []), state);
    }

    /// <summary>A message from the client's link-local address; nobody looks at its checksum.</summary>
    private static byte[] Frame(byte type, params (int Code, byte[] Value)[] options)
    {
        byte[] message = [type, 0xC0, 0xFF, 0xEE, .. options.SelectMany(option =>
            (byte[])[(byte)(option.Code >> 8), (byte)option.Code, (byte)(option.Value.Length >> 8), (byte)option.Value.Length, .. option.Value])];
        var length = 8 + message.Length;
        return
        [
            0x33, 0x33, 0, 1, 0, 2, .. Client.ToArray(), 0x86, 0xDD, 0x60, 0, 0, 0, (byte)(length >> 8), (byte)length, 17, 1,
            .. Client.LinkLocal().GetAddressBytes(), .. IPAddress.Parse("ff02::1:2").GetAddressBytes(),
            2, 34, 2, 35, (byte)(length >> 8), (byte)length, 0, 0, .. message,
        ];
    }
}
