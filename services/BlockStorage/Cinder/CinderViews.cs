using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.BlockStorage.Attachments;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.Volumes;
using Nephos.BlockStorage.VolumeTypes;
using Nephos.Hosting.Rest;

namespace Nephos.BlockStorage.Cinder;

/// <summary>Records as the REST API shows them. Schemas are closed: exactly the keys of the negotiated version, in their order.</summary>
internal static class CinderViews
{
    private static readonly Microversion Groups = new(3, 13), GroupSnapshots = new(3, 14), Providers = new(3, 21), SnapshotUsers = new(3, 41), SharedTargets = new(3, 48), Clusters = new(3, 61);

    public static string? Time(DateTimeOffset? time) => time?.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff", CultureInfo.InvariantCulture);

    public static JsonObject Map(IEnumerable<KeyValuePair<string, string>> items) =>
        new(items.Select(item => KeyValuePair.Create(item.Key, (JsonNode?)JsonValue.Create(item.Value))));

    public static JsonArray Links(RestCall call, string project, string path) => new(
        new JsonObject { ["rel"] = "self", ["href"] = $"{call.BaseUrl}/v3/{project}/{path}" },
        new JsonObject { ["rel"] = "bookmark", ["href"] = $"{call.BaseUrl}/{project}/{path}" });

    public static JsonObject Summary(RestCall call, VolumeView view) => new()
    {
        ["id"] = view.Volume.Id,
        ["name"] = Name(view.Volume.Name),
        ["links"] = Links(call, call.Route("project"), $"volumes/{view.Volume.Id}"),
    };

    /// <param name="extended">With what the attribute extensions add: shown by reads, not by create and update.</param>
    public static JsonObject Detail(RestCall call, VolumeView view, bool extended)
    {
        var volume = view.Volume;
        var metadata = Map(volume.Metadata);
        if (volume.ReadOnlyFlag is { } readOnly) metadata["readonly"] = readOnly ? "True" : "False";
        var json = new JsonObject
        {
            ["id"] = volume.Id,
            ["status"] = view.Status.ToCinder(),
            ["size"] = volume.SizeGib,
            ["availability_zone"] = volume.AvailabilityZone,
            ["created_at"] = Time(volume.CreatedAt),
            ["updated_at"] = Time(volume.UpdatedAt),
            ["name"] = Name(volume.Name),
            ["description"] = volume.Description,
            ["volume_type"] = view.VolumeTypeName,
            ["snapshot_id"] = volume.SourceSnapshotId,
            ["source_volid"] = volume.SourceVolumeId,
            ["metadata"] = metadata,
            ["links"] = Links(call, call.Route("project"), $"volumes/{volume.Id}"),
            ["user_id"] = volume.UserId,
            ["bootable"] = volume.Bootable ? "true" : "false",
            ["encrypted"] = volume.KeyId is not null,
            ["replication_status"] = null,
            ["consistencygroup_id"] = null,
            ["multiattach"] = volume.Multiattach,
            ["attachments"] = new JsonArray([.. view.Attachments.Where(attachment => attachment.OpenedAt is not null).Select(AttachmentOfVolume)]),
        };
        if (call.Operation.IsAdmin) json["migration_status"] = null;
        if (call.Version >= Groups) json["group_id"] = volume.GroupId;
        if (call.Version >= Providers && call.Operation.IsAdmin) json["provider_id"] = null;
        if (call.Version >= SharedTargets)
        {
            json["shared_targets"] = false;
            json["service_uuid"] = null;
        }
        if (call.Version >= Clusters && call.Operation.IsAdmin) json["cluster_name"] = null;
        if (!extended) return json;
        if (volume.ImageMetadata.Count > 0) json["volume_image_metadata"] = Map(volume.ImageMetadata);
        json["os-vol-tenant-attr:tenant_id"] = volume.ProjectId;
        if (call.Operation.IsAdmin)
        {
            json["os-vol-host-attr:host"] = volume.DeviceId is { } device ? $"{device}@nephos#pool" : null;
            json["os-vol-mig-status-attr:migstat"] = null;
            json["os-vol-mig-status-attr:name_id"] = null;
        }
        return json;
    }

    private static JsonNode AttachmentOfVolume(Attachment attachment) => new JsonObject
    {
        ["id"] = attachment.VolumeId,
        ["attachment_id"] = attachment.Id,
        ["volume_id"] = attachment.VolumeId,
        ["server_id"] = attachment.InstanceId,
        ["host_name"] = null,
        ["device"] = attachment.Device,
        ["attached_at"] = Time(attachment.OpenedAt),
    };

    public static JsonObject Snapshot(RestCall call, Snapshot snapshot, bool extended)
    {
        var json = new JsonObject
        {
            ["id"] = snapshot.Id,
            ["created_at"] = Time(snapshot.CreatedAt),
            ["updated_at"] = Time(snapshot.UpdatedAt),
            ["name"] = Name(snapshot.Name),
            ["description"] = snapshot.Description,
            ["volume_id"] = snapshot.VolumeId,
            ["status"] = snapshot.StatusName,
            ["size"] = snapshot.SizeGib,
            ["metadata"] = Map(snapshot.Metadata),
        };
        if (call.Version >= GroupSnapshots) json["group_snapshot_id"] = snapshot.GroupSnapshotId;
        if (call.Version >= SnapshotUsers) json["user_id"] = snapshot.UserId;
        if (!extended) return json;
        json["os-extended-snapshot-attributes:project_id"] = snapshot.ProjectId;
        json["os-extended-snapshot-attributes:progress"] = snapshot.Progress ?? (snapshot.Taken ? "100%" : "0%");
        return json;
    }

    public static JsonObject Type(VolumeType type) => new()
    {
        ["id"] = type.Id,
        ["name"] = type.Name,
        ["is_public"] = type.IsPublic,
        ["description"] = type.Description,
        ["extra_specs"] = Map(type.ExtraSpecs),
        ["qos_specs_id"] = type.QosSpecsId,
        ["os-volume-type-access:is_public"] = type.IsPublic,
    };

    public static JsonObject AttachmentSummary(Attachment attachment, DateTimeOffset now) => new()
    {
        ["id"] = attachment.Id,
        ["status"] = StatusOf(attachment, now),
        ["instance"] = attachment.InstanceId,
        ["volume_id"] = attachment.VolumeId,
    };

    public static JsonObject AttachmentDetail(Attachment attachment, DateTimeOffset now)
    {
        var json = AttachmentSummary(attachment, now);
        json["attached_at"] = Time(attachment.OpenedAt) ?? "";
        json["detached_at"] = "";
        json["attach_mode"] = attachment.ReadOnly ? "ro" : "rw";
        // Volumes are served by the agent of a node; there is nothing a client could connect to.
        json["connection_info"] = new JsonObject();
        return json;
    }

    private static string StatusOf(Attachment attachment, DateTimeOffset now) =>
        attachment.IsDetaching(now) ? "detaching" : attachment.OpenedAt is not null ? "attached" : attachment.Node is not null ? "attaching" : "reserved";

    private static string? Name(string name) => name.Length > 0 ? name : null;
}
