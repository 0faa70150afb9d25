namespace Nephos.Networking.Quotas;

/// <summary>The names of what is counted, as clients know them.</summary>
internal static class QuotaResources
{
    public const string Network = "network";
    public const string Subnet = "subnet";
    public const string Port = "port";
    public const string Router = "router";
    public const string FloatingIp = "floatingip";
    public const string SecurityGroup = "security_group";
    public const string SecurityGroupRule = "security_group_rule";
    public const string SubnetPool = "subnetpool";

    public static readonly IReadOnlyList<string> All =
        [Network, Subnet, SubnetPool, Port, Router, FloatingIp, SecurityGroup, SecurityGroupRule];

    public static long DefaultOf(this NetworkQuotaOptions options, string resource) => resource switch
    {
        Network => options.Network,
        Subnet => options.Subnet,
        Port => options.Port,
        Router => options.Router,
        FloatingIp => options.FloatingIp,
        SecurityGroup => options.SecurityGroup,
        SecurityGroupRule => options.SecurityGroupRule,
        SubnetPool => options.SubnetPool,
        _ => throw new ArgumentOutOfRangeException(nameof(resource), resource, "Not a counted resource."),
    };
}

/// <summary>The limits that a project has of its own; -1 is no limit.</summary>
internal sealed record QuotaLimits(string ProjectId, IReadOnlyDictionary<string, long> Limits);

/// <summary>How many of a resource a project has. Changes in the commit that makes or deletes them, so that it cannot drift.</summary>
internal sealed record QuotaUsage(string ProjectId, string Resource, long Used)
{
    public string Key => KeyOf(ProjectId, Resource);

    public static string KeyOf(string projectId, string resource) => $"{projectId}/{resource}";
}
