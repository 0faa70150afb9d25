using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Nephos.Client.Nbd;

namespace Nephos.Client.Volumes;

/// <inheritdoc cref="IVolumeHeads"/>
internal sealed partial class VolumeHeads : IVolumeHeads
{
    /// <summary>An attachment; several of one volume share a head (B36).</summary>
    private sealed record OpenHead(OpenedVolume Volume, string SocketPath, VolumeHead Head, NbdServer Server);

    /// <summary>How long closing waits for requests that can not be finished.</summary>
    private static readonly TimeSpan CloseGrace = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _changes = new(1, 1);
    private readonly ManualResetEvent _leasePassed = new(false);
    private readonly Lock _gate = new();
    private readonly Dictionary<Guid, OpenHead> _open = [];
    private readonly List<(VolumeHead Head, Task Task)> _leaving = [];
    private readonly IReplicaConnector _connector;
    private readonly TimeProvider _time;
    private readonly ILogger<VolumeHeads> _logger;
    private readonly HeadMetrics _metrics;

    public VolumeHeads(IReplicaConnector connector, TimeProvider time, ILogger<VolumeHeads> logger)
    {
        (_connector, _time, _logger) = (connector, time, logger);
        _metrics = new HeadMetrics(List);
    }

    public async Task OpenAsync(OpenedVolume volume, string socketPath, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(volume.ExportName);
        if (volume.SizeBytes <= 0 || volume.SizeBytes % VolumeHead.BlockBytes != 0)
            throw new VolumeHeadException($"Volume {volume.VolumeId} has {volume.SizeBytes} bytes, which is not a multiple of {VolumeHead.BlockBytes}.");
        await _changes.WaitAsync(cancellationToken);
        try
        {
            var mate = Snapshot().Find(other =>
                other.Volume.VolumeId == volume.VolumeId && other.Volume.Epoch == volume.Epoch && other.Volume.AttachmentId != volume.AttachmentId && !other.Head.Fenced);
            // Heads of older epochs of this volume are fenced by the seal below; whoever has the path now makes room.
            foreach (var old in Snapshot().Where(old =>
                         old.Volume.AttachmentId == volume.AttachmentId || old.SocketPath == socketPath || (old.Volume.VolumeId == volume.VolumeId && old.Head != mate?.Head)))
                await Task.Run(() => Close(old), CancellationToken.None);
            if (mate is not null)
            {
                Serve(volume, socketPath, mate.Head);
                LogJoined(volume.VolumeId, volume.AttachmentId, volume.Epoch, socketPath);
                return;
            }
            var replicas = await Task.WhenAll(volume.Replicas.Select(endpoint => ConnectAsync(volume, endpoint, volume.SizeBytes, cancellationToken)));
            await Task.Run(() => Open(volume, socketPath, replicas), CancellationToken.None);
        }
        finally
        {
            _changes.Release();
        }
        LogOpened(volume.VolumeId, volume.AttachmentId, volume.Epoch, socketPath);
    }

    // Null when the replica can not be reached now; the head goes on trying.
    private async Task<IBlockReplica?> ConnectAsync(OpenedVolume volume, ReplicaEndpoint endpoint, long sizeBytes, CancellationToken cancellationToken)
    {
        try
        {
            // Of several replicas one that is gone is made anew, and repaired from the others.
            return await _connector.ConnectAsync(endpoint, volume.VolumeId, volume.Replicas.Count > 1 ? sizeBytes : 0, cancellationToken);
        }
        catch (VolumeHeadException e)
        {
            LogUnreachable(volume.VolumeId, endpoint.DeviceId, e.Message);
            return null;
        }
    }

    private void Open(OpenedVolume volume, string socketPath, IBlockReplica?[] replicas)
    {
        var group = VolumeGroup.Open(volume.VolumeId, ReplicaEpochs.OfHead(volume.Epoch), volume.SizeBytes, volume.Replicas, replicas, _time);
        VolumeHead? head = null;
        try
        {
            // A frozen head of before may still answer reads from a replica that was not reached, until its own majority is too long ago.
            if (!group.SealedEverywhere && volume.Replicas.Count > 1) _leasePassed.WaitOne(VolumeGroup.ReadLease);
            var cipher = volume.EncryptionKey.IsEmpty ? null : new BlockCipher(volume.EncryptionKey.Span);
            head = new VolumeHead(group, cipher, index => ConnectAsync(volume, volume.Replicas[index], group.SizeBytes, CancellationToken.None).GetAwaiter().GetResult(), _logger);
            var served = head;
            head.OnFenced = () =>
            {
                LogFenced(volume.VolumeId, volume.Epoch);
                foreach (var open in OpenOn(served)) open.Server.Hurry();
            };
            Serve(volume, socketPath, head);
        }
        catch
        {
            if (head is null) group.Dispose();
            head?.Dispose();
            throw;
        }
    }

    private void Serve(OpenedVolume volume, string socketPath, VolumeHead head)
    {
        var server = new NbdServer(new VolumeExport(head, volume.ReadOnly), volume.ExportName, socketPath, new RateLimit(volume.Limits, _time));
        lock (_gate) _open[volume.AttachmentId] = new OpenHead(volume, socketPath, head, server);
    }

    private List<OpenHead> OpenOn(VolumeHead head) => Snapshot().FindAll(open => open.Head == head);

    public async Task CloseAsync(Guid attachmentId, CancellationToken cancellationToken)
    {
        await _changes.WaitAsync(cancellationToken);
        try
        {
            OpenHead? open;
            lock (_gate) open = _open.GetValueOrDefault(attachmentId);
            if (open is null) return;
            await Task.Run(() => Close(open), CancellationToken.None);
        }
        finally
        {
            _changes.Release();
        }
    }

    // What is in hand is finished, unless it waits for replicas that may never come.
    private void Close(OpenHead open)
    {
        if (OpenOn(open.Head).Count > 1) Leave(open);
        else CloseLast(open);
        LogClosed(open.Volume.VolumeId, open.Volume.AttachmentId);
    }

    // Others use the head: what waits for replicas is not given up, and not waited for. It is not answered to anybody.
    private void Leave(OpenHead open)
    {
        var leaving = Task.Run(() =>
        {
            open.Server.Dispose();
            Flush(open);
        });
        lock (_gate)
        {
            _open.Remove(open.Volume.AttachmentId);
            _leaving.RemoveAll(earlier => earlier.Task.IsCompleted);
            _leaving.Add((open.Head, leaving));
        }
        leaving.Wait(CloseGrace);
    }

    private void CloseLast(OpenHead open)
    {
        using (new Timer(_ => open.Head.GiveUpWaiting(), null, CloseGrace, Timeout.InfiniteTimeSpan))
        {
            open.Server.Dispose();
            Task[] leaving;
            lock (_gate)
            {
                _open.Remove(open.Volume.AttachmentId);
                leaving = [.. _leaving.Where(earlier => earlier.Head == open.Head).Select(earlier => earlier.Task)];
            }
            Task.WaitAll(leaving);
            Flush(open);
        }
        open.Head.Dispose();
    }

    private void Flush(OpenHead open)
    {
        if (!open.Head.Fenced && open.Head.Flush() is var status and not ReplicaStatus.Ok) LogFlushFailed(open.Volume.VolumeId, status);
    }

    public void SetLimits(Guid attachmentId, VolumeLimits limits)
    {
        lock (_gate)
            if (_open.TryGetValue(attachmentId, out var open)) open.Server.Rate.Change(limits);
    }

    public async Task ResizeAsync(Guid attachmentId, long sizeBytes, CancellationToken cancellationToken)
    {
        await _changes.WaitAsync(cancellationToken);
        try
        {
            OpenHead? open;
            lock (_gate) open = _open.GetValueOrDefault(attachmentId);
            if (open is null) throw new VolumeHeadException($"Attachment {attachmentId} is not open here.");
            if (sizeBytes == open.Head.SizeBytes) return;
            if (sizeBytes < open.Head.SizeBytes || sizeBytes % VolumeHead.BlockBytes != 0)
                throw new VolumeHeadException($"Volume {open.Volume.VolumeId} can not change from {open.Head.SizeBytes} to {sizeBytes} bytes.");
            open.Head.SizeBytes = sizeBytes;
            // The size is read when a connection is made, so each client makes a new one (B40).
            foreach (var attached in OpenOn(open.Head)) await Task.Run(attached.Server.DropConnections, CancellationToken.None);
        }
        finally
        {
            _changes.Release();
        }
    }

    public IReadOnlyList<VolumeHeadStatus> List() =>
    [
        .. Snapshot().Select(open =>
        {
            var (reads, writes, readBytes, writtenBytes) = open.Head.Counters;
            return new VolumeHeadStatus(
                open.Volume.AttachmentId, open.Volume.VolumeId, open.Volume.Epoch, open.Head.SizeBytes, open.SocketPath, open.Server.ConnectionCount,
                open.Head.Fenced, reads, writes, readBytes, writtenBytes, open.Head.Status);
        }),
    ];

    private List<OpenHead> Snapshot()
    {
        lock (_gate) return [.. _open.Values];
    }

    public async ValueTask DisposeAsync()
    {
        await _changes.WaitAsync();
        try
        {
            foreach (var open in Snapshot()) await Task.Run(() => Close(open));
        }
        finally
        {
            _changes.Release();
        }
        _leasePassed.Dispose();
        _metrics.Dispose();
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The replica of volume {VolumeId} on device {DeviceId} can not be reached: {Reason}")]
    private partial void LogUnreachable(Guid volumeId, string deviceId, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Volume {VolumeId} is served for attachment {AttachmentId} at epoch {Epoch} on {SocketPath}")]
    private partial void LogOpened(Guid volumeId, Guid attachmentId, long epoch, string socketPath);

    [LoggerMessage(Level = LogLevel.Information, Message = "Volume {VolumeId} is not served for attachment {AttachmentId} any more")]
    private partial void LogClosed(Guid volumeId, Guid attachmentId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The head of volume {VolumeId} at epoch {Epoch} was fenced by a newer one")]
    private partial void LogFenced(Guid volumeId, long epoch);

    [LoggerMessage(Level = LogLevel.Information, Message = "Volume {VolumeId} is also served for attachment {AttachmentId} at epoch {Epoch} on {SocketPath}")]
    private partial void LogJoined(Guid volumeId, Guid attachmentId, long epoch, string socketPath);

    [LoggerMessage(Level = LogLevel.Error, Message = "The last flush of volume {VolumeId} ended as {Status}")]
    private partial void LogFlushFailed(Guid volumeId, ReplicaStatus status);
}

/// <summary>How a process gets volume heads.</summary>
public static class VolumeHeadsRegistration
{
    /// <summary>Adds <see cref="IVolumeHeads"/>. Without the storage role in the process no replica can be reached, and opening says so.</summary>
    public static IServiceCollection AddVolumeHeads(this IServiceCollection services)
    {
        services.TryAddSingleton<IReplicaConnector, NoReplicas>();
        return services.AddSingleton<IVolumeHeads, VolumeHeads>();
    }

    private sealed class NoReplicas : IReplicaConnector
    {
        public ValueTask<IBlockReplica> ConnectAsync(
            ReplicaEndpoint endpoint, Guid volumeId, long newSizeBytes, CancellationToken cancellationToken) =>
            throw new VolumeHeadException($"Device {endpoint.DeviceId} is not in this process, and this process has no storage role.");
    }
}
