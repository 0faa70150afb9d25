using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Networking.Ports;

/// <summary>What a port may look like, whatever else exists.</summary>
internal static class PortRules
{
    public const int MaxAddressPairs = 32;
    public const int MaxDhcpOptions = 32;
    public const int MaxDhcpValueChars = 255;
    public const int MaxSecurityGroups = 32;

    private static readonly string[] VnicTypes = ["normal"];

    /// <exception cref="FaultException">Names the rule that is broken.</exception>
    public static Port Check(Port port)
    {
        Checks.Name(port.Name);
        Checks.Description(port.Description);
        Checks.Text("device_id", port.DeviceId, Checks.MaxNameChars);
        Checks.Text("device_owner", port.DeviceOwner, Checks.MaxNameChars);
        Checks.Text("binding:host_id", port.HostName, Checks.MaxNameChars);
        Checks.DnsName("dns_name", port.DnsName);
        if (!VnicTypes.Contains(port.VnicType))
        {
            throw Faults.Invalid("binding:vnic_type", $"'{Checks.Shown(port.VnicType)}' is not supported; only normal is");
        }

        if (port.SecurityGroupIds.Count > MaxSecurityGroups)
        {
            throw Faults.Invalid("security_groups", $"must be at most {MaxSecurityGroups}");
        }

        if (!port.PortSecurityEnabled && port.SecurityGroupIds.Count > 0)
        {
            throw NetworkFaults.Of(ErrorReason.PortSecurityHasGroups,
                "Port has security group associated. Cannot disable port security or IP address until security group is removed.");
        }

        CheckAddressPairs(port);
        CheckDhcpOptions(port);
        return port;
    }

    private static void CheckAddressPairs(Port port)
    {
        if (port.AllowedAddressPairs.Count == 0)
        {
            return;
        }

        if (!port.PortSecurityEnabled)
        {
            throw NetworkFaults.Of(ErrorReason.AddressPairNeedsPortSecurity,
                "Port Security must be enabled in order to have allowed address pairs on a port.");
        }

        if (port.AllowedAddressPairs.Count > MaxAddressPairs)
        {
            throw Faults.Invalid("allowed_address_pairs", $"must be at most {MaxAddressPairs}");
        }

        if (port.AllowedAddressPairs.Distinct().Count() != port.AllowedAddressPairs.Count)
        {
            throw NetworkFaults.Input("Request contains duplicate address pair.");
        }
    }

    private static void CheckDhcpOptions(Port port)
    {
        if (port.ExtraDhcpOptions.Count > MaxDhcpOptions)
        {
            throw Faults.Invalid("extra_dhcp_opts", $"must be at most {MaxDhcpOptions}");
        }

        foreach (var option in port.ExtraDhcpOptions)
        {
            if (Checks.Text("opt_name", option.Name, 64).Length == 0)
            {
                throw Faults.Invalid("opt_name", "must not be empty");
            }

            Checks.Text("opt_value", option.Value, MaxDhcpValueChars);
            if (option.IpVersion is not (4 or 6))
            {
                throw Faults.Invalid("ip_version", "must be 4 or 6");
            }
        }

        if (port.ExtraDhcpOptions.DistinctBy(option => (option.Name, option.IpVersion)).Count() != port.ExtraDhcpOptions.Count)
        {
            throw Faults.Invalid("extra_dhcp_opts", "must not name an option twice");
        }
    }
}
