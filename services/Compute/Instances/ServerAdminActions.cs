using System.Text.Json.Nodes;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;

namespace Nephos.Compute.Instances;

/// <summary>Actions on servers that move them, rescue them, back them up, or set their state.</summary>
internal static class ServerAdminActions
{
    private const int RotationMax = 1000;

    public static async Task<RestResult> RescueAsync(RestCall call, InstanceService instances, string id, JsonObject body)
    {
        var fields = body["rescue"] is null ? new Fields([]) : Fields.Root(body, "rescue").Only("adminPass", "rescue_image_ref");
        var image = fields.Text("rescue_image_ref") is { } reference ? ServerRequests.ImageOf(reference) : null;
        if (!call.From(87) && (await instances.GetAsync(call.Operation, id, call.Cancelled)).Instance.ImageId is null)
        {
            throw ComputeFaults.Refers("rescue", $"Instance {id} cannot be rescued: it boots from a volume. From microversion 2.87 on it can.");
        }
        await instances.RescueAsync(call.Operation, id, image, call.Cancelled);
        return RestResult.Json(200, new JsonObject { ["adminPass"] = fields.Text("adminPass") ?? ServerRequests.NewPassword() });
    }

    public static async Task<RestResult> MigrateAsync(RestCall call, InstanceService instances, string id, JsonObject body)
    {
        var host = call.From(56) && body["migrate"] is not null ? Fields.Root(body, "migrate").Only("host").TextOrNull("host") : null;
        await instances.MigrateAsync(call.Operation, id, host, call.Cancelled);
        return RestResult.Empty(202);
    }

    public static async Task<RestResult> EvacuateAsync(RestCall call, InstanceService instances, string id, JsonObject body)
    {
        var fields = Fields.Root(body, "evacuate").Only(
            call.From(68) ? ["host", "adminPass"] : call.From(29) ? ["host", "adminPass", "force"] : call.From(14) ? ["host", "adminPass"] : ["host", "onSharedStorage", "adminPass"]);
        if (!call.From(14) && fields.Bool("onSharedStorage") is null)
        {
            throw ComputeFaults.Refers("onSharedStorage", "Invalid input for field/attribute evacuate. 'onSharedStorage' is a required property");
        }
        await instances.EvacuateAsync(call.Operation, id, fields.TextOrNull("host"), call.Cancelled);
        return call.From(14) ? RestResult.Empty(200) : RestResult.Json(200, new JsonObject { ["adminPass"] = fields.Text("adminPass") ?? ServerRequests.NewPassword() });
    }

    public static async Task<RestResult> ResetStateAsync(RestCall call, InstanceService instances, string id, JsonObject body)
    {
        var error = Fields.Root(body, "os-resetState").Only("state").Required("state") switch
        {
            "error" => true,
            "active" => false,
            _ => throw ComputeFaults.Refers("state", "Invalid input for field/attribute state: must be active or error"),
        };
        await instances.ResetStateAsync(call.Operation, id, error, call.Cancelled);
        return RestResult.Empty(202);
    }

    public static async Task<RestResult> BackupAsync(RestCall call, InstanceService instances, string id, JsonObject body)
    {
        var fields = Fields.Root(body, "createBackup").Only("name", "backup_type", "rotation", "metadata");
        var rotation = fields.Integer("rotation", 0, RotationMax)
            ?? throw ComputeFaults.Refers("rotation", "Invalid input for field/attribute createBackup. 'rotation' is a required property");
        var imageId = await instances.CreateBackupAsync(
            call.Operation, id, fields.Required("name"), fields.Required("backup_type"), (int)rotation, fields.Map("metadata") ?? new Dictionary<string, string>(),
            call.Cancelled);
        return imageId is null ? RestResult.Empty(202) : ImageMade(call, imageId);
    }

    public static async Task<RestResult> UnshelveAsync(RestCall call, InstanceService instances, string id, JsonObject body)
    {
        var fields = call.From(77) && body["unshelve"] is not null
            ? Fields.Root(body, "unshelve").Only(call.From(91) ? ["availability_zone", "host"] : ["availability_zone"])
            : new Fields([]);
        var host = fields.Text("host");
        if (host is not null)
        {
            call.Operation.RequireAdmin("os_compute_api:os-shelve:unshelve_to_host");
        }
        await instances.UnshelveAsync(call.Operation, id, (fields.Has("availability_zone"), fields.TextOrNull("availability_zone")), host, call.Cancelled);
        return RestResult.Empty(202);
    }

    /// <summary>How an answer names an image that has been begun.</summary>
    public static RestResult ImageMade(RestCall call, string imageId)
    {
        if (call.From(45))
        {
            return RestResult.Json(202, new JsonObject { ["image_id"] = imageId });
        }
        var imageRoot = call.BaseUrl[..^ComputeDialect.Instance.Prefix.Length] + "/image";
        return RestResult.Empty(202).WithHeader("Location", $"{imageRoot}/images/{imageId}");
    }
}
