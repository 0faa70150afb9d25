using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Qos;
using Nephos.BlockStorage.Volumes;
using Nephos.BlockStorage.VolumeTypes;
using Nephos.Hosting.Grpc;
using Nephos.Client.Volumes;
using Nephos.Kernel;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.BlockStorage.Attachments;

internal sealed class AttachmentsGrpcService(
    AttachmentService attachments, QosService qos, TableCache<Attachment> attachmentCache, TableCache<Volume> volumeCache, TableCache<VolumeType> typeCache,
    TableCache<QosSpecs> specsCache, IBlockDevices devices, TimeProvider time)
    : Wire.Attachments.AttachmentsBase
{
    public override async Task<Wire.CreateAttachmentResponse> CreateAttachment(Wire.CreateAttachmentRequest request, ServerCallContext context)
    {
        var wish = new AttachmentWish
        {
            VolumeId = request.VolumeId,
            InstanceId = request.InstanceId,
            Node = request.Node,
            Device = request.Device,
            ReadOnly = request.ReadOnly,
            IdempotencyKey = request.IdempotencyKey,
        };
        var made = await attachments.CreateAsync(context.GetOperation(), wish, context.CancellationToken);
        return new Wire.CreateAttachmentResponse { Attachment = made.ToWire(time.GetUtcNow()), Token = made.Token };
    }

    public override async Task<Wire.Attachment> GetAttachment(Wire.GetAttachmentRequest request, ServerCallContext context) =>
        (await attachments.GetAsync(context.GetOperation(), request.AttachmentId, context.CancellationToken)).ToWire(time.GetUtcNow());

    public override async Task<Wire.ListAttachmentsResponse> ListAttachments(Wire.ListAttachmentsRequest request, ServerCallContext context)
    {
        var all = await attachments.ListAsync(
            context.GetOperation(), Given(request.VolumeId), Given(request.InstanceId), Given(request.Node), request.AllProjects, context.CancellationToken);
        var page = Paging.Cut(all.OrderBy(attachment => attachment.Id, StringComparer.Ordinal), attachment => attachment.Id, request.PageToken, request.PageSize);
        var response = new Wire.ListAttachmentsResponse { NextPageToken = page.NextToken ?? "" };
        response.Attachments.AddRange(page.Items.Select(attachment => attachment.ToWire(time.GetUtcNow())));
        return response;
    }

    public override async Task<Wire.Attachment> UpdateAttachment(Wire.UpdateAttachmentRequest request, ServerCallContext context) =>
        (await attachments.UpdateAsync(
            context.GetOperation(), request.AttachmentId, request.HasNode ? request.Node : null, instanceId: null, request.HasDevice ? request.Device : null,
            request.HasDetaching ? request.Detaching : null, context.CancellationToken)).ToWire(time.GetUtcNow());

    public override async Task<Empty> CompleteAttachment(Wire.CompleteAttachmentRequest request, ServerCallContext context)
    {
        await attachments.CompleteAsync(context.GetOperation(), request.AttachmentId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Empty> DeleteAttachment(Wire.DeleteAttachmentRequest request, ServerCallContext context)
    {
        await attachments.DeleteAsync(context.GetOperation(), request.AttachmentId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.OpenedAttachment> OpenAttachment(Wire.OpenAttachmentRequest request, ServerCallContext context)
    {
        var opened = await attachments.OpenAsync(
            context.GetOperation(), request.AttachmentId, request.Token, request.Node, request.HeadEpoch, context.CancellationToken);
        var replicas = await devices.LocateAsync(opened.Volume.DeviceId!, context.CancellationToken);
        var wire = new Wire.OpenedAttachment
        {
            AttachmentId = opened.Attachment.Id,
            VolumeId = opened.Volume.Id,
            Epoch = opened.Volume.Epoch,
            SizeBytes = opened.Volume.ProvisionedBytes,
            ReadOnly = opened.Attachment.ReadOnly,
            ExportName = opened.ExportName,
            Qos = opened.Limits.ToWire(),
            WriteQuorum = replicas.Count / 2 + 1,
            EncryptionKey = ByteString.CopyFrom(opened.Key),
        };
        wire.Replicas.AddRange(replicas.Select(replica => new Wire.Replica { DeviceId = replica.DeviceId, Address = replica.Address }));
        return wire;
    }

    public override async Task WatchAttachments(
        Wire.WatchAttachmentsRequest request, IServerStreamWriter<Wire.AttachmentEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var sent = new Dictionary<string, Wire.AttachmentChanged>(StringComparer.Ordinal);
        await foreach (var change in Watching.JoinAsync(
            attachmentCache,
            [
                Watching.From(volumeCache, volume => OfVolume + volume.Id), Watching.From(typeCache, type => OfType + type.Id),
                Watching.From(specsCache, specs => OfSpecs + specs.Id),
            ],
            context.CancellationToken))
        {
            if (change.Id is not { } id)
            {
                await responseStream.WriteAsync(new Wire.AttachmentEvent { Revision = change.Revision, Synced = true }, context.CancellationToken);
                continue;
            }
            foreach (var one in ConcernedBy(id))
            {
                var attachment = attachmentCache.Get(one);
                if (attachment is null || !operation.CanSee(attachment.ProjectId) || (request.Node.Length > 0 && attachment.Node != request.Node))
                {
                    if (sent.Remove(one))
                        await responseStream.WriteAsync(new Wire.AttachmentEvent { Revision = change.Revision, Deleted = one }, context.CancellationToken);
                    continue;
                }
                var volume = volumeCache.Get(attachment.VolumeId);
                var wire = new Wire.AttachmentChanged
                {
                    Attachment = attachment.ToWire(time.GetUtcNow()), Qos = (volume is null ? default : qos.LimitsOf(volume)).ToWire(), VolumeSizeBytes = volume?.ProvisionedBytes ?? 0, VolumeEpoch = volume?.Epoch ?? 0,
                };
                if (sent.TryGetValue(one, out var before) && before.Equals(wire)) continue;
                sent[one] = wire;
                await responseStream.WriteAsync(new Wire.AttachmentEvent { Revision = change.Revision, Changed = wire }, context.CancellationToken);
            }
        }
    }

    private const string OfVolume = "volume/", OfType = "type/", OfSpecs = "specs/";

    // A volume, a type or specs that changed stand for the attachments they concern.
    private List<string> ConcernedBy(string id)
    {
        Func<Volume, bool>? concerned =
            id.StartsWith(OfVolume, StringComparison.Ordinal) ? volume => volume.Id == id[OfVolume.Length..]
            : id.StartsWith(OfType, StringComparison.Ordinal) ? volume => volume.VolumeTypeId == id[OfType.Length..]
            : id.StartsWith(OfSpecs, StringComparison.Ordinal) ? volume => typeCache.Get(volume.VolumeTypeId)?.QosSpecsId == id[OfSpecs.Length..]
            : null;
        return concerned is null
            ? [id]
            : [.. attachmentCache.List().Where(attachment => volumeCache.Get(attachment.VolumeId) is { } volume && concerned(volume)).Select(attachment => attachment.Id)];
    }

    private static string? Given(string text) => text.Length > 0 ? text : null;
}
