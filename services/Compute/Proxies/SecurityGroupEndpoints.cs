using System.Text.Json.Nodes;
using Nephos.Compute.Instances;
using Nephos.Compute.Seams;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.Compute.Proxies;

/// <summary>Security groups as the compute API showed them up to microversion 2.35, and those of one server, which stayed.</summary>
internal static class SecurityGroupEndpoints
{
    private const int GoneFrom = 36;
    private const int CharsMax = 255;

    public static void Map(RestRoutes rest, string root)
    {
        rest.Get(root + "/os-security-groups", ListAsync);
        rest.Post(root + "/os-security-groups", async call =>
        {
            call.RequireBefore(GoneFrom);
            var (name, description) = await ReadAsync(call);
            return Answer(await Proxy(call).CreateAsync(call.Operation, name, description, call.Cancelled));
        });
        rest.Get(root + "/os-security-groups/{id}", async call =>
        {
            call.RequireBefore(GoneFrom);
            var group = await Proxy(call).GetAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["security_group"] = Json(group, await NamesAsync(call, [group])) });
        });
        rest.Put(root + "/os-security-groups/{id}", async call =>
        {
            call.RequireBefore(GoneFrom);
            var (name, description) = await ReadAsync(call);
            return Answer(await Proxy(call).UpdateAsync(call.Operation, call.Route("id"), name, description, call.Cancelled));
        });
        rest.Delete(root + "/os-security-groups/{id}", async call =>
        {
            call.RequireBefore(GoneFrom);
            await Proxy(call).DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(202);
        });
        rest.Post(root + "/os-security-group-rules", AddRuleAsync);
        rest.Delete(root + "/os-security-group-rules/{id}", async call =>
        {
            call.RequireBefore(GoneFrom);
            await Proxy(call).DeleteRuleAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(202);
        });
        rest.Get(root + "/servers/{id}/os-security-groups", OfServerAsync);
    }

    private static SecurityGroupProxy Proxy(RestCall call) => call.Service<SecurityGroupProxy>();

    private static async Task<RestResult> ListAsync(RestCall call)
    {
        call.RequireBefore(GoneFrom);
        var all = (await Proxy(call).ListAsync(call.Operation, call.QueryBool("all_tenants") == true, call.Cancelled)).OrderByDescending(group => group.Name == "default").ToList();
        var (items, _) = call.Page(all, group => group.Id);
        var names = await NamesAsync(call, all);
        return RestResult.Json(200, new JsonObject { ["security_groups"] = RestParts.Array(items.Select(group => Json(group, names))) });
    }

    private static async Task<RestResult> OfServerAsync(RestCall call)
    {
        var details = await call.Service<InstanceService>().GetAsync(call.Operation, call.Route("id"), call.Cancelled);
        var all = await Proxy(call).ListAsync(call.Operation, allProjects: false, call.Cancelled);
        var ids = (details.Parts?.Ports ?? []).SelectMany(port => port.Details?.SecurityGroups ?? []).Select(group => group.Id)
            .Concat(details.Instance.SecurityGroups.Select(group => group.Id)).ToHashSet();
        var mine = all.Where(group => ids.Contains(group.Id)
            || (group.Name == "default" && details.Instance.SecurityGroups.Any(item => item.Id.Length == 0))).ToList();
        var names = await NamesAsync(call, all);
        return RestResult.Json(200, new JsonObject { ["security_groups"] = RestParts.Array(mine.Select(group => Json(group, names))) });
    }

    private static async Task<RestResult> AddRuleAsync(RestCall call)
    {
        call.RequireBefore(GoneFrom);
        var fields = Fields.Root(await call.ReadJsonAsync(), "security_group_rule").Only("parent_group_id", "ip_protocol", "from_port", "to_port", "cidr", "group_id");
        var groupId = fields.Required("parent_group_id");
        var remote = fields.TextOrNull("group_id");
        var rule = await Proxy(call).AddRuleAsync(
            call.Operation, groupId, fields.TextOrNull("ip_protocol"), (int?)fields.Integer("from_port", -1, 65535), (int?)fields.Integer("to_port", -1, 65535),
            remote is null ? fields.TextOrNull("cidr") ?? "0.0.0.0/0" : null, remote, call.Cancelled);
        var names = await NamesAsync(call, [new GroupInfo(groupId, "", "", "", [rule])]);
        return RestResult.Json(200, new JsonObject { ["security_group_rule"] = Json(rule, groupId, names) });
    }

    /// <summary>The groups that rules name as their remote side.</summary>
    private static async Task<Dictionary<string, GroupInfo>> NamesAsync(RestCall call, IReadOnlyList<GroupInfo> groups) =>
        groups.SelectMany(group => group.IngressRules).All(rule => rule.RemoteGroupId is null)
            ? []
            : (await Proxy(call).ListAsync(call.Operation, allProjects: false, call.Cancelled)).ToDictionary(group => group.Id);

    private static async Task<(string Name, string Description)> ReadAsync(RestCall call)
    {
        var fields = Fields.Root(await call.ReadJsonAsync(), "security_group").Only("name", "description");
        return (Bounded("name", fields.Required("name"), atLeast: 1), Bounded("description", fields.TextOrNull("description") ?? "", atLeast: 0));
    }

    private static string Bounded(string field, string text, int atLeast) =>
        text.Trim().Length >= atLeast && text.Length <= CharsMax ? text : throw Faults.Invalid(field, $"{atLeast} to {CharsMax} characters");

    private static RestResult Answer(GroupInfo group) => RestResult.Json(200, new JsonObject { ["security_group"] = Json(group, []) });

    private static JsonObject Json(GroupInfo group, Dictionary<string, GroupInfo> names) => new()
    {
        ["id"] = group.Id,
        ["description"] = group.Description,
        ["name"] = group.Name,
        ["tenant_id"] = group.ProjectId,
        ["rules"] = RestParts.Array(group.IngressRules.Select(rule => Json(rule, group.Id, names))),
    };

    private static JsonObject Json(GroupRule rule, string groupId, Dictionary<string, GroupInfo> names) => new()
    {
        ["id"] = rule.Id,
        ["parent_group_id"] = groupId,
        ["ip_protocol"] = rule.Protocol,
        ["from_port"] = rule.From ?? (rule.Protocol is null ? null : -1),
        ["to_port"] = rule.To ?? (rule.Protocol is null ? null : -1),
        ["group"] = rule.RemoteGroupId is { } remote && names.TryGetValue(remote, out var named)
            ? new JsonObject { ["name"] = named.Name, ["tenant_id"] = named.ProjectId }
            : new JsonObject(),
        ["ip_range"] = rule.RemoteGroupId is null && (rule.Cidr is not null || rule.Protocol is not null)
            ? new JsonObject { ["cidr"] = rule.Cidr ?? "0.0.0.0/0" }
            : new JsonObject(),
    };
}
