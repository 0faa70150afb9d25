using System.ComponentModel.DataAnnotations;
using System.Net;
using Nephos.Hypervisor.Network.Plans;
using Nephos.Hypervisor.Network.Rules;

namespace Nephos.Hypervisor.Network;

/// <summary>How this node is connected. Configuration section <c>NodeNetwork</c>.</summary>
public sealed record NodeNetworkOptions : IValidatableObject
{
    public const string Section = "NodeNetwork";

    /// <summary>"linux" where the rights for it are there, else none; "simulated" for a network in memory.</summary>
    [RegularExpression("^(linux|simulated)$")]
    public string Driver { get; set; } = "linux";

    /// <summary>Begins the names of everything that is made on this machine; derived from the node's name and its state directory when empty.</summary>
    [RegularExpression("^([a-z][a-z0-9-]{0,39})?$")]
    public string Prefix { get; set; } = "";

    /// <summary>Underlay IPv4 address of this node's tunnels; empty on a cloud of one node.</summary>
    public string VtepAddress { get; set; } = "";

    /// <summary>Physical networks to the bridge of the host that carries them. With an empty value the network gets a leg on the host,
    /// which holds the gateway addresses of its subnets. A name in <see cref="PhysicalNetworksDefault"/> need not be listed.</summary>
    public Dictionary<string, string> PhysicalNetworks { get; set; } = [];

    /// <summary>Physical networks that every node has, on a leg unless <see cref="PhysicalNetworks"/> says otherwise.</summary>
    public static IReadOnlyList<string> PhysicalNetworksDefault { get; } = ["public", "provider"];

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (VtepAddress.Length > 0 && !(IPAddress.TryParse(VtepAddress, out var vtep) && vtep.IsIpv4()))
        {
            yield return new ValidationResult("VtepAddress must be an IPv4 address of this node", [nameof(VtepAddress)]);
        }
    }

    /// <summary>What everything of a node is named by: two clouds on one machine have different state directories.</summary>
    public static string PrefixFor(string nodeName, string stateDirectory)
    {
        var readable = new string([.. nodeName.ToLowerInvariant().Where(c => char.IsAsciiLetterOrDigit(c) || c == '-')]);
        return $"nephos-{readable[..Math.Min(readable.Length, 20)].Trim('-')}-{RuleText.Digest(Path.GetFullPath(stateDirectory), 6)}";
    }

    internal NodeNetworkSettings ToSettings(string nodeName, string stateDirectory)
    {
        var uplinks = PhysicalNetworksDefault.ToDictionary(name => name, _ => "");
        foreach (var (name, uplink) in PhysicalNetworks)
        {
            uplinks[name] = uplink;
        }

        return new NodeNetworkSettings(
            new DataPlaneNames(Prefix.Length > 0 ? Prefix : PrefixFor(nodeName, stateDirectory)).Checked(),
            VtepAddress.Length == 0 ? null : IPAddress.Parse(VtepAddress),
            uplinks);
    }
}
