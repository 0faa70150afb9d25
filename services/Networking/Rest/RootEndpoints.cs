using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.Networking.Rest;

/// <summary>What the API says of itself: versions, collections, extensions.</summary>
internal static class RootEndpoints
{
    private const string ExtensionsUpdated = "2026-01-01T00:00:00-00:00";

    private static readonly (string Collection, string Name)[] Collections =
    [
        ("networks", "network"), ("subnets", "subnet"), ("subnetpools", "subnetpool"), ("ports", "port"), ("routers", "router"),
        ("floatingips", "floatingip"), ("security-groups", "security_group"), ("security-group-rules", "security_group_rule"),
        ("quotas", "quota"), ("agents", "agent"), ("extensions", "extension"), ("availability_zones", "availability_zone"),
        ("network-ip-availabilities", "network_ip_availability"), ("rbac-policies", "rbac_policy"), ("fwaas/firewall_groups", "firewall_group"),
        ("fwaas/firewall_policies", "firewall_policy"), ("fwaas/firewall_rules", "firewall_rule"), ("qos/policies", "policy"), ("qos/rule-types", "rule_type"), ("address-scopes", "address_scope"),
        ("address-groups", "address_group"),
    ];

    // Only what is really there: clients switch features on by this list.
    private static readonly (string Alias, string Name, string Description)[] Extensions =
    [
        ("address-scope", "Address scope", "Ranges in which no address means two things."),
        ("address-group", "Address group", "Addresses that rules name together."),
        ("security-groups-remote-address-group", "Remote address group id field for security group rules", "Rules name address groups."),
        ("rbac-address-scope", "Add address_scope type to RBAC", "Address scopes can be shared."),
        ("rbac-address-group", "Add address_group type to RBAC", "Address groups can be shared."),
        ("agent", "agent", "The nodes that wire ports and routers."),
        ("allowed-address-pairs", "Allowed Address Pairs", "Addresses that a port may use besides its own."),
        ("auto-allocated-topology", "Auto Allocated Topology Services", "A network for projects that do not make one."),
        ("availability_zone", "Availability Zone", "Availability zones of networks and routers."),
        ("binding", "Port Binding", "The node that a port is bound to."),
        ("default-subnetpools", "Default Subnetpools", "A pool to take subnets from when none is named."),
        ("ext-gw-mode", "Router External Gateway Mode", "Source NAT of a router can be switched off."),
        ("external-net", "External Network", "Networks that lead outside."),
        ("extra_dhcp_opt", "Extra DHCP Options", "DHCP options of single ports."),
        ("extraroute", "Extra Route", "Static routes of routers."),
        ("fip-port-details", "Floating IP Port Details", "Floating IPs show what they lead to."),
        ("fwaas_v2", "Firewall service v2", "Firewalls of router interfaces."),
        ("floating-ip-port-forwarding", "Floating IP Port Forwarding", "Port numbers of a floating IP lead to different ports."),
        ("expose-port-forwarding-in-fip", "Expose Port Forwarding in Floating IP", "Floating IPs show their port forwardings."),
        ("ip-substring-filtering", "IP address substring filtering", "Ports can be found by a part of an address."),
        ("net-mtu", "Network MTU", "The MTU of networks is shown."),
        ("net-mtu-writable", "Network MTU (writable)", "The MTU of networks can be set."),
        ("network-ip-availability", "Network IP Availability", "How many addresses are in use."),
        ("pagination", "Pagination", "Lists come in pages."),
        ("port-security", "Port Security", "Anti-spoofing can be switched off per port."),
        ("project-id", "Project ID", "project_id beside tenant_id."),
        ("provider", "Provider Network", "The physical side of networks."),
        ("qos", "Quality of Service", "How fast ports may be, and how their packets are marked."),
        ("qos-bw-limit-direction", "Direction for QoS bandwidth limit rule", "Limits to and from guests."),
        ("qos-default", "QoS default policy", "A policy for new networks of a project."),
        ("quotas", "Quota management", "Limits per project."),
        ("quota_details", "Quota details", "Limits with what is used."),
        ("rbac-policies", "RBAC Policies", "Objects can be shared with single projects."),
        ("rbac-security-groups", "Add security_group type to network RBAC", "Security groups can be shared."),
        ("rbac-subnetpool", "Add subnet pool type to RBAC", "Subnet pools can be shared."),
        ("security-groups-shared-filtering", "Security group filtering on the shared field", "Security groups can be found by whether they are shared."),
        ("router", "Router", "Routers, gateways and floating IPs."),
        ("security-group", "security-group", "What may reach ports."),
        ("sorting", "Sorting", "Lists come in order."),
        ("standard-attr-description", "Description", "Every resource has a description."),
        ("standard-attr-revisions", "Revision numbers", "Every resource counts its changes."),
        ("standard-attr-tag", "Tags", "Every resource has tags."),
        ("tag", "Tags of networks", "The name under which older clients look for tags."),
        ("standard-attr-timestamp", "Timestamps", "Every resource knows when it was made and changed."),
        ("stateful-security-group", "Stateful security group", "Groups can do without connection tracking."),
        ("subnet-service-types", "Subnet service types", "Subnets for certain device owners."),
        ("subnet_allocation", "Subnet Allocation", "Pools that subnets are cut from."),
    ];

    public static void Map(RestRoutes rest)
    {
        rest.Get("", Versions).Anonymous();
        rest.Get("/v2.0", Resources).Anonymous();
        rest.Get("/v2.0/extensions", _ => Task.FromResult(RestResult.Json(200, new JsonObject
        {
            ["extensions"] = new JsonArray([.. Extensions.Select(extension => ToJson(extension))]),
        })));
        rest.Get("/v2.0/extensions/{alias}", call =>
        {
            var extension = Extensions.FirstOrDefault(extension => extension.Alias == call.Route("alias"));
            return extension.Alias is null
                ? throw Faults.NotFound("Extension", Checks.Shown(call.Route("alias")))
                : Task.FromResult(RestResult.Json(200, new JsonObject { ["extension"] = ToJson(extension) }));
        });
        rest.Get("/v2.0/availability_zones", call => Task.FromResult(ListQuery.Answer(call, "availability_zones", "/v2.0/availability_zones",
            new[] { "network", "router" }.Select(resource => new JsonObject
            {
                ["name"] = "nova",
                ["resource"] = resource,
                ["state"] = "available",
            }))));
    }

    private static Task<RestResult> Versions(RestCall call) => Task.FromResult(RestResult.Json(200, new JsonObject
    {
        ["versions"] = new JsonArray(new JsonObject
        {
            ["id"] = "v2.0",
            ["status"] = "CURRENT",
            ["links"] = new JsonArray(new JsonObject { ["rel"] = "self", ["href"] = call.BaseUrl + "/v2.0/" }),
        }),
    }));

    private static Task<RestResult> Resources(RestCall call) => Task.FromResult(RestResult.Json(200, new JsonObject
    {
        ["resources"] = new JsonArray([.. Collections.Select(pair => (JsonNode)new JsonObject
        {
            ["links"] = new JsonArray(new JsonObject { ["rel"] = "self", ["href"] = $"{call.BaseUrl}/v2.0/{pair.Collection}" }),
            ["name"] = pair.Name,
            ["collection"] = pair.Collection,
        })]),
    }));

    private static JsonNode ToJson((string Alias, string Name, string Description) extension) => new JsonObject
    {
        ["alias"] = extension.Alias,
        ["name"] = extension.Name,
        ["description"] = extension.Description,
        ["updated"] = ExtensionsUpdated,
        ["links"] = new JsonArray(),
    };
}
