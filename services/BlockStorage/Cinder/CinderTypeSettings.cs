using System.Text.Json.Nodes;
using Nephos.BlockStorage.VolumeTypes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Cinder;

/// <summary>Records of encryption of volume types, and the default types of projects, over REST.</summary>
internal sealed class CinderTypeSettings(VolumeTypeService types, TableCache<Volumes.Volume> volumes)
{
    private static readonly Microversion Defaults = new(3, 62);

    public void Map(CinderRoutes routes, RestRoutes rest)
    {
        routes.Get("/types/{id}/encryption", ShowAsync);
        routes.Post("/types/{id}/encryption", CreateAsync);
        routes.Get("/types/{id}/encryption/{key}", ShowItemAsync);
        routes.Put("/types/{id}/encryption/{key}", UpdateAsync);
        routes.Delete("/types/{id}/encryption/{key}", DeleteAsync);
        rest.Get("/v3/default-types", ListDefaultsAsync);
        rest.Get("/v3/default-types/{target}", ShowDefaultAsync);
        rest.Put("/v3/default-types/{target}", SetDefaultAsync);
        rest.Delete("/v3/default-types/{target}", DeleteDefaultAsync);
    }

    private async Task<TypeEncryption?> GetAsync(RestCall call)
    {
        call.Operation.RequireAdmin("volume_extension:volume_type_encryption:get");
        return (await types.GetAsync(call.Operation, call.Route("id"), call.Cancelled)).Encryption;
    }

    private async Task<RestResult> ShowAsync(RestCall call)
    {
        var encryption = await GetAsync(call);
        if (encryption is null) return RestResult.Json(200, new JsonObject());
        var json = View(call.Route("id"), encryption);
        json["deleted"] = false;
        json["created_at"] = CinderViews.Time(encryption.CreatedAt);
        json["updated_at"] = CinderViews.Time(encryption.UpdatedAt);
        json["deleted_at"] = null;
        return RestResult.Json(200, json);
    }

    private async Task<RestResult> ShowItemAsync(RestCall call)
    {
        var key = call.Route("key");
        var encryption = await GetAsync(call) ?? throw NotFound(call);
        var json = View(call.Route("id"), encryption);
        return json.ContainsKey(key) ? RestResult.Json(200, new JsonObject { [key] = json[key]?.DeepClone() }) : throw NotFound(call);
    }

    private async Task<RestResult> CreateAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(call, "encryption");
        await volumes.CatchUpAsync(call.Cancelled);
        var made = types.MakeEncryption(
            CinderInput.Text(body, "provider") ?? throw Faults.Invalid("provider", "is required"), CinderInput.Text(body, "cipher"), KeySize(body),
            CinderInput.Text(body, "control_location"));
        await types.SetEncryptionAsync(
            call.Operation, call.Route("id"),
            old => old is null ? made : throw Faults.Invalid("encryption", $"Encryption type for type {call.Route("id")} already exists."), call.Cancelled);
        return RestResult.Json(200, new JsonObject { ["encryption"] = View(call.Route("id"), made) });
    }

    private async Task<RestResult> UpdateAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(call, "encryption");
        await volumes.CatchUpAsync(call.Cancelled);
        await types.SetEncryptionAsync(
            call.Operation, call.Route("id"),
            old => old is null ? throw NotFound(call) : old with
            {
                Provider = CinderInput.Text(body, "provider") ?? old.Provider,
                Cipher = body.ContainsKey("cipher") ? CinderInput.Text(body, "cipher") : old.Cipher,
                KeySize = body.ContainsKey("key_size") ? KeySize(body) : old.KeySize,
                ControlLocation = CinderInput.Text(body, "control_location") ?? old.ControlLocation,
            },
            call.Cancelled);
        return RestResult.Json(200, new JsonObject { ["encryption"] = body.DeepClone() });
    }

    private async Task<RestResult> DeleteAsync(RestCall call)
    {
        await volumes.CatchUpAsync(call.Cancelled);
        await types.SetEncryptionAsync(call.Operation, call.Route("id"), old => old is null ? throw NotFound(call) : null, call.Cancelled);
        return RestResult.Empty(202);
    }

    // Out of range stays out of range.
    private static int? KeySize(JsonObject body) => CinderInput.Number(body, "key_size") is { } bits ? (int)Math.Clamp(bits, -1, int.MaxValue) : null;

    private static FaultException NotFound(RestCall call) => Faults.NotFound("Volume type encryption for type", call.Route("id"));

    private static JsonObject View(string typeId, TypeEncryption encryption) => new()
    {
        ["volume_type_id"] = typeId,
        ["encryption_id"] = encryption.Id,
        ["provider"] = encryption.Provider,
        ["cipher"] = encryption.Cipher,
        ["key_size"] = encryption.KeySize,
        ["control_location"] = encryption.ControlLocation,
    };

    private static RestCall Since(RestCall call) => call.Version >= Defaults ? call : throw Faults.NotFound("Resource", call.Http.Request.Path);

    private async Task<RestResult> ListDefaultsAsync(RestCall call)
    {
        var all = await types.ListDefaultsAsync(Since(call).Operation, projectId: null, call.Cancelled);
        return RestResult.Json(200, new JsonObject { ["default_types"] = new JsonArray([.. all.Select(View)]) });
    }

    private async Task<RestResult> ShowDefaultAsync(RestCall call)
    {
        var project = call.Route("target");
        var own = (await types.ListDefaultsAsync(Since(call).Operation, project, call.Cancelled)).FirstOrDefault()
            ?? throw Faults.NotFound("Default type for project", project);
        return RestResult.Json(200, new JsonObject { ["default_type"] = View(own) });
    }

    private async Task<RestResult> SetDefaultAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(Since(call), "default_type");
        var name = CinderInput.Text(body, "volume_type") ?? throw Faults.Invalid("volume_type", "is required");
        var own = await types.SetDefaultAsync(call.Operation, call.Route("target"), name, call.Cancelled);
        return RestResult.Json(200, new JsonObject { ["default_type"] = View(own!) });
    }

    private async Task<RestResult> DeleteDefaultAsync(RestCall call)
    {
        await types.SetDefaultAsync(Since(call).Operation, call.Route("target"), typeName: null, call.Cancelled);
        return RestResult.Empty(204);
    }

    private static JsonObject View(DefaultType own) => new() { ["project_id"] = own.ProjectId, ["volume_type_id"] = own.VolumeTypeId };
}
