using Nephos.Kernel.Errors;
using Nephos.Networking.Addressing;
using Nephos.Networking.Grpc;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.Firewalls;

/// <summary>Records to messages, and what a message says onto a record.</summary>
internal static class FirewallMapping
{
    public static Wire.FirewallRule ToWire(this FirewallRule rule) => new()
    {
        Id = rule.Id,
        ProjectId = rule.ProjectId,
        Name = rule.Name,
        Description = rule.Description,
        Shared = rule.Shared,
        Action = (Wire.FirewallAction)rule.Action,
        IpVersion = rule.IpVersion,
        Protocol = rule.Protocol ?? "",
        Source = rule.Source?.ToString() ?? "",
        Destination = rule.Destination?.ToString() ?? "",
        SourcePorts = ToWire(rule.SourcePorts),
        DestinationPorts = ToWire(rule.DestinationPorts),
        Disabled = !rule.Enabled,
        Revision = rule.Revision,
    };

    public static Wire.FirewallPolicy ToWire(this FirewallPolicy policy) => new()
    {
        Id = policy.Id,
        ProjectId = policy.ProjectId,
        Name = policy.Name,
        Description = policy.Description,
        Shared = policy.Shared,
        RuleIds = { policy.RuleIds },
        Audited = policy.Audited,
        Revision = policy.Revision,
    };

    public static Wire.FirewallGroup ToWire(this FirewallGroup group) => new()
    {
        Id = group.Id,
        ProjectId = group.ProjectId,
        Name = group.Name,
        Description = group.Description,
        Shared = group.Shared,
        SwitchedOff = !group.AdminStateUp,
        IngressPolicyId = group.IngressPolicyId ?? "",
        EgressPolicyId = group.EgressPolicyId ?? "",
        PortIds = { group.PortIds },
        Revision = group.Revision,
    };

    public static FirewallRule Onto(this Wire.FirewallRule wire, FirewallRule rule) => rule with
    {
        Name = wire.Name,
        Description = wire.Description,
        Shared = wire.Shared,
        Action = wire.Action switch
        {
            Wire.FirewallAction.Allow => FirewallAction.Allow,
            Wire.FirewallAction.Deny => FirewallAction.Deny,
            Wire.FirewallAction.Reject => FirewallAction.Reject,
            _ => throw Faults.Invalid("action", "must be allow, deny or reject"),
        },
        IpVersion = wire.IpVersion == 0 ? 4 : wire.IpVersion,
        Protocol = wire.Protocol.NullIfEmpty(),
        Source = ReadCidr("source", wire.Source),
        Destination = ReadCidr("destination", wire.Destination),
        SourcePorts = ReadPorts("source_ports", wire.SourcePorts),
        DestinationPorts = ReadPorts("destination_ports", wire.DestinationPorts),
        Enabled = !wire.Disabled,
    };

    public static FirewallPolicy Onto(this Wire.FirewallPolicy wire, FirewallPolicy policy) => policy with
    {
        Name = wire.Name,
        Description = wire.Description,
        Shared = wire.Shared,
        RuleIds = [.. wire.RuleIds],
        Audited = wire.Audited,
    };

    public static FirewallGroup Onto(this Wire.FirewallGroup wire, FirewallGroup group) => group with
    {
        Name = wire.Name,
        Description = wire.Description,
        Shared = wire.Shared,
        AdminStateUp = !wire.SwitchedOff,
        IngressPolicyId = wire.IngressPolicyId.NullIfEmpty(),
        EgressPolicyId = wire.EgressPolicyId.NullIfEmpty(),
        PortIds = [.. wire.PortIds],
    };

    private static Wire.FirewallPorts? ToWire(PortRange? ports) =>
        ports is { } range ? new Wire.FirewallPorts { Min = (uint)range.Min, Max = (uint)range.Max } : null;

    private static Cidr? ReadCidr(string field, string text) =>
        text.Length == 0 ? null
        : Cidr.TryParse(text, out var cidr, out _) ? cidr
        : throw Faults.Invalid(field, $"'{Checks.Shown(text)}' is not a valid IP subnet.");

    private static PortRange? ReadPorts(string field, Wire.FirewallPorts? ports) =>
        ports is null ? null
        : ports.Min is > 0 and <= 65535 && ports.Max is > 0 and <= 65535 && ports.Min <= ports.Max ? new PortRange((int)ports.Min, (int)ports.Max)
        : throw Faults.Invalid(field, "must be 1 to 65535, and the first not above the last");
}
