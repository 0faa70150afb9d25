using System.Globalization;

namespace Nephos.ObjectStorage.Objects;

/// <summary>The Range header (RFC 9110, section 14), in linear time.</summary>
internal static class ByteRanges
{
    /// <summary>More ranges than this are ignored: the whole is cheaper than many pieces.</summary>
    public const int MaxRanges = 50;

    private const string Unit = "bytes=";

    /// <returns>
    /// Null when the header is absent or malformed and so ignored; empty when no range can be satisfied; else the ranges that can,
    /// in the order given, each inside the length.
    /// </returns>
    public static IReadOnlyList<(long Offset, long Length)>? Parse(string? header, long lengthBytes)
    {
        if (header is null || !header.StartsWith(Unit, StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }
        var ranges = new List<(long, long)>();
        var count = 0;
        foreach (var part in header.AsSpan(Unit.Length).Split(','))
        {
            var text = header.AsSpan(Unit.Length)[part].Trim();
            var dash = text.IndexOf('-');
            if (++count > MaxRanges || dash < 0)
            {
                return null;
            }
            var first = text[..dash].Trim();
            var last = text[(dash + 1)..].Trim();
            if (first.IsEmpty)
            {
                if (!TryParse(last, out var suffix))
                {
                    return null;
                }
                if (suffix > 0 && lengthBytes > 0)
                {
                    var taken = Math.Min(suffix, lengthBytes);
                    ranges.Add((lengthBytes - taken, taken));
                }
                continue;
            }
            var end = long.MaxValue;
            if (!TryParse(first, out var start) || (!last.IsEmpty && (!TryParse(last, out end) || end < start)))
            {
                return null;
            }
            if (start < lengthBytes)
            {
                ranges.Add((start, Math.Min(end, lengthBytes - 1) - start + 1));
            }
        }
        return ranges;
    }

    private static bool TryParse(ReadOnlySpan<char> text, out long value) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);
}
