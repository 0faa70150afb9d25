using System.Text.Json.Nodes;
using Nephos.BlockStorage.VolumeTypes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>Volume types and their extra specs over REST.</summary>
internal sealed class CinderTypes(VolumeTypeService types)
{
    private static readonly Dictionary<string, Func<VolumeType, IComparable?>> SortKeys = new()
    {
        ["id"] = type => type.Id,
        ["name"] = type => type.Name,
        ["created_at"] = type => type.CreatedAt,
    };

    public void Map(CinderRoutes routes)
    {
        routes.Get("/types", ListAsync);
        routes.Post("/types", CreateAsync);
        routes.Get("/types/default", async call => Answer(await types.GetDefaultAsync(call.Operation.ProjectId ?? "", call.Cancelled)));
        routes.Get("/types/{id}", async call => Answer(await GetAsync(call)));
        routes.Put("/types/{id}", UpdateAsync);
        routes.Delete("/types/{id}", DeleteAsync);
        routes.Get("/types/{id}/extra_specs", async call => Specs((await GetAsync(call)).ExtraSpecs));
        routes.Post("/types/{id}/extra_specs", AddSpecsAsync);
        routes.Get("/types/{id}/extra_specs/{key}", GetSpecAsync);
        routes.Put("/types/{id}/extra_specs/{key}", PutSpecAsync);
        routes.Delete("/types/{id}/extra_specs/{key}", DeleteSpecAsync);
        routes.Get("/types/{id}/os-volume-type-access", ListAccessAsync);
        routes.Post("/types/{id}/action", ActAsync);
    }

    private Task<VolumeType> GetAsync(RestCall call) => types.GetAsync(call.Operation, call.Route("id"), call.Cancelled);

    private static RestResult Answer(VolumeType type) => RestResult.Json(200, new JsonObject { ["volume_type"] = CinderViews.Type(type) });

    private async Task<RestResult> ListAsync(RestCall call)
    {
        var all = await types.ListAsync(call.Operation, call.Cancelled);
        var wanted = call.Query("is_public") is { } flag && call.Operation.IsAdmin && !flag.Equals("none", StringComparison.OrdinalIgnoreCase)
            ? CinderInput.Flag(new JsonObject { ["is_public"] = flag }, "is_public")
            : null;
        var page = CinderList.Page(
            call, all.Where(type => wanted is null || type.IsPublic == wanted), type => type.Id, SortKeys, id => Faults.NotFound("Volume type", id), out var more);
        var body = new JsonObject { ["volume_types"] = new JsonArray([.. page.Select(CinderViews.Type)]) };
        CinderList.AddNext(call, body, "volume_type", $"/v3/{call.Route("project")}/types", page.LastOrDefault()?.Id ?? "", more);
        return RestResult.Json(200, body);
    }

    private async Task<RestResult> CreateAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(call, "volume_type");
        return Written(await types.CreateAsync(
            call.Operation, CinderInput.Text(body, "name") ?? throw Faults.Invalid("name", "is required"), CinderInput.Text(body, "description"),
            CinderInput.Flag(body, "os-volume-type-access:is_public") ?? true, CinderInput.Metadata(body["extra_specs"], "extra_specs"), call.Cancelled),
            access: true);
    }

    private async Task<RestResult> UpdateAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(call, "volume_type");
        return Written(await types.UpdateAsync(
            call.Operation, call.Route("id"), CinderInput.Text(body, "name"), CinderInput.Text(body, "description"), CinderInput.Flag(body, "is_public"),
            extraSpecs: null, call.Cancelled), access: false);
    }

    // What a write answers has fewer keys than what a read does.
    private static RestResult Written(VolumeType type, bool access)
    {
        var json = CinderViews.Type(type);
        json.Remove("qos_specs_id");
        if (!access) json.Remove("os-volume-type-access:is_public");
        return RestResult.Json(200, new JsonObject { ["volume_type"] = json });
    }

    private async Task<RestResult> ListAccessAsync(RestCall call)
    {
        call.Operation.RequireAdmin("volume_extension:volume_type_access");
        var type = await GetAsync(call);
        if (type.IsPublic) throw Faults.NotFound("Access list of public volume type", type.Id);
        return RestResult.Json(200, new JsonObject
        {
            ["volume_type_access"] = new JsonArray(
                [.. type.Projects.Select(project => new JsonObject { ["volume_type_id"] = type.Id, ["project_id"] = project })]),
        });
    }

    private async Task<RestResult> ActAsync(RestCall call)
    {
        var body = await call.ReadJsonAsync();
        var allowed = body.ContainsKey("addProjectAccess");
        if (body.Count != 1 || body[allowed ? "addProjectAccess" : "removeProjectAccess"] is not JsonObject input)
            throw Faults.Invalid("body", "names one of addProjectAccess and removeProjectAccess");
        await types.SetAccessAsync(call.Operation, call.Route("id"), CinderInput.Text(input, "project") ?? "", allowed, call.Cancelled);
        return RestResult.Empty(202);
    }

    private async Task<RestResult> DeleteAsync(RestCall call)
    {
        await types.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
        return RestResult.Empty(202);
    }

    private static RestResult Specs(IReadOnlyDictionary<string, string> specs) =>
        RestResult.Json(200, new JsonObject { ["extra_specs"] = CinderViews.Map(specs) });

    private async Task<RestResult> AddSpecsAsync(RestCall call)
    {
        var given = CinderInput.Metadata(await CinderInput.ReadAsync(call, "extra_specs"), "extra_specs");
        var type = await GetAsync(call);
        await types.UpdateAsync(call.Operation, type.Id, null, null, null, CinderVolumes.Merge(type.ExtraSpecs, given), call.Cancelled);
        return Specs(given);
    }

    private async Task<RestResult> GetSpecAsync(RestCall call)
    {
        var key = call.Route("key");
        return (await GetAsync(call)).ExtraSpecs.TryGetValue(key, out var value)
            ? RestResult.Json(200, new JsonObject { [key] = value })
            : throw NoSpec(call.Route("id"), key);
    }

    private async Task<RestResult> PutSpecAsync(RestCall call)
    {
        var given = CinderInput.Metadata(await call.ReadJsonAsync(), "extra_specs");
        if (given.Count != 1 || !given.ContainsKey(call.Route("key"))) throw Faults.Invalid("extra_specs", "Request body and URI mismatch");
        var type = await GetAsync(call);
        await types.UpdateAsync(call.Operation, type.Id, null, null, null, CinderVolumes.Merge(type.ExtraSpecs, given), call.Cancelled);
        return RestResult.Json(200, CinderViews.Map(given));
    }

    private async Task<RestResult> DeleteSpecAsync(RestCall call)
    {
        var type = await GetAsync(call);
        var key = call.Route("key");
        if (!type.ExtraSpecs.ContainsKey(key)) throw NoSpec(type.Id, key);
        await types.UpdateAsync(
            call.Operation, type.Id, null, null, null, type.ExtraSpecs.Where(item => item.Key != key).ToDictionary(), call.Cancelled);
        return RestResult.Empty(202);
    }

    private static FaultException NoSpec(string type, string key) =>
        new(Protos.Errors.V1.ErrorReason.NotFound, $"Volume Type {type} has no extra specs with key {key}.");
}
