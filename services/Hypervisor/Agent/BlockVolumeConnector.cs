using System.Collections.Concurrent;
using Nephos.Client.Volumes;
using Nephos.Hosting;
using Nephos.Hosting.Grpc;
using Nephos.Hypervisor.Instances;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.Hypervisor.Agent;

/// <summary>Volume heads over the block service: the attachment's token opens it, which fences any head of before.</summary>
internal sealed class BlockVolumeConnector : IVolumeConnector
{
    private readonly ConcurrentDictionary<Guid, ConcurrentDictionary<Guid, VolumeEndpoint>> _open = new();
    private readonly ConcurrentDictionary<Guid, SemaphoreSlim> _gates = new();
    private readonly Wire.Attachments.AttachmentsClient _attachments;
    private readonly IVolumeHeads _heads;
    private readonly ServiceCalls _calls;
    private readonly NephosOptions _node;
    private readonly RuntimeFolder _runtime;

    public BlockVolumeConnector(
        Wire.Attachments.AttachmentsClient attachments, IVolumeHeads heads, ServiceCalls calls, NephosOptions node, RuntimeFolder runtime)
    {
        _attachments = attachments;
        _heads = heads;
        _calls = calls;
        _node = node;
        _runtime = runtime;
        runtime.Create();
        runtime.ClearVolumeSockets();
    }

    public async Task<VolumeEndpoint> OpenAsync(Guid instanceId, VolumeSpec volume, CancellationToken cancellationToken)
    {
        var open = _open.GetOrAdd(instanceId, _ => new());
        if (open.TryGetValue(volume.AttachmentId, out var endpoint) && _heads.List().Any(head => head.AttachmentId == volume.AttachmentId && !head.Fenced))
        {
            return endpoint;
        }
        var gate = _gates.GetOrAdd(volume.VolumeId, _ => new SemaphoreSlim(1, 1));
        await gate.WaitAsync(cancellationToken);
        try
        {
            return open[volume.AttachmentId] = await OpenHeadAsync(volume, cancellationToken);
        }
        finally
        {
            gate.Release();
        }
    }

    // One attachment of a volume after the other, so that the second one finds the head of the first and shares it.
    private async Task<VolumeEndpoint> OpenHeadAsync(VolumeSpec volume, CancellationToken cancellationToken)
    {
        var mate = _heads.List().FirstOrDefault(head => head.VolumeId == volume.VolumeId && head.AttachmentId != volume.AttachmentId && !head.Fenced);
        var request = new Wire.OpenAttachmentRequest
        {
            AttachmentId = volume.AttachmentId.ToString(), Token = volume.Token, Node = _node.NodeName, HeadEpoch = mate?.Epoch ?? 0,
        };
        Wire.OpenedAttachment opened;
        try
        {
            opened = await _attachments.OpenAttachmentAsync(request, await _calls.AsServiceAsync(cancellationToken));
        }
        catch (FaultException fault) when (fault.Reason == ErrorReason.NotFound)
        {
            throw new PermanentHypervisorException($"volume {volume.VolumeId} is not attached here any more: {fault.Message}", fault);
        }
        var socket = _runtime.VolumeSocket(volume.AttachmentId);
        await _heads.OpenAsync(OpenedVolume.From(opened), socket, cancellationToken);
        return new VolumeEndpoint(volume, socket, opened.ExportName);
    }

    public async Task CloseAsync(Guid instanceId, Guid attachmentId, CancellationToken cancellationToken)
    {
        await _heads.CloseAsync(attachmentId, cancellationToken);
        if (_open.TryGetValue(instanceId, out var open))
        {
            open.TryRemove(attachmentId, out _);
        }
    }

    public IReadOnlyCollection<Guid> OpenFor(Guid instanceId) => _open.TryGetValue(instanceId, out var open) ? [.. open.Keys] : [];
}
