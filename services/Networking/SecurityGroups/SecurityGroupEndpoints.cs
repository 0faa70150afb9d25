using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Networking.Rest;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;

namespace Nephos.Networking.SecurityGroups;

internal static class SecurityGroupEndpoints
{
    private const string Path = "/v2.0/security-groups";
    private const string RulePath = "/v2.0/security-group-rules";

    public static void Map(RestRoutes rest, SecurityGroupService groups, DefaultGroups defaults, NetworkStore store)
    {
        rest.Get(Path, async call =>
        {
            await EnsureDefaultsAsync(call, defaults);
            var view = await store.ViewAsync(call.Cancelled);
            return ListQuery.Answer(call, "security_groups", Path,
                view.SecurityGroups.Values.Where(call.Operation.Sees).Select(group => ToJson(group, call.Operation)));
        });
        rest.Post(Path, async call =>
        {
            var group = await groups.CreateAsync(call.Operation, ReadNew(await RestBody.OneAsync(call, "security_group")), call.Cancelled);
            return RestResult.Json(201, new JsonObject { ["security_group"] = ToJson(group, call.Operation) });
        });
        rest.Get(Path + "/{id}", async call =>
        {
            var group = (await store.ViewAsync(call.Cancelled)).SecurityGroup(call.Operation, call.Route("id"));
            return RestResult.Json(200, new JsonObject { ["security_group"] = ListQuery.Fields(call, ToJson(group, call.Operation)) });
        });
        rest.Put(Path + "/{id}", async call =>
        {
            var changes = ReadChanges(await RestBody.OneAsync(call, "security_group"));
            var group = await groups.UpdateAsync(call.Operation, call.Route("id"), changes, call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["security_group"] = ToJson(group, call.Operation) });
        });
        rest.Delete(Path + "/{id}", async call =>
        {
            await groups.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
        TagEndpoints.Map(rest, Path, store,
            (view, operation, id) => view.SecurityGroup(operation, id).Tags,
            (operation, id, tags, cancelled) => groups.UpdateAsync(operation, id, new SecurityGroupChanges { Tags = new(true, tags) }, cancelled));
        MapRules(rest, groups, defaults, store);
    }

    private static void MapRules(RestRoutes rest, SecurityGroupService groups, DefaultGroups defaults, NetworkStore store)
    {
        rest.Get(RulePath, async call =>
        {
            await EnsureDefaultsAsync(call, defaults);
            var view = await store.ViewAsync(call.Cancelled);
            return ListQuery.Answer(call, "security_group_rules", RulePath,
                view.SecurityGroups.Values.Where(call.Operation.Sees)
                    .SelectMany(group => group.Rules, (group, rule) => (group, rule))
                    .OrderBy(pair => pair.rule.Id, StringComparer.Ordinal)
                    .Select(pair => ToJson(pair.group, pair.rule)));
        });
        rest.Post(RulePath, async call =>
        {
            var (items, isBulk) = await RestBody.OneOrManyAsync(call, "security_group_rule", "security_group_rules");
            var added = await groups.AddRulesAsync(call.Operation, [.. items.Select(ReadRule)], call.Cancelled);
            var json = added.Select(pair => ToJson(pair.Group, pair.Rule));
            return RestResult.Json(201, isBulk
                ? new JsonObject { ["security_group_rules"] = new JsonArray([.. json]) }
                : new JsonObject { ["security_group_rule"] = json.Single() });
        });
        rest.Get(RulePath + "/{id}", async call =>
        {
            var (group, rule) = (await store.ViewAsync(call.Cancelled)).Rule(call.Operation, call.Route("id"));
            return RestResult.Json(200, new JsonObject { ["security_group_rule"] = ListQuery.Fields(call, ToJson(group, rule)) });
        });
        rest.Delete(RulePath + "/{id}", async call =>
        {
            await groups.DeleteRuleAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    // A list shows the default group of the project that is looked at, even when nothing has used it yet.
    private static async Task EnsureDefaultsAsync(RestCall call, DefaultGroups defaults)
    {
        var project = call.Query("project_id") ?? call.Query("tenant_id") ?? call.Operation.ProjectId;
        if (project is { Length: > 0 } && (project == call.Operation.ProjectId || call.Operation.IsPrivileged()))
        {
            await defaults.EnsureAsync(Checks.ProjectId(project), call.Cancelled);
        }
    }

    private static JsonObject ToJson(SecurityGroup group, OperationContext operation) => new JsonObject
    {
        ["id"] = group.Id,
        ["name"] = group.Name,
        ["stateful"] = group.Stateful,
        ["tenant_id"] = group.ProjectId,
        ["description"] = group.Description,
        ["shared"] = group.Allows(GrantAction.Shared, operation.ProjectId),
        ["security_group_rules"] = new JsonArray([.. group.Rules.Select(rule => ToJson(group, rule))]),
    }.WithCommon(group);

    private static JsonObject ToJson(SecurityGroup group, SecurityGroupRule rule) => new()
    {
        ["id"] = rule.Id,
        ["tenant_id"] = group.ProjectId,
        ["security_group_id"] = group.Id,
        ["ethertype"] = $"IPv{rule.IpVersion}",
        ["direction"] = rule.Direction == RuleDirection.Ingress ? "ingress" : "egress",
        ["protocol"] = rule.Protocol,
        ["port_range_min"] = rule.PortRangeMin,
        ["port_range_max"] = rule.PortRangeMax,
        ["remote_ip_prefix"] = rule.RemoteIpPrefix,
        ["remote_address_group_id"] = rule.RemoteAddressGroupId,
        ["normalized_cidr"] = rule.RemoteCidr?.ToString(),
        ["remote_group_id"] = rule.RemoteGroupId,
        ["description"] = rule.Description,
        ["created_at"] = JsonParts.Time(rule.CreatedAt),
        ["updated_at"] = JsonParts.Time(rule.CreatedAt),
        ["revision_number"] = 0,
        ["project_id"] = group.ProjectId,
    };

    private static NewSecurityGroup ReadNew(RestBody body)
    {
        var request = new NewSecurityGroup
        {
            ProjectId = body.ProjectId(),
            Name = body.String("name"),
            Description = body.String("description"),
            Stateful = body.Bool("stateful", otherwise: true),
            Tags = body.Strings("tags"),
        };
        body.Done();
        return request;
    }

    private static SecurityGroupChanges ReadChanges(RestBody body)
    {
        var changes = new SecurityGroupChanges
        {
            Name = body.Optional("name", body.String),
            Description = body.Optional("description", body.String),
            Stateful = body.Optional("stateful", name => body.Bool(name, otherwise: true)),
        };
        body.Done();
        return changes;
    }

    private static NewRule ReadRule(RestBody body)
    {
        body.ProjectId();
        var rule = new NewRule
        {
            SecurityGroupId = body.Required("security_group_id"),
            Direction = body.Required("direction").ToLowerInvariant() switch
            {
                "ingress" => RuleDirection.Ingress,
                "egress" => RuleDirection.Egress,
                var other => throw Faults.Invalid("direction", $"'{Checks.Shown(other)}' is not in ['ingress', 'egress']"),
            },
            IpVersion = (body.StringOrNull("ethertype") ?? "IPv4").ToUpperInvariant() switch
            {
                "IPV4" => 4,
                "IPV6" => 6,
                var other => throw Faults.Invalid("ethertype", $"'{Checks.Shown(other)}' is not in ['IPv4', 'IPv6']"),
            },
            Protocol = ReadProtocol(body),
            PortRangeMin = body.IntOrNull("port_range_min"),
            PortRangeMax = body.IntOrNull("port_range_max"),
            RemoteIpPrefix = body.StringOrNull("remote_ip_prefix") is { Length: > 0 } prefix ? prefix : null,
            RemoteGroupId = body.StringOrNull("remote_group_id") is { Length: > 0 } group ? group : null,
            RemoteAddressGroupId = body.StringOrNull("remote_address_group_id") is { Length: > 0 } addresses ? addresses : null,
            Description = body.String("description"),
        };
        body.Done();
        return rule;
    }

    // A name or a number, the number as text or as itself.
    private static string? ReadProtocol(RestBody body)
    {
        var text = body.Value("protocol")?.ToString();
        return string.IsNullOrEmpty(text) || text.Equals("any", StringComparison.OrdinalIgnoreCase) ? null : text;
    }
}
