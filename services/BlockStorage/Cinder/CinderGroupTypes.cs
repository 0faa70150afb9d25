using System.Text.Json.Nodes;
using Nephos.BlockStorage.Groups;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>Kinds of groups over REST, from version 3.11 on.</summary>
internal sealed class CinderGroupTypes(GroupTypeService types)
{
    private static readonly Microversion First = new(3, 11);

    private static readonly Dictionary<string, Func<GroupType, IComparable?>> SortKeys = new()
    {
        ["id"] = type => type.Id,
        ["name"] = type => type.Name,
        ["created_at"] = type => type.CreatedAt,
    };

    public void Map(CinderRoutes routes)
    {
        routes.Get("/group_types", ListAsync);
        routes.Post("/group_types", CreateAsync);
        routes.Get("/group_types/{id}", async call => RestResult.Json(200, Wrap(call, await GetAsync(call))));
        routes.Put("/group_types/{id}", UpdateAsync);
        routes.Delete("/group_types/{id}", DeleteAsync);
        routes.Get("/group_types/{id}/group_specs", async call => Specs(200, (await GetAsync(call)).Specs));
        routes.Post("/group_types/{id}/group_specs", AddSpecsAsync);
        routes.Get("/group_types/{id}/group_specs/{key}", GetSpecAsync);
        routes.Put("/group_types/{id}/group_specs/{key}", PutSpecAsync);
        routes.Delete("/group_types/{id}/group_specs/{key}", DeleteSpecAsync);
    }

    private static RestCall Since(RestCall call) => call.Version >= First ? call : throw Faults.NotFound("Resource", call.Http.Request.Path);

    private Task<GroupType> GetAsync(RestCall call) => types.GetAsync(Since(call).Operation, call.Route("id"), call.Cancelled);

    private Task<GroupType> ChangeAsync(RestCall call, Func<GroupType, GroupType> change) =>
        types.UpdateAsync(Since(call).Operation, call.Route("id"), change, call.Cancelled);

    private async Task<RestResult> ListAsync(RestCall call)
    {
        var all = await types.ListAsync(Since(call).Operation, call.Cancelled);
        var asked = call.Query("is_public");
        var wanted = asked is null || asked.Equals("none", StringComparison.OrdinalIgnoreCase) || !call.Operation.IsAdmin ? null : CinderInput.QueryFlag(call, "is_public");
        var page = CinderList.Page(
            call, all.Where(type => wanted is null || type.IsPublic == wanted), type => type.Id, SortKeys, id => Faults.NotFound("Group type", id), out var more);
        var body = new JsonObject { ["group_types"] = new JsonArray([.. page.Select(type => View(call, type))]) };
        CinderList.AddNext(call, body, "group_type", $"/v3/{call.Route("project")}/group_types", page.LastOrDefault()?.Id ?? "", more);
        return RestResult.Json(200, body);
    }

    private async Task<RestResult> CreateAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(Since(call), "group_type");
        var type = await types.CreateAsync(
            call.Operation, CinderInput.Text(body, "name") ?? throw Faults.Invalid("name", "is required"), CinderInput.Text(body, "description"),
            CinderInput.Flag(body, "is_public") ?? true, CinderInput.Metadata(body["group_specs"], "group_specs"), call.Cancelled);
        return RestResult.Json(202, Wrap(call, type));
    }

    private async Task<RestResult> UpdateAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(Since(call), "group_type");
        var (name, description, isPublic) = (CinderInput.Text(body, "name"), CinderInput.Text(body, "description"), CinderInput.Flag(body, "is_public"));
        if (name is null && description is null && isPublic is null) throw Faults.Invalid("group_type", "at least one of name, description and is_public is required");
        return RestResult.Json(200, Wrap(call, await ChangeAsync(
            call, type => type with { Name = name ?? type.Name, Description = description ?? type.Description, IsPublic = isPublic ?? type.IsPublic })));
    }

    private async Task<RestResult> DeleteAsync(RestCall call)
    {
        await types.DeleteAsync(Since(call).Operation, call.Route("id"), call.Cancelled);
        return RestResult.Empty(202);
    }

    private static RestResult Specs(int status, IReadOnlyDictionary<string, string> specs) =>
        RestResult.Json(status, new JsonObject { ["group_specs"] = CinderViews.Map(specs) });

    private async Task<RestResult> AddSpecsAsync(RestCall call)
    {
        var given = CinderInput.Metadata(await CinderInput.ReadAsync(Since(call), "group_specs"), "group_specs");
        await ChangeAsync(call, type => type with { Specs = CinderVolumes.Merge(type.Specs, given) });
        return Specs(202, given);
    }

    private async Task<RestResult> GetSpecAsync(RestCall call)
    {
        var key = call.Route("key");
        return (await GetAsync(call)).Specs.TryGetValue(key, out var value) ? RestResult.Json(200, new JsonObject { [key] = value }) : throw NoSpec(call);
    }

    private async Task<RestResult> PutSpecAsync(RestCall call)
    {
        var given = CinderInput.Metadata(await Since(call).ReadJsonAsync(), "group_specs");
        if (given.Count != 1 || !given.ContainsKey(call.Route("key"))) throw Faults.Invalid("group_specs", "Request body and URI mismatch");
        await ChangeAsync(call, type => type with { Specs = CinderVolumes.Merge(type.Specs, given) });
        return RestResult.Json(200, CinderViews.Map(given));
    }

    private async Task<RestResult> DeleteSpecAsync(RestCall call)
    {
        var key = call.Route("key");
        await ChangeAsync(
            call, type => type.Specs.ContainsKey(key) ? type with { Specs = type.Specs.Where(item => item.Key != key).ToDictionary() } : throw NoSpec(call));
        return RestResult.Empty(202);
    }

    private static FaultException NoSpec(RestCall call) =>
        new(Protos.Errors.V1.ErrorReason.NotFound, $"Group Type {call.Route("id")} has no specs with key {call.Route("key")}.");

    private static JsonObject Wrap(RestCall call, GroupType type) => new() { ["group_type"] = View(call, type) };

    private static JsonObject View(RestCall call, GroupType type)
    {
        var json = new JsonObject { ["id"] = type.Id, ["name"] = type.Name, ["description"] = type.Description, ["is_public"] = type.IsPublic };
        if (call.Operation.IsAdmin) json["group_specs"] = CinderViews.Map(type.Specs);
        return json;
    }
}
