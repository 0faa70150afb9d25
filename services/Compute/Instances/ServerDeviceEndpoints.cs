using System.Text.Json.Nodes;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Instances;

/// <summary>Volumes, interfaces, addresses and security groups of servers.</summary>
internal static class ServerDeviceEndpoints
{
    public static void Map(RestRoutes rest, string root)
    {
        var server = root + "/servers/{id}";
        rest.Get(server + "/os-volume_attachments", async call =>
        {
            var details = await FindAsync(call);
            return RestResult.Json(200, new JsonObject
            {
                ["volumeAttachments"] = RestParts.Array(ServerJson.Volumes(details).Select(item => Volume(call, details, item.Disk, item.VolumeId))),
            });
        });
        rest.Post(server + "/os-volume_attachments", AttachVolumeAsync);
        rest.Get(server + "/os-volume_attachments/{volume}", async call =>
        {
            var details = await FindAsync(call);
            var disk = InstanceService.FindDisk(details, call.Route("volume"));
            return RestResult.Json(200, new JsonObject { ["volumeAttachment"] = Volume(call, details, disk, call.Route("volume")) });
        });
        rest.Put(server + "/os-volume_attachments/{volume}", UpdateVolumeAsync);
        rest.Delete(server + "/os-volume_attachments/{volume}", async call =>
        {
            await Service(call).DetachVolumeAsync(call.Operation, call.Route("id"), call.Route("volume"), call.Cancelled);
            return RestResult.Empty(202);
        });
        rest.Get(server + "/os-interface", async call =>
        {
            var details = await FindAsync(call);
            return RestResult.Json(200, new JsonObject
            {
                ["interfaceAttachments"] = RestParts.Array((details.Parts?.Ports ?? []).Where(port => port.ReleasingSince is null)
                    .Select(port => Interface(call, details, port))),
            });
        });
        rest.Post(server + "/os-interface", AttachInterfaceAsync);
        rest.Get(server + "/os-interface/{port}", async call =>
        {
            var details = await FindAsync(call);
            return RestResult.Json(200, new JsonObject { ["interfaceAttachment"] = Interface(call, details, PortOf(details, call.Route("port"))) });
        });
        rest.Delete(server + "/os-interface/{port}", async call =>
        {
            await Service(call).DetachPortAsync(call.Operation, call.Route("id"), call.Route("port"), call.Cancelled);
            return RestResult.Empty(202);
        });
        rest.Get(server + "/ips", async call =>
            RestResult.Json(200, new JsonObject { ["addresses"] = ServerJson.Addresses(await FindAsync(call), extended: false) }));
        rest.Get(server + "/ips/{network}", async call =>
        {
            var addresses = ServerJson.Addresses(await FindAsync(call), extended: false);
            return addresses[call.Route("network")]?.DeepClone() is { } list
                ? RestResult.Json(200, new JsonObject { [call.Route("network")] = list })
                : throw new FaultException(ErrorReason.NotFound, "Instance is not a member of specified network");
        });
    }

    private static InstanceService Service(RestCall call) => call.Service<InstanceService>();

    private static Task<InstanceDetails> FindAsync(RestCall call) => Service(call).GetAsync(call.Operation, call.Route("id"), call.Cancelled);

    private static async Task<RestResult> AttachVolumeAsync(RestCall call)
    {
        var fields = Fields.Root(await call.ReadJsonAsync(), "volumeAttachment");
        string[] names = ["volumeId", "device"];
        if (call.From(49))
        {
            names = [.. names, "tag"];
        }
        if (call.From(79))
        {
            names = [.. names, "delete_on_termination"];
        }
        var volumeId = fields.Only(names).Required("volumeId");
        if (!Kernel.Ids.IsUuid(volumeId))
        {
            throw ComputeFaults.Refers("volumeId", $"Invalid input for field/attribute volumeId. Value: {(volumeId.Length > 64 ? volumeId[..64] : volumeId)}. It is not a 'uuid'");
        }
        await MultiattachRule.CheckAsync(call, [volumeId]);
        var (details, disk) = await Service(call).AttachVolumeAsync(
            call.Operation, call.Route("id"), volumeId, fields.TextOrNull("device"), fields.Text("tag"), fields.Bool("delete_on_termination") ?? false,
            call.Cancelled);
        return RestResult.Json(200, new JsonObject { ["volumeAttachment"] = Volume(call, details, disk, volumeId) });
    }

    private static async Task<RestResult> UpdateVolumeAsync(RestCall call)
    {
        InstanceService.FindDisk(await FindAsync(call), call.Route("volume"));
        if (!call.From(85))
        {
            throw ComputeFaults.Refers("volumeAttachment", "Swapping volumes is not supported; from microversion 2.85 on delete_on_termination can be changed.");
        }
        var fields = Fields.Root(await call.ReadJsonAsync(), "volumeAttachment").Only("volumeId", "device", "tag", "delete_on_termination", "id", "serverId");
        if (fields.Text("volumeId") is { } volumeId && volumeId != call.Route("volume"))
        {
            throw ComputeFaults.Refers("volumeId", "Swapping volumes is not supported.");
        }
        await Service(call).UpdateVolumeAttachmentAsync(
            call.Operation, call.Route("id"), call.Route("volume"),
            fields.Bool("delete_on_termination") ?? throw ComputeFaults.Refers("delete_on_termination", "delete_on_termination is needed"), call.Cancelled);
        return RestResult.Empty(202);
    }

    private static JsonObject Volume(RestCall call, InstanceDetails details, Disk disk, string volumeId)
    {
        var json = new JsonObject();
        if (!call.From(89))
        {
            json["id"] = volumeId;
        }
        json["serverId"] = details.Instance.Id;
        json["volumeId"] = volumeId;
        json["device"] = disk.Device;
        if (call.From(70))
        {
            json["tag"] = disk.Tag;
        }
        if (call.From(79))
        {
            json["delete_on_termination"] = disk.DeleteOnTermination;
        }
        if (call.From(89))
        {
            json["attachment_id"] = details.Parts?.DiskOf(disk, details.Instance.RootNonce)?.AttachmentId;
            json["bdm_uuid"] = disk.Id;
        }
        return json;
    }

    private static async Task<RestResult> AttachInterfaceAsync(RestCall call)
    {
        var body = await call.ReadJsonAsync();
        var fields = body.ContainsKey("interfaceAttachment") ? Fields.Root(body, "interfaceAttachment") : new Fields([]);
        fields.Only(call.From(49) ? ["net_id", "port_id", "fixed_ips", "tag"] : ["net_id", "port_id", "fixed_ips"]);
        var networkId = fields.TextOrNull("net_id");
        var portId = fields.TextOrNull("port_id");
        var fixedIps = fields.Objects("fixed_ips") ?? [];
        if (networkId is not null && portId is not null)
        {
            throw ComputeFaults.Refers("net_id", "Must not input both network_id and port_id");
        }
        if (fixedIps.Count > 0 && networkId is null)
        {
            throw ComputeFaults.Refers("fixed_ips", "Must input network_id when request IP address");
        }
        if (fixedIps.Count > 1)
        {
            throw ComputeFaults.Refers("fixed_ips", "At most one fixed IP can be asked for");
        }
        var address = fixedIps.Count == 1 ? fixedIps[0].Only("ip_address").Required("ip_address") : null;
        var (_, _, made) = await Service(call).AttachPortAsync(
            call.Operation, call.Route("id"), new NicWish(portId, networkId, address, fields.Text("tag")), call.Cancelled);
        var details = await FindAsync(call);
        var part = details.Parts?.Ports.FirstOrDefault(port => port.PortId == made);
        return RestResult.Json(200, new JsonObject
        {
            ["interfaceAttachment"] = part is not null ? Interface(call, details, part) : Interface(call, details, made, networkId ?? "", fields.Text("tag")),
        });
    }

    private static PartPort PortOf(InstanceDetails details, string portId) =>
        details.Parts?.Ports.FirstOrDefault(port => port.PortId == portId && port.ReleasingSince is null)
        ?? throw new FaultException(ErrorReason.NotFound, $"Port {portId} is not attached to instance {details.Instance.Id}.");

    private static JsonObject Interface(RestCall call, InstanceDetails details, PartPort port)
    {
        var nic = details.Instance.Nics.FirstOrDefault(item => item.Id == port.NicId);
        var json = Interface(call, details, port.PortId, port.Details?.NetworkId ?? nic?.NetworkId ?? "", nic?.Tag);
        if (port.Details is { } known)
        {
            json["port_state"] = known.Active ? "ACTIVE" : "DOWN";
            json["mac_addr"] = known.MacAddress;
            json["fixed_ips"] = RestParts.Array(known.Addresses.Select(address => new JsonObject
            {
                ["subnet_id"] = address.SubnetId, ["ip_address"] = address.Address,
            }));
        }
        return json;
    }

    private static JsonObject Interface(RestCall call, InstanceDetails details, string portId, string networkId, string? tag)
    {
        var json = new JsonObject
        {
            ["port_state"] = "DOWN", ["fixed_ips"] = new JsonArray(), ["port_id"] = portId, ["net_id"] = networkId, ["mac_addr"] = "",
        };
        if (call.From(70))
        {
            json["tag"] = tag;
        }
        return json;
    }
}
