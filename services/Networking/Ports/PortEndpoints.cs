using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Networking.Addressing;
using Nephos.Networking.Rest;
using Nephos.Networking.State;

namespace Nephos.Networking.Ports;

internal static class PortEndpoints
{
    private const string Path = "/v2.0/ports";

    public static void Map(RestRoutes rest, PortService ports, NetworkStore store)
    {
        rest.Get(Path, async call =>
        {
            var view = await store.ViewAsync(call.Cancelled);
            var visible = Narrow(call, view).Where(port => call.Operation.Sees(port, view) && MatchesAddresses(call, port));
            return ListQuery.Answer(call, "ports", Path, visible.Select(port => ToJson(port, view, call.Operation)));
        });
        rest.Post(Path, async call =>
        {
            var (items, isBulk) = await RestBody.OneOrManyAsync(call, "port", "ports");
            var made = await ports.CreateAsync(call.Operation, [.. items.Select(ReadNew)], call.Cancelled);
            var view = await store.ViewAsync(call.Cancelled);
            var json = made.Select(port => ToJson(port, view, call.Operation));
            return RestResult.Json(201, isBulk
                ? new JsonObject { ["ports"] = new JsonArray([.. json]) }
                : new JsonObject { ["port"] = json.Single() });
        });
        rest.Get(Path + "/{id}", async call =>
        {
            var view = await store.ViewAsync(call.Cancelled);
            var port = view.Port(call.Operation, call.Route("id"));
            return RestResult.Json(200, new JsonObject { ["port"] = ListQuery.Fields(call, ToJson(port, view, call.Operation)) });
        });
        rest.Put(Path + "/{id}", async call =>
        {
            var changes = ReadChanges(await RestBody.OneAsync(call, "port"));
            var port = await ports.UpdateAsync(call.Operation, call.Route("id"), changes, call.Cancelled);
            var view = await store.ViewAsync(call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["port"] = ToJson(port, view, call.Operation) });
        });
        rest.Delete(Path + "/{id}", async call =>
        {
            await ports.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
        TagEndpoints.Map(rest, Path, store,
            (view, operation, id) => view.Port(operation, id).Tags,
            (operation, id, tags, cancelled) => ports.UpdateAsync(operation, id, new PortChanges { Tags = new(true, tags) }, cancelled));
    }

    public static JsonObject ToJson(Port port, NetworkView view, OperationContext operation)
    {
        var json = new JsonObject
        {
            ["id"] = port.Id,
            ["name"] = port.Name,
            ["network_id"] = port.NetworkId,
            ["tenant_id"] = port.ProjectId,
            ["mac_address"] = port.MacAddress,
            ["admin_state_up"] = port.AdminStateUp,
            ["status"] = view.StatusOf(port),
            ["qos_policy_id"] = port.QosPolicyId,
            ["qos_network_policy_id"] = view.Networks.GetValueOrDefault(port.NetworkId)?.QosPolicyId,
            ["device_id"] = port.DeviceId,
            ["device_owner"] = port.DeviceOwner,
            ["fixed_ips"] = FixedIps(port.FixedIps),
            ["allowed_address_pairs"] = new JsonArray([.. port.AllowedAddressPairs.Select(pair => (JsonNode)new JsonObject
            {
                ["ip_address"] = pair.Address.PrefixLength == pair.Address.First.Bits ? pair.Address.First.ToString() : pair.Address.ToString(),
                ["mac_address"] = pair.MacAddress ?? port.MacAddress,
            })]),
            ["extra_dhcp_opts"] = new JsonArray([.. port.ExtraDhcpOptions.Select(option => (JsonNode)new JsonObject
            {
                ["opt_name"] = option.Name,
                ["opt_value"] = option.Value,
                ["ip_version"] = option.IpVersion,
            })]),
            ["security_groups"] = JsonParts.Strings(port.SecurityGroupIds),
            ["description"] = port.Description,
            ["binding:vnic_type"] = port.VnicType,
            ["port_security_enabled"] = port.PortSecurityEnabled,
            ["dns_name"] = port.DnsName,
        };
        if (operation.MayBind())
        {
            json["binding:host_id"] = port.HostName;
            json["binding:profile"] = new JsonObject();
            json["binding:vif_type"] = port.HostName.Length > 0 ? "tap" : "unbound";
            json["binding:vif_details"] = new JsonObject { ["port_filter"] = true };
        }

        return json.WithCommon(port);
    }

    public static JsonArray FixedIps(IEnumerable<FixedIp> ips) => new([.. ips.Select(ip => (JsonNode)new JsonObject
    {
        ["subnet_id"] = ip.SubnetId,
        ["ip_address"] = ip.Address.ToString(),
    })]);

    public static IReadOnlyList<WantedAddress>? ReadWanted(RestBody body, string name) => body.ObjectsOrNull(name, item => new WantedAddress(
        item.StringOrNull("subnet_id") is { Length: > 0 } subnet ? subnet : null,
        JsonParts.ReadAddress(item, "ip_address")));

    // Most lists ask for the ports of one device or one network; those are known without a look at every port.
    private static IEnumerable<Port> Narrow(RestCall call, NetworkView view)
    {
        if (call.QueryAll("device_id") is [{ Length: > 0 } deviceId])
        {
            return view.PortsOfDevice(deviceId).OrderBy(port => port.Id, StringComparer.Ordinal);
        }

        return call.QueryAll("network_id") is [{ Length: > 0 } networkId]
            ? view.PortsOn(networkId).OrderBy(port => port.Id, StringComparer.Ordinal)
            : view.Ports.Values;
    }

    // fixed_ips=subnet_id=S and fixed_ips=ip_address=A: an address of the port has one of each kind that is given.
    private static bool MatchesAddresses(RestCall call, Port port)
    {
        var wanted = call.QueryAll("fixed_ips").Select(text => text.Split('=', 2)).Where(pair => pair.Length == 2).ToLookup(pair => pair[0], pair => pair[1]);
        var subnets = wanted["subnet_id"].ToList();
        var addresses = wanted["ip_address"].Select(text => IpAddress.TryParse(text, out var address) ? address.ToString() : text).ToList();
        var parts = wanted["ip_address_substr"].Concat(call.QueryAll("ip_address_substr")).ToList();
        return (subnets.Count == 0 && addresses.Count == 0 && parts.Count == 0) || port.FixedIps.Any(ip =>
            (subnets.Count == 0 || subnets.Contains(ip.SubnetId)) &&
            (addresses.Count == 0 || addresses.Contains(ip.Address.ToString())) &&
            (parts.Count == 0 || parts.Any(part => ip.Address.ToString().Contains(part, StringComparison.Ordinal))));
    }

    private static NewPort ReadNew(RestBody body)
    {
        var request = new NewPort
        {
            ProjectId = body.ProjectId(),
            NetworkId = body.Required("network_id"),
            Name = body.String("name"),
            Description = body.String("description"),
            MacAddress = body.StringOrNull("mac_address") is { Length: > 0 } mac ? mac : null,
            FixedIps = ReadWanted(body, "fixed_ips"),
            AdminStateUp = body.Bool("admin_state_up", otherwise: true),
            DeviceId = body.String("device_id"),
            DeviceOwner = body.String("device_owner"),
            SecurityGroups = body.StringsOrNull("security_groups"),
            AllowedAddressPairs = ReadPairs(body),
            ExtraDhcpOptions = ReadOptions(body),
            PortSecurityEnabled = body.BoolOrNull("port_security_enabled"),
            DnsName = body.String("dns_name"),
            QosPolicyId = body.StringOrNull("qos_policy_id"),
            HostName = body.String("binding:host_id"),
            VnicType = body.StringOrNull("binding:vnic_type") ?? "normal",
            Tags = body.Strings("tags"),
        };
        CheckProfile(body);
        body.Done();
        return request;
    }

    private static PortChanges ReadChanges(RestBody body)
    {
        var changes = new PortChanges
        {
            Name = body.Optional("name", body.String),
            Description = body.Optional("description", body.String),
            MacAddress = body.Optional("mac_address", body.Required),
            FixedIps = body.Optional("fixed_ips", name => ReadWanted(body, name) ?? []),
            AdminStateUp = body.Optional("admin_state_up", name => body.Bool(name, otherwise: true)),
            DeviceId = body.Optional("device_id", body.String),
            DeviceOwner = body.Optional("device_owner", body.String),
            SecurityGroups = body.Optional("security_groups", body.Strings),
            AllowedAddressPairs = body.Optional("allowed_address_pairs", _ => ReadPairs(body)),
            ExtraDhcpOptions = body.Optional("extra_dhcp_opts", _ => ReadOptions(body)),
            PortSecurityEnabled = body.Optional("port_security_enabled", name => body.Bool(name, otherwise: true)),
            DnsName = body.Optional("dns_name", body.String),
            QosPolicyId = body.Optional("qos_policy_id", body.StringOrNull),
            HostName = body.Optional("binding:host_id", body.String),
            VnicType = body.Optional("binding:vnic_type", name => body.StringOrNull(name) ?? "normal"),
        };
        CheckProfile(body);
        body.Done();
        return changes;
    }

    // Clients send an empty profile; there is nothing here that it could say.
    private static void CheckProfile(RestBody body) => body.Object("binding:profile")?.Done();

    private static IReadOnlyList<AddressPair> ReadPairs(RestBody body) => body.Objects("allowed_address_pairs", item =>
    {
        var text = item.Required("ip_address");
        return new AddressPair(
            Cidr.TryParse(text, out var cidr, out _) ? cidr : throw Faults.Invalid("allowed_address_pairs", $"'{Checks.Shown(text)}' is not a valid IP address."),
            item.StringOrNull("mac_address") is { Length: > 0 } mac ? Checks.Mac("allowed_address_pairs", mac) : null);
    });

    private static IReadOnlyList<DhcpOption> ReadOptions(RestBody body) => [.. body
        .Objects("extra_dhcp_opts", item => (Name: item.Required("opt_name"), Value: item.StringOrNull("opt_value"), Version: item.IntOrNull("ip_version") ?? 4))
        .Where(option => option.Value is not null)
        .Select(option => new DhcpOption(option.Name, option.Value!, option.Version))];
}
