using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Networking.Rest;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;

namespace Nephos.Networking.Qos;

internal static class QosEndpoints
{
    private const string Path = "/v2.0/qos/policies";
    private const string TypePath = "/v2.0/qos/rule-types";

    private static readonly (QosRuleKind Kind, string Name)[] Kinds =
    [
        (QosRuleKind.BandwidthLimit, "bandwidth_limit"), (QosRuleKind.DscpMarking, "dscp_marking"),
        (QosRuleKind.MinimumBandwidth, "minimum_bandwidth"),
    ];

    public static void Map(RestRoutes rest, QosService policies, NetworkStore store)
    {
        rest.Get(Path, async call =>
        {
            var view = await store.ViewAsync(call.Cancelled);
            return ListQuery.Answer(call, "policies", Path,
                view.QosPolicies.Values.Where(call.Operation.Sees).Select(policy => ToJson(policy, call.Operation)));
        });
        rest.Post(Path, async call =>
        {
            var body = await RestBody.OneAsync(call, "policy");
            var request = new NewQosPolicy(body.ProjectId(), body.String("name"), body.String("description"), body.Bool("shared", otherwise: false),
                body.Bool("is_default", otherwise: false), body.Strings("tags"), null);
            body.Done();
            return Answer(201, ToJson(await policies.CreateAsync(call.Operation, request, call.Cancelled), call.Operation));
        });
        rest.Get(Path + "/{id}", async call =>
        {
            var policy = (await store.ViewAsync(call.Cancelled)).QosPolicy(call.Operation, call.Route("id"));
            return Answer(200, ListQuery.Fields(call, ToJson(policy, call.Operation)));
        });
        rest.Put(Path + "/{id}", async call =>
        {
            var body = await RestBody.OneAsync(call, "policy");
            var changes = new QosPolicyChanges
            {
                Name = body.Optional("name", body.String),
                Description = body.Optional("description", body.String),
                Shared = body.Optional("shared", name => body.Bool(name, otherwise: false)),
                IsDefault = body.Optional("is_default", name => body.Bool(name, otherwise: false)),
            };
            body.Done();
            return Answer(200, ToJson(await policies.UpdateAsync(call.Operation, call.Route("id"), changes, call.Cancelled), call.Operation));
        });
        rest.Delete(Path + "/{id}", async call =>
        {
            await policies.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
        TagEndpoints.Map(rest, Path, store,
            (view, operation, id) => view.QosPolicy(operation, id).Tags,
            (operation, id, tags, cancelled) => policies.UpdateAsync(operation, id, new QosPolicyChanges { Tags = new(true, tags) }, cancelled));
        foreach (var (kind, name) in Kinds)
        {
            MapRules(rest, policies, store, kind, name + "_rule");
        }

        MapTypes(rest);
    }

    private static void MapRules(RestRoutes rest, QosService policies, NetworkStore store, QosRuleKind kind, string name)
    {
        var path = $"{Path}/{{policy}}/{name}s";
        rest.Get(path, async call =>
        {
            var policy = (await store.ViewAsync(call.Cancelled)).QosPolicy(call.Operation, call.Route("policy"));
            return ListQuery.Answer(call, name + "s", $"{Path}/{policy.Id}/{name}s", policy.Rules.Where(rule => rule.Kind == kind).Select(ToJson));
        });
        rest.Post(path, async call =>
        {
            var rule = Read(await RestBody.OneAsync(call, name), new QosRule { Id = "", Kind = kind }, isNew: true);
            rule = await policies.AddRuleAsync(call.Operation, call.Route("policy"), rule, call.Cancelled);
            return RestResult.Json(201, new JsonObject { [name] = ToJson(rule) });
        });
        rest.Get(path + "/{id}", async call =>
        {
            var policy = (await store.ViewAsync(call.Cancelled)).QosPolicy(call.Operation, call.Route("policy"));
            return RestResult.Json(200, new JsonObject { [name] = ListQuery.Fields(call, ToJson(QosService.RuleOf(policy, kind, call.Route("id")))) });
        });
        rest.Put(path + "/{id}", async call =>
        {
            // The change may run again when it loses a race, and a body is read once.
            var body = await call.ReadJsonAsync();
            var rule = await policies.UpdateRuleAsync(
                call.Operation, call.Route("policy"), kind, call.Route("id"), before => Read(RestBody.Of(body, name), before, isNew: false), call.Cancelled);
            return RestResult.Json(200, new JsonObject { [name] = ToJson(rule) });
        });
        rest.Delete(path + "/{id}", async call =>
        {
            await policies.DeleteRuleAsync(call.Operation, call.Route("policy"), kind, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static void MapTypes(RestRoutes rest)
    {
        rest.Get(TypePath, call => Task.FromResult(ListQuery.Answer(call, "rule_types", TypePath,
            Kinds.Select(kind => new JsonObject { ["type"] = kind.Name }))));
        rest.Get(TypePath + "/{type}", call =>
        {
            call.Operation.RequireAdmin("get_rule_type");
            var name = Kinds.Select(kind => kind.Name).FirstOrDefault(name => name == call.Route("type"))
                ?? throw Faults.NotFound("QoS rule type", Checks.Shown(call.Route("type")));
            return Task.FromResult(RestResult.Json(200, new JsonObject { ["rule_type"] = new JsonObject { ["type"] = name, ["drivers"] = new JsonArray() } }));
        });
    }

    private static RestResult Answer(int status, JsonObject policy) => RestResult.Json(status, new JsonObject { ["policy"] = policy });

    private static JsonObject ToJson(QosPolicy policy, OperationContext operation)
    {
        var json = new JsonObject
        {
            ["id"] = policy.Id,
            ["name"] = policy.Name,
            ["tenant_id"] = policy.ProjectId,
            ["description"] = policy.Description,
            ["shared"] = policy.Allows(GrantAction.Shared, operation.ProjectId),
            ["is_default"] = policy.IsDefault,
            ["rules"] = new JsonArray([.. policy.Rules.Select(rule =>
            {
                var one = ToJson(rule);
                one["type"] = Kinds.First(kind => kind.Kind == rule.Kind).Name;
                one["qos_policy_id"] = policy.Id;
                return (JsonNode)one;
            })]),
        };
        return json.WithCommon(policy);
    }

    private static JsonObject ToJson(QosRule rule) => rule.Kind switch
    {
        QosRuleKind.DscpMarking => new JsonObject { ["id"] = rule.Id, ["dscp_mark"] = rule.DscpMark },
        QosRuleKind.MinimumBandwidth => new JsonObject { ["id"] = rule.Id, ["min_kbps"] = rule.Kbps, ["direction"] = NameOf(rule.Direction) },
        _ => new JsonObject
        {
            ["id"] = rule.Id,
            ["max_kbps"] = rule.Kbps,
            ["max_burst_kbps"] = rule.BurstKbits,
            ["direction"] = NameOf(rule.Direction),
        },
    };

    private static string NameOf(QosDirection direction) => direction == QosDirection.Ingress ? "ingress" : "egress";

    private static QosRule Read(RestBody body, QosRule before, bool isNew)
    {
        body.ProjectId();
        int Number(string name, int otherwise) => body.IntOrNull(name) ?? (isNew ? throw Faults.Invalid(name, "must be given") : otherwise);
        var rule = before.Kind switch
        {
            QosRuleKind.DscpMarking => before with { DscpMark = Number("dscp_mark", before.DscpMark) },
            QosRuleKind.MinimumBandwidth => before with { Kbps = Number("min_kbps", before.Kbps), Direction = ReadDirection(body, before) },
            _ => before with
            {
                Kbps = Number("max_kbps", before.Kbps),
                BurstKbits = body.IntOrNull("max_burst_kbps") ?? before.BurstKbits,
                Direction = ReadDirection(body, before),
            },
        };
        body.Done();
        return rule;
    }

    private static QosDirection ReadDirection(RestBody body, QosRule before) => body.StringOrNull("direction") switch
    {
        null => before.Direction,
        "egress" => QosDirection.Egress,
        "ingress" => QosDirection.Ingress,
        var other => throw Faults.Invalid("direction", $"'{Checks.Shown(other)}' is not in ['egress', 'ingress']"),
    };
}
