using System.Buffers.Binary;
using Nephos.Client.Nbd;
using Nephos.Client.Volumes;

namespace Nephos.Fuzzing.Targets;

/// <summary>What a client says to the NBD server before it is served: flags and options.</summary>
internal sealed class NbdHandshakeTarget : FuzzTarget
{
    public override string Name => "nbd";

    public override string About => "the handshake of the NBD server";

    public override IReadOnlyList<byte[]> Words { get; } = [.. NbdInput.Options, "base:allocation"u8.ToArray(), "base:"u8.ToArray(), [0, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 1]];

    public override byte[] Make(Random random) => NbdInput.Handshake(random);

    public override void Run(byte[] input)
    {
        using var pair = new SocketPair();
        pair.Say(input);
        new NbdHandshake(new PlainChannel(pair.Server), (name, _) => name == NbdInput.ExportName ? new IdleExport() : null, tls: null).Run();
    }
}

/// <summary>Parts of what clients say.</summary>
internal static class NbdInput
{
    public const string ExportName = "disk";

    public static byte[][] Options { get; } =
    [
        Option(NbdOption.StructuredReply, []),
        Option(NbdOption.List, []),
        Option(NbdOption.Info, [0, 0, 0, 4, .. "disk"u8, 0, 1, 0, 3]),
        Option(NbdOption.SetMetaContext, [0, 0, 0, 4, .. "disk"u8, 0, 0, 0, 1, 0, 0, 0, 15, .. "base:allocation"u8]),
        Option(NbdOption.ListMetaContext, [0, 0, 0, 4, .. "disk"u8, 0, 0, 0, 0]),
        Option(NbdOption.StartTls, []),
        Option((NbdOption)4711, [1, 2, 3]),
        Option(NbdOption.Abort, []),
        Option(NbdOption.ExportName, "disk"u8),
        Option(NbdOption.Go, [0, 0, 0, 4, .. "disk"u8, 0, 0]),
    ];

    public static byte[] Handshake(Random random) => [0, 0, 0, (byte)random.Next(4), .. Enumerable.Range(0, random.Next(1, 6)).SelectMany(_ => Options[random.Next(Options.Length)])];

    private static byte[] Option(NbdOption option, ReadOnlySpan<byte> data)
    {
        var head = new byte[16];
        BinaryPrimitives.WriteUInt64BigEndian(head, NbdProtocol.OptionMagic);
        BinaryPrimitives.WriteUInt32BigEndian(head.AsSpan(8), (uint)option);
        BinaryPrimitives.WriteUInt32BigEndian(head.AsSpan(12), (uint)data.Length);
        return [.. head, .. data];
    }
}

/// <summary>An export that nobody gets to use.</summary>
internal sealed class IdleExport : INbdExport
{
    public long SizeBytes => 1 << 20;

    public bool ReadOnly => false;

    public VolumeHead Head => throw new NotSupportedException("The handshake ends before the volume is used.");
}
