using Grpc.Core;
using Nephos.Client.Volumes;
using Nephos.Hosting.Grpc;
using Wire = Nephos.Protos.Storage.V1;

namespace Nephos.Node.Block;

/// <summary>Tells what the heads of this process do.</summary>
internal sealed class VolumeHeadsGrpcService(IVolumeHeads heads) : Wire.VolumeHeads.VolumeHeadsBase
{
    public override Task<Wire.ListVolumeHeadsResponse> ListVolumeHeads(Wire.ListVolumeHeadsRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        if (!operation.IsAdmin) operation.RequireService("listing of volume heads");
        var response = new Wire.ListVolumeHeadsResponse();
        response.Heads.AddRange(heads.List().Select(ToWire));
        return Task.FromResult(response);
    }

    private static Wire.VolumeHead ToWire(VolumeHeadStatus head)
    {
        var wire = new Wire.VolumeHead
        {
            VolumeId = head.VolumeId.ToString(),
            AttachmentId = head.AttachmentId.ToString(),
            Epoch = head.Epoch,
            SizeBytes = head.SizeBytes,
            ConnectionCount = head.ConnectionCount,
            Fenced = head.Fenced,
            Reads = head.ReadCount,
            Writes = head.WriteCount,
            ReadBytes = head.ReadBytes,
            WrittenBytes = head.WrittenBytes,
            AtRiskSeconds = head.Group.AtRisk.TotalSeconds,
            RepairedBytes = head.Group.RepairedBytes,
            DamagedBlocks = head.Group.DamagedBlocks,
        };
        wire.Replicas.AddRange(head.Group.Replicas.Select(replica => new Wire.VolumeReplica
        {
            DeviceId = replica.DeviceId,
            Complete = replica.Complete,
            Reached = replica.Reached,
            LackingBytes = replica.LackingBytes,
            ToCompareBytes = replica.ToCompareBytes,
            Trouble = replica.Trouble ?? "",
        }));
        return wire;
    }
}
