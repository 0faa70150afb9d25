using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;

namespace Nephos.Compute.Groups;

internal static class ServerGroupEndpoints
{
    public static void Map(RestRoutes rest, string root)
    {
        rest.Get(root + "/os-server-groups", async call =>
        {
            var all = await Service(call).ListAsync(call.Operation, call.QueryAll("all_projects").Any(), call.Cancelled);
            var offset = int.TryParse(call.Query("offset") ?? "0", NumberStyles.None, CultureInfo.InvariantCulture, out var skip)
                ? skip
                : throw ComputeFaults.Refers("offset", "Invalid input for query parameters offset. It is no whole number");
            return RestResult.Json(200, new JsonObject
            {
                ["server_groups"] = RestParts.Array(all.Skip(offset).Take(call.Limit().Items).Select(item => Json(call, item))),
            });
        });
        rest.Post(root + "/os-server-groups", async call =>
        {
            var fields = Fields.Root(await call.ReadJsonAsync(), "server_group");
            var (policy, maxPerHost) = call.From(64) ? Policy(fields.Only("name", "policy", "rules")) : (Policies(call, fields.Only("name", "policies")), 1);
            return Answer(call, await Service(call).CreateAsync(call.Operation, fields.Required("name"), policy, maxPerHost, null, call.Cancelled));
        });
        rest.Get(root + "/os-server-groups/{id}", async call => Answer(call, await Service(call).GetAsync(call.Operation, call.Route("id"), call.Cancelled)));
        rest.Delete(root + "/os-server-groups/{id}", async call =>
        {
            await Service(call).DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static ServerGroupService Service(RestCall call) => call.Service<ServerGroupService>();

    private static (GroupPolicy Policy, int MaxPerHost) Policy(Fields fields)
    {
        var policy = Parse(fields.Required("policy"), withSoft: true);
        var max = fields.Object("rules") is { } rules ? rules.Only("max_server_per_host").Integer("max_server_per_host", 1, ServerGroupService.PerHostMax) : null;
        return max is not null && policy != GroupPolicy.AntiAffinity
            ? throw ComputeFaults.Refers("rules", "Only anti-affinity policy supports rules.")
            : (policy, (int)(max ?? 1));
    }

    private static GroupPolicy Policies(RestCall call, Fields fields) => fields.Texts("policies") is { Count: 1 } names
        ? Parse(names[0], withSoft: call.From(15))
        : throw ComputeFaults.Refers("policies", "Invalid input for field/attribute policies. Exactly one policy is needed");

    private static GroupPolicy Parse(string name, bool withSoft) =>
        GroupPolicies.Parse(name) is { } policy && (withSoft || policy is GroupPolicy.Affinity or GroupPolicy.AntiAffinity)
            ? policy
            : throw ComputeFaults.Refers("policy", $"Invalid input for field/attribute policy. Value: {(name.Length > 64 ? name[..64] : name)}. It is no policy");

    private static RestResult Answer(RestCall call, GroupDetails details) => RestResult.Json(200, new JsonObject { ["server_group"] = Json(call, details) });

    private static JsonObject Json(RestCall call, GroupDetails details)
    {
        var (group, members) = details;
        var json = new JsonObject { ["id"] = group.Id, ["name"] = group.Name, ["members"] = RestParts.Texts(members) };
        if (call.From(64))
        {
            json["policy"] = GroupPolicies.NameOf(group.Policy);
            json["rules"] = group.Policy == GroupPolicy.AntiAffinity && group.MaxPerHost > 1
                ? new JsonObject { ["max_server_per_host"] = group.MaxPerHost }
                : new JsonObject();
        }
        else
        {
            json["policies"] = RestParts.Texts([GroupPolicies.NameOf(group.Policy)]);
            json["metadata"] = new JsonObject();
        }
        if (call.From(13))
        {
            json["project_id"] = group.ProjectId;
            json["user_id"] = group.UserId;
        }
        return json;
    }
}
