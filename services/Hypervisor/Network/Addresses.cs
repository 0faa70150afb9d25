using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Nephos.Hypervisor.Network;

/// <summary>Arithmetic on IP addresses.</summary>
internal static class Addresses
{
    public static bool IsIpv4(this IPAddress address) => address.AddressFamily == AddressFamily.InterNetwork;

    public static bool IsIpv4(this IPNetwork network) => network.BaseAddress.IsIpv4();

    public static uint ToUInt32(this IPAddress address) => BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes());

    public static IPAddress FromUInt32(uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return new IPAddress(bytes);
    }

    public static uint Mask(int prefixLength) => prefixLength == 0 ? 0 : uint.MaxValue << (32 - prefixLength);

    public static IPAddress Broadcast(this IPAddress address, int prefixLength) => FromUInt32(address.ToUInt32() | ~Mask(prefixLength));

    public static bool IsHost(this IPNetwork network) => network.PrefixLength == (network.IsIpv4() ? 32 : 128);

    public static IPNetwork AsHost(this IPAddress address) => new(address, address.IsIpv4() ? 32 : 128);

    public static bool Overlaps(this IPNetwork first, IPNetwork second) =>
        first.IsIpv4() == second.IsIpv4() && (first.Contains(second.BaseAddress) || second.Contains(first.BaseAddress));

    /// <summary>The range of this length that the address is in.</summary>
    public static IPNetwork FirstOf(this IPAddress address, int prefixLength)
    {
        var bytes = address.GetAddressBytes();
        for (var i = 0; i < bytes.Length; i++)
        {
            var keep = Math.Clamp(prefixLength - i * 8, 0, 8);
            bytes[i] &= (byte)(0xFF00 >> keep);
        }

        return new IPNetwork(new IPAddress(bytes), prefixLength);
    }

    /// <summary>As nftables writes it: without the prefix when it is one address.</summary>
    public static string ToRule(this IPNetwork network) => network.IsHost() ? network.BaseAddress.ToString() : network.ToString();
}
