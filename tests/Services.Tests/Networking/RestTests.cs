using System.Net;
using System.Text.Json.Nodes;
using Grpc.Core;
using Xunit;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Services.Tests.Networking;

/// <summary>Answers as clients of the Networking API know them; each test has a project of its own.</summary>
public sealed class RestTests(NetworkHost host) : IClassFixture<NetworkHost>
{
    private static int _projects;

    private readonly string _me = $"member-{Interlocked.Increment(ref _projects)}";

    [Fact]
    public async Task Versions_are_told_without_a_token()
    {
        foreach (var path in new[] { "", "../network" })
        {
            var (status, body) = await host.GetAsync("", path);
            Assert.Equal(HttpStatusCode.OK, status);
            Assert.Equal("""[{"id":"v2.0","status":"CURRENT","links":[{"rel":"self","href":"BASEv2.0/"}]}]""".Replace("BASE", host.Http.BaseAddress!.ToString(), StringComparison.Ordinal),
                body!["versions"]!.ToJsonString());
        }

        var (_, resources) = await host.GetAsync("", "v2.0/");
        Assert.Superset(
            new HashSet<string> { "network", "subnet", "port" }, resources!["resources"]!.AsArray().Select(one => one!["name"]!.ToString()).ToHashSet());
    }

    [Fact]
    public async Task A_call_without_a_token_is_unauthorized()
    {
        var (status, body) = await host.GetAsync("", "v2.0/networks");

        Assert.Equal(HttpStatusCode.Unauthorized, status);
        Assert.Equal(401, (int)body!["error"]!["code"]!);
    }

    [Fact]
    public async Task A_network_has_the_attributes_that_clients_read()
    {
        var network = await host.PostAsync(_me, "v2.0/networks", """{"network": {"name": "n"}}""");

        Assert.Equal(
            [
                "id", "name", "tenant_id", "admin_state_up", "mtu", "status", "subnets", "shared", "availability_zone_hints", "availability_zones",
                "ipv4_address_scope", "ipv6_address_scope", "router:external", "description", "port_security_enabled", "dns_domain", "qos_policy_id", "tags",
                "created_at", "updated_at", "revision_number", "project_id",
            ],
            network.AsObject().Select(pair => pair.Key));
        Assert.Equal(("n", _me, _me, "1450", "ACTIVE"), (Text(network, "name"), Text(network, "tenant_id"), Text(network, "project_id"), Text(network, "mtu"), Text(network, "status")));
        var (_, seen) = await host.GetAsync("admin", $"v2.0/networks/{network["id"]}");
        Assert.Equal("vxlan", Text(seen!["network"]!, "provider:network_type"));
    }

    [Fact]
    public async Task A_subnet_is_told_as_it_was_asked_for()
    {
        var network = await host.PostAsync(_me, "v2.0/networks", """{"network": {"name": "n"}}""");
        var subnet = await host.PostAsync(_me, "v2.0/subnets", $$"""
            {"subnet": {"network_id": "{{network["id"]}}", "cidr": "10.100.0.0/28", "ip_version": 4, "gateway_ip": "10.100.0.1",
             "host_routes": [{"destination": "10.20.0.0/32", "nexthop": "10.100.1.1"}], "dns_nameservers": ["8.8.4.4", "8.8.8.8"],
             "allocation_pools": [{"start": "10.100.0.3", "end": "10.100.0.7"}]} }
            """);

        var expected = JsonNode.Parse($$"""
            {"id":"{{subnet["id"]}}","name":"","tenant_id":"{{_me}}","network_id":"{{network["id"]}}","ip_version":4,
             "subnetpool_id":null,"enable_dhcp":true,"ipv6_ra_mode":null,"ipv6_address_mode":null,"gateway_ip":"10.100.0.1","cidr":"10.100.0.0/28",
             "allocation_pools":[{"start":"10.100.0.3","end":"10.100.0.7"}],"host_routes":[{"destination":"10.20.0.0/32","nexthop":"10.100.1.1"}],
             "dns_nameservers":["8.8.4.4","8.8.8.8"],"description":"","service_types":[],"tags":[],"created_at":"{{subnet["created_at"]}}",
             "updated_at":"{{subnet["created_at"]}}","revision_number":1,"project_id":"{{_me}}"}
            """);
        Assert.Equal(expected!.ToJsonString(), subnet.ToJsonString());
        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", Text(subnet, "created_at"));
    }

    [Fact]
    public async Task Lists_filter_choose_fields_sort_and_page()
    {
        foreach (var name in new[] { "b", "a", "c" })
        {
            await host.PostAsync(_me, "v2.0/networks", $$"""{"network": {"name": "{{name}}", "tags": ["t-{{name}}"]} }""");
        }

        async Task<string[]> NamesAsync(string query) =>
            [.. (await host.GetAsync(_me, "v2.0/networks?" + query)).Body!["networks"]!.AsArray().Select(one => Text(one!, "name"))];

        Assert.Equal(new[] { "a", "b", "c" }, await NamesAsync("sort_key=name"));
        Assert.Equal(new[] { "c", "b", "a" }, await NamesAsync("sort_key=name&sort_dir=desc"));
        Assert.Equal(new[] { "a", "c" }, await NamesAsync("name=a&name=c&sort_key=name"));
        Assert.Equal(Array.Empty<string>(), await NamesAsync("name=a&admin_state_up=False"));
        Assert.Equal(new[] { "a" }, await NamesAsync("name=a&admin_state_up=true"));
        Assert.Equal(new[] { "b" }, await NamesAsync("tags=t-b"));
        Assert.Equal(new[] { "a", "b" }, await NamesAsync("tags-any=t-a,t-b&sort_key=name"));

        var (_, fields) = await host.GetAsync(_me, "v2.0/networks?name=a&fields=name&fields=mtu");
        Assert.Equal("""{"name":"a","mtu":1450}""", fields!["networks"]![0]!.ToJsonString());

        var (_, first) = await host.GetAsync(_me, "v2.0/networks?sort_key=name&limit=2");
        var next = Assert.Single(first!["networks_links"]!.AsArray());
        Assert.Equal("next", Text(next!, "rel"));
        var (_, second) = await host.GetAsync(_me, Text(next!, "href"));
        Assert.Equal("c", Text(second!["networks"]![0]!, "name"));
        Assert.Equal(["previous"], second["networks_links"]!.AsArray().Select(link => Text(link!, "rel")));
        Assert.Null((await host.GetAsync(_me, "v2.0/networks?limit=50")).Body!["networks_links"]);
    }

    [Theory]
    [InlineData("v2.0/networks?limit=-1")]
    [InlineData("v2.0/networks?limit=x")]
    [InlineData("v2.0/networks?marker=nothing")]
    [InlineData("v2.0/networks?sort_key=name&sort_dir=up")]
    public async Task A_list_that_cannot_be_made_is_a_bad_request(string path)
    {
        await host.PostAsync(_me, "v2.0/networks", """{"network": {"name": "n"}}""");

        Assert.Equal((400, "HTTPBadRequest"), await host.RefusedAsync(_me, HttpMethod.Get, path));
    }

    [Theory]
    [InlineData("""{"network": {"name": 5}}""", 400)]
    [InlineData("""{"network": {"name": "n", "moons": 1}}""", 400)]
    [InlineData("""{"network": []}""", 400)]
    [InlineData("""{"net": {}}""", 400)]
    [InlineData("""{"network": {"admin_state_up": "perhaps"}}""", 400)]
    [InlineData("""{"network": {"mtu": "many"}}""", 400)]
    [InlineData("""{"networks": [{"name": "n"}, 7]}""", 400)]
    [InlineData("""not json""", 400)]
    [InlineData("""{"network": {"name": "\ud800"}}""", 400)]
    [InlineData("""{"network": {"description": "\u0001"}}""", 400)]
    [InlineData("""{"network": {"name": null, "tags": [null]}}""", 400)]
    [InlineData("""{"network": {"mtu": 1e99}}""", 400)]
    [InlineData("""{"network": {"provider:network_type": "flat"}}""", 403)]
    [InlineData("""{"network": {"tenant_id": "another"}}""", 403)]
    public async Task A_request_that_means_nothing_is_refused(string json, int status) =>
        Assert.Equal(status, (await host.RefusedAsync(_me, HttpMethod.Post, "v2.0/networks", json)).Status);

    [Fact]
    public async Task Readers_look_and_do_not_touch()
    {
        Assert.Equal(HttpStatusCode.OK, (await host.GetAsync("reader", "v2.0/networks")).Status);
        Assert.Equal((403, "PolicyNotAuthorized"), await host.RefusedAsync("reader", HttpMethod.Post, "v2.0/networks", """{"network": {}}"""));
    }

    [Theory]
    [InlineData("networks", "NetworkNotFound")]
    [InlineData("subnets", "SubnetNotFound")]
    [InlineData("subnetpools", "SubnetPoolNotFound")]
    [InlineData("ports", "PortNotFound")]
    [InlineData("routers", "RouterNotFound")]
    [InlineData("floatingips", "FloatingIPNotFound")]
    [InlineData("security-groups", "SecurityGroupNotFound")]
    [InlineData("security-group-rules", "SecurityGroupRuleNotFound")]
    public async Task What_is_not_there_is_not_found_by_its_kind(string collection, string type)
    {
        foreach (var id in new[] { Guid.NewGuid().ToString(), "some-name", new string('x', 300) })
        {
            Assert.Equal((404, type), await host.RefusedAsync(_me, HttpMethod.Get, $"v2.0/{collection}/{id}"));
            Assert.Equal((404, type), await host.RefusedAsync(_me, HttpMethod.Delete, $"v2.0/{collection}/{id}"));
        }

        Assert.Equal(404, (await host.RefusedAsync(_me, HttpMethod.Get, $"v2.0/{collection}/")).Status);
    }

    [Fact]
    public async Task A_port_is_told_with_its_binding_only_to_those_who_may_bind()
    {
        var network = await host.PostAsync(_me, "v2.0/networks", """{"network": {}}""");
        var port = await host.PostAsync(_me, "v2.0/ports", $$"""{"port": {"network_id": "{{network["id"]}}", "name": "p"} }""");

        Assert.Equal(
            [
                "id", "name", "network_id", "tenant_id", "mac_address", "admin_state_up", "status", "qos_policy_id", "qos_network_policy_id",
                "device_id", "device_owner", "fixed_ips",
                "allowed_address_pairs", "extra_dhcp_opts", "security_groups", "description", "binding:vnic_type", "port_security_enabled", "dns_name",
                "tags", "created_at", "updated_at", "revision_number", "project_id",
            ],
            port.AsObject().Select(pair => pair.Key));
        Assert.Equal("DOWN", Text(port, "status"));
        var (_, seen) = await host.GetAsync("admin", $"v2.0/ports/{port["id"]}");
        Assert.Equal("unbound", Text(seen!["port"]!, "binding:vif_type"));
    }

    [Fact]
    public async Task Ports_are_found_by_their_addresses()
    {
        var network = await host.PostAsync(_me, "v2.0/networks", """{"network": {}}""");
        var subnet = await host.PostAsync(_me, "v2.0/subnets", $$"""{"subnet": {"network_id": "{{network["id"]}}", "cidr": "10.7.0.0/24", "ip_version": 4} }""");
        async Task<string> CreateAsync(string address) => Text(await host.PostAsync(_me, "v2.0/ports",
            $$"""{"port": {"network_id": "{{network["id"]}}", "fixed_ips": [{"ip_address": "{{address}}"}]} }"""), "id");
        var (one, two) = (await CreateAsync("10.7.0.10"), await CreateAsync("10.7.0.20"));
        async Task<string[]> FoundAsync(string query) =>
            [.. (await host.GetAsync(_me, "v2.0/ports?" + query)).Body!["ports"]!.AsArray().Select(port => Text(port!, "id")).Order(StringComparer.Ordinal)];

        Assert.Equal(new[] { one }, await FoundAsync("fixed_ips=ip_address%3D10.7.0.10"));
        Assert.Equal(new[] { one, two }.Order(StringComparer.Ordinal), await FoundAsync($"fixed_ips=subnet_id%3D{subnet["id"]}"));
        Assert.Equal(new[] { two }, await FoundAsync($"fixed_ips=subnet_id%3D{subnet["id"]}&fixed_ips=ip_address_substr%3D.20"));
        Assert.Equal(Array.Empty<string>(), await FoundAsync("fixed_ips=ip_address%3D10.7.0.30"));
        Assert.Equal((409, "IpAddressAlreadyAllocated"), await host.RefusedAsync(_me, HttpMethod.Post, "v2.0/ports",
            $$"""{"port": {"network_id": "{{network["id"]}}", "fixed_ips": [{"subnet_id": "{{subnet["id"]}}", "ip_address": "10.7.0.10"}]} }"""));
        Assert.Equal((400, "InvalidIpForSubnet"), await host.RefusedAsync(_me, HttpMethod.Post, "v2.0/ports",
            $$"""{"port": {"network_id": "{{network["id"]}}", "fixed_ips": [{"subnet_id": "{{subnet["id"]}}", "ip_address": "10.8.0.1"}]} }"""));
    }

    [Fact]
    public async Task An_interface_is_added_and_removed_with_the_same_answer()
    {
        var network = await host.PostAsync(_me, "v2.0/networks", """{"network": {}}""");
        var subnet = await host.PostAsync(_me, "v2.0/subnets", $$"""{"subnet": {"network_id": "{{network["id"]}}", "cidr": "10.7.0.0/24", "ip_version": 4} }""");
        var router = await host.PostAsync(_me, "v2.0/routers", """{"router": {"name": "r", "external_gateway_info": null}}""");
        var json = $$"""{"subnet_id": "{{subnet["id"]}}"}""";

        var (added, first) = await host.SendAsync(_me, HttpMethod.Put, $"v2.0/routers/{router["id"]}/add_router_interface", json);
        var refused = await host.RefusedAsync(_me, HttpMethod.Delete, $"v2.0/routers/{router["id"]}");
        var (removed, second) = await host.SendAsync(_me, HttpMethod.Put, $"v2.0/routers/{router["id"]}/remove_router_interface", json);

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (added, removed));
        Assert.Equal(["id", "tenant_id", "port_id", "network_id", "subnet_id", "subnet_ids"], first!.AsObject().Select(pair => pair.Key));
        Assert.Equal(first.ToJsonString(), second!.ToJsonString());
        Assert.Equal((409, "RouterInUse"), refused);
        Assert.Equal(HttpStatusCode.NoContent, (await host.SendAsync(_me, HttpMethod.Delete, $"v2.0/routers/{router["id"]}")).Status);
    }

    [Fact]
    public async Task A_list_of_groups_shows_the_default_group_that_nobody_has_used_yet()
    {
        var (_, body) = await host.GetAsync(_me, "v2.0/security-groups");

        var group = Assert.Single(body!["security_groups"]!.AsArray())!;
        Assert.Equal(("default", "Default security group", "true"), (Text(group, "name"), Text(group, "description"), Text(group, "stateful")));
        Assert.Equal((409, "SecurityGroupDefaultAlreadyExists"),
            await host.RefusedAsync(_me, HttpMethod.Post, "v2.0/security-groups", """{"security_group": {"name": "default"}}"""));
        Assert.Equal((400, "SecurityGroupRuleInvalidProtocol"), await host.RefusedAsync(_me, HttpMethod.Post, "v2.0/security-group-rules",
            $$"""{"security_group_rule": {"security_group_id": "{{group["id"]}}", "protocol": "bad", "direction": "ingress", "ethertype": "IPv4"} }"""));
        Assert.Equal((400, "HTTPBadRequest"), await host.RefusedAsync(_me, HttpMethod.Post, "v2.0/security-group-rules",
            $$"""{"security_group_rule": {"security_group_id": "{{group["id"]}}", "protocol": "udp", "direction": "ingress", "ethertype": "bad"} }"""));
    }

    [Fact]
    public async Task A_rule_is_told_with_its_protocol_as_it_was_given()
    {
        var group = await host.PostAsync(_me, "v2.0/security-groups", """{"security_group": {"name": "g"}}""");
        async Task<JsonNode> AddAsync(string rule) => await host.PostAsync(_me, "v2.0/security-group-rules",
            $$"""{"security_group_rule": {"security_group_id": "{{group["id"]}}", "direction": "ingress", {{rule}}} }""");

        Assert.Equal("17", Text(await AddAsync("\"protocol\": 17"), "protocol"));
        Assert.Equal("tcp", Text(await AddAsync("\"protocol\": \"TCP\", \"port_range_min\": \"80\", \"port_range_max\": 80"), "protocol"));
        var rule = await AddAsync("\"ethertype\": \"ipv6\", \"remote_ip_prefix\": \"2001:db8::1/64\"");
        Assert.Equal(("IPv6", "2001:db8::1/64", "2001:db8::/64"), (Text(rule, "ethertype"), Text(rule, "remote_ip_prefix"), Text(rule, "normalized_cidr")));
    }

    [Fact]
    public async Task Tags_are_set_one_by_one_and_together()
    {
        var network = await host.PostAsync(_me, "v2.0/networks", """{"network": {}}""");
        var path = $"v2.0/networks/{network["id"]}/tags";

        Assert.Equal(HttpStatusCode.Created, (await host.SendAsync(_me, HttpMethod.Put, path + "/red")).Status);
        var (_, put) = await host.SendAsync(_me, HttpMethod.Put, path, """{"tags": ["green", "blue"]}""");
        Assert.Equal("""{"tags":["blue","green"]}""", put!.ToJsonString());
        Assert.Equal(HttpStatusCode.NoContent, (await host.GetAsync(_me, path + "/blue")).Status);
        Assert.Equal((404, "TagNotFound"), await host.RefusedAsync(_me, HttpMethod.Delete, path + "/red"));
        Assert.Equal(HttpStatusCode.NoContent, (await host.SendAsync(_me, HttpMethod.Delete, path)).Status);
        Assert.Equal("""{"tags":[]}""", (await host.GetAsync(_me, path)).Body!.ToJsonString());
    }

    [Fact]
    public async Task Quotas_show_limits_and_what_is_used()
    {
        await host.PostAsync(_me, "v2.0/networks", """{"network": {}}""");

        var (_, details) = await host.GetAsync(_me, $"v2.0/quotas/{_me}/details.json");
        var (_, set) = await host.SendAsync("admin", HttpMethod.Put, $"v2.0/quotas/{_me}", """{"quota": {"network": 1}}""");

        Assert.Equal("""{"limit":100,"used":1,"reserved":0}""", details!["quota"]!["network"]!.ToJsonString());
        Assert.Equal(1, (int)set!["quota"]!["network"]!);
        Assert.Equal((409, "OverQuota"), await host.RefusedAsync(_me, HttpMethod.Post, "v2.0/networks", """{"network": {}}"""));
    }

    [Fact]
    public async Task A_node_that_watches_is_sent_each_change_and_shown_as_an_agent()
    {
        var nodes = new Wire.NodeNetworks.NodeNetworksClient(host.Grpc);
        var ports = new Wire.Ports.PortsClient(host.Grpc);
        var node = $"node-{_me}";
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        using var watch = nodes.WatchNodeNetwork(
            new Wire.WatchNodeNetworkRequest { NodeId = node, PhysicalNetworks = { "public" } }, NetworkHost.As("service", stop.Token));
        Assert.True(await watch.ResponseStream.MoveNext(stop.Token));
        Assert.Empty(watch.ResponseStream.Current.Ports);

        var network = await host.PostAsync(_me, "v2.0/networks", """{"network": {}}""");
        var port = await host.PostAsync(_me, "v2.0/ports", $$"""{"port": {"network_id": "{{network["id"]}}"} }""");
        await ports.BindPortAsync(new Wire.BindPortRequest { PortId = Text(port, "id"), HostName = node, Epoch = 1 }, NetworkHost.As("service", stop.Token));
        do
        {
            Assert.True(await watch.ResponseStream.MoveNext(stop.Token));
        }
        while (watch.ResponseStream.Current.Ports.Count == 0);

        await nodes.ReportNodeNetworkAsync(
            new Wire.ReportNodeNetworkRequest
            {
                NodeId = node,
                AppliedRevision = watch.ResponseStream.Current.Revision,
                Ports = { new Wire.NodeItemStatus { Id = Text(port, "id"), Epoch = 1, State = Wire.NodeItemState.Active } },
            },
            NetworkHost.As("service", stop.Token));
        Assert.Equal("ACTIVE", Text((await host.GetAsync(_me, $"v2.0/ports/{port["id"]}")).Body!["port"]!, "status"));
        var agents = (await host.GetAsync("admin", "v2.0/agents?host=" + node)).Body!["agents"]!.AsArray();
        Assert.Equal("true", Text(Assert.Single(agents)!, "alive"));

        var refused = await Assert.ThrowsAsync<RpcException>(async () => await nodes.ReportNodeNetworkAsync(
            new Wire.ReportNodeNetworkRequest { NodeId = node }, NetworkHost.As(_me, stop.Token)));
        Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
    }

    [Fact]
    public async Task A_watch_sends_what_is_there_then_each_change()
    {
        var networks = new Wire.Networks.NetworksClient(host.Grpc);
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var one = await networks.CreateNetworkAsync(new Wire.CreateNetworkRequest { Name = "one" }, NetworkHost.As(_me, stop.Token));
        using var watch = networks.WatchNetworks(new Wire.WatchNetworksRequest(), NetworkHost.As(_me, stop.Token));
        async Task<Wire.NetworkEvent> NextAsync() => await watch.ResponseStream.MoveNext(stop.Token) ? watch.ResponseStream.Current : throw new EndOfStreamException();

        Assert.Equal(one, (await NextAsync()).Changed);
        Assert.True((await NextAsync()).Synced);
        var renamed = await networks.UpdateNetworkAsync(
            new Wire.UpdateNetworkRequest { Network = new Wire.Network { Id = one.Id, Name = "two" }, UpdateMask = new() { Paths = { "name" } } },
            NetworkHost.As(_me, stop.Token));
        Assert.Equal(renamed, (await NextAsync()).Changed);
        await networks.DeleteNetworkAsync(new Wire.DeleteNetworkRequest { NetworkId = one.Id }, NetworkHost.As(_me, stop.Token));
        Assert.Equal(one.Id, (await NextAsync()).Deleted);
    }

    private static string Text(JsonNode node, string name) => node[name]?.ToString() ?? "";
}
