using System.Globalization;
using Nephos.Hypervisor.Network.Nft;

namespace Nephos.Hypervisor.Network.Rules;

/// <summary>Writes the limits and marks of ports, in a table of the bridge family: what guests send is met as it comes from their tap, what
/// they receive as it goes there. What is above a limit is dropped, after a burst of what was asked, or of what passes in a second when that is more.</summary>
/// <remarks>A limit counts for one port, so each port has chains of its own. Their names change with their content.</remarks>
internal static class QosRules
{
    private const string Table = "bridge nephos_qos";

    /// <summary>A whole segment of an offloading guest passes as one packet: a smaller burst would let none of them through.</summary>
    private const ulong BurstBytesMin = 128 * 1024;

    public static NftTable Compile(IEnumerable<FilterPort> ports)
    {
        var chains = new Dictionary<string, NftChain>();
        var (sent, received) = (new Dictionary<string, string>(), new Dictionary<string, string>());
        foreach (var port in ports)
        {
            if (port.Port.Qos is not { } qos)
            {
                continue;
            }

            Add("o", port, [.. Marks(qos.Dscp), .. Limit(qos.EgressKbps, qos.EgressBurstKbits)], sent);
            Add("i", port, [.. Limit(qos.IngressKbps, qos.IngressBurstKbits)], received);
        }

        chains["c_from_guest"] = new("type filter hook prerouting priority -290; policy accept;", ["iifname vmap @from_guest"]);
        chains["c_to_guest"] = new("type filter hook postrouting priority 0; policy accept;", ["oifname vmap @to_guest"]);
        return new NftTable(
            Table,
            new Dictionary<string, NftSet>
            {
                ["from_guest"] = new(IsMap: true, "type ifname : verdict;", sent),
                ["to_guest"] = new(IsMap: true, "type ifname : verdict;", received),
            },
            chains);

        void Add(string kind, FilterPort port, List<string> rules, Dictionary<string, string> verdicts)
        {
            if (rules.Count == 0)
            {
                return;
            }

            var name = $"q{kind}_{RuleText.Digest($"{port.TapName}\n{string.Join('\n', rules)}", 12)}";
            chains[name] = new NftChain("", rules);
            verdicts[$"\"{port.TapName}\""] = $"jump {name}";
        }
    }

    private static IEnumerable<string> Marks(byte? dscp) => dscp is { } mark
        ? [string.Create(CultureInfo.InvariantCulture, $"ether type ip ip dscp set {mark}"),
           string.Create(CultureInfo.InvariantCulture, $"ether type ip6 ip6 dscp set {mark}")]
        : [];

    private static IEnumerable<string> Limit(uint kbps, uint burstKbits)
    {
        if (kbps == 0)
        {
            return [];
        }

        var bytes = (ulong)kbps * 1000 / 8;
        var wanted = Math.Max(burstKbits == 0 ? bytes * 4 / 5 : (ulong)burstKbits * 1000 / 8, BurstBytesMin);
        // The kernel's bucket holds what passes in one unit of time and the burst beside it, and a second is its smallest unit.
        var beside = wanted > bytes ? string.Create(CultureInfo.InvariantCulture, $" burst {wanted - bytes} bytes") : "";
        return [string.Create(CultureInfo.InvariantCulture, $"limit rate over {bytes} bytes/second{beside} counter drop")];
    }
}
