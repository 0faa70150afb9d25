using Nephos.Placement;

namespace Nephos.Client.Objects;

public enum BlobStatus
{
    Ok,
    NotFound,

    /// <summary>There, but not what was written.</summary>
    Corrupt,

    /// <summary>The device has no room.</summary>
    Full,

    /// <summary>The device cannot be reached or failed.</summary>
    Unavailable,
}

/// <summary>One frame of a blob on its way to one device. Buffers stay unchanged until the write completes.</summary>
/// <param name="HomeDevice">The primary that a handoff stands in for; null when the device is the primary itself.</param>
public readonly record struct FrameWrite(
    BlobId Blob, uint Frame, ReadOnlyMemory<byte> Payload, ReadOnlyMemory<ulong> Checksums, ReadOnlyMemory<byte> Hint, int? HomeDevice);

/// <param name="PayloadBytes">Size of the whole frame.</param>
/// <param name="ReadBytes">Verified bytes in the destination.</param>
public readonly record struct FrameRead(BlobStatus Status, int PayloadBytes, int ReadBytes);

/// <summary>A frame that a device holds.</summary>
public readonly record struct FrameEntry(BlobId Blob, uint Frame, int PayloadBytes);

/// <summary>
/// What storage nodes offer to clients for payload: frames on numbered devices. On a device of this process it is a call; on one
/// of another process the framed transport carries it. Never throws for what a device does; thread-safe.
/// </summary>
public interface IBlobNode
{
    /// <summary>The ring that places blobs, as of now.</summary>
    Ring Ring { get; }

    /// <summary>Completes when the frame is durable on the device.</summary>
    ValueTask<BlobStatus> WriteFrameAsync(int device, in FrameWrite frame);

    /// <summary>Reads whole blocks of 64 KiB from <paramref name="firstBlock"/> on, as many as fit; verified on the node.</summary>
    ValueTask<FrameRead> ReadFrameAsync(int device, BlobId blob, uint frame, int firstBlock, Memory<byte> destination);

    /// <summary>Removes all frames of a blob from a device.</summary>
    ValueTask<BlobStatus> DeleteBlobAsync(int device, BlobId blob);

    /// <summary>Whether the device's index names the frame: <c>Ok</c>, <c>NotFound</c> or <c>Unavailable</c>.</summary>
    ValueTask<BlobStatus> FindFrameAsync(int device, BlobId blob, uint frame);

    /// <summary>Frames on a device from one on, up to a placement hash, in the order of placement hash, blob, frame; null when it cannot be reached.</summary>
    /// <param name="firstHash">The smallest placement hash; a greater one of <paramref name="after"/> counts.</param>
    /// <param name="after">Begin behind this frame; null at the first.</param>
    ValueTask<IReadOnlyList<FrameEntry>?> ListFramesAsync(int device, ulong firstHash, ulong lastHash, FrameEntry? after, int limit);

    /// <summary>The device did not answer a moment ago: others had better be asked first.</summary>
    bool IsDoubtful(int device);

    /// <summary>Notes that a blob may have fewer good copies than wanted; repair looks at it soon.</summary>
    void NoteAtRisk(BlobId blob, long lengthBytes);
}

/// <summary>How payload is cut.</summary>
public static class Frames
{
    /// <summary>All frames of a blob but the last have this size.</summary>
    public const int FrameBytes = 1 << 20;

    /// <summary>The unit of checksums.</summary>
    public const int BlockBytes = 64 << 10;

    public const int BlocksPerFrame = FrameBytes / BlockBytes;

    public static uint CountOf(long lengthBytes) => (uint)((lengthBytes + FrameBytes - 1) / FrameBytes);

    /// <summary>Size of one frame of a blob.</summary>
    public static int SizeOf(long lengthBytes, uint frame) =>
        (int)Math.Min(FrameBytes, lengthBytes - ((long)frame * FrameBytes));
}
