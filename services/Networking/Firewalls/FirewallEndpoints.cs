using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Networking.Addressing;
using Nephos.Networking.Rest;
using Nephos.Networking.State;

namespace Nephos.Networking.Firewalls;

/// <summary>The REST face of firewall rules, policies and groups.</summary>
internal static class FirewallEndpoints
{
    private const string RulePath = "/v2.0/fwaas/firewall_rules";
    private const string PolicyPath = "/v2.0/fwaas/firewall_policies";
    private const string GroupPath = "/v2.0/fwaas/firewall_groups";

    public static void Map(
        RestRoutes rest, FirewallRuleService rules, FirewallPolicyService policies, FirewallGroupService groups, NetworkStore store)
    {
        MapResource(rest, store, RulePath, "firewall_rule", "firewall_rules",
            (view, operation) => view.FirewallRules.Values.Where(operation.Sees).Select(rule => ToJson(rule, view)),
            (view, operation, id) => ToJson(view.FirewallRules.Firewall("Rule", operation, id), view),
            async (call, body) => (await rules.CreateAsync(
                call.Operation, body.ProjectId(), Read(body, new FirewallRule { Id = "", ProjectId = "", CreatedAt = default, UpdatedAt = default }), call.Cancelled)).Id,
            (call, json) => rules.UpdateAsync(
                call.Operation, call.Route("id"), before => Read(RestBody.Of(json, "firewall_rule"), before), call.Cancelled),
            call => rules.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled));
        MapResource(rest, store, PolicyPath, "firewall_policy", "firewall_policies",
            (view, operation) => view.FirewallPolicies.Values.Where(operation.Sees).Select(ToJson),
            (view, operation, id) => ToJson(view.FirewallPolicies.Firewall("Policy", operation, id)),
            async (call, body) => (await policies.CreateAsync(
                call.Operation, body.ProjectId(), Read(body, new FirewallPolicy { Id = "", ProjectId = "", CreatedAt = default, UpdatedAt = default }), call.Cancelled)).Id,
            (call, json) => policies.UpdateAsync(
                call.Operation, call.Route("id"), before => Read(RestBody.Of(json, "firewall_policy"), before), call.Cancelled),
            call => policies.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled));
        MapResource(rest, store, GroupPath, "firewall_group", "firewall_groups",
            (view, operation) => view.FirewallGroups.Values.Where(operation.Sees).Select(group => ToJson(group, view)),
            (view, operation, id) => ToJson(view.FirewallGroups.Firewall("Group", operation, id), view),
            async (call, body) => (await groups.CreateAsync(
                call.Operation, body.ProjectId(), Read(body, new FirewallGroup { Id = "", ProjectId = "", CreatedAt = default, UpdatedAt = default }), call.Cancelled)).Id,
            (call, json) => groups.UpdateAsync(
                call.Operation, call.Route("id"), before => Read(RestBody.Of(json, "firewall_group"), before), call.Cancelled),
            call => groups.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled),
            call => call.Operation.ProjectId is { } project ? groups.EnsureDefaultAsync(project, call.Cancelled) : Task.CompletedTask);

        // These two answer the policy without an envelope, as their clients expect.
        rest.Put(PolicyPath + "/{id}/insert_rule", async call =>
        {
            var body = await RestBody.WholeAsync(call);
            var (rule, before, after) = (body.Required("firewall_rule_id"), NonEmpty(body, "insert_before"), NonEmpty(body, "insert_after"));
            body.Done();
            return RestResult.Json(200, ToJson(await policies.InsertRuleAsync(call.Operation, call.Route("id"), rule, before, after, call.Cancelled)));
        });
        rest.Put(PolicyPath + "/{id}/remove_rule", async call =>
        {
            var body = await RestBody.WholeAsync(call);
            var rule = body.Required("firewall_rule_id");
            body.Done();
            return RestResult.Json(200, ToJson(await policies.RemoveRuleAsync(call.Operation, call.Route("id"), rule, call.Cancelled)));
        });
    }

    private static void MapResource(
        RestRoutes rest, NetworkStore store, string path, string one, string many,
        Func<NetworkView, OperationContext, IEnumerable<JsonObject>> list,
        Func<NetworkView, OperationContext, string, JsonObject> show,
        Func<RestCall, RestBody, Task<string>> create,
        Func<RestCall, JsonObject, Task> update,
        Func<RestCall, Task> delete,
        Func<RestCall, Task>? beforeList = null)
    {
        async Task<RestResult> ShowAsync(RestCall call, int status, string id)
        {
            var view = await store.ViewAsync(call.Cancelled);
            return RestResult.Json(status, new JsonObject { [one] = ListQuery.Fields(call, show(view, call.Operation, id)) });
        }

        rest.Get(path, async call =>
        {
            await (beforeList?.Invoke(call) ?? Task.CompletedTask);
            return ListQuery.Answer(call, many, path, list(await store.ViewAsync(call.Cancelled), call.Operation));
        });
        rest.Post(path, async call => await ShowAsync(call, 201, await create(call, await RestBody.OneAsync(call, one))));
        rest.Get(path + "/{id}", call => ShowAsync(call, 200, call.Route("id")));
        rest.Put(path + "/{id}", async call =>
        {
            await update(call, await call.ReadJsonAsync());
            return await ShowAsync(call, 200, call.Route("id"));
        });
        rest.Delete(path + "/{id}", async call =>
        {
            await delete(call);
            return RestResult.Empty(204);
        });
    }

    private static JsonObject ToJson(FirewallRule rule, NetworkView view) => new()
    {
        ["id"] = rule.Id,
        ["name"] = rule.Name,
        ["description"] = rule.Description,
        ["tenant_id"] = rule.ProjectId,
        ["project_id"] = rule.ProjectId,
        ["shared"] = rule.Shared,
        ["action"] = NameOf(rule.Action),
        ["protocol"] = rule.Protocol,
        ["ip_version"] = rule.IpVersion,
        ["source_ip_address"] = rule.Source?.ToString(),
        ["destination_ip_address"] = rule.Destination?.ToString(),
        ["source_port"] = rule.SourcePorts?.ToString(),
        ["destination_port"] = rule.DestinationPorts?.ToString(),
        ["enabled"] = rule.Enabled,
        ["firewall_policy_id"] = JsonParts.Strings(
            view.FirewallPolicies.Values.Where(policy => policy.RuleIds.Contains(rule.Id)).Select(policy => policy.Id)),
    };

    private static JsonObject ToJson(FirewallPolicy policy) => new()
    {
        ["id"] = policy.Id,
        ["name"] = policy.Name,
        ["description"] = policy.Description,
        ["tenant_id"] = policy.ProjectId,
        ["project_id"] = policy.ProjectId,
        ["shared"] = policy.Shared,
        ["audited"] = policy.Audited,
        ["firewall_rules"] = JsonParts.Strings(policy.RuleIds),
    };

    private static JsonObject ToJson(FirewallGroup group, NetworkView view) => new()
    {
        ["id"] = group.Id,
        ["name"] = group.Name,
        ["description"] = group.Description,
        ["tenant_id"] = group.ProjectId,
        ["project_id"] = group.ProjectId,
        ["shared"] = group.Shared,
        ["admin_state_up"] = group.AdminStateUp,
        ["ingress_firewall_policy_id"] = group.IngressPolicyId,
        ["egress_firewall_policy_id"] = group.EgressPolicyId,
        ["ports"] = JsonParts.Strings(group.PortIds),
        ["status"] = view.StatusOf(group),
    };

    private static FirewallRule Read(RestBody body, FirewallRule before)
    {
        body.ProjectId();
        foreach (var name in new[] { "source_firewall_group_id", "destination_firewall_group_id" })
        {
            if (NonEmpty(body, name) is not null)
            {
                throw Faults.Invalid(name, "rules that name firewall groups are not offered");
            }
        }

        var rule = before with
        {
            Name = body.StringOrNull("name") ?? before.Name,
            Description = body.StringOrNull("description") ?? before.Description,
            Shared = body.Bool("shared", otherwise: before.Shared),
            Action = body.Optional("action", name => ReadAction(body.Required(name))).Or(before.Action),
            Protocol = body.Optional("protocol", name => NonEmpty(body, name)?.ToLowerInvariant() is { } text && text != "any" ? text : null).Or(before.Protocol),
            IpVersion = body.IntOrNull("ip_version") ?? before.IpVersion,
            Source = body.Optional("source_ip_address", name => ReadCidr(body, name)).Or(before.Source),
            Destination = body.Optional("destination_ip_address", name => ReadCidr(body, name)).Or(before.Destination),
            SourcePorts = body.Optional("source_port", name => ReadPorts(body, name)).Or(before.SourcePorts),
            DestinationPorts = body.Optional("destination_port", name => ReadPorts(body, name)).Or(before.DestinationPorts),
            Enabled = body.Bool("enabled", otherwise: before.Enabled),
        };
        body.Done();
        return rule;
    }

    private static FirewallPolicy Read(RestBody body, FirewallPolicy before)
    {
        body.ProjectId();
        var policy = before with
        {
            Name = body.StringOrNull("name") ?? before.Name,
            Description = body.StringOrNull("description") ?? before.Description,
            Shared = body.Bool("shared", otherwise: before.Shared),
            Audited = body.Bool("audited", otherwise: before.Audited),
            RuleIds = body.StringsOrNull("firewall_rules") ?? before.RuleIds,
        };
        body.Done();
        return policy;
    }

    private static FirewallGroup Read(RestBody body, FirewallGroup before)
    {
        body.ProjectId();
        var group = before with
        {
            Name = body.StringOrNull("name") ?? before.Name,
            Description = body.StringOrNull("description") ?? before.Description,
            Shared = body.Bool("shared", otherwise: before.Shared),
            AdminStateUp = body.Bool("admin_state_up", otherwise: before.AdminStateUp),
            IngressPolicyId = body.Optional("ingress_firewall_policy_id", name => NonEmpty(body, name)).Or(before.IngressPolicyId),
            EgressPolicyId = body.Optional("egress_firewall_policy_id", name => NonEmpty(body, name)).Or(before.EgressPolicyId),
            PortIds = body.StringsOrNull("ports") ?? before.PortIds,
        };
        body.Done();
        return group;
    }

    private static string NameOf(FirewallAction action) => action switch
    {
        FirewallAction.Allow => "allow",
        FirewallAction.Reject => "reject",
        _ => "deny",
    };

    private static FirewallAction ReadAction(string text) => text.ToLowerInvariant() switch
    {
        "allow" => FirewallAction.Allow,
        "deny" => FirewallAction.Deny,
        "reject" => FirewallAction.Reject,
        var other => throw Faults.Invalid("action", $"'{Checks.Shown(other)}' is not in ['allow', 'deny', 'reject']"),
    };

    private static string? NonEmpty(RestBody body, string name) => body.StringOrNull(name) is { Length: > 0 } text ? text : null;

    private static Cidr? ReadCidr(RestBody body, string name) =>
        NonEmpty(body, name) is not { } text ? null
        : Cidr.TryParse(text, out var cidr, out _) ? cidr
        : throw Faults.Invalid(name, $"'{Checks.Shown(text)}' is not a valid IP subnet.");

    // 80 or 80:90, as a number or as text.
    private static PortRange? ReadPorts(RestBody body, string name)
    {
        var text = body.Value(name)?.ToString();
        if (string.IsNullOrEmpty(text))
        {
            return null;
        }

        var ends = text.Split(':');
        var numbers = ends.Select(end => int.TryParse(end, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0).ToList();
        return ends.Length <= 2 && numbers.TrueForAll(number => number is > 0 and <= 65535) && numbers[0] <= numbers[^1]
            ? new PortRange(numbers[0], numbers[^1])
            : throw Faults.Invalid(name, $"'{Checks.Shown(text)}' is not a port or a range of ports");
    }
}
