using System.Text.Json.Nodes;
using Nephos.BlockStorage.Volumes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>Volumes and their metadata over REST.</summary>
internal sealed class CinderVolumes(VolumeService volumes)
{
    private static readonly Microversion NameLike = new(3, 34), Counts = new(3, 45), Summaries = new(3, 12), Groups = new(3, 13), Backups = new(3, 47);

    private static readonly Dictionary<string, Func<VolumeView, IComparable?>> SortKeys = new()
    {
        ["id"] = view => view.Volume.Id,
        ["name"] = view => view.Volume.Name,
        ["display_name"] = view => view.Volume.Name,
        ["status"] = view => view.Status.ToCinder(),
        ["size"] = view => view.Volume.SizeBytes,
        ["availability_zone"] = view => view.Volume.AvailabilityZone,
        ["bootable"] = view => view.Volume.Bootable,
        ["created_at"] = view => view.Volume.CreatedAt,
        ["updated_at"] = view => view.Volume.UpdatedAt,
    };

    public void Map(CinderRoutes routes)
    {
        routes.Get("/volumes", call => ListAsync(call, detail: false));
        routes.Get("/volumes/detail", call => ListAsync(call, detail: true));
        routes.Get("/volumes/summary", SummaryAsync);
        routes.Post("/volumes", CreateAsync);
        routes.Get("/volumes/{id}", async call => Answer(call, 200, await GetAsync(call), extended: true));
        routes.Put("/volumes/{id}", UpdateAsync);
        routes.Delete("/volumes/{id}", DeleteAsync);
        routes.Get("/volumes/{id}/encryption", EncryptionAsync);
        routes.Get("/volumes/{id}/encryption/{key}", EncryptionItemAsync);
        routes.Get("/volumes/{id}/metadata", async call => Metadata((await GetAsync(call)).Volume));
        routes.Post("/volumes/{id}/metadata", call => ChangeMetadataAsync(call, replace: false));
        routes.Put("/volumes/{id}/metadata", call => ChangeMetadataAsync(call, replace: true));
        routes.Get("/volumes/{id}/metadata/{key}", GetItemAsync);
        routes.Put("/volumes/{id}/metadata/{key}", PutItemAsync);
        routes.Delete("/volumes/{id}/metadata/{key}", DeleteItemAsync);
    }

    private Task<VolumeView> GetAsync(RestCall call) => volumes.GetAsync(call.Operation, call.Route("id"), call.Cancelled);

    private async Task<JsonObject> GetEncryptionAsync(RestCall call)
    {
        var key = await volumes.GetEncryptionAsync(call.Operation, call.Route("id"), call.Cancelled);
        if (key is null) return new JsonObject { ["encryption_key_id"] = null };
        return new JsonObject
        {
            ["encryption_key_id"] = key.Id,
            ["control_location"] = "front-end",
            ["cipher"] = key.Cipher,
            ["key_size"] = key.KeyBits,
            ["provider"] = "luks",
        };
    }

    private async Task<RestResult> EncryptionAsync(RestCall call) => RestResult.Json(200, await GetEncryptionAsync(call));

    private async Task<RestResult> EncryptionItemAsync(RestCall call)
    {
        var (all, key) = (await GetEncryptionAsync(call), call.Route("key"));
        return all.ContainsKey(key) ? RestResult.Json(200, new JsonObject { [key] = all[key]?.DeepClone() }) : throw Faults.NotFound("Volume encryption", key);
    }

    internal static RestResult Answer(RestCall call, int status, VolumeView view, bool extended) =>
        RestResult.Json(status, new JsonObject { ["volume"] = CinderViews.Detail(call, view, extended) });

    private async Task<RestResult> ListAsync(RestCall call, bool detail)
    {
        var matching = await FilterAsync(call);
        var page = CinderList.Page(call, matching, view => view.Volume.Id, SortKeys, BlockStorageFaults.VolumeNotFound, out var more);
        var body = new JsonObject
        {
            ["volumes"] = new JsonArray([.. page.Select(view => detail ? CinderViews.Detail(call, view, extended: true) : CinderViews.Summary(call, view))]),
        };
        if (call.Version >= Counts && CinderInput.QueryFlag(call, "with_count") == true)
            body["count"] = matching.Count;
        CinderList.AddNext(call, body, "volumes", $"/v3/{call.Route("project")}/volumes{(detail ? "/detail" : "")}", page.LastOrDefault()?.Volume.Id ?? "", more);
        return RestResult.Json(200, body);
    }

    private async Task<List<VolumeView>> FilterAsync(RestCall call)
    {
        var status = call.Query("status");
        var filter = new VolumeFilter
        {
            AllProjects = CinderRoutes.AsksForAllProjects(call),
            ProjectId = call.Operation.IsAdmin ? call.Query("project_id") : null,
            Name = call.Query("name") ?? call.Query("display_name"),
            Status = status is null ? null : VolumeStatusNames.FromCinder(status),
        };
        // A status that no volume can have is a list without volumes.
        if (status is not null && filter.Status is null) return [];
        var metadata = call.Query("metadata") is { } text ? CinderList.ParseMetadata(text) : null;
        var bootable = CinderInput.QueryFlag(call, "bootable");
        var like = call.Version >= NameLike ? call.Query("name~") : null;
        var (zone, type, size) = (call.Query("availability_zone"), call.Query("volume_type"), call.Query("size"));
        return
        [
            .. (await volumes.ListAsync(call.Operation, filter, call.Cancelled))
                .Where(view => zone is null || view.Volume.AvailabilityZone == zone)
                .Where(view => type is null || view.VolumeTypeName == type || view.Volume.VolumeTypeId == type)
                .Where(view => size is null || $"{view.Volume.SizeGib}" == size)
                .Where(view => like is null || view.Volume.Name.Contains(like, StringComparison.OrdinalIgnoreCase))
                .Where(view => bootable is null || view.Volume.Bootable == bootable)
                .Where(view => metadata is null || metadata.All(item => view.Volume.Metadata.TryGetValue(item.Key, out var value) && value == item.Value)),
        ];
    }

    private async Task<RestResult> SummaryAsync(RestCall call)
    {
        if (call.Version < Summaries) throw BlockStorageFaults.VolumeNotFound("summary");
        var all = await FilterAsync(call);
        return RestResult.Json(200, new JsonObject
        {
            ["volume-summary"] = new JsonObject { ["total_count"] = all.Count, ["total_size"] = all.Sum(view => view.Volume.SizeGib) },
        });
    }

    private async Task<RestResult> CreateAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(call, "volume");
        var size = CinderInput.Size(body, "size");
        var wish = new VolumeWish
        {
            Name = CinderInput.Text(body, "name") ?? CinderInput.Text(body, "display_name") ?? "",
            Description = CinderInput.Text(body, "description") ?? CinderInput.Text(body, "display_description"),
            SizeBytes = size ?? 0,
            ImageId = Given(body, "imageRef") ?? Given(body, "image_id"),
            SnapshotId = Given(body, "snapshot_id"),
            VolumeId = Given(body, "source_volid"),
            BackupId = call.Version >= Backups ? Given(body, "backup_id") : null,
            GroupId = call.Version >= Groups ? Given(body, "group_id") : null,
            VolumeType = Given(body, "volume_type"),
            AvailabilityZone = Given(body, "availability_zone"),
            Metadata = CinderInput.Metadata(body["metadata"], "metadata"),
        };
        if (CinderInput.Flag(body, "multiattach") == true) throw Faults.Invalid("multiattach", "multiattach parameter has been removed. The default behavior is to use multiattach enabled volume types. Contact your administrator to create a multiattach enabled volume type and use it to create multiattach volumes.");
        if (size is null && wish.SnapshotId is null && wish.VolumeId is null && wish.BackupId is null) throw Faults.Invalid("size", "is required");
        try
        {
            return Answer(call, 202, await volumes.CreateAsync(call.Operation, wish, wait: false, call.Cancelled), extended: false);
        }
        catch (FaultException fault) when (fault.Metadata.TryGetValue("kind", out var kind) && kind == "Image")
        {
            throw Faults.Invalid("imageRef", "Invalid image identifier or unable to access requested image.");
        }
    }

    private static string? Given(JsonObject body, string field) => CinderInput.Text(body, field) is { Length: > 0 } text ? text : null;

    private async Task<RestResult> UpdateAsync(RestCall call)
    {
        // A volume that is not there is the more telling answer than a body that is wrong.
        await GetAsync(call);
        var body = await CinderInput.ReadAsync(call, "volume");
        var (name, description) = (
            CinderInput.Text(body, "name") ?? CinderInput.Text(body, "display_name"),
            CinderInput.Text(body, "description") ?? CinderInput.Text(body, "display_description"));
        var metadata = body.ContainsKey("metadata") ? CinderInput.Metadata(body["metadata"], "metadata") : null;
        if (name is null && description is null && metadata is null) throw Faults.Invalid("volume", "at least one of name, description and metadata is required");
        var view = await volumes.UpdateAsync(
            call.Operation, call.Route("id"),
            volume => volume with { Name = name ?? volume.Name, Description = description ?? volume.Description, Metadata = metadata ?? volume.Metadata },
            call.Cancelled);
        return Answer(call, 200, view, extended: false);
    }

    private async Task<RestResult> DeleteAsync(RestCall call)
    {
        var cascade = CinderInput.QueryFlag(call, "cascade") == true;
        var force = CinderInput.QueryFlag(call, "force") == true;
        await volumes.DeleteAsync(call.Operation, call.Route("id"), cascade, force, call.Cancelled);
        return RestResult.Empty(202);
    }

    private static RestResult Metadata(Volume volume) => RestResult.Json(200, new JsonObject { ["metadata"] = CinderViews.Map(volume.Metadata) });

    private async Task<RestResult> ChangeMetadataAsync(RestCall call, bool replace)
    {
        await GetAsync(call);
        var body = await CinderInput.ReadAsync(call, "metadata");
        var given = CinderInput.Metadata(body, "metadata");
        var view = await volumes.UpdateAsync(
            call.Operation, call.Route("id"), volume => volume with { Metadata = replace ? given : Merge(volume.Metadata, given) }, call.Cancelled);
        return Metadata(view.Volume);
    }

    internal static IReadOnlyDictionary<string, string> Merge(IReadOnlyDictionary<string, string> have, IReadOnlyDictionary<string, string> given)
    {
        var merged = new Dictionary<string, string>(have);
        foreach (var (key, value) in given) merged[key] = value;
        return merged;
    }

    private async Task<RestResult> GetItemAsync(RestCall call)
    {
        var key = call.Route("key");
        return (await GetAsync(call)).Volume.Metadata.TryGetValue(key, out var value)
            ? RestResult.Json(200, new JsonObject { ["meta"] = new JsonObject { [key] = value } })
            : throw NoItem(key);
    }

    private async Task<RestResult> PutItemAsync(RestCall call)
    {
        await GetAsync(call);
        var item = CinderInput.Metadata(await CinderInput.ReadAsync(call, "meta"), "meta");
        if (item.Count != 1 || !item.TryGetValue(call.Route("key"), out var value)) throw Faults.Invalid("meta", "Request body and URI mismatch");
        await volumes.UpdateAsync(call.Operation, call.Route("id"), volume => volume with { Metadata = Merge(volume.Metadata, item) }, call.Cancelled);
        return RestResult.Json(200, new JsonObject { ["meta"] = new JsonObject { [call.Route("key")] = value } });
    }

    private async Task<RestResult> DeleteItemAsync(RestCall call)
    {
        var key = call.Route("key");
        await volumes.UpdateAsync(
            call.Operation, call.Route("id"),
            volume => volume.Metadata.ContainsKey(key)
                ? volume with { Metadata = volume.Metadata.Where(item => item.Key != key).ToDictionary() }
                : throw NoItem(key),
            call.Cancelled);
        return RestResult.Empty(200);
    }

    internal static FaultException NoItem(string key) => new(Protos.Errors.V1.ErrorReason.NotFound, $"Metadata item was not found: {key}");
}
