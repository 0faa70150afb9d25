using System.Text.Json.Nodes;
using Nephos.BlockStorage.Qos;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>QoS specs over REST.</summary>
internal sealed class CinderQos(QosService qos)
{
    private static readonly Dictionary<string, Func<QosSpecs, IComparable?>> SortKeys = new()
    {
        ["id"] = specs => specs.Id,
        ["name"] = specs => specs.Name,
        ["created_at"] = specs => specs.CreatedAt,
    };

    public void Map(CinderRoutes routes)
    {
        routes.Get("/qos-specs", ListAsync);
        routes.Post("/qos-specs", CreateAsync);
        routes.Get("/qos-specs/{id}", async call => Answer(call, await qos.GetAsync(call.Operation, call.Route("id"), call.Cancelled)));
        routes.Put("/qos-specs/{id}", SetAsync);
        routes.Delete("/qos-specs/{id}", DeleteAsync);
        routes.Put("/qos-specs/{id}/delete_keys", UnsetAsync);
        routes.Get("/qos-specs/{id}/associations", ListAssociationsAsync);
        routes.Get("/qos-specs/{id}/associate", AssociateAsync);
        routes.Get("/qos-specs/{id}/disassociate", call => DisassociateAsync(call, TypeOf(call)));
        routes.Get("/qos-specs/{id}/disassociate_all", call => DisassociateAsync(call, typeId: null));
    }

    private static string TypeOf(RestCall call) => call.Query("vol_type_id") is { Length: > 0 } id ? id : throw Faults.Invalid("vol_type_id", "is required");

    private async Task<RestResult> ListAsync(RestCall call)
    {
        var all = await qos.ListAsync(call.Operation, call.Cancelled);
        var page = CinderList.Page(call, all, specs => specs.Id, SortKeys, id => Faults.NotFound("QoS specs", id), out var more);
        var body = new JsonObject { ["qos_specs"] = new JsonArray([.. page.Select(View)]) };
        CinderList.AddNext(call, body, "qos_specs", $"/v3/{call.Route("project")}/qos-specs", page.LastOrDefault()?.Id ?? "", more);
        return RestResult.Json(200, body);
    }

    private async Task<RestResult> CreateAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(call, "qos_specs");
        var (name, consumer) = (CinderInput.Text(body, "name") ?? throw Faults.Invalid("name", "is required"), CinderInput.Text(body, "consumer"));
        var specs = CinderInput.Metadata(body, "qos_specs").Where(item => item.Key is not ("name" or "consumer")).ToDictionary();
        return Answer(call, await qos.CreateAsync(call.Operation, name, consumer, specs, call.Cancelled));
    }

    private async Task<RestResult> SetAsync(RestCall call)
    {
        var given = CinderInput.Metadata(await CinderInput.ReadAsync(call, "qos_specs"), "qos_specs");
        given.Remove("consumer", out var consumer);
        await qos.SetAsync(call.Operation, call.Route("id"), consumer, given.ToDictionary(item => item.Key, item => (string?)item.Value), call.Cancelled);
        var answer = CinderViews.Map(given);
        if (consumer is not null) answer["consumer"] = consumer;
        return RestResult.Json(200, new JsonObject { ["qos_specs"] = answer });
    }

    private async Task<RestResult> UnsetAsync(RestCall call)
    {
        var keys = CinderInput.Texts((await call.ReadJsonAsync())["keys"], "keys");
        await qos.SetAsync(call.Operation, call.Route("id"), consumer: null, keys.Distinct().ToDictionary(key => key, _ => (string?)null), call.Cancelled);
        return RestResult.Empty(202);
    }

    private async Task<RestResult> DeleteAsync(RestCall call)
    {
        await qos.DeleteAsync(call.Operation, call.Route("id"), CinderInput.QueryFlag(call, "force") == true, call.Cancelled);
        return RestResult.Empty(202);
    }

    private async Task<RestResult> ListAssociationsAsync(RestCall call)
    {
        var types = await qos.ListAssociationsAsync(call.Operation, call.Route("id"), call.Cancelled);
        return RestResult.Json(200, new JsonObject
        {
            ["qos_associations"] = new JsonArray(
                [.. types.Select(type => new JsonObject { ["association_type"] = "volume_type", ["name"] = type.Name, ["id"] = type.Id })]),
        });
    }

    private async Task<RestResult> AssociateAsync(RestCall call)
    {
        await qos.AssociateAsync(call.Operation, call.Route("id"), TypeOf(call), call.Cancelled);
        return RestResult.Empty(202);
    }

    private async Task<RestResult> DisassociateAsync(RestCall call, string? typeId)
    {
        await qos.DisassociateAsync(call.Operation, call.Route("id"), typeId, call.Cancelled);
        return RestResult.Empty(202);
    }

    private static RestResult Answer(RestCall call, QosSpecs specs) => RestResult.Json(200, new JsonObject
    {
        ["qos_specs"] = View(specs),
        ["links"] = CinderViews.Links(call, call.Route("project"), $"qos-specs/{specs.Id}"),
    });

    private static JsonObject View(QosSpecs specs) => new()
    {
        ["id"] = specs.Id,
        ["name"] = specs.Name,
        ["consumer"] = specs.Consumer,
        ["specs"] = CinderViews.Map(specs.Specs),
    };
}
