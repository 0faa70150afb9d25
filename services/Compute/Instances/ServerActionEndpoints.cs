using System.Text.Json.Nodes;
using Nephos.Compute.Proxies;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Compute.Instances;

/// <summary>POST /servers/{id}/action: the name of the only key says what to do.</summary>
internal static class ServerActionEndpoints
{
    private delegate Task<RestResult> Act(RestCall call, InstanceService instances, string id, JsonObject body);

    private static readonly Dictionary<string, Act> Actions = new(StringComparer.Ordinal)
    {
        ["os-start"] = Simple((instances, operation, id, cancelled) => instances.StartAsync(operation, id, cancelled)),
        ["os-stop"] = Simple((instances, operation, id, cancelled) => instances.StopAsync(operation, id, cancelled)),
        ["pause"] = Simple((instances, operation, id, cancelled) => instances.PauseAsync(operation, id, cancelled)),
        ["unpause"] = Simple((instances, operation, id, cancelled) => instances.UnpauseAsync(operation, id, cancelled)),
        ["suspend"] = Simple((instances, operation, id, cancelled) => instances.SuspendAsync(operation, id, cancelled)),
        ["resume"] = Simple((instances, operation, id, cancelled) => instances.ResumeAsync(operation, id, cancelled)),
        ["shelve"] = Simple((instances, operation, id, cancelled) => instances.ShelveAsync(operation, id, cancelled)),
        ["shelveOffload"] = Simple((instances, operation, id, cancelled) => instances.OffloadAsync(operation, id, cancelled)),
        ["unshelve"] = ServerAdminActions.UnshelveAsync,
        ["rescue"] = ServerAdminActions.RescueAsync,
        ["unrescue"] = Simple((instances, operation, id, cancelled) => instances.UnrescueAsync(operation, id, cancelled)),
        ["migrate"] = ServerAdminActions.MigrateAsync,
        ["evacuate"] = ServerAdminActions.EvacuateAsync,
        ["os-resetState"] = ServerAdminActions.ResetStateAsync,
        ["resetNetwork"] = Simple((instances, operation, id, cancelled) => instances.RefreshNetworkAsync(operation, id, cancelled)),
        ["injectNetworkInfo"] = Simple((instances, operation, id, cancelled) => instances.RefreshNetworkAsync(operation, id, cancelled)),
        ["createBackup"] = ServerAdminActions.BackupAsync,
        ["unlock"] = Simple((instances, operation, id, cancelled) => instances.UnlockAsync(operation, id, cancelled)),
        ["revertResize"] = Simple((instances, operation, id, cancelled) => instances.RevertResizeAsync(operation, id, cancelled)),
        ["confirmResize"] = Simple((instances, operation, id, cancelled) => instances.ConfirmResizeAsync(operation, id, cancelled), status: 204),
        ["forceDelete"] = Simple(async (instances, operation, id, cancelled) => await instances.DeleteAsync(operation, id, cancelled)),
        ["restore"] = RestoreAsync,
        ["lock"] = LockAsync,
        ["reboot"] = RebootAsync,
        ["resize"] = ResizeAsync,
        ["rebuild"] = RebuildAsync,
        ["createImage"] = CreateImageAsync,
        ["os-getConsoleOutput"] = ConsoleAsync,
        ["addFloatingIp"] = FloatingIpEndpoints.AddAsync,
        ["removeFloatingIp"] = FloatingIpEndpoints.RemoveAsync,
        ["addSecurityGroup"] = AddGroupAsync,
        ["removeSecurityGroup"] = RemoveGroupAsync,
    };

    public static void Map(RestRoutes rest, string root) => rest.Post(root + "/servers/{id}/action", async call =>
    {
        var body = await call.ReadJsonAsync();
        if (body.Count != 1 || !Actions.TryGetValue(body.First().Key, out var act))
        {
            throw ComputeFaults.Refers("body", body.Count == 1
                ? $"There is no such action: {(body.First().Key.Length > 64 ? body.First().Key[..64] : body.First().Key)}"
                : "Malformed request body: exactly one action is needed");
        }
        return await act(call, call.Service<InstanceService>(), call.Route("id"), body);
    });

    private static Act Simple(Func<InstanceService, OperationContext, string, CancellationToken, Task> act, int status = 202) =>
        async (call, instances, id, _) =>
        {
            await act(instances, call.Operation, id, call.Cancelled);
            return RestResult.Empty(status);
        };

    /// <summary>Deleting ends at once here, so there is no server that could be brought back.</summary>
    private static async Task<RestResult> RestoreAsync(RestCall call, InstanceService instances, string id, JsonObject body)
    {
        var details = await instances.GetAsync(call.Operation, id, call.Cancelled);
        throw ComputeFaults.InvalidState(id, "restore", "vm_state", Wordings.Of(details.View.VmState));
    }

    private static async Task<RestResult> LockAsync(RestCall call, InstanceService instances, string id, JsonObject body)
    {
        var reason = call.From(73) && body["lock"] is JsonObject json ? new Fields(json).Only("locked_reason").Text("locked_reason") : null;
        await instances.LockAsync(call.Operation, id, reason, call.Cancelled);
        return RestResult.Empty(202);
    }

    private static async Task<RestResult> RebootAsync(RestCall call, InstanceService instances, string id, JsonObject body)
    {
        var kind = Fields.Root(body, "reboot").Only("type").Required("type").ToUpperInvariant() switch
        {
            "SOFT" => RebootKind.Soft,
            "HARD" => RebootKind.Hard,
            _ => throw ComputeFaults.Refers("type", "Invalid input for field/attribute type: must be SOFT or HARD"),
        };
        await instances.RebootAsync(call.Operation, id, kind, call.Cancelled);
        return RestResult.Empty(202);
    }

    private static async Task<RestResult> ResizeAsync(RestCall call, InstanceService instances, string id, JsonObject body)
    {
        var fields = Fields.Root(body, "resize").Only("flavorRef", "OS-DCF:diskConfig");
        await instances.ResizeAsync(call.Operation, id, fields.TextOrNumber("flavorRef"), ServerRequests.DiskConfig(fields), call.Cancelled);
        return RestResult.Empty(202);
    }

    private static async Task<RestResult> RebuildAsync(RestCall call, InstanceService instances, string id, JsonObject body)
    {
        var fields = Fields.Root(body, "rebuild");
        List<string> names = ["imageRef", "name", "metadata", "adminPass", "accessIPv4", "accessIPv6", "preserve_ephemeral", "OS-DCF:diskConfig"];
        if (!call.From(57))
        {
            names.Add("personality");
        }
        if (call.From(19))
        {
            names.Add("description");
        }
        if (call.From(54))
        {
            names.Add("key_name");
        }
        if (call.From(57))
        {
            names.Add("user_data");
        }
        if (call.From(63))
        {
            names.Add("trusted_image_certificates");
        }
        if (call.From(90))
        {
            names.Add("hostname");
        }
        fields.Only([.. names]);
        if (fields.Objects("personality") is { Count: > 0 })
        {
            throw ComputeFaults.Refers("personality", "Files cannot be injected into a rebuilt server; use user data.");
        }
        var details = await instances.RebuildAsync(call.Operation, id, new RebuildWish(
            ServerRequests.ImageOf(fields.Required("imageRef")) ?? throw ComputeFaults.Refers("imageRef", "Invalid imageRef provided."),
            fields.Text("name"),
            (fields.Has("description"), fields.TextOrNull("description")),
            fields.Text("hostname"),
            fields.Map("metadata"),
            (fields.Has("key_name"), fields.TextOrNull("key_name")),
            (fields.Has("user_data"), fields.TextOrNull("user_data")),
            fields.Text("accessIPv4"),
            fields.Text("accessIPv6"),
            ServerRequests.DiskConfig(fields)), call.Cancelled);
        var server = ServerJson.Full(call, details, ServerJson.Shape.Rebuild);
        server["adminPass"] = fields.Text("adminPass") ?? ServerRequests.NewPassword();
        return RestResult.Json(202, new JsonObject { ["server"] = server }).WithHeader("Location", $"{call.Root()}/servers/{id}");
    }

    private static async Task<RestResult> CreateImageAsync(RestCall call, InstanceService instances, string id, JsonObject body)
    {
        var fields = Fields.Root(body, "createImage").Only("name", "metadata");
        var imageId = await instances.CreateImageAsync(
            call.Operation, id, fields.Required("name"), fields.Map("metadata") ?? new Dictionary<string, string>(), call.Cancelled);
        return ServerAdminActions.ImageMade(call, imageId);
    }

    private static async Task<RestResult> ConsoleAsync(RestCall call, InstanceService instances, string id, JsonObject body)
    {
        var length = Fields.Root(body, "os-getConsoleOutput").Only("length").Integer("length", -1, int.MaxValue);
        var output = length == 0 ? "" : await instances.GetConsoleAsync(call.Operation, id, (int)(length ?? 0), call.Cancelled);
        // Control characters other than white space are not for terminals of others.
        var shown = string.Concat(output.Where(letter => !char.IsControl(letter) || letter is '\n' or '\r' or '\t'));
        return RestResult.Json(200, new JsonObject { ["output"] = shown });
    }

    private static async Task<RestResult> AddGroupAsync(RestCall call, InstanceService instances, string id, JsonObject body)
    {
        await instances.AddSecurityGroupAsync(call.Operation, id, GroupName(body, "addSecurityGroup"), call.Cancelled);
        return RestResult.Empty(202);
    }

    private static async Task<RestResult> RemoveGroupAsync(RestCall call, InstanceService instances, string id, JsonObject body)
    {
        await instances.RemoveSecurityGroupAsync(call.Operation, id, GroupName(body, "removeSecurityGroup"), call.Cancelled);
        return RestResult.Empty(202);
    }

    private static string GroupName(JsonObject body, string action) => Fields.Root(body, action).Only("name").Required("name").Trim() is { Length: > 0 } name
        ? name
        : throw Faults.Invalid("name", "Security group name cannot be empty");
}
