using System.Collections.Frozen;
using System.Globalization;

namespace Nephos.Networking.SecurityGroups;

/// <summary>IP protocols by the names that rules may use (IANA's protocol numbers).</summary>
internal static class IpProtocols
{
    public const int Icmp = 1;
    public const int Tcp = 6;
    public const int Udp = 17;
    public const int Dccp = 33;
    public const int Icmpv6 = 58;
    public const int Sctp = 132;
    public const int UdpLite = 136;

    private static readonly FrozenDictionary<string, int> Numbers = new Dictionary<string, int>
    {
        ["ah"] = 51,
        ["dccp"] = Dccp,
        ["egp"] = 8,
        ["esp"] = 50,
        ["gre"] = 47,
        ["hopopt"] = 0,
        ["icmp"] = Icmp,
        ["icmpv6"] = Icmpv6,
        ["igmp"] = 2,
        ["ip"] = 0,
        ["ipip"] = 4,
        ["ipv6-encap"] = 41,
        ["ipv6-frag"] = 44,
        ["ipv6-icmp"] = Icmpv6,
        ["ipv6-nonxt"] = 59,
        ["ipv6-opts"] = 60,
        ["ipv6-route"] = 43,
        ["ospf"] = 89,
        ["pgm"] = 113,
        ["rsvp"] = 46,
        ["sctp"] = Sctp,
        ["tcp"] = Tcp,
        ["udp"] = Udp,
        ["udplite"] = UdpLite,
        ["vrrp"] = 112,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    public static IEnumerable<string> Names => Numbers.Keys.Order(StringComparer.Ordinal);

    /// <summary>Whether the text is a name above or a number from 0 to 255.</summary>
    public static bool IsKnown(string protocol) => Numbers.ContainsKey(protocol) || TryNumber(protocol, out _);

    /// <summary>The number of a known protocol, or null for every protocol. ICMP means the ICMP of the rule's IP version.</summary>
    public static int? NumberOf(string? protocol, int ipVersion)
    {
        if (protocol is null)
        {
            return null;
        }

        var number = Numbers.TryGetValue(protocol, out var named) ? named : int.Parse(protocol, CultureInfo.InvariantCulture);
        return number switch
        {
            // "ip" and 0 have always meant any protocol here, not the hop-by-hop header.
            0 when protocol != "hopopt" => null,
            Icmp when ipVersion == 6 => Icmpv6,
            _ => number,
        };
    }

    public static bool HasPorts(int? number) => number is Tcp or Udp or Dccp or Sctp or UdpLite;

    private static bool TryNumber(string text, out int number) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number <= 255;
}
