using System.Globalization;
using System.Text;

namespace Nephos.Fuzzing;

/// <summary>Changes an input a little: bits, bytes, numbers, words of the grammar, pieces left out, repeated, moved or taken from another input.</summary>
internal static class Mutator
{
    private const int MaxSteps = 6;

    private static readonly string[] Numbers =
    [
        "0", "-1", "1", "00", "2147483647", "2147483648", "4294967296", "9223372036854775807", "9223372036854775808", "18446744073709551616",
        "99999999999999999999999999", "1e9", "0x10", "1.5", "NaN", " 1", "+1",
    ];

    private static readonly byte[][] Texts =
    [
        [], [0], [0xC0, 0xAE], [0xFF], [0xED, 0xA0, 0x80], "\r\n"u8.ToArray(), "\n\n"u8.ToArray(), "%00"u8.ToArray(), "%2e%2e%2f"u8.ToArray(), "../"u8.ToArray(), "%"u8.ToArray(),
        "%c0%ae"u8.ToArray(), "\u00e9\u6f22\U0001F600"u8.ToArray(), "//"u8.ToArray(), "\""u8.ToArray(), "'"u8.ToArray(), "<"u8.ToArray(), "&"u8.ToArray(), "\\"u8.ToArray(),
    ];

    /// <summary>The input of a target that a seed and a number name, always the same.</summary>
    public static byte[] InputOf(FuzzTarget target, int seed, long number)
    {
        var random = new Random(HashOf(seed, number));
        var input = target.Make(random);
        var steps = random.Next(MaxSteps + 1);
        for (var step = 0; step < steps; step++)
        {
            input = Change(target, random, input);
        }
        if (input.Length > target.BytesMax)
        {
            input = input[..target.BytesMax];
        }
        if (random.Next(4) != 0)
        {
            target.Repair(input);
        }
        return input;
    }

    private static byte[] Change(FuzzTarget target, Random random, byte[] input)
    {
        var at = random.Next(input.Length + 1);
        var length = Math.Min(random.Next(4) == 0 ? random.Next(input.Length + 1) : random.Next(16), input.Length - at);
        switch (random.Next(11))
        {
            case 0 when input.Length > 0:
                input[random.Next(input.Length)] ^= (byte)(1 << random.Next(8));
                return input;
            case 1 when input.Length > 0:
                input[random.Next(input.Length)] = (byte)random.Next(256);
                return input;
            case 2:
                return [.. input.AsSpan(0, at), .. input.AsSpan(at + length)];
            case 3:
                return Repeat(input, at, length, 1 + (random.Next(8) == 0 ? random.Next(1000) : random.Next(3)), target.BytesMax);
            case 4 or 5 when target.Words.Count > 0:
                return [.. input.AsSpan(0, at), .. target.Words[random.Next(target.Words.Count)], .. input.AsSpan(at)];
            case 6:
                return [.. input.AsSpan(0, at), .. Texts[random.Next(Texts.Length)], .. input.AsSpan(at + length)];
            case 7:
                return ReplaceNumber(random, input);
            case 8:
                var other = target.Make(random);
                var cut = random.Next(other.Length + 1);
                return [.. input.AsSpan(0, at), .. other.AsSpan(cut)];
            case 9:
                return input[..at];
            default:
                WriteNumber(random, input);
                return input;
        }
    }

    private static byte[] Repeat(byte[] input, int at, int length, int times, int bytesMax)
    {
        times = Math.Min(times, (bytesMax - input.Length) / Math.Max(1, length));
        if (times <= 0 || length == 0)
        {
            return input;
        }
        var result = new byte[input.Length + (times * length)];
        input.AsSpan(0, at).CopyTo(result);
        for (var time = 0; time <= times; time++)
        {
            input.AsSpan(at, length).CopyTo(result.AsSpan(at + (time * length)));
        }
        input.AsSpan(at + length).CopyTo(result.AsSpan(at + ((times + 1) * length)));
        return result;
    }

    /// <summary>Puts a telling number in the place of one that is written in digits.</summary>
    private static byte[] ReplaceNumber(Random random, byte[] input)
    {
        var start = input.AsSpan(random.Next(input.Length + 1)) is var rest && rest.IndexOfAnyInRange((byte)'0', (byte)'9') is >= 0 and var found
            ? input.Length - rest.Length + found
            : -1;
        if (start < 0)
        {
            return input;
        }
        var end = start;
        while (end < input.Length && char.IsAsciiDigit((char)input[end]))
        {
            end++;
        }
        var number = random.Next(3) == 0 ? random.Next().ToString(CultureInfo.InvariantCulture) : Numbers[random.Next(Numbers.Length)];
        return [.. input.AsSpan(0, start), .. Encoding.ASCII.GetBytes(number), .. input.AsSpan(end)];
    }

    /// <summary>Puts a telling number over one of two, four or eight bytes.</summary>
    private static void WriteNumber(Random random, byte[] input)
    {
        var width = 1 << random.Next(1, 4);
        if (input.Length < width)
        {
            return;
        }
        var value = random.Next(6) switch { 0 => 0UL, 1 => ulong.MaxValue, 2 => 1UL << (width * 8 - 1), 3 => (1UL << (width * 8 - 1)) - 1, 4 => (ulong)random.Next(256), _ => (ulong)random.NextInt64() };
        var at = random.Next(input.Length - width + 1);
        for (var index = 0; index < width; index++)
        {
            input[at + index] = (byte)(value >> (8 * index));
        }
    }

    private static int HashOf(int seed, long number)
    {
        var hash = ((ulong)(uint)seed << 32) ^ (ulong)number;
        hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9;
        hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EB;
        return (int)(hash ^ (hash >> 31));
    }
}
