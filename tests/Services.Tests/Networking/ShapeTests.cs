using System.Text.Json.Nodes;
using Nephos.Testing;
using Xunit;

namespace Nephos.Services.Tests.Networking;

/// <summary>Every resource has the keys that clients of the Networking API read, when it is made, shown and listed.</summary>
public sealed class ShapeTests(NetworkHost host) : IClassFixture<NetworkHost>
{
    private const string Common = "id:s project_id:s tenant_id:s description:s created_at:s updated_at:s revision_number:n ";

    private static readonly Dictionary<string, string> Shapes = new()
    {
        ["networks"] = Common + """
            name:s status:s admin_state_up:b mtu:n subnets:l shared:b router:external:b port_security_enabled:b availability_zones:l
            availability_zone_hints:l ipv4_address_scope:s? ipv6_address_scope:s? tags:l
            """,
        ["subnets"] = Common + """
            name:s network_id:s cidr:s ip_version:n enable_dhcp:b gateway_ip:s? allocation_pools:l dns_nameservers:l host_routes:l
            ipv6_address_mode:s? ipv6_ra_mode:s? service_types:l subnetpool_id:s? tags:l
            """,
        ["ports"] = Common + """
            name:s network_id:s mac_address:s status:s admin_state_up:b fixed_ips:l device_id:s device_owner:s security_groups:l
            port_security_enabled:b allowed_address_pairs:l extra_dhcp_opts:l binding:vnic_type:s tags:l
            """,
        ["routers"] = Common + """
            name:s status:s admin_state_up:b external_gateway_info:o? routes:l availability_zones:l availability_zone_hints:l flavor_id:s? tags:l
            """,
        ["floatingips"] = Common + """
            floating_ip_address:s floating_network_id:s fixed_ip_address:s? port_id:s? router_id:s? status:s port_details:o? tags:l
            """,
        ["security-groups"] = Common + "name:s stateful:b shared:b security_group_rules:l tags:l",
        ["security-group-rules"] = Common + """
            security_group_id:s direction:s ethertype:s protocol:s? port_range_min:n? port_range_max:n? remote_group_id:s? remote_ip_prefix:s?
            remote_address_group_id:s? normalized_cidr:s?
            """,
        ["subnetpools"] = Common + """
            name:s prefixes:l ip_version:n min_prefixlen:sn max_prefixlen:sn default_prefixlen:sn default_quota:n? address_scope_id:s? shared:b
            is_default:b tags:l
            """,
    };

    [Fact]
    public async Task Resources_have_the_keys_and_types_that_clients_read()
    {
        const string Me = "member-of-shapes";
        var external = await host.PostAsync("admin", "v2.0/networks", """{"network":{"name":"e","router:external":true}}""");
        await host.PostAsync("admin", "v2.0/subnets", $$$"""{"subnet":{"network_id":"{{{external["id"]}}}","cidr":"198.51.100.0/24","ip_version":4}}""");
        var network = await host.PostAsync(Me, "v2.0/networks", """{"network":{"name":"n"}}""");
        var group = await host.PostAsync(Me, "v2.0/security-groups", """{"security_group":{"name":"g"}}""");
        (string Collection, string Body)[] made =
        [
            ("networks", """{"network":{"name":"m"}}"""),
            ("subnets", $$$"""{"subnet":{"network_id":"{{{network["id"]}}}","cidr":"10.0.0.0/24","ip_version":4}}"""),
            ("subnets", $$$"""{"subnet":{"network_id":"{{{network["id"]}}}","cidr":"2001:db8::/64","ip_version":6,"ipv6_ra_mode":"slaac","ipv6_address_mode":"slaac"}}"""),
            ("ports", $$$"""{"port":{"network_id":"{{{network["id"]}}}"}}"""),
            ("routers", $$$"""{"router":{"name":"r","external_gateway_info":{"network_id":"{{{external["id"]}}}"} } }"""),
            ("floatingips", $$$"""{"floatingip":{"floating_network_id":"{{{external["id"]}}}"}}"""),
            ("security-groups", """{"security_group":{"name":"h"}}"""),
            ("security-group-rules", $$$"""{"security_group_rule":{"security_group_id":"{{{group["id"]}}}","direction":"ingress","protocol":"tcp","port_range_min":22,"port_range_max":22}}"""),
            ("subnetpools", """{"subnetpool":{"name":"p","prefixes":["10.9.0.0/16"],"min_prefixlen":24}}"""),
        ];
        var misses = new List<string>();

        foreach (var (collection, body) in made)
        {
            var one = await host.PostAsync(Me, "v2.0/" + collection, body);
            var shown = (await host.GetAsync(Me, $"v2.0/{collection}/{one["id"]}")).Body!.AsObject().Single().Value!;
            var listed = (await host.GetAsync(Me, $"v2.0/{collection}?id={one["id"]}")).Body![collection.Replace('-', '_')]!.AsArray().Single()!;
            foreach (var seen in new[] { one, shown, listed })
            {
                misses.AddRange(Shape.Misses(seen, Shapes[collection]).Select(miss => $"{collection}: {miss}"));
            }
        }

        Assert.Empty(misses.Distinct());
    }

    [Theory]
    [InlineData("networks", "network")]
    [InlineData("subnets", "subnet")]
    [InlineData("ports", "port")]
    [InlineData("routers", "router")]
    [InlineData("floatingips", "floatingip")]
    [InlineData("security-groups", "security_group")]
    [InlineData("security-group-rules", "security_group_rule")]
    [InlineData("subnetpools", "subnetpool")]
    public async Task Unknown_malformed_and_foreign_ids_are_not_found(string collection, string name)
    {
        string[] ids = [Guid.NewGuid().ToString(), "-1", "not a uuid", new string('x', 256), ""];
        foreach (var id in ids)
        {
            var path = $"v2.0/{collection}/{Uri.EscapeDataString(id)}";
            Assert.Equal(404, (int)(await host.GetAsync("member-a", path)).Status);
            Assert.Equal(404, (await host.RefusedAsync("member-a", HttpMethod.Delete, path)).Status);
            if (name != "security_group_rule")
            {
                Assert.Equal(404, (await host.RefusedAsync("member-a", HttpMethod.Put, path, new JsonObject { [name] = new JsonObject { ["description"] = "d" } }.ToJsonString())).Status);
            }
        }
    }

    [Fact]
    public async Task Objects_of_another_project_are_as_if_absent()
    {
        var network = await host.PostAsync("member-owner", "v2.0/networks", """{"network":{"name":"mine"}}""");
        var subnet = await host.PostAsync("member-owner", "v2.0/subnets", $$$"""{"subnet":{"network_id":"{{{network["id"]}}}","cidr":"10.1.0.0/24","ip_version":4}}""");
        var port = await host.PostAsync("member-owner", "v2.0/ports", $$$"""{"port":{"network_id":"{{{network["id"]}}}"}}""");
        var group = await host.PostAsync("member-owner", "v2.0/security-groups", """{"security_group":{"name":"g"}}""");

        foreach (var path in new[] { $"networks/{network["id"]}", $"subnets/{subnet["id"]}", $"ports/{port["id"]}", $"security-groups/{group["id"]}" })
        {
            Assert.Equal(404, (int)(await host.GetAsync("member-stranger", "v2.0/" + path)).Status);
            Assert.Equal(404, (await host.RefusedAsync("member-stranger", HttpMethod.Delete, "v2.0/" + path)).Status);
        }
        Assert.Equal(404, (await host.RefusedAsync("member-stranger", HttpMethod.Post, "v2.0/ports", $$$"""{"port":{"network_id":"{{{network["id"]}}}"}}""")).Status);
        Assert.Equal(404, (await host.RefusedAsync("member-stranger", HttpMethod.Post, "v2.0/subnets", $$$"""{"subnet":{"network_id":"{{{network["id"]}}}","cidr":"10.2.0.0/24","ip_version":4}}""")).Status);
    }
}
