using System.Text.Json.Nodes;
using Nephos.BlockStorage.Attachments;
using Nephos.BlockStorage.Volumes;
using Nephos.BlockStorage.VolumeTypes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>What is done to a volume by naming it in the body.</summary>
internal sealed class CinderVolumeActions(VolumeService volumes, AttachmentService attachments, VolumeTypeService types)
{
    private static readonly Microversion ExtendInUse = new(3, 42), Reverts = new(3, 40);

    public void Map(CinderRoutes routes) => routes.Post("/volumes/{id}/action", RunAsync);

    private async Task<RestResult> RunAsync(RestCall call)
    {
        var id = call.Route("id");
        await volumes.GetAsync(call.Operation, id, call.Cancelled);
        var (action, input) = await CinderInput.ReadActionAsync(call);
        switch (action)
        {
            case "os-set_bootable":
                var bootable = CinderInput.Flag(input, "bootable") ?? throw Faults.Invalid("bootable", "is required");
                await volumes.UpdateAsync(call.Operation, id, volume => volume with { Bootable = bootable }, call.Cancelled);
                return RestResult.Empty(200);
            case "os-update_readonly_flag":
                var readOnly = CinderInput.Flag(input, "readonly") ?? throw Faults.Invalid("readonly", "is required");
                await volumes.UpdateAsync(call.Operation, id, volume => volume with { ReadOnlyFlag = readOnly }, call.Cancelled);
                return RestResult.Empty(202);
            case "os-extend":
                var size = CinderInput.Size(input, "new_size") ?? throw Faults.Invalid("new_size", "is required");
                await volumes.ExtendAsync(call.Operation, id, size, online: call.Version >= ExtendInUse, call.Cancelled);
                return RestResult.Empty(202);
            case "os-retype":
                await volumes.RetypeAsync(call.Operation, id, CinderInput.Text(input, "new_type") ?? throw Faults.Invalid("new_type", "is required"), call.Cancelled);
                return RestResult.Empty(202);
            case "revert" when call.Version >= Reverts:
                await volumes.RevertAsync(call.Operation, id, CinderInput.Text(input, "snapshot_id") ?? "", call.Cancelled);
                return RestResult.Empty(202);
            case "os-volume_upload_image":
                return await UploadAsync(call, id, input);
            case "os-reserve":
                await volumes.ReserveAsync(call.Operation, id, call.Cancelled);
                return RestResult.Empty(202);
            case "os-unreserve":
                await volumes.UnreserveAsync(call.Operation, id, call.Cancelled);
                return RestResult.Empty(202);
            case "os-begin_detaching":
            case "os-roll_detaching":
                await attachments.SetDetachingAsync(call.Operation, id, detaching: action == "os-begin_detaching", call.Cancelled);
                return RestResult.Empty(202);
            case "os-attach":
                await AttachAsync(call, id, input);
                return RestResult.Empty(202);
            case "os-detach":
            case "os-force_detach":
                await DetachAsync(call, id, CinderInput.Text(input, "attachment_id"), force: action == "os-force_detach");
                return RestResult.Empty(202);
            case "os-force_delete":
                await volumes.DeleteAsync(call.Operation, id, cascade: true, force: true, call.Cancelled);
                return RestResult.Empty(202);
            case "os-reset_status":
                await volumes.ResetStatusAsync(call.Operation, id, CinderInput.Text(input, "status") ?? throw Faults.Invalid("status", "is required"), call.Cancelled);
                return RestResult.Empty(202);
            case "os-set_image_metadata":
                var given = CinderInput.Metadata(input["metadata"], "metadata");
                var view = await volumes.UpdateAsync(
                    call.Operation, id, volume => volume with { ImageMetadata = CinderVolumes.Merge(volume.ImageMetadata, given) }, call.Cancelled);
                return RestResult.Json(200, new JsonObject { ["metadata"] = CinderViews.Map(view.Volume.ImageMetadata) });
            case "os-unset_image_metadata":
                var key = CinderInput.Text(input, "key") ?? throw Faults.Invalid("key", "is required");
                await volumes.UpdateAsync(
                    call.Operation, id,
                    volume => volume.ImageMetadata.ContainsKey(key)
                        ? volume with { ImageMetadata = volume.ImageMetadata.Where(item => item.Key != key).ToDictionary() }
                        : throw CinderVolumes.NoItem(key),
                    call.Cancelled);
                return RestResult.Empty(200);
            case "os-show_image_metadata":
                var shown = await volumes.GetAsync(call.Operation, id, call.Cancelled);
                return RestResult.Json(200, new JsonObject { ["metadata"] = CinderViews.Map(shown.Volume.ImageMetadata) });
            default:
                throw CinderInput.NoSuchAction(action);
        }
    }

    private async Task<RestResult> UploadAsync(RestCall call, string id, JsonObject input)
    {
        var wanted = new VolumeUpload(
            "", CinderInput.Text(input, "image_name") ?? throw Faults.Invalid("image_name", "is required"),
            CinderInput.Text(input, "disk_format") ?? "raw", CinderInput.Text(input, "container_format") ?? "bare");
        var visibility = CinderInput.Text(input, "visibility") ?? "shared";
        var isProtected = CinderInput.Flag(input, "protected") ?? false;
        var (imageId, view) = await volumes.UploadAsync(
            call.Operation, id, wanted, new Dictionary<string, string>(), visibility, isProtected, CinderInput.Flag(input, "force") ?? false, call.Cancelled);
        var type = await types.FindByIdAsync(view.Volume.VolumeTypeId, call.Cancelled);
        return RestResult.Json(202, new JsonObject
        {
            ["os-volume_upload_image"] = new JsonObject
            {
                ["id"] = id,
                ["updated_at"] = CinderViews.Time(view.Volume.UpdatedAt),
                ["status"] = "uploading",
                ["display_description"] = view.Volume.Description,
                ["size"] = view.Volume.SizeGib,
                ["volume_type"] = type is null ? null : new JsonObject
                {
                    ["id"] = type.Id,
                    ["name"] = type.Name,
                    ["description"] = type.Description,
                    ["is_public"] = type.IsPublic,
                    ["extra_specs"] = CinderViews.Map(type.ExtraSpecs),
                    ["qos_specs_id"] = type.QosSpecsId,
                    ["created_at"] = CinderViews.Time(type.CreatedAt),
                    ["updated_at"] = CinderViews.Time(type.UpdatedAt),
                    ["deleted_at"] = null,
                    ["deleted"] = false,
                },
                ["image_id"] = imageId,
                ["container_format"] = wanted.ContainerFormat,
                ["disk_format"] = wanted.DiskFormat,
                ["image_name"] = wanted.ImageName,
                ["protected"] = isProtected,
                ["visibility"] = visibility,
            },
        });
    }

    // The caller says that it has attached the volume in its own way; the record shows it.
    private async Task AttachAsync(RestCall call, string id, JsonObject input)
    {
        var wish = new AttachmentWish
        {
            VolumeId = id,
            InstanceId = CinderInput.Text(input, "instance_uuid"),
            Node = CinderInput.Text(input, "host_name"),
            Device = CinderInput.Text(input, "mountpoint"),
            ReadOnly = CinderInput.Text(input, "mode") == "ro",
        };
        var attachment = await attachments.CreateAsync(call.Operation, wish, call.Cancelled);
        await attachments.CompleteAsync(call.Operation, attachment.Id, call.Cancelled);
    }

    private async Task DetachAsync(RestCall call, string id, string? attachmentId, bool force)
    {
        if (force) call.Operation.RequireAdmin("volume_extension:volume_admin_actions:force_detach");
        var view = await volumes.GetAsync(call.Operation, id, call.Cancelled);
        var ending = view.Attachments.Where(attachment => attachmentId is null || attachment.Id == attachmentId).ToList();
        // Nothing to detach is no error: the caller may not know how far an earlier call came.
        if (force && view.Volume.AdminStatus is not null) await volumes.ResetStatusAsync(call.Operation, id, VolumeStatus.Available.ToCinder(), call.Cancelled);
        foreach (var attachment in ending) await attachments.DeleteAsync(call.Operation, attachment.Id, call.Cancelled);
    }
}
