using System.Text.RegularExpressions;
using Nephos.Hypervisor.Network.Rules;

namespace Nephos.Hypervisor.Network.Plans;

/// <summary>Names of everything a node makes. All carry the node's prefix or lie in a namespace that does, so that several
/// clouds can live on one machine and each finds what is its own.</summary>
/// <param name="Prefix">Letters, digits and dashes; for example nephos-node1.</param>
internal sealed partial record DataPlaneNames(string Prefix)
{
    public const string AliasStart = "nephos:";
    public const string HostTableStart = "ip nephos_";
    private const int NameDigits = 12;

    public string DataPlaneNamespace => $"{Prefix}-dp";

    /// <summary>Where features are tried out; lives for milliseconds.</summary>
    public string ProbeNamespace => $"{Prefix}-probe";

    public string RouterNamespace(Guid routerId) => $"{Prefix}-router-{routerId}";

    /// <summary>The end of a physical network's leg that lies in the host's own namespace.</summary>
    public string LegName(string physicalNetwork) => "nl" + RuleText.Digest($"{Prefix}/{physicalNetwork}", NameDigits);

    public string LegAliasStart => $"{AliasStart}leg:{Prefix}:";

    public string LegAlias(string physicalNetwork) => LegAliasStart + physicalNetwork;

    /// <summary>Our table of rules in the host's own namespace.</summary>
    public string HostTable => $"{HostTableStart}{RuleText.Digest(Prefix, NameDigits)}";

    /// <summary>True for a namespace of this prefix and no other: nephos-node1 does not own those of nephos-node10.</summary>
    public bool Owns(string namespaceName) =>
        namespaceName == DataPlaneNamespace
        || namespaceName == ProbeNamespace
        || (namespaceName.StartsWith($"{Prefix}-router-", StringComparison.Ordinal)
            && Guid.TryParseExact(namespaceName[(Prefix.Length + "-router-".Length)..], "D", out _));

    /// <summary>The same for every node: they lie in namespaces of the node. Interface names have at most 15 characters, and the first digits
    /// of an id may be a time, so a digest of the id is taken.</summary>
    public static string Device(string kind, Guid id) => kind + RuleText.Digest(id.ToString(), NameDigits);

    public static string Tap(Guid portId) => Device("t", portId);

    public static string Bridge(Guid networkId) => Device("b", networkId);

    public static string Tunnel(Guid networkId) => Device("v", networkId);

    public static string RouterPort(Guid portId) => Device("p", portId);

    public static string Alias(string kind, Guid id, ulong number) => FormattableString.Invariant($"{AliasStart}{kind}:{id}:{number}");

    /// <summary>The parts of an alias of ours; null for others.</summary>
    public static (string Kind, Guid Id, ulong Number)? ParseAlias(string alias)
    {
        var match = AliasPattern().Match(alias);
        return match.Success && Guid.TryParseExact(match.Groups[2].ValueSpan, "D", out var id) && ulong.TryParse(match.Groups[3].ValueSpan, out var number)
            ? (match.Groups[1].Value, id, number)
            : null;
    }

    /// <exception cref="ArgumentException">Not a prefix that names can begin with.</exception>
    public DataPlaneNames Checked() => PrefixPattern().IsMatch(Prefix)
        ? this
        : throw new ArgumentException($"network prefix '{Prefix}' must be 1 to 40 letters, digits or dashes and begin with a letter");

    [GeneratedRegex("^nephos:([a-z]+):([0-9a-f-]{36}):([0-9]{1,20})$")]
    private static partial Regex AliasPattern();

    [GeneratedRegex("^[a-z][a-z0-9-]{0,39}$")]
    private static partial Regex PrefixPattern();
}
