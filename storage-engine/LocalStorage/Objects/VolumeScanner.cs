using System.Buffers;
using System.Buffers.Binary;

namespace Nephos.LocalStorage.Objects;

/// <summary>Finds the needles of a volume by reading it; resynchronises after damage at the next sector that is a header.</summary>
internal static class VolumeScanner
{
    private const int WindowBytes = 4 << 20;

    /// <summary>Told of each needle with an undamaged header: where it is, and whether its payload matches.</summary>
    /// <returns>False to stop.</returns>
    public delegate bool Visitor(in NeedleHeader header, long offset, bool isIntact, ReadOnlySpan<byte> sector, ReadOnlySpan<byte> payload);

    /// <summary>Visits the needles at or after <paramref name="from"/>, in order; returns where it stopped.</summary>
    public static long Scan(SegmentFile file, long from, Visitor visitor)
    {
        var window = ArrayPool<byte>.Shared.Rent(WindowBytes);
        try
        {
            var windowStart = 0L;
            var windowLength = 0;
            var position = from + 511 & ~511L;
            while (position + NeedleHeader.SizeBytes <= file.SizeBytes)
            {
                if (!Load(position, NeedleHeader.SizeBytes, out var sector))
                {
                    return position;
                }

                if (!NeedleHeader.TryRead(sector, out var header) || header.VolumeId != file.Id)
                {
                    position += NeedleHeader.SizeBytes;
                    continue;
                }

                if (!Load(position, header.TotalBytes, out var whole))
                {
                    // The header is sound but the file ends before the payload does.
                    whole = whole[..NeedleHeader.SizeBytes];
                }

                var payload = whole[NeedleHeader.SizeBytes..];
                payload = payload[..Math.Min(header.PayloadBytes, payload.Length)];
                var intact = payload.Length == header.PayloadBytes && NeedleHeader.Verify(whole, 0, payload);
                if (!visitor(header, position, intact, whole[..NeedleHeader.SizeBytes], payload))
                {
                    return position;
                }

                position += header.TotalBytes;
            }

            return position;

            bool Load(long start, int length, out ReadOnlySpan<byte> bytes)
            {
                if (start < windowStart || start + length > windowStart + windowLength)
                {
                    windowStart = start;
                    windowLength = file.Read(start, window.AsSpan(0, (int)Math.Min(WindowBytes, file.SizeBytes - start)));
                }

                var offset = (int)(start - windowStart);
                bytes = window.AsSpan(offset, Math.Min(length, windowLength - offset));
                return bytes.Length == length;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(window);
        }
    }

    /// <summary>The volume id in the first readable needle of a file whose own header is damaged; 0 when there is none.</summary>
    public static ulong FindVolumeId(ISegmentDirectory directory, string name)
    {
        var buffer = new byte[1 << 20];
        for (long start = SegmentHeader.HeaderBytes; start < directory.SizeOf(name); start += buffer.Length)
        {
            var length = directory.ReadRaw(name, start, buffer);
            for (var offset = 0; offset + NeedleHeader.SizeBytes <= length; offset += NeedleHeader.SizeBytes)
            {
                if (BinaryPrimitives.ReadUInt32LittleEndian(buffer.AsSpan(offset)) != 0
                    && NeedleHeader.TryRead(buffer.AsSpan(offset, NeedleHeader.SizeBytes), out var header))
                {
                    return header.VolumeId;
                }
            }
        }

        return 0;
    }
}
