using System.Text;

namespace Nephos.Kernel.State;

/// <summary>The rules of keys: valid UTF-16, 1 to <see cref="StateLimits.MaxKeyBytes"/> bytes of UTF-8, ordered by those bytes.</summary>
public static class StateKeys
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Orders strings as their UTF-8 bytes are ordered, which is by code point.</summary>
    public static IComparer<string> Comparer { get; } = Comparer<string>.Create(Compare);

    /// <returns>Its bytes of UTF-8.</returns>
    /// <exception cref="ArgumentException">The key is empty, too long or not valid UTF-16.</exception>
    public static int Validate(string key)
    {
        ArgumentException.ThrowIfNullOrEmpty(key);
        return ValidateText(key);
    }

    /// <summary>Checks a range; its ends may be empty.</summary>
    /// <returns>The bytes of UTF-8 of both ends.</returns>
    /// <exception cref="ArgumentException">An end is too long or not valid UTF-16, or the range is backwards.</exception>
    public static int ValidateRange(string fromInclusive, string toExclusive)
    {
        var bytes = ValidateText(fromInclusive) + ValidateText(toExclusive);
        if (toExclusive.Length > 0 && Compare(fromInclusive, toExclusive) > 0)
        {
            throw new ArgumentException($"The range from '{fromInclusive}' to '{toExclusive}' is backwards.");
        }

        return bytes;
    }

    /// <summary>The smallest key after every key with the prefix; "" when there is none.</summary>
    public static string PrefixEnd(string prefix)
    {
        var end = prefix.Length;
        while (end > 0)
        {
            var start = end >= 2 && char.IsSurrogatePair(prefix[end - 2], prefix[end - 1]) ? end - 2 : end - 1;
            var last = start == end - 2 ? char.ConvertToUtf32(prefix[start], prefix[start + 1]) : prefix[start];
            if (last < 0x10FFFF)
            {
                // The code points of surrogates are not characters.
                var next = last == 0xD7FF ? 0xE000 : last + 1;
                return string.Concat(prefix.AsSpan(0, start), char.ConvertFromUtf32(next));
            }

            end = start;
        }

        return "";
    }

    /// <summary>The smallest key after this one.</summary>
    public static string After(string key) => key + '\0';

    private static int Compare(string? left, string? right)
    {
        var shared = Math.Min(left!.Length, right!.Length);
        var same = left.AsSpan(0, shared).CommonPrefixLength(right.AsSpan(0, shared));
        return same == shared ? left.Length - right.Length : Rank(left[same]) - Rank(right[same]);
    }

    // Surrogates stand for code points above every other character, but are not the highest UTF-16 units.
    private static int Rank(char unit) => char.IsSurrogate(unit) ? unit + 0x10000 : unit;

    private static int ValidateText(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        int bytes;
        try
        {
            bytes = Strict.GetByteCount(text);
        }
        catch (EncoderFallbackException e)
        {
            throw new ArgumentException("A key of the state store is valid UTF-16.", nameof(text), e);
        }

        if (bytes > StateLimits.MaxKeyBytes)
        {
            throw new ArgumentException($"A key of the state store has at most {StateLimits.MaxKeyBytes} bytes, this one {bytes}.");
        }

        return bytes;
    }
}
