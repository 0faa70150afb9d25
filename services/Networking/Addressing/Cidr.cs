using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Nephos.Networking.Addressing;

/// <summary>A block of addresses that share a prefix: 10.0.0.0/24.</summary>
/// <param name="First">The lowest address; bits after the prefix are 0.</param>
/// <param name="PrefixLength">0 to 32 or 128.</param>
[JsonConverter(typeof(CidrJsonConverter))]
internal readonly record struct Cidr(IpAddress First, int PrefixLength)
{
    public int Version => First.Version;

    public IpAddress Last => First with { Number = First.Number | HostMask(Version, PrefixLength) };

    /// <summary>How many addresses; the whole of IPv6 counts one too few.</summary>
    public UInt128 Count => HostMask(Version, PrefixLength) is var mask && mask == UInt128.MaxValue ? mask : mask + 1;

    public AddressRange Range => new(First, Last);

    /// <summary>The block of this prefix length that holds the address.</summary>
    public static Cidr Around(IpAddress address, int prefixLength) =>
        new(address with { Number = address.Number & ~HostMask(address.Version, prefixLength) }, prefixLength);

    /// <summary>Reads address/length. Bits after the prefix are cleared; <paramref name="exact"/> tells whether they were 0.</summary>
    /// <remarks>An address without a length is a block of one.</remarks>
    public static bool TryParse(string? text, out Cidr cidr, out bool exact)
    {
        cidr = default;
        exact = false;
        if (text is null || text.Length > 49)
        {
            return false;
        }

        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (!IpAddress.TryParse(slash < 0 ? text : text[..slash], out var address))
        {
            return false;
        }

        var length = address.Bits;
        if (slash >= 0 && (!int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out length)
                || length > address.Bits))
        {
            return false;
        }

        cidr = Around(address, length);
        exact = cidr.First == address;
        return true;
    }

    /// <exception cref="FormatException">For text that was checked before.</exception>
    public static Cidr Parse(string text) =>
        TryParse(text, out var cidr, out _) ? cidr : throw new FormatException($"'{text}' is not a CIDR.");

    public bool Contains(IpAddress address) => address.Version == Version && address >= First && address <= Last;

    public bool Contains(Cidr other) => Contains(other.First) && Contains(other.Last);

    public bool Overlaps(Cidr other) => Contains(other.First) || other.Contains(First);

    /// <summary>The addresses that hosts may have: without network and broadcast address, and without IPv6's anycast of routers.</summary>
    public AddressRange Hosts
    {
        get
        {
            var hostBits = First.Bits - PrefixLength;
            return (Version, hostBits) switch
            {
                (4, >= 2) => new AddressRange(First.Plus(1), Last with { Number = Last.Number - 1 }),
                (6, >= 2) => new AddressRange(First.Plus(1), Last),
                _ => Range,
            };
        }
    }

    public override string ToString() => $"{First}/{PrefixLength}";

    private static UInt128 HostMask(int version, int prefixLength)
    {
        var hostBits = IpAddress.BitsOf(version) - prefixLength;

        // A shift by the full width would shift by nothing.
        return hostBits == 128 ? UInt128.MaxValue : (UInt128.One << hostBits) - 1;
    }
}

internal sealed class CidrJsonConverter : JsonConverter<Cidr>
{
    public override Cidr Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        Cidr.Parse(reader.GetString() ?? "");

    public override void Write(Utf8JsonWriter writer, Cidr value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.ToString());
}
