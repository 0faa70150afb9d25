using System.Net;
using System.Net.Sockets;
using Nephos.Client.Transport;
using Xunit;

namespace Nephos.StorageEngine.Tests.Transport;

public sealed class SocketTransportTests : IDisposable
{
    private static readonly byte[] Key = [1, 2, 3];
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("nephos-transport-");
    private readonly SocketTransport _transport = new(Key, TimeProvider.System);

    private StorageAddress Address => StorageAddress.Unix(Path.Combine(_directory.FullName, "s"));

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public async Task A_call_is_answered_with_its_own_head_and_payload()
    {
        await using var listener = _transport.Listen(Address, Echo);
        await using var channel = _transport.Open(Address);
        var payload = Bytes(StorageMethods.PayloadBytesMax, seed: 1);
        var destination = new byte[payload.Length];

        var reply = await channel.CallAsync(new StorageCall(7, Bytes(100_000, seed: 2)) { Payload = payload, Destination = destination });

        Assert.Equal([7, .. Bytes(100_000, seed: 2)], reply.Head.ToArray());
        Assert.Equal(payload.Length, reply.PayloadBytes);
        Assert.Equal(payload, destination);
    }

    [Fact]
    public async Task Calls_also_travel_over_tcp()
    {
        var port = FreePort();
        var address = StorageAddress.Parse($"tcp:127.0.0.1:{port}");
        await using var listener = _transport.Listen(address, Echo);
        await using var channel = _transport.Open(address);

        Assert.Equal([9, 1, 2], (await channel.CallAsync(new StorageCall(9, new byte[] { 1, 2 }))).Head.ToArray());
    }

    [Fact]
    public async Task Many_calls_share_a_connection_and_each_gets_its_answer()
    {
        await using var listener = _transport.Listen(Address, async call =>
        {
            await Task.Yield();
            return await Echo(call);
        });
        await using var channel = _transport.Open(Address);

        await Task.WhenAll(Enumerable.Range(0, 2000).Select(async n =>
        {
            var (head, payload) = (Bytes(n % 300, seed: n), Bytes(n % 40_000, seed: n + 1));
            var destination = new byte[payload.Length];
            var reply = await channel.CallAsync(new StorageCall((ushort)(n % 200), head) { Payload = payload, Destination = destination });
            Assert.Equal([(byte)(n % 200), .. head], reply.Head.ToArray());
            Assert.Equal(payload, destination);
        }));
    }

    [Fact]
    public async Task Calls_arrive_in_the_order_in_which_they_were_made()
    {
        var seen = new List<int>();
        await using var listener = _transport.Listen(Address, call =>
        {
            seen.Add(BitConverter.ToInt32(call.Head.Span));
            return ValueTask.FromResult(new CallResult(default));
        });
        await using var channel = _transport.Open(Address);

        await Task.WhenAll(Enumerable.Range(0, 500).Select(n => channel.CallAsync(new StorageCall(1, BitConverter.GetBytes(n))).AsTask()));

        Assert.Equal(Enumerable.Range(0, 500), seen);
    }

    [Fact]
    public async Task What_the_other_side_cannot_do_is_told_with_its_reason()
    {
        await using var listener = _transport.Listen(Address, _ => throw new InvalidOperationException("out of tea"));
        await using var channel = _transport.Open(Address);

        var refusal = await Assert.ThrowsAsync<StorageCallException>(async () => await channel.CallAsync(new StorageCall(1, default)));
        Assert.Contains("out of tea", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_call_that_is_not_answered_ends_with_an_unknown_outcome()
    {
        var never = new TaskCompletionSource<CallResult>();
        await using var listener = _transport.Listen(Address, _ => new ValueTask<CallResult>(never.Task));
        await using var channel = _transport.Open(Address);

        var call = new StorageCall(1, default) { Timeout = TimeSpan.FromMilliseconds(300) };
        var lost = await Assert.ThrowsAsync<StorageUnreachableException>(async () => await channel.CallAsync(call));

        Assert.True(lost.IsOutcomeUnknown);
        never.SetResult(default);
    }

    [Fact]
    public async Task A_call_to_nobody_was_surely_not_carried_out()
    {
        await using var channel = _transport.Open(Address);

        for (var attempt = 0; attempt < 3; attempt++)
        {
            var lost = await Assert.ThrowsAsync<StorageUnreachableException>(async () => await channel.CallAsync(new StorageCall(1, default)));
            Assert.False(lost.IsOutcomeUnknown);
        }
    }

    [Fact]
    public async Task A_channel_finds_a_process_that_came_back()
    {
        await using var channel = _transport.Open(Address);
        await using (_transport.Listen(Address, Echo))
        {
            await channel.CallAsync(new StorageCall(1, default));
        }

        await Assert.ThrowsAsync<StorageUnreachableException>(async () => await channel.CallAsync(new StorageCall(1, default)));
        await using var again = _transport.Listen(Address, Echo);
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                Assert.Equal([2], (await channel.CallAsync(new StorageCall(2, default))).Head.ToArray());
                return;
            }
            catch (StorageUnreachableException) when (attempt < 100)
            {
                await Task.Delay(50);
            }
        }
    }

    [Fact]
    public async Task Whoever_does_not_know_the_key_gets_no_connection()
    {
        await using var listener = _transport.Listen(Address, Echo);
        await using var stranger = new SocketTransport(new byte[] { 4 }, TimeProvider.System).Open(Address);

        var lost = await Assert.ThrowsAsync<StorageUnreachableException>(async () => await stranger.CallAsync(new StorageCall(1, default)));
        Assert.False(lost.IsOutcomeUnknown);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(12)]
    [InlineData(33)]
    [InlineData(40)]
    public async Task A_frame_that_was_damaged_on_its_way_is_not_carried_out(int at)
    {
        var (left, right) = await PairAsync();
        var received = new List<FrameHeader>();
        var sending = new FrameConnection(left, TimeProvider.System);
        var frame = new TestFrame { Kind = FrameKind.Call, Method = 1, Call = 1, Head = new byte[4], Payload = new byte[8] };
        var bytes = new byte[FrameHeader.SizeBytes + 12];
        new FrameHeader(frame.Kind, 1, 1, 4, 8, FrameHeader.Checksum(frame.Head.Span, frame.Payload.Span)).Write(bytes);
        bytes[at] ^= 0x10;

        var receiving = new FrameConnection(right, TimeProvider.System).RunAsync(new Collector(received));
        await left.SendAsync(bytes);

        Assert.IsType<InvalidDataException>(await receiving);
        Assert.Empty(received);
        sending.Abort();
    }

    [Fact]
    public void The_layout_of_a_frame_is_fixed()
    {
        var bytes = new byte[FrameHeader.SizeBytes];
        var header = new FrameHeader(FrameKind.Reply, 0x0201, 0x04030201, 5, 6, 0x0D0C0B0A);
        header.Write(bytes);

        Assert.Equal("4E4601020102000001020304050000000600000", Convert.ToHexString(bytes)[..39]);
        Assert.Equal("0A0B0C0D00000000", Convert.ToHexString(bytes)[40..56]);
        Assert.Equal(header, FrameHeader.Read(bytes));
    }

    private static ValueTask<CallResult> Echo(IncomingCall call) =>
        ValueTask.FromResult(new CallResult(new byte[] { (byte)call.Method }.Concat(call.Head.ToArray()).ToArray(), call.Payload.ToArray()));

    private static byte[] Bytes(int count, int seed)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private async Task<(Socket, Socket)> PairAsync()
    {
        using var listener = Address.NewSocket();
        listener.Bind(Address.ToEndPoint());
        listener.Listen(1);
        var left = Address.NewSocket();
        await left.ConnectAsync(Address.ToEndPoint());
        return (left, await listener.AcceptAsync());
    }

    private sealed class TestFrame : OutgoingFrame
    {
        public override bool TryBegin() => true;

        public override void End()
        {
        }
    }

    private sealed class Collector(List<FrameHeader> received) : IFrameReceiver
    {
        public Memory<byte> Prepare(in FrameHeader header) => default;

        public ValueTask ReceiveAsync(FrameHeader header, byte[] head)
        {
            received.Add(header);
            return ValueTask.CompletedTask;
        }
    }
}
