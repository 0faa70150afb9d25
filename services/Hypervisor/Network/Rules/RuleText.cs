using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;

namespace Nephos.Hypervisor.Network.Rules;

/// <summary>Writes security rules in the language of nftables.</summary>
internal static class RuleText
{
    /// <summary>The lines that accept what the rules allow, in one direction on one network. Rules that differ in ports only become one line.</summary>
    /// <param name="groupSet">Gives the name of the set with a remote group's addresses.</param>
    public static List<string> Compile(IEnumerable<RuleSpec> rules, bool ingress, Func<Guid, int, string> groupSet)
    {
        var lines = new List<string>();
        var ofDirection = rules.Where(rule => rule.Ingress == ingress).Distinct();
        foreach (var same in ofDirection.GroupBy(rule => (rule.IpVersion, rule.Protocol, rule.RemoteCidr, rule.RemoteGroupId)))
        {
            var (version, protocol, cidr, group) = same.Key;
            var remote = Remote(version, ingress, cidr, group, groupSet);
            lines.AddRange(Protocols(protocol, [.. same]).Select(match => $"{remote}{match} accept"));
        }

        lines.Sort(StringComparer.Ordinal);
        return lines;
    }

    /// <summary>A short, stable name for a content.</summary>
    public static string Digest(string content, int hexDigits) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(content)))[..hexDigits];

    /// <summary>The same addresses without any that is inside another: sets of intervals refuse overlaps.</summary>
    public static List<IPNetwork> Collapse(IEnumerable<IPNetwork> networks)
    {
        var result = new List<IPNetwork>();
        foreach (var network in networks.OrderBy(network => network.PrefixLength).ThenBy(network => network.ToString(), StringComparer.Ordinal))
        {
            if (!result.Exists(wider => wider.Overlaps(network)))
            {
                result.Add(network);
            }
        }

        return result;
    }

    private static string Remote(int version, bool ingress, IPNetwork? cidr, Guid? group, Func<Guid, int, string> groupSet)
    {
        var side = $"{(version == 4 ? "ip" : "ip6")} {(ingress ? "saddr" : "daddr")}";
        return (cidr, group) switch
        {
            (_, { } id) => $"{side} @{groupSet(id, version)}",
            ({ PrefixLength: > 0 } network, _) => $"{side} {network.ToRule()}",
            _ => $"meta nfproto ipv{version}",
        };
    }

    private static IEnumerable<string> Protocols(byte? protocol, List<RuleSpec> rules)
    {
        if (protocol is not { } number)
        {
            return [""];
        }

        if (rules.Exists(rule => rule.Min is null && rule.Max is null) || !(IpProtocol.HasPorts(number) || IpProtocol.IsIcmp(number)))
        {
            return [string.Create(CultureInfo.InvariantCulture, $" meta l4proto {number}")];
        }

        if (IpProtocol.HasPorts(number))
        {
            return [$" {IpProtocol.Word(number)} dport {{ {string.Join(", ", Ranges(rules))} }}"];
        }

        var word = number == IpProtocol.Icmp ? "icmp" : "icmpv6";
        return rules.Select(rule => rule.Max is { } code && rule.Min is { } type
            ? string.Create(CultureInfo.InvariantCulture, $" {word} type {type} {word} code {code}")
            : string.Create(CultureInfo.InvariantCulture, $" {word} type {rule.Min ?? 0}"));
    }

    private static IEnumerable<string> Ranges(List<RuleSpec> rules)
    {
        var ranges = rules.Select(rule => (Min: rule.Min ?? rule.Max!.Value, Max: rule.Max ?? rule.Min!.Value)).OrderBy(range => range).ToList();
        for (var i = 0; i < ranges.Count; i++)
        {
            var (min, max) = ranges[i];
            while (i + 1 < ranges.Count && ranges[i + 1].Min <= max + 1)
            {
                max = Math.Max(max, ranges[++i].Max);
            }

            yield return min == max
                ? min.ToString(CultureInfo.InvariantCulture)
                : string.Create(CultureInfo.InvariantCulture, $"{min}-{max}");
        }
    }
}
