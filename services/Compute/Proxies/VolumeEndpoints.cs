using System.Text.Json.Nodes;
using Nephos.Compute.Rest;
using Nephos.Compute.Seams;
using Nephos.Hosting.Rest;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.Compute.Proxies;

/// <summary>Volumes and snapshots as the compute API showed them up to microversion 2.35.</summary>
internal static class VolumeEndpoints
{
    private const int GoneFrom = 36;
    private const long GibBytes = 1L << 30;
    private const int GibMax = 1 << 20;

    public static void Map(RestRoutes rest, string root)
    {
        // Short and detailed lists are the same in this API.
        foreach (var detail in new[] { "", "/detail" })
        {
            rest.Get(root + "/os-volumes" + detail, async call =>
                List(call, "volumes", await Proxy(call).ListAsync(call.Operation, call.Cancelled), Json));
            rest.Get(root + "/os-snapshots" + detail, async call =>
                List(call, "snapshots", await Proxy(call).ListSnapshotsAsync(call.Operation, call.Cancelled), Json));
        }
        rest.Post(root + "/os-volumes", CreateAsync);
        rest.Get(root + "/os-volumes/{id}", async call => Answer("volume", Json(await Proxy(call).GetAsync(call.Operation, call.Route("id"), call.Cancelled))));
        rest.Delete(root + "/os-volumes/{id}", async call =>
        {
            await Proxy(call).DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(202);
        });
        rest.Post(root + "/os-snapshots", CreateSnapshotAsync);
        rest.Get(root + "/os-snapshots/{id}", async call =>
            Answer("snapshot", Json(await Proxy(call).GetSnapshotAsync(call.Operation, call.Route("id"), call.Cancelled))));
        rest.Delete(root + "/os-snapshots/{id}", async call =>
        {
            await Proxy(call).DeleteSnapshotAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(202);
        });
    }

    private static VolumeProxy Proxy(RestCall call)
    {
        call.RequireBefore(GoneFrom);
        return call.Service<VolumeProxy>();
    }

    private static async Task<RestResult> CreateAsync(RestCall call)
    {
        var proxy = Proxy(call);
        var fields = Fields.Root(await call.ReadJsonAsync(), "volume");
        var request = new Wire.CreateVolumeRequest
        {
            Name = fields.TextOrNull("display_name") ?? "",
            Description = fields.TextOrNull("display_description") ?? "",
            SizeBytes = (fields.Integer("size", 1, GibMax) ?? throw ComputeFaults.Refers("size", "Invalid input for field/attribute volume. 'size' is a required property")) * GibBytes,
            VolumeType = fields.TextOrNull("volume_type") ?? "",
            AvailabilityZone = fields.TextOrNull("availability_zone") ?? "",
        };
        foreach (var (key, value) in fields.Map("metadata") ?? new Dictionary<string, string>())
        {
            request.Metadata[key] = value;
        }
        if (fields.TextOrNull("snapshot_id") is { } snapshot)
        {
            request.SnapshotId = snapshot;
        }
        return Answer("volume", Json(await proxy.CreateAsync(call.Operation, request, call.Cancelled)));
    }

    private static async Task<RestResult> CreateSnapshotAsync(RestCall call)
    {
        var proxy = Proxy(call);
        var fields = Fields.Root(await call.ReadJsonAsync(), "snapshot").Only("volume_id", "force", "display_name", "display_description");
        return Answer("snapshot", Json(await proxy.CreateSnapshotAsync(call.Operation, new Wire.CreateSnapshotRequest
        {
            VolumeId = fields.Required("volume_id"),
            Name = fields.TextOrNull("display_name") ?? "",
            Description = fields.TextOrNull("display_description") ?? "",
            Force = fields.Bool("force") ?? false,
        }, call.Cancelled)));
    }

    private static RestResult List<T>(RestCall call, string name, IReadOnlyList<T> all, Func<T, JsonObject> json)
    {
        var offset = int.TryParse(call.Query("offset"), out var given) && given > 0 ? given : 0;
        return RestResult.Json(200, new JsonObject { [name] = RestParts.Array(all.Skip(offset).Take(call.Limit().Items).Select(json)) });
    }

    private static RestResult Answer(string name, JsonObject json) => RestResult.Json(200, new JsonObject { [name] = json });

    private static JsonObject Json(Wire.Volume volume) => new()
    {
        ["id"] = volume.Id,
        ["status"] = StatusOf(volume.Status),
        ["size"] = volume.SizeBytes / GibBytes,
        ["availabilityZone"] = volume.AvailabilityZone,
        ["createdAt"] = RestParts.Micros(volume.CreatedAt.ToDateTimeOffset()),
        ["attachments"] = volume.Attachments.Count == 0
            ? new JsonArray(new JsonObject())
            : RestParts.Array(volume.Attachments.Select(attachment => new JsonObject
            {
                ["id"] = volume.Id, ["volumeId"] = volume.Id, ["serverId"] = attachment.InstanceId, ["device"] = attachment.Device,
            })),
        ["displayName"] = volume.Name,
        ["displayDescription"] = volume.Description,
        ["volumeType"] = volume.VolumeType.Length > 0 ? volume.VolumeType : null,
        ["snapshotId"] = volume.SourceSnapshotId.Length > 0 ? volume.SourceSnapshotId : null,
        ["metadata"] = RestParts.Map(volume.Metadata),
    };

    private static JsonObject Json(Wire.Snapshot snapshot) => new()
    {
        ["id"] = snapshot.Id,
        ["volumeId"] = snapshot.VolumeId,
        ["status"] = snapshot.Status.ToString().ToLowerInvariant(),
        ["size"] = snapshot.SizeBytes / GibBytes,
        ["createdAt"] = RestParts.Micros(snapshot.CreatedAt.ToDateTimeOffset()),
        ["displayName"] = snapshot.Name,
        ["displayDescription"] = snapshot.Description,
    };

    private static string StatusOf(Wire.VolumeStatus status) => status switch
    {
        Wire.VolumeStatus.InUse => "in-use",
        Wire.VolumeStatus.BackingUp => "backing-up",
        Wire.VolumeStatus.RestoringBackup => "restoring-backup",
        Wire.VolumeStatus.AwaitingTransfer => "awaiting-transfer",
        _ => status.ToString().ToLowerInvariant(),
    };
}
