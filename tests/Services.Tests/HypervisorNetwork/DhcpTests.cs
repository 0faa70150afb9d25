using System.Buffers.Binary;
using System.Net;
using CsCheck;
using Nephos.Hypervisor.Network;
using Nephos.Hypervisor.Network.Dhcp;
using Xunit;

namespace Nephos.Services.Tests.HypervisorNetwork;

public sealed class DhcpTests
{
    private static readonly Mac Client = Mac.Parse("fa:16:3e:00:0a:11");
    private static readonly Mac Server = Mac.Parse("fe:00:00:00:00:01");

    private static readonly Gen<DhcpOption> AnyOption =
        Gen.Select(Gen.Byte[2, 249].Where(code => code is not (50 or 51 or 52 or 53 or 54 or 58 or 59)), Gen.Byte.Array[0, 600], (code, value) => new DhcpOption(code, value));

    private static readonly Gen<DhcpLease> AnyLease =
        Gen.Select(Gen.UInt, Gen.Int[1, 30], AnyOption.List[0, 12], (address, prefix, options) => new DhcpLease(
            Client, Addresses.FromUInt32(address), prefix, GuestServices.MetadataAddress, 1450, TimeSpan.FromDays(1), options));

    [Fact]
    public void No_frame_of_a_guest_breaks_the_parser() =>
        Gen.Byte.Array[0, 700].Sample(frame => DhcpRequest.TryParse(frame, out _) || true);

    [Fact]
    public void No_damage_to_a_good_frame_breaks_the_parser() =>
        Gen.Select(Gen.Int[0, 300], Gen.Byte, Gen.Int[0, 330]).Sample((at, value, length) =>
        {
            var frame = Frame(DhcpMessageType.Request, 1500, (50, [10, 0, 0, 1]), (55, [1, 3, 6]), (61, [1, 2, 3, 4, 5, 6, 7]));
            frame[at % frame.Length] = value;
            DhcpRequest.TryParse(frame.AsSpan(0, Math.Min(length, frame.Length)), out _);
        });

    [Fact]
    public void Every_answer_is_well_formed_and_within_what_the_client_takes() =>
        Gen.Select(AnyLease, Gen.UShort, Gen.Bool).Sample((lease, maximum, discover) =>
        {
            Assert.True(DhcpRequest.TryParse(Frame(discover ? DhcpMessageType.Discover : DhcpMessageType.Request, maximum, (50, lease.Address.GetAddressBytes())), out var request));
            var frame = new byte[DhcpReply.FrameBytesMax];
            var length = DhcpReply.Build(request, lease, Server, frame);

            Assert.InRange(length, 14 + 28 + 300, 14 + Math.Max((int)maximum, DhcpRequest.SmallestMaximum));
            Assert.Equal(length - 14, BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(16)));
            Assert.Equal(0xFFFF, Fold(frame.AsSpan(14, 20), 0));
            var pseudo = (uint)(17 + length - 34) + Sum(frame.AsSpan(26, 8));
            Assert.Equal(0xFFFF, Fold(frame.AsSpan(34, length - 34), pseudo));
            Assert.Equal(lease.Address, new IPAddress(frame.AsSpan(58, 4)));
            var options = Options(frame.AsSpan(282, length - 282));
            Assert.Equal((byte)(discover ? DhcpMessageType.Offer : DhcpMessageType.Ack), options[53].Single());
            Assert.Equal([0, 1, 0x51, 0x80], options[51]);
            // What is there is there whole.
            foreach (var (code, value) in options.Where(option => option.Key is not (51 or 53 or 54 or 58 or 59)))
            {
                Assert.Contains(value.Length, lease.Options.Where(option => option.Code == code).Select(option => option.Value.Length)
                    .Append(lease.Options.Where(option => option.Code == code).Sum(option => option.Value.Length))
                    .Concat(Sums([.. lease.Options.Where(option => option.Code == code).Select(option => option.Value.Length)])));
            }
        });

    [Fact]
    public void An_option_longer_than_255_bytes_comes_in_parts()
    {
        var value = Enumerable.Range(0, 600).Select(i => (byte)i).ToArray();
        var lease = new DhcpLease(Client, IPAddress.Parse("10.0.0.11"), 24, GuestServices.MetadataAddress, 1450, TimeSpan.FromHours(1), [new DhcpOption(121, value)]);
        Assert.True(DhcpRequest.TryParse(Frame(DhcpMessageType.Discover, 1500), out var request));
        var frame = new byte[DhcpReply.FrameBytesMax];
        var length = DhcpReply.Build(request, lease, Server, frame);

        Assert.Equal(value, Options(frame.AsSpan(282, length - 282))[121]);
    }

    [Fact]
    public void Others_questions_are_not_answered()
    {
        var lease = new DhcpLease(Client, IPAddress.Parse("10.0.0.11"), 24, GuestServices.MetadataAddress, 1450, TimeSpan.FromHours(1), []);
        var frame = new byte[DhcpReply.FrameBytesMax];
        Assert.True(DhcpRequest.TryParse(Frame(DhcpMessageType.Request, 1500, (54, [10, 0, 0, 9])), out var another));
        Assert.Equal(0, DhcpReply.Build(another, lease, Server, frame));
        Assert.True(DhcpRequest.TryParse(Frame(DhcpMessageType.Release, 1500), out var release));
        Assert.Equal(0, DhcpReply.Build(release, lease, Server, frame));
        Assert.True(DhcpRequest.TryParse(Frame(DhcpMessageType.Discover, 1500), out var discover));
        Assert.Equal(0, DhcpReply.Build(discover, lease with { Mac = Server }, Server, frame));
    }

    [Theory]
    [InlineData("bootfile-name", "boot.ipxe", 67)]
    [InlineData("tftp-server", "192.0.2.1", 66)]
    [InlineData("42", "raw", 42)]
    [InlineData("ntp-server", "192.0.2.1,192.0.2.2", 42)]
    public void A_tenants_option_is_read(string name, string value, byte code)
    {
        Assert.True(DhcpOption.TryParse(name, value, out var option));
        Assert.Equal(code, option.Code);
    }

    [Theory]
    [InlineData("53", "x")]
    [InlineData("54", "x")]
    [InlineData("0", "x")]
    [InlineData("255", "x")]
    [InlineData("256", "x")]
    [InlineData("nonsense", "x")]
    [InlineData("router", "not an address")]
    [InlineData("mtu", "70000")]
    [InlineData("67", "")]
    public void A_tenants_option_that_would_break_the_protocol_is_left_out(string name, string value) =>
        Assert.False(DhcpOption.TryParse(name, value, out _));

    private static IEnumerable<int> Sums(List<int> lengths) =>
        Enumerable.Range(0, 1 << Math.Min(lengths.Count, 12)).Select(mask => lengths.Where((_, i) => (mask >> i & 1) != 0).Sum());

    private static Dictionary<byte, byte[]> Options(ReadOnlySpan<byte> rest)
    {
        var options = new Dictionary<byte, byte[]>();
        for (; rest[0] != 255; rest = rest[(2 + rest[1])..])
        {
            options[rest[0]] = [.. options.GetValueOrDefault(rest[0], []), .. rest.Slice(2, rest[1])];
        }

        return options;
    }

    private static uint Sum(ReadOnlySpan<byte> bytes)
    {
        var sum = 0u;
        for (var i = 0; i < bytes.Length; i++)
        {
            sum += i % 2 == 0 ? (uint)bytes[i] << 8 : bytes[i];
        }

        return sum;
    }

    private static int Fold(ReadOnlySpan<byte> bytes, uint start)
    {
        var sum = Sum(bytes) + start;
        while (sum > 0xFFFF)
        {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }

        return (int)sum;
    }

    private static byte[] Frame(DhcpMessageType type, ushort maximum, params (byte Code, byte[] Value)[] options)
    {
        var body = new byte[240];
        (body[0], body[1], body[2]) = (1, 1, 6);
        BinaryPrimitives.WriteUInt32BigEndian(body.AsSpan(4), 0xDEADBEEF);
        Client.Write(body.AsSpan(28));
        BinaryPrimitives.WriteUInt32BigEndian(body.AsSpan(236), DhcpRequest.Magic);
        byte[] message =
        [
            .. body, 53, 1, (byte)type, 57, 2, (byte)(maximum >> 8), (byte)maximum,
            .. options.SelectMany(option => new[] { option.Code, (byte)option.Value.Length }.Concat(option.Value)), 255,
        ];
        var frame = new byte[42 + message.Length];
        Mac.Broadcast.Write(frame);
        Client.Write(frame.AsSpan(6));
        (frame[12], frame[14], frame[23], frame[37]) = (8, 0x45, 17, 67);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(16), (ushort)(28 + message.Length));
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(38), (ushort)(8 + message.Length));
        message.CopyTo(frame, 42);
        return frame;
    }
}
