using Nephos.Client.Objects;

namespace Nephos.ObjectStorage.Objects;

/// <summary>What a download sends: the payload of one object, or ranges of several one after the other.</summary>
/// <param name="Pieces">In order; each range lies inside its payload.</param>
internal sealed record Content(IReadOnlyList<ContentPiece> Pieces)
{
    public long LengthBytes { get; } = Pieces.Sum(piece => piece.LengthBytes);

    public static Content Of(ObjectRecord record) => new([new ContentPiece(record.Payload, 0, record.SizeBytes)]);

    /// <summary>Sends a range that lies inside the content.</summary>
    public async Task WriteAsync(IObjectEngine engine, Stream body, long offset, long length, CancellationToken cancellationToken)
    {
        foreach (var piece in Pieces)
        {
            if (length == 0)
            {
                return;
            }
            if (offset >= piece.LengthBytes)
            {
                offset -= piece.LengthBytes;
                continue;
            }
            var take = Math.Min(length, piece.LengthBytes - offset);
            await using (var reader = engine.Payloads.OpenReader(piece.Payload, piece.OffsetBytes + offset, take))
            {
                for (var data = await reader.ReadAsync(cancellationToken); !data.IsEmpty; data = await reader.ReadAsync(cancellationToken))
                {
                    await body.WriteAsync(data, cancellationToken);
                }
            }
            (offset, length) = (0, length - take);
        }
    }
}

internal readonly record struct ContentPiece(Payload Payload, long OffsetBytes, long LengthBytes);
