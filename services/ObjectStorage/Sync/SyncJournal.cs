using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Text;
using Nephos.Client.Objects;

namespace Nephos.ObjectStorage.Sync;

/// <summary>What the other cluster is known to have: the state of a container at the end of the last pass, in key order.</summary>
/// <remarks>
/// An object of its own, replaced whole. Little-endian:
/// <code>
/// 8 bytes   magic and format "NSYNC\0\0\1"
/// then for each object
/// u16       length of the key
/// ...       the key in UTF-8
/// i64       time of its last change, in ticks of UTC
/// </code>
/// </remarks>
internal static class SyncJournal
{
    private static ReadOnlySpan<byte> Magic => "NSYNC\0\0\u0001"u8;

    public const string Key = "sync";

    /// <summary>The entries of a journal; nothing when there is none yet.</summary>
    public static async IAsyncEnumerable<(string Key, DateTimeOffset Modified)> ReadAsync(
        IObjectEngine engine, BucketName bucket, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var found = await engine.Namespace.GetObjectAsync(bucket, Key, VersionSelector.Current, cancellationToken);
        if (!found.IsOk)
        {
            yield break;
        }
        await using var reader = engine.Payloads.OpenReader(found.Value!.Payload, 0, found.Value.SizeBytes);
        var left = ReadOnlyMemory<byte>.Empty;
        var isFirst = true;
        for (var data = await reader.ReadAsync(cancellationToken); !data.IsEmpty; data = await reader.ReadAsync(cancellationToken))
        {
            left = left.IsEmpty ? data.ToArray() : (byte[])[.. left.Span, .. data.Span];
            if (isFirst)
            {
                if (!left.Span.StartsWith(Magic))
                {
                    throw new InvalidDataException($"The sync journal {bucket} is not of a format that is known.");
                }
                left = left[Magic.Length..];
                isFirst = false;
            }
            while (TryTake(ref left, out var entry))
            {
                yield return entry;
            }
        }
        if (!left.IsEmpty)
        {
            throw new InvalidDataException($"The sync journal {bucket} ends inside an entry.");
        }
    }

    public static ValueTask BeginAsync(IPayloadWriter writer, CancellationToken cancellationToken) => writer.WriteAsync(Magic.ToArray(), cancellationToken);

    public static ValueTask AppendAsync(IPayloadWriter writer, string key, DateTimeOffset modified, CancellationToken cancellationToken)
    {
        var length = Encoding.UTF8.GetByteCount(key);
        var entry = new byte[2 + length + 8];
        BinaryPrimitives.WriteUInt16LittleEndian(entry, (ushort)length);
        Encoding.UTF8.GetBytes(key, entry.AsSpan(2));
        BinaryPrimitives.WriteInt64LittleEndian(entry.AsSpan(2 + length), modified.UtcTicks);
        return writer.WriteAsync(entry, cancellationToken);
    }

    private static bool TryTake(ref ReadOnlyMemory<byte> bytes, out (string Key, DateTimeOffset Modified) entry)
    {
        entry = default;
        if (bytes.Length < 2)
        {
            return false;
        }
        var length = BinaryPrimitives.ReadUInt16LittleEndian(bytes.Span);
        if (bytes.Length < 2 + length + 8)
        {
            return false;
        }
        entry = (Encoding.UTF8.GetString(bytes.Span.Slice(2, length)), new DateTimeOffset(BinaryPrimitives.ReadInt64LittleEndian(bytes.Span[(2 + length)..]), TimeSpan.Zero));
        bytes = bytes[(2 + length + 8)..];
        return true;
    }
}
