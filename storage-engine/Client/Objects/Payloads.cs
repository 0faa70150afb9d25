using System.Collections.Immutable;
using System.Security.Cryptography;

namespace Nephos.Client.Objects;

/// <summary>Writes and reads the bytes of objects. Payloads are immutable.</summary>
public interface IPayloadStore
{
    /// <summary>Starts a payload of unknown length.</summary>
    /// <exception cref="ObjectEngineException"><c>Unavailable</c>: there is no such policy, or too few devices for it.</exception>
    IPayloadWriter OpenWriter(PayloadOptions options);

    /// <summary>Reads <paramref name="lengthBytes"/> from <paramref name="offsetBytes"/>; the range must lie inside the payload.</summary>
    /// <remarks>Every byte handed out has passed its checksum. A copy that is missing or corrupt is skipped and queued for repair.</remarks>
    IPayloadReader OpenReader(Payload payload, long offsetBytes, long lengthBytes);

    /// <summary>Gives up a payload that no record refers to (a request that failed after <see cref="IPayloadWriter.CompleteAsync"/>).</summary>
    /// <remarks>Never call it for a payload that was handed to the namespace, whatever the namespace answered.</remarks>
    ValueTask ReleaseAsync(Payload payload, CancellationToken cancellationToken);
}

/// <summary>What is known of a payload before its first byte.</summary>
public sealed record PayloadOptions
{
    /// <summary>Decides, with the key, what a salvage tool can say about the bytes.</summary>
    public required BucketName Bucket { get; init; }

    public string Key { get; init; } = "";

    /// <summary>Name of the <see cref="StoragePolicy"/>; null is the default one.</summary>
    public string? Policy { get; init; }

    /// <summary>False keeps even tiny payloads out of the record (parts of an upload).</summary>
    public bool AllowInline { get; init; } = true;

    /// <summary>Is fed every byte in order, beside the writing; has them all when <see cref="IPayloadWriter.CompleteAsync"/> returns.</summary>
    public IncrementalHash? Digest { get; init; }
}

/// <summary>Takes the bytes of one payload. One caller at a time. Disposing without completing discards what was written.</summary>
public interface IPayloadWriter : IAsyncDisposable
{
    /// <summary>Bytes taken so far.</summary>
    long LengthBytes { get; }

    /// <summary>A pooled buffer to receive into, at least 4 KiB; filled bytes are taken by <see cref="AdvanceAsync"/>.</summary>
    /// <remarks>Valid until the next call. The caller may hash what it filled before advancing.</remarks>
    Memory<byte> GetMemory();

    /// <summary>Takes the first <paramref name="count"/> bytes of the last <see cref="GetMemory"/>; waits when the devices fall behind.</summary>
    ValueTask AdvanceAsync(int count, CancellationToken cancellationToken);

    /// <summary>Copies <paramref name="data"/> in; waits when the devices fall behind.</summary>
    ValueTask WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken);

    /// <summary>Returns once every byte is durable on a write quorum of devices (or travels inline with the record).</summary>
    ValueTask<Payload> CompleteAsync(CancellationToken cancellationToken);
}

/// <summary>Hands out the verified bytes of a range, in order. One caller at a time.</summary>
public interface IPayloadReader : IAsyncDisposable
{
    /// <summary>The next bytes (up to 1 MiB), valid until the next call; empty at the end.</summary>
    /// <exception cref="ObjectEngineException"><c>DataLoss</c>, <c>Released</c> or <c>Unavailable</c>.</exception>
    ValueTask<ReadOnlyMemory<byte>> ReadAsync(CancellationToken cancellationToken);
}

/// <summary>Where the bytes of an object are: inline, or in extents in order.</summary>
public sealed record Payload
{
    public static Payload Empty { get; } = new() { LengthBytes = 0 };

    public required long LengthBytes { get; init; }

    /// <summary>All bytes, when there are no extents.</summary>
    public ReadOnlyMemory<byte> Inline { get; init; }

    public ImmutableArray<Extent> Extents { get; init; } = [];
}

/// <summary>One blob of a payload; each is placed on its own.</summary>
public readonly record struct Extent(BlobId Blob, long LengthBytes);
