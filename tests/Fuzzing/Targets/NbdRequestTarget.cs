using System.Buffers.Binary;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Client.Nbd;
using Nephos.Client.Volumes;

namespace Nephos.Fuzzing.Targets;

/// <summary>What a client says to the NBD server while it is served: requests, over a volume in memory.</summary>
/// <remarks>The first byte says what was agreed on before. After a stream that ends as it should, every request has been answered and the volume holds
/// what the requests say, by a second and simpler reading of them.</remarks>
internal sealed class NbdRequestTarget : FuzzTarget
{
    public const int SizeBytes = 64 << 10;

    private const int Structured = 1, Contexts = 2, ReadOnly = 4;

    private readonly MemoryReplica _replica = new(SizeBytes);
    private readonly Lazy<VolumeHead> _head;

    public NbdRequestTarget() => _head = new Lazy<VolumeHead>(() => new VolumeHead(
        VolumeGroup.Open(Guid.Empty, 1, SizeBytes, [new ReplicaEndpoint("memory", "")], [_replica], TimeProvider.System), cipher: null, _ => null, NullLogger.Instance));

    public override string Name => "nbd-requests";

    public override string About => "the requests of the NBD server";

    public override IReadOnlyList<byte[]> Words { get; } =
    [
        Header(NbdCommand.Flush, 0, 1, 0, 0), Header(NbdCommand.Disconnect, 0, 2, 0, 0), Header(NbdCommand.Read, 0, 3, 0, SizeBytes), Header(NbdCommand.Trim, 1, 4, 100, 20000),
        Header(NbdCommand.WriteZeroes, 2, 5, 4095, 4098), Header(NbdCommand.BlockStatus, 8, 6, 0, SizeBytes), Header((NbdCommand)99, 0, 7, 0, 0), [0x25, 0x60, 0x95, 0x13],
    ];

    public override byte[] Make(Random random) =>
        [(byte)random.Next(8), .. Enumerable.Range(1, random.Next(1, 10)).SelectMany(cookie => Request(random, (ulong)cookie))];

    private static byte[] Request(Random random, ulong cookie)
    {
        var command = (NbdCommand)random.Next(random.Next(10) == 0 ? 12 : 8);
        var length = command == NbdCommand.Write ? random.Next(3) == 0 ? 4096 : random.Next(1500) : Pick(random, 0, 1, 512, 4096, 8192, random.Next(SizeBytes), SizeBytes);
        var offset = (ulong)Pick(random, 0, 4096 * random.Next(16), random.Next(SizeBytes), SizeBytes - length, SizeBytes, -1);
        if (command == NbdCommand.Flush && random.Next(4) != 0) (offset, length) = (0, 0);
        // Seldom a flag that the command does not have.
        var flags = (ushort)(random.Next(4) == 0 ? Pick(random, 1, 2, 4, 8, 16, 0x8000) : 0);
        var data = new byte[command == NbdCommand.Write ? length : 0];
        random.NextBytes(data);
        return [.. Header(command, flags, cookie, offset, (uint)length), .. data];
    }

    private static byte[] Header(NbdCommand command, ushort flags, ulong cookie, ulong offset, uint length)
    {
        var header = new byte[NbdProtocol.RequestBytes];
        BinaryPrimitives.WriteUInt32BigEndian(header, NbdProtocol.RequestMagic);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(4), flags);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(6), (ushort)command);
        BinaryPrimitives.WriteUInt64BigEndian(header.AsSpan(8), cookie);
        BinaryPrimitives.WriteUInt64BigEndian(header.AsSpan(16), offset);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(24), length);
        return header;
    }

    public override void Run(byte[] input)
    {
        if (input.Length == 0) return;
        var (structured, contexts, readOnly) = ((input[0] & Structured) != 0, (input[0] & Contexts) != 0, (input[0] & ReadOnly) != 0);
        byte[] greeting = [0, 0, 0, 3, .. structured ? NbdInput.Options[0] : [], .. structured && contexts ? NbdInput.Options[3] : [], .. NbdInput.Options[^1]];
        _replica.Clear();
        using var pair = new SocketPair();
        var answers = Task.Run(() => ReadAll(pair.Client));
        pair.Say([.. greeting, .. input.AsSpan(1)]);
        var export = new VolumeExport(_head.Value, readOnly);
        using (var connection = new NbdConnection(1, pair.Server, (name, _) => name == NbdInput.ExportName ? export : null, (_, _) => { }, new RateLimit(default, TimeProvider.System)))
            connection.Run();
        var model = NbdModel.Read(input.AsSpan(1), readOnly);
        var said = answers.GetAwaiter().GetResult();
        if (structured) model.CheckAnswers(said);
        if (model.EndsWell && !_replica.Content.SequenceEqual(model.Content)) throw new InvalidOperationException("The volume does not hold what was written.");
    }

    private static byte[] ReadAll(Socket client)
    {
        using var all = new MemoryStream();
        var buffer = new byte[64 << 10];
        while (true)
        {
            int received;
            try { received = client.Receive(buffer); }
            catch (SocketException) { return all.ToArray(); }
            if (received == 0) return all.ToArray();
            all.Write(buffer, 0, received);
        }
    }
}
