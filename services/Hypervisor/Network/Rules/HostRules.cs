using System.Globalization;
using System.Text;
using Nephos.Hypervisor.Network.Plans;

namespace Nephos.Hypervisor.Network.Rules;

/// <summary>Rules in the host's own namespace, in a table of ours beside the host's: guests behind legs leave by the host's address.</summary>
internal static class HostRules
{
    /// <summary>How the rule ends that keeps a host from forwarding for others.</summary>
    public const string GuardMark = "ct state new drop";

    /// <param name="guardedUplinks">Devices on which forwarding was switched on for the legs only, on a host that forwards nothing else.</param>
    public static string Compile(DataPlaneNames names, IReadOnlyList<LegPlan> legs, IReadOnlyList<string> guardedUplinks)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"table {names.HostTable}\ndelete table {names.HostTable}\ntable {names.HostTable} {{");
        text.AppendLine("chain c_out { type nat hook postrouting priority 100; policy accept;");
        foreach (var leg in legs)
        {
            foreach (var network in leg.Networks)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"ip saddr {network} oifname != {{ \"lo\", \"{leg.Link.Name}\" }} masquerade");
            }
        }

        text.AppendLine("}");
        if (guardedUplinks.Count > 0)
        {
            var legNames = string.Join(", ", legs.Select(leg => $"\"{leg.Link.Name}\""));
            var uplinkNames = string.Join(", ", guardedUplinks.Select(uplink => $"\"{uplink}\""));
            text.AppendLine("chain c_forward { type filter hook forward priority 0; policy accept;");
            text.AppendLine(CultureInfo.InvariantCulture, $"iifname {{ {uplinkNames} }} oifname != {{ {legNames} }} {GuardMark}");
            text.AppendLine("}");
        }

        return text.AppendLine("}").ToString();
    }
}
