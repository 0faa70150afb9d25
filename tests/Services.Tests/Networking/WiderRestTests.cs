using System.Net;
using System.Text.Json.Nodes;
using Xunit;

namespace Nephos.Services.Tests.Networking;

/// <summary>The resources beyond the core of the Networking API, as their clients call them; each test has a project of its own.</summary>
public sealed class WiderRestTests(NetworkHost host) : IClassFixture<NetworkHost>
{
    private static int _projects;

    private readonly string _me = $"member-wide-{Interlocked.Increment(ref _projects)}";

    [Fact]
    public async Task A_network_is_shared_with_one_project_by_a_policy()
    {
        var friend = _me + "-friend";
        var network = await host.PostAsync(_me, "v2.0/networks", """{"network": {"name": "n"}}""");
        Assert.Equal(404, (await host.RefusedAsync(friend, HttpMethod.Get, $"v2.0/networks/{network["id"]}")).Status);

        var policy = await host.PostAsync(_me, "v2.0/rbac-policies",
            $$$"""{"rbac_policy": {"object_type": "network", "object_id": "{{{network["id"]}}}", "action": "access_as_shared", "target_tenant": "{{{friend}}}"}}""");

        Assert.Equal(["id", "project_id", "tenant_id", "object_type", "object_id", "action", "target_tenant"], policy.AsObject().Select(pair => pair.Key));
        Assert.True((bool)(await GetAsync(friend, $"v2.0/networks/{network["id"]}"))["shared"]!);
        Assert.False((bool)(await GetAsync(_me, $"v2.0/networks/{network["id"]}"))["shared"]!);
        Assert.Single(await ListAsync(_me, $"v2.0/rbac-policies?object_type=network&action=access_as_shared&target_tenant={friend}"));
        Assert.Empty(await ListAsync(friend, "v2.0/rbac-policies"));
        Assert.Equal((403, "PolicyNotAuthorized"), await host.RefusedAsync(_me, HttpMethod.Put, $"v2.0/rbac-policies/{policy["id"]}",
            """{"rbac_policy": {"target_tenant": "*"}}"""));
        await DeleteAsync(_me, $"v2.0/rbac-policies/{policy["id"]}");
        Assert.Equal((404, "RbacPolicyNotFound"), await host.RefusedAsync(_me, HttpMethod.Delete, $"v2.0/rbac-policies/{policy["id"]}"));
    }

    [Fact]
    public async Task A_port_number_of_a_floating_ip_is_forwarded()
    {
        var outside = await host.PostAsync("admin", "v2.0/networks", """{"network": {"name": "e", "router:external": true}}""");
        await host.PostAsync("admin", "v2.0/subnets", $$$"""{"subnet": {"network_id": "{{{outside["id"]}}}", "cidr": "198.51.100.0/24", "ip_version": 4}}""");
        var network = await host.PostAsync(_me, "v2.0/networks", """{"network": {"name": "n"}}""");
        var subnet = await host.PostAsync(_me, "v2.0/subnets", $$$"""{"subnet": {"network_id": "{{{network["id"]}}}", "cidr": "10.0.0.0/24", "ip_version": 4}}""");
        var router = await host.PostAsync(_me, "v2.0/routers", $$$"""{"router": {"external_gateway_info": {"network_id": "{{{outside["id"]}}}"} } }""");
        await host.SendAsync(_me, HttpMethod.Put, $"v2.0/routers/{router["id"]}/add_router_interface", $$$"""{"subnet_id": "{{{subnet["id"]}}}"}""");
        var port = await host.PostAsync(_me, "v2.0/ports", $$$"""{"port": {"network_id": "{{{network["id"]}}}"}}""");
        var ip = await host.PostAsync(_me, "v2.0/floatingips", $$$"""{"floatingip": {"floating_network_id": "{{{outside["id"]}}}"}}""");
        var path = $"v2.0/floatingips/{ip["id"]}/port_forwardings";

        var made = await host.PostAsync(_me, path,
            $$$"""{"port_forwarding": {"protocol": "tcp", "external_port": 2222, "internal_port": 22, "internal_port_id": "{{{port["id"]}}}"}}""");

        var expected = new JsonObject
        {
            ["id"] = made["id"]!.ToString(), ["protocol"] = "tcp", ["external_port"] = 2222, ["internal_port_id"] = port["id"]!.ToString(),
            ["internal_ip_address"] = port["fixed_ips"]![0]!["ip_address"]!.ToString(), ["internal_port"] = 22, ["description"] = "",
        };
        Assert.Equal(expected.ToJsonString(), made.ToJsonString());
        Assert.Equal(router["id"]!.ToString(), (await GetAsync(_me, $"v2.0/floatingips/{ip["id"]}"))["router_id"]!.ToString());
        Assert.Empty(await ListAsync(_me, path + "?protocol=udp"));
        var (status, changed) = await host.SendAsync(_me, HttpMethod.Put, $"{path}/{made["id"]}", """{"port_forwarding": {"external_port": 2200}}""");
        Assert.Equal((HttpStatusCode.OK, 2200), (status, (int)changed!["port_forwarding"]!["external_port"]!));
        Assert.Equal((409, "FipInUseByPortForwarding"), await host.RefusedAsync(_me, HttpMethod.Delete, $"v2.0/floatingips/{ip["id"]}"));
        await DeleteAsync(_me, $"{path}/{made["id"]}");
        Assert.Equal((404, "PortForwardingNotFound"), await host.RefusedAsync(_me, HttpMethod.Get, $"{path}/{made["id"]}"));
    }

    [Fact]
    public async Task Address_groups_grow_and_shrink_and_rules_name_them()
    {
        var group = await host.PostAsync(_me, "v2.0/address-groups", """{"address_group": {"name": "g", "addresses": ["10.1.0.0/16"]}}""");
        var path = $"v2.0/address-groups/{group["id"]}";
        var (_, grown) = await host.SendAsync(_me, HttpMethod.Put, path + "/add_addresses", """{"addresses": ["10.0.0.1/32"]}""");
        Assert.Equal("""["10.0.0.1/32","10.1.0.0/16"]""", grown!["address_group"]!["addresses"]!.ToJsonString());
        await host.SendAsync(_me, HttpMethod.Put, path + "/remove_addresses", """{"addresses": ["10.1.0.0/16"]}""");
        Assert.Equal("""["10.0.0.1/32"]""", (await GetAsync(_me, path))["addresses"]!.ToJsonString());
        Assert.Equal((404, "AddressesNotFound"), await host.RefusedAsync(_me, HttpMethod.Put, path + "/remove_addresses", """{"addresses": ["10.9.0.0/16"]}"""));
        var rules = await host.PostAsync(_me, "v2.0/security-groups", """{"security_group": {"name": "s"}}""");
        var rule = await host.PostAsync(_me, "v2.0/security-group-rules",
            $$$"""{"security_group_rule": {"security_group_id": "{{{rules["id"]}}}", "direction": "ingress", "remote_address_group_id": "{{{group["id"]}}}"}}""");
        Assert.Equal(group["id"]!.ToString(), rule["remote_address_group_id"]!.ToString());
        Assert.Equal((409, "AddressGroupInUse"), await host.RefusedAsync(_me, HttpMethod.Delete, path));
    }

    [Fact]
    public async Task A_pool_in_an_address_scope_gives_its_networks_the_scope()
    {
        var scope = await host.PostAsync(_me, "v2.0/address-scopes", """{"address_scope": {"name": "s", "ip_version": 4}}""");
        Assert.Equal(["id", "name", "tenant_id", "project_id", "ip_version", "shared"], scope.AsObject().Select(pair => pair.Key));
        var pool = await host.PostAsync(_me, "v2.0/subnetpools",
            $$$"""{"subnetpool": {"name": "p", "prefixes": ["10.9.0.0/16"], "min_prefixlen": 24, "address_scope_id": "{{{scope["id"]}}}"}}""");
        Assert.Equal(scope["id"]!.ToString(), pool["address_scope_id"]!.ToString());
        var network = await host.PostAsync(_me, "v2.0/networks", """{"network": {"name": "n"}}""");
        await host.PostAsync(_me, "v2.0/subnets", $$$"""{"subnet": {"network_id": "{{{network["id"]}}}", "subnetpool_id": "{{{pool["id"]}}}", "ip_version": 4}}""");
        Assert.Equal(scope["id"]!.ToString(), (await GetAsync(_me, $"v2.0/networks/{network["id"]}"))["ipv4_address_scope"]!.ToString());
        Assert.Equal((409, "AddressScopeInUse"), await host.RefusedAsync(_me, HttpMethod.Delete, $"v2.0/address-scopes/{scope["id"]}"));
    }

    [Fact]
    public async Task Qos_rules_are_under_their_policy_by_type()
    {
        Assert.Equal((403, "PolicyNotAuthorized"), await host.RefusedAsync(_me, HttpMethod.Post, "v2.0/qos/policies", """{"policy": {"name": "p"}}"""));
        var policy = await host.PostAsync("admin", "v2.0/qos/policies", """{"policy": {"name": "p", "shared": true}}""");
        var path = $"v2.0/qos/policies/{policy["id"]}";
        var limit = await host.PostAsync("admin", path + "/bandwidth_limit_rules", """{"bandwidth_limit_rule": {"max_kbps": 1000, "max_burst_kbps": 800}}""");
        await host.PostAsync("admin", path + "/dscp_marking_rules", """{"dscp_marking_rule": {"dscp_mark": 26}}""");
        await host.PostAsync("admin", path + "/minimum_bandwidth_rules", """{"minimum_bandwidth_rule": {"min_kbps": 10, "direction": "ingress"}}""");
        Assert.Equal($$"""{"id":"{{limit["id"]}}","max_kbps":1000,"max_burst_kbps":800,"direction":"egress"}""", limit.ToJsonString());
        Assert.Equal(["bandwidth_limit", "dscp_marking", "minimum_bandwidth"],
            (await GetAsync(_me, path))["rules"]!.AsArray().Select(rule => rule!["type"]!.ToString()));
        var (_, changed) = await host.SendAsync("admin", HttpMethod.Put, $"{path}/bandwidth_limit_rules/{limit["id"]}", """{"bandwidth_limit_rule": {"max_kbps": 2000}}""");
        Assert.Equal((2000, 800), ((int)changed!["bandwidth_limit_rule"]!["max_kbps"]!, (int)changed["bandwidth_limit_rule"]!["max_burst_kbps"]!));
        Assert.Equal(3, (await ListAsync(_me, "v2.0/qos/rule-types")).Count);

        var network = await host.PostAsync(_me, "v2.0/networks", $$$"""{"network": {"name": "n", "qos_policy_id": "{{{policy["id"]}}}"}}""");
        var port = await host.PostAsync(_me, "v2.0/ports", $$$"""{"port": {"network_id": "{{{network["id"]}}}"}}""");
        Assert.Equal(("", policy["id"]!.ToString()), (port["qos_policy_id"]?.ToString() ?? "", port["qos_network_policy_id"]!.ToString()));
        Assert.Equal((409, "QosPolicyInUse"), await host.RefusedAsync("admin", HttpMethod.Delete, path));
    }

    [Fact]
    public async Task A_firewall_is_a_group_of_policies_of_rules()
    {
        var rule = await host.PostAsync(_me, "v2.0/fwaas/firewall_rules",
            """{"firewall_rule": {"name": "web", "action": "allow", "protocol": "tcp", "destination_port": "80:90", "source_ip_address": "10.0.0.0/8"}}""");
        Assert.Equal(("allow", "80:90", "10.0.0.0/8", "[]"),
            (rule["action"]!.ToString(), rule["destination_port"]!.ToString(), rule["source_ip_address"]!.ToString(), rule["firewall_policy_id"]!.ToJsonString()));
        var policy = await host.PostAsync(_me, "v2.0/fwaas/firewall_policies", """{"firewall_policy": {"name": "p"}}""");
        var (status, inserted) = await host.SendAsync(_me, HttpMethod.Put, $"v2.0/fwaas/firewall_policies/{policy["id"]}/insert_rule",
            $$$"""{"firewall_rule_id": "{{{rule["id"]}}}", "insert_before": "", "insert_after": ""}""");
        Assert.Equal((HttpStatusCode.OK, rule["id"]!.ToString()), (status, inserted!["firewall_rules"]![0]!.ToString()));
        var group = await host.PostAsync(_me, "v2.0/fwaas/firewall_groups",
            $$$"""{"firewall_group": {"name": "g", "ingress_firewall_policy_id": "{{{policy["id"]}}}"}}""");
        Assert.Equal(("INACTIVE", policy["id"]!.ToString()), (group["status"]!.ToString(), group["ingress_firewall_policy_id"]!.ToString()));
        Assert.Equal(["default", "g"], (await ListAsync(_me, "v2.0/fwaas/firewall_groups")).Select(one => one!["name"]!.ToString()).Order());
        Assert.Equal((409, "FirewallRuleInUse"), await host.RefusedAsync(_me, HttpMethod.Delete, $"v2.0/fwaas/firewall_rules/{rule["id"]}"));
        Assert.Equal((409, "FirewallPolicyInUse"), await host.RefusedAsync(_me, HttpMethod.Delete, $"v2.0/fwaas/firewall_policies/{policy["id"]}"));
        await DeleteAsync(_me, $"v2.0/fwaas/firewall_groups/{group["id"]}");
    }

    private async Task<JsonNode> GetAsync(string caller, string path)
    {
        var (status, body) = await host.GetAsync(caller, path);
        Assert.True(status == HttpStatusCode.OK, $"{status}: {body}");
        return body!.AsObject().Single().Value!;
    }

    private async Task<JsonArray> ListAsync(string caller, string path) => (await GetAsync(caller, path)).AsArray();

    private async Task DeleteAsync(string caller, string path) =>
        Assert.Equal(HttpStatusCode.NoContent, (await host.SendAsync(caller, HttpMethod.Delete, path)).Status);
}
