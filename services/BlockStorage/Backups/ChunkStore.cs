using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using System.Security.Cryptography;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.BlockStorage.Backups;

/// <summary>The SHA-256 of a chunk, by which it is found; all zero stands for a chunk that is.</summary>
internal readonly record struct ChunkDigest(UInt128 High, UInt128 Low)
{
    public const int Bytes = 32;

    public bool IsHole => this == default;

    public static ChunkDigest Of(ReadOnlySpan<byte> content)
    {
        Span<byte> hash = stackalloc byte[Bytes];
        SHA256.HashData(content, hash);
        return Read(hash);
    }

    public static ChunkDigest Read(ReadOnlySpan<byte> from) =>
        new(BinaryPrimitives.ReadUInt128BigEndian(from), BinaryPrimitives.ReadUInt128BigEndian(from[16..]));

    public void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt128BigEndian(to, High);
        BinaryPrimitives.WriteUInt128BigEndian(to[16..], Low);
    }

    public static bool TryParse(string text, out ChunkDigest digest)
    {
        Span<byte> bytes = stackalloc byte[Bytes];
        var parsed = text.Length == 2 * Bytes && Convert.FromHexString(text, bytes, out _, out _) == OperationStatus.Done;
        digest = parsed ? Read(bytes) : default;
        return parsed;
    }

    public override string ToString() => $"{High:x32}{Low:x32}";
}

/// <summary>Chunks by their digests in a bucket, compressed when that pays. Buckets are of one project, so equal chunks tell nothing about others.</summary>
/// <remarks>A stored chunk: 0 u32 "NBK1" | 4 u8 method: 0 as it is, 1 Brotli | 5 zeros | 8 u32 length of the content | 12 payload.</remarks>
internal sealed class ChunkStore(IBackupObjects objects)
{
    public const string Prefix = "chunks/";
    public const int ChunkBytes = 4 << 20;
    private const int HeaderBytes = 12;
    private const uint Magic = 0x314B424E;
    private const byte Plain = 0, Brotli = 1;
    private const int BrotliQuality = 1, BrotliWindowBits = 22;

    public static string KeyOf(ChunkDigest digest) => Prefix + digest;

    /// <summary>Stores a chunk unless it is there.</summary>
    /// <returns>Its digest, and the bytes that the bucket has grown by.</returns>
    public async Task<(ChunkDigest Digest, long AddedBytes)> PutAsync(string bucket, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var digest = ChunkDigest.Of(content.Span);
        var key = KeyOf(digest);
        if (await objects.ExistsAsync(bucket, key, cancellationToken)) return (digest, 0);
        var stored = ArrayPool<byte>.Shared.Rent(HeaderBytes + content.Length);
        try
        {
            var length = Encode(content.Span, stored);
            await objects.PutAsync(bucket, key, stored.AsMemory(0, length), cancellationToken);
            return (digest, length);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(stored);
        }
    }

    /// <summary>The content of a chunk, compared with its digest.</summary>
    /// <exception cref="FaultException">DataLoss when it is missing or damaged.</exception>
    public async Task<byte[]> GetAsync(string bucket, ChunkDigest digest, CancellationToken cancellationToken)
    {
        var stored = await objects.GetAsync(bucket, KeyOf(digest), cancellationToken) ?? throw Damaged($"Chunk {digest} is missing.");
        var content = Decode(stored);
        return content is not null && ChunkDigest.Of(content) == digest ? content : throw Damaged($"Chunk {digest} is damaged.");
    }

    private static FaultException Damaged(string message) => new(ErrorReason.DataLoss, message);

    private static int Encode(ReadOnlySpan<byte> content, Span<byte> into)
    {
        var (method, payload) = (Plain, content.Length);
        // Compressed it has to fit where the content itself would.
        if (BrotliEncoder.TryCompress(content, into.Slice(HeaderBytes, content.Length), out var compressed, BrotliQuality, BrotliWindowBits) && compressed < content.Length)
            (method, payload) = (Brotli, compressed);
        else
            content.CopyTo(into[HeaderBytes..]);
        BinaryPrimitives.WriteUInt32LittleEndian(into, Magic);
        into[4..8].Clear();
        into[4] = method;
        BinaryPrimitives.WriteUInt32LittleEndian(into[8..], (uint)content.Length);
        return HeaderBytes + payload;
    }

    private static byte[]? Decode(ReadOnlySpan<byte> stored)
    {
        if (stored.Length < HeaderBytes || BinaryPrimitives.ReadUInt32LittleEndian(stored) != Magic) return null;
        var length = BinaryPrimitives.ReadUInt32LittleEndian(stored[8..]);
        var payload = stored[HeaderBytes..];
        if (length > ChunkBytes) return null;
        switch (stored[4])
        {
            case Plain:
                return payload.Length == length ? payload.ToArray() : null;
            case Brotli:
                var content = new byte[length];
                return BrotliDecoder.TryDecompress(payload, content, out var written) && written == length ? content : null;
            default:
                return null;
        }
    }
}
