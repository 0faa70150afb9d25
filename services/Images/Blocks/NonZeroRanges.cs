using System.Runtime.CompilerServices;
using Nephos.Images.Formats;

namespace Nephos.Images.Blocks;

/// <summary>A piece of a disk. The data is valid until the next piece is asked for.</summary>
internal readonly record struct DiskRange(long OffsetBytes, ReadOnlyMemory<byte> Data);

/// <summary>What of a disk is not zero, in ascending order.</summary>
internal static class NonZeroRanges
{
    /// <summary>Largest piece.</summary>
    public const int MaxRangeBytes = 1024 * 1024;

    /// <summary>Offsets are multiples of it, and so are lengths, except at the end of a disk.</summary>
    public const int BlockBytes = 4096;

    /// <exception cref="InvalidDataException">The image is damaged.</exception>
    public static async IAsyncEnumerable<DiskRange> ReadAsync(IDisk disk, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var buffer = new byte[MaxRangeBytes];
        for (long offset = 0; offset < disk.VirtualSizeBytes; offset += MaxRangeBytes)
        {
            var next = disk.NextData(offset);
            if (next >= disk.VirtualSizeBytes)
            {
                yield break;
            }
            offset = Math.Max(offset, next - next % MaxRangeBytes);
            var window = buffer.AsMemory(0, (int)Math.Min(MaxRangeBytes, disk.VirtualSizeBytes - offset));
            window.Span.Clear();
            if (!await disk.ReadAsync(offset, window, cancellationToken))
            {
                continue;
            }
            for (var at = 0; at < window.Length;)
            {
                var (start, end) = NextRun(window.Span, at);
                if (end > start)
                {
                    yield return new DiskRange(offset + start, window[start..end]);
                }
                at = end;
            }
        }
    }

    /// <summary>The next blocks that are not zero; empty at the end.</summary>
    private static (int Start, int End) NextRun(ReadOnlySpan<byte> window, int at)
    {
        while (at < window.Length && IsZero(window, at))
        {
            at += BlockBytes;
        }
        var start = Math.Min(at, window.Length);
        while (at < window.Length && !IsZero(window, at))
        {
            at += BlockBytes;
        }
        return (start, Math.Min(at, window.Length));
    }

    private static bool IsZero(ReadOnlySpan<byte> window, int at) =>
        !window.Slice(at, Math.Min(BlockBytes, window.Length - at)).ContainsAnyExcept((byte)0);
}
