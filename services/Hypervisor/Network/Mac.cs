using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Nephos.Hypervisor.Network;

/// <summary>An Ethernet address; the first byte on the wire is the most significant of the six.</summary>
internal readonly record struct Mac(ulong Value)
{
    public static readonly Mac Broadcast = new(0xFFFF_FFFF_FFFF);

    /// <exception cref="FormatException">Not six hexadecimal bytes with colons, or a group address.</exception>
    public static Mac Parse(string text)
    {
        if (text.Length != 17 || !text.Where((_, i) => i % 3 == 2).All(c => c == ':'))
        {
            throw new FormatException($"MAC address '{text}' is not of the form 00:00:00:00:00:00");
        }

        ulong value = 0;
        for (var i = 0; i < 17; i += 3)
        {
            if (!byte.TryParse(text.AsSpan(i, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var part))
            {
                throw new FormatException($"MAC address '{text}' is not hexadecimal");
            }

            value = (value << 8) | part;
        }

        var mac = new Mac(value);
        return mac.IsGroup || value == 0 ? throw new FormatException($"MAC address '{text}' is not one station's") : mac;
    }

    public static Mac Read(ReadOnlySpan<byte> bytes)
    {
        ulong value = 0;
        foreach (var part in bytes[..6])
        {
            value = (value << 8) | part;
        }

        return new Mac(value);
    }

    /// <summary>A stable, locally administered address for a device of ours.</summary>
    public static Mac Derive(string seed)
    {
        var hash = Read(SHA256.HashData(Encoding.UTF8.GetBytes(seed)));
        return new Mac((hash.Value & 0x00FF_FFFF_FFFF) | 0xFE00_0000_0000);
    }

    public bool IsGroup => (Value & 0x0100_0000_0000) != 0;

    public void Write(Span<byte> bytes)
    {
        for (var i = 0; i < 6; i++)
        {
            bytes[i] = (byte)(Value >> (40 - 8 * i));
        }
    }

    public byte[] ToArray()
    {
        var bytes = new byte[6];
        Write(bytes);
        return bytes;
    }

    /// <summary>The interface identifier that a guest derives from this address (RFC 4291, appendix A).</summary>
    public System.Net.IPAddress LinkLocal()
    {
        Span<byte> bytes = stackalloc byte[16];
        bytes.Clear();
        bytes[0] = 0xFE;
        bytes[1] = 0x80;
        Span<byte> mac = stackalloc byte[6];
        Write(mac);
        mac[..3].CopyTo(bytes[8..]);
        bytes[8] ^= 0x02;
        bytes[11] = 0xFF;
        bytes[12] = 0xFE;
        mac[3..].CopyTo(bytes[13..]);
        return new System.Net.IPAddress(bytes);
    }

    public override string ToString() => string.Create(17, Value, static (text, value) =>
    {
        for (var i = 0; i < 6; i++)
        {
            ((byte)(value >> (40 - 8 * i))).TryFormat(text[(i * 3)..], out _, "x2", CultureInfo.InvariantCulture);
            if (i < 5)
            {
                text[i * 3 + 2] = ':';
            }
        }
    });
}
