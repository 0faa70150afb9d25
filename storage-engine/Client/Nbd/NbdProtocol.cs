using Nephos.Client.Volumes;

namespace Nephos.Client.Nbd;

/// <summary>Numbers of the NBD protocol (github.com/NetworkBlockDevice/nbd, doc/proto.md). Everything on the wire is big-endian.</summary>
internal static class NbdProtocol
{
    public const ulong InitMagic = 0x4e42444d41474943;
    public const ulong OptionMagic = 0x49484156454F5054;
    public const ulong OptionReplyMagic = 0x3e889045565a9;
    public const uint RequestMagic = 0x25609513;
    public const uint SimpleReplyMagic = 0x67446698;
    public const uint ChunkMagic = 0x668e33ef;

    public const int RequestBytes = 28;
    public const int SimpleReplyBytes = 16;
    public const int ChunkHeaderBytes = 20;

    public const ushort HandshakeFixedNewstyle = 1, HandshakeNoZeroes = 2;

    /// <summary>The longest data of an option.</summary>
    public const int OptionBytesMax = 64 << 10;

    public const int NameBytesMax = 4096;

    /// <summary>Options one connection may send.</summary>
    public const int OptionsMax = 64;

    /// <summary>The longest payload that is advertised.</summary>
    public const int PayloadBytesMax = 32 << 20;

    public const uint BlockBytesMin = 512, BlockBytesPreferred = 4096;
}

internal enum NbdOption : uint
{
    ExportName = 1,
    Abort = 2,
    List = 3,
    StartTls = 5,
    Info = 6,
    Go = 7,
    StructuredReply = 8,
    ListMetaContext = 9,
    SetMetaContext = 10,
}

internal enum NbdOptionReply : uint
{
    Ack = 1,
    Info = 3,
    MetaContext = 4,
    ErrorUnsupported = 0x80000001,
    ErrorPolicy = 0x80000002,
    ErrorInvalid = 0x80000003,
    ErrorTlsRequired = 0x80000005,
    ErrorUnknown = 0x80000006,
}

internal enum NbdInfo : ushort
{
    Export = 0,
    BlockSize = 3,
}

[Flags]
internal enum NbdTransmissionFlags : ushort
{
    HasFlags = 1,
    ReadOnly = 2,
    SendFlush = 4,
    SendFua = 8,
    SendTrim = 32,
    SendWriteZeroes = 64,
    SendDontFragment = 128,
    CanMultiConnection = 256,
    SendCache = 1024,
    SendFastZero = 2048,
}

internal enum NbdCommand : ushort
{
    Read = 0,
    Write = 1,
    Disconnect = 2,
    Flush = 3,
    Trim = 4,
    Cache = 5,
    WriteZeroes = 6,
    BlockStatus = 7,
}

[Flags]
internal enum NbdCommandFlags : ushort
{
    None = 0,
    Fua = 1,
    NoHole = 2,
    DontFragment = 4,
    RequestOne = 8,
    FastZero = 16,
}

internal enum NbdError : uint
{
    None = 0,
    NotPermitted = 1,
    InputOutput = 5,
    Invalid = 22,
    NoSpace = 28,
}

internal enum NbdChunk : ushort
{
    None = 0,
    OffsetData = 1,
    OffsetHole = 2,
    BlockStatus = 5,
    Error = 0x8001,
    ErrorOffset = 0x8002,
}

/// <summary>A request as it came.</summary>
internal readonly record struct NbdRequest(NbdCommandFlags Flags, NbdCommand Command, ulong Cookie, ulong Offset, uint Length);

/// <summary>What a client agreed on in the handshake.</summary>
/// <param name="Contexts">What a question for the status of blocks is answered about.</param>
internal sealed record NbdSession(
    INbdExport Export, long SizeBytes, NbdTransmissionFlags Flags, bool StructuredReplies, IReadOnlyList<NbdContext> Contexts);

/// <summary>What a name stands for while it is served.</summary>
internal interface INbdExport
{
    long SizeBytes { get; }
    bool ReadOnly { get; }

    /// <summary>What writes and flushes go to; null for content that never changes.</summary>
    VolumeHead? Head { get; }

    /// <summary>What is read.</summary>
    INbdContent Content => Head ?? throw new InvalidOperationException("An export without a head has content of its own.");

    /// <summary>Names of what the content can be compared with, as <see cref="NbdContext.BitmapPrefix"/> is followed by them. ASCII.</summary>
    IReadOnlyList<string> Bitmaps => [];
}

/// <summary>Content as connections read it. Safe for use by several threads.</summary>
internal interface INbdContent
{
    /// <summary>Reads any range of bytes inside the content.</summary>
    /// <param name="offset">In bytes.</param>
    /// <param name="buffer">Gets the data.</param>
    /// <param name="scratch">Memory for the blocks around a range that does not begin and end on blocks; at least the length and two blocks.</param>
    ReplicaStatus Read(long offset, Span<byte> buffer, Func<int, Span<byte>> scratch);

    /// <summary>Describes a range of whole blocks from its beginning, until the ranges are full or it ends; at least one.</summary>
    ReplicaStatus GetRanges(long offset, long length, Span<BlockRange> ranges, out int count);

    /// <summary>Where the content differs from what a bitmap is named after: ranges of <see cref="BlockRangeKind.Data"/> may, those that are holes do not.</summary>
    /// <param name="bitmap">Index among the names.</param>
    /// <param name="offset">Of whole blocks, as the length.</param>
    /// <param name="length">In bytes.</param>
    /// <param name="ranges">Filled from the beginning; at least one.</param>
    /// <param name="count">How many were.</param>
    ReplicaStatus GetChanges(int bitmap, long offset, long length, Span<BlockRange> ranges, out int count)
    {
        count = 0;
        return ReplicaStatus.OutOfRange;
    }
}
