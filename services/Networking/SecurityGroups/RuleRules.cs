using System.Globalization;
using Nephos.Kernel.Errors;
using Nephos.Networking.Addressing;
using Nephos.Protos.Errors.V1;

namespace Nephos.Networking.SecurityGroups;

/// <summary>What a rule may look like, whatever else exists.</summary>
internal static class RuleRules
{
    private const int MaxPort = 65535;
    private const int MaxIcmp = 255;

    /// <exception cref="FaultException">Names the rule that is broken.</exception>
    public static SecurityGroupRule Check(SecurityGroupRule rule)
    {
        if (rule.Protocol is { } protocol && !IpProtocols.IsKnown(protocol))
        {
            throw NetworkFaults.Of(ErrorReason.RuleProtocolInvalid,
                $"Security group rule protocol {Checks.Shown(protocol)} not supported. Only protocol values [None, " +
                $"{string.Join(", ", IpProtocols.Names.Select(name => $"'{name}'"))}] and integer representations [0 to 255] are supported.");
        }

        if (new[] { rule.RemoteGroupId, rule.RemoteIpPrefix, rule.RemoteAddressGroupId }.Count(remote => remote is not null) > 1)
        {
            throw NetworkFaults.Of(ErrorReason.RuleRemotesExcludeEachOther,
                "Only one of remote_ip_prefix, remote_group_id and remote_address_group_id may be provided.");
        }

        var number = IpProtocols.NumberOf(rule.Protocol, rule.IpVersion);
        if (rule.IpVersion == 4 && number == IpProtocols.Icmpv6)
        {
            throw NetworkFaults.Of(ErrorReason.RuleParameterConflict, $"Invalid ethertype IPv4 for protocol {rule.Protocol}.");
        }

        if (rule.RemoteIpPrefix is { } prefix)
        {
            CheckPrefix(rule.IpVersion, prefix);
        }

        CheckRange(rule, number);
        if (rule.Description is { } description)
        {
            Checks.Description(description);
        }

        return rule;
    }

    private static void CheckPrefix(int ipVersion, string prefix)
    {
        if (!Cidr.TryParse(prefix, out var cidr, out _))
        {
            throw Faults.Invalid("remote_ip_prefix", $"'{Checks.Shown(prefix)}' is not a valid IP subnet.");
        }

        if (cidr.Version != ipVersion)
        {
            throw NetworkFaults.Of(ErrorReason.RuleParameterConflict, $"Conflicting value ethertype IPv{ipVersion} for CIDR {prefix}");
        }
    }

    private static void CheckRange(SecurityGroupRule rule, int? number)
    {
        if (rule.PortRangeMin is null && rule.PortRangeMax is null)
        {
            return;
        }

        foreach (var value in new[] { rule.PortRangeMin, rule.PortRangeMax })
        {
            if (value is < 0 or > MaxPort)
            {
                throw BadPort(value.Value);
            }
        }

        if (number is null)
        {
            throw NetworkFaults.Of(ErrorReason.RuleProtocolRequired, "Must also specify protocol if port range is given.");
        }

        if (number is IpProtocols.Icmp or IpProtocols.Icmpv6)
        {
            CheckIcmp(rule.PortRangeMin, rule.PortRangeMax);
        }
        else if (!IpProtocols.HasPorts(number))
        {
            throw NetworkFaults.Of(ErrorReason.RulePortRangeInvalid,
                $"Invalid protocol {rule.Protocol} for port range, only supported for TCP, UDP, UDPLITE, SCTP and DCCP.");
        }
        else if (rule.PortRangeMin == 0 || rule.PortRangeMax == 0)
        {
            throw BadPort(0);
        }
        else if (rule.PortRangeMin is not { } min || rule.PortRangeMax is not { } max || min > max)
        {
            throw NetworkFaults.Of(ErrorReason.RulePortRangeInvalid, "For TCP/UDP protocols, port_range_min must be <= port_range_max");
        }
    }

    private static void CheckIcmp(int? type, int? code)
    {
        if (type is > MaxIcmp || code is > MaxIcmp)
        {
            var (what, field, value) = type is > MaxIcmp ? ("type", "port_range_min", type) : ("code", "port_range_max", code);
            throw NetworkFaults.Of(ErrorReason.RuleIcmpValueInvalid,
                $"Invalid value for ICMP {what} ({field}) {value}. It must be 0 to 255.");
        }

        if (type is null)
        {
            throw NetworkFaults.Of(ErrorReason.RuleIcmpTypeMissing,
                $"ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is missing.");
        }
    }

    private static FaultException BadPort(int port) => NetworkFaults.Of(
        ErrorReason.RulePortValueInvalid, string.Create(CultureInfo.InvariantCulture, $"Invalid value for port {port}"));
}
