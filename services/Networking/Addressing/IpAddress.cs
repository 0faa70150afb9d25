using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Nephos.Networking.Addressing;

/// <summary>An IPv4 or IPv6 address as a number, so that ranges can be counted.</summary>
/// <param name="Number">The address in network order; below 2^32 for IPv4.</param>
/// <param name="Version">4 or 6.</param>
[JsonConverter(typeof(IpAddressJsonConverter))]
internal readonly record struct IpAddress(UInt128 Number, int Version) : IComparable<IpAddress>
{
    /// <summary>32 or 128.</summary>
    public int Bits => BitsOf(Version);

    public static int BitsOf(int version) => version == 4 ? 32 : 128;

    /// <summary>Reads the usual spellings. IPv4 is four decimal numbers without leading zeros; IPv6 has no zone and no brackets.</summary>
    public static bool TryParse(string? text, out IpAddress address)
    {
        address = default;
        if (text is null || text.Length > 45 || text.AsSpan().ContainsAny("%[]/ ") || !IPAddress.TryParse(text, out var parsed))
        {
            return false;
        }

        if (parsed.AddressFamily == AddressFamily.InterNetwork)
        {
            if (parsed.ToString() != text)
            {
                return false;
            }

            Span<byte> four = stackalloc byte[4];
            parsed.TryWriteBytes(four, out _);
            address = new IpAddress(BinaryPrimitives.ReadUInt32BigEndian(four), 4);
            return true;
        }

        Span<byte> sixteen = stackalloc byte[16];
        parsed.TryWriteBytes(sixteen, out _);
        address = new IpAddress(BinaryPrimitives.ReadUInt128BigEndian(sixteen), 6);
        return true;
    }

    /// <exception cref="FormatException">For text that was checked before.</exception>
    public static IpAddress Parse(string text) =>
        TryParse(text, out var address) ? address : throw new FormatException($"'{text}' is not an IP address.");

    public IpAddress Plus(UInt128 count) => this with { Number = Number + count };

    public int CompareTo(IpAddress other) =>
        Version != other.Version ? Version.CompareTo(other.Version) : Number.CompareTo(other.Number);

    public static bool operator <(IpAddress left, IpAddress right) => left.CompareTo(right) < 0;

    public static bool operator >(IpAddress left, IpAddress right) => left.CompareTo(right) > 0;

    public static bool operator <=(IpAddress left, IpAddress right) => left.CompareTo(right) <= 0;

    public static bool operator >=(IpAddress left, IpAddress right) => left.CompareTo(right) >= 0;

    /// <summary>The canonical spelling (RFC 5952 for IPv6).</summary>
    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, Number);
        return new IPAddress(Version == 4 ? bytes[12..] : bytes).ToString();
    }
}

internal sealed class IpAddressJsonConverter : JsonConverter<IpAddress>
{
    public override IpAddress Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        IpAddress.Parse(reader.GetString() ?? "");

    public override void Write(Utf8JsonWriter writer, IpAddress value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.ToString());
}
