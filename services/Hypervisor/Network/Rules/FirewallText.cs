using System.Globalization;
using System.Net;
using System.Text;

namespace Nephos.Hypervisor.Network.Rules;

/// <summary>Writes the firewalls of a router's interfaces, for the table of the router.</summary>
/// <remarks>Only packets in the direction in which their connection began are judged, each of them: a change of rules ends what it forbids
/// without forgetting a connection, and with it its translation.</remarks>
internal static class FirewallText
{
    /// <param name="interfaces">Name of the device and its firewall.</param>
    public static void Write(StringBuilder text, IReadOnlyList<(string Link, FirewallSpec Firewall)> interfaces)
    {
        if (interfaces.Count == 0)
        {
            return;
        }

        foreach (var (link, firewall) in interfaces)
        {
            WriteChain(text, $"c_from_{link}", firewall.Egress);
            WriteChain(text, $"c_to_{link}", firewall.Ingress);
        }

        text.AppendLine("chain c_firewall { type filter hook forward priority -5; policy accept;\nct direction reply accept\nct state related accept");
        foreach (var (link, _) in interfaces)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"iifname \"{link}\" jump c_from_{link}");
        }

        foreach (var (link, _) in interfaces)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"oifname \"{link}\" jump c_to_{link}");
        }

        text.AppendLine("}");
    }

    // What a chain allows goes on to that of the other interface.
    private static void WriteChain(StringBuilder text, string name, IEnumerable<FirewallRuleSpec> rules)
    {
        text.AppendLine(CultureInfo.InvariantCulture, $"chain {name} {{");
        foreach (var rule in rules)
        {
            text.AppendLine(Line(rule));
        }

        text.AppendLine("counter drop\n}");
    }

    private static string Line(FirewallRuleSpec rule)
    {
        var family = rule.IpVersion == 4 ? "ip" : "ip6";
        var line = new StringBuilder(string.Create(CultureInfo.InvariantCulture, $"meta nfproto ipv{rule.IpVersion}"));
        Address("saddr", rule.Source);
        Address("daddr", rule.Destination);
        if (rule.Protocol is { } protocol)
        {
            line.Append(CultureInfo.InvariantCulture, $" meta l4proto {protocol}");
            Ports("sport", rule.SourcePorts);
            Ports("dport", rule.DestinationPorts);
        }

        return line.Append(rule.Verdict switch
        {
            FirewallVerdict.Allow => " return",
            FirewallVerdict.Reject => " reject",
            _ => " drop",
        }).ToString();

        void Address(string side, IPNetwork? network)
        {
            if (network is { PrefixLength: > 0 } range)
            {
                line.Append(CultureInfo.InvariantCulture, $" {family} {side} {range.ToRule()}");
            }
        }

        void Ports(string side, (ushort Min, ushort Max)? ports)
        {
            if (ports is { } range)
            {
                line.Append(CultureInfo.InvariantCulture, $" th {side} {range.Min}-{range.Max}");
            }
        }
    }
}
