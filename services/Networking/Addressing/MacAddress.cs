using System.Globalization;

namespace Nephos.Networking.Addressing;

/// <summary>Ethernet addresses, spelled as six lower-case pairs of hex digits with colons.</summary>
internal static class MacAddress
{
    /// <summary>Reads pairs of hex digits between colons or dashes; not the zero address and not a group address.</summary>
    public static bool TryParse(string? text, out string canonical)
    {
        canonical = "";
        if (text is not { Length: 17 })
        {
            return false;
        }

        ulong number = 0;
        for (var i = 0; i < 17; i++)
        {
            var c = text[i];
            if (i % 3 == 2)
            {
                if (c is not (':' or '-'))
                {
                    return false;
                }
            }
            else if (char.IsAsciiHexDigit(c))
            {
                number = (number << 4) | (uint)Convert.ToInt32(c.ToString(), 16);
            }
            else
            {
                return false;
            }
        }

        canonical = Format(number);
        var isGroup = (number >> 40 & 1) == 1;
        return number != 0 && !isGroup;
    }

    /// <summary>An address with a prefix of three pairs and 24 random bits.</summary>
    public static string Random(string prefix, Random random) =>
        string.Create(CultureInfo.InvariantCulture, $"{prefix}:{random.Next(256):x2}:{random.Next(256):x2}:{random.Next(256):x2}");

    /// <summary>The address that an interface gives itself in an IPv6 prefix (RFC 4291, appendix A: modified EUI-64).</summary>
    public static IpAddress Eui64(string mac, Cidr prefix)
    {
        ulong number = 0;
        foreach (var pair in mac.Split(':'))
        {
            number = (number << 8) | byte.Parse(pair, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        }

        var interfaceId = ((number >> 24) << 40 | 0xFFFE000000UL | (number & 0xFFFFFF)) ^ (1UL << 57);
        return prefix.First with { Number = prefix.First.Number | interfaceId };
    }

    private static string Format(ulong number)
    {
        var pairs = new string[6];
        for (var i = 0; i < 6; i++)
        {
            pairs[i] = ((number >> (40 - 8 * i)) & 0xFF).ToString("x2", CultureInfo.InvariantCulture);
        }

        return string.Join(':', pairs);
    }
}
