namespace Nephos.Client.Volumes;

/// <summary>The volume heads of one node: each serves one volume as a disk on a unix socket.</summary>
/// <remarks>Safe for concurrent use; calls for one volume are done one after the other.</remarks>
public interface IVolumeHeads : IAsyncDisposable
{
    /// <summary>Seals the epoch at the replicas and serves the volume over NBD on a unix socket.</summary>
    /// <remarks>An attachment that is open already is replaced; clients that were connected to it reconnect to
    /// the same path by themselves. Another attachment of the volume under the same epoch shares the head that is open. The file of the socket is made readable for its owner and group only.</remarks>
    /// <exception cref="VolumeHeadException">No replica could be reached, or a newer epoch exists.</exception>
    Task OpenAsync(OpenedVolume volume, string socketPath, CancellationToken cancellationToken);

    /// <summary>Finishes what is in flight, drops the connections, makes all acknowledged writes durable and removes the socket.
    /// Does nothing when the attachment is not open here.</summary>
    Task CloseAsync(Guid attachmentId, CancellationToken cancellationToken);

    /// <summary>Enlarges the export and drops its connections, so that the client reads the new size when it comes back.</summary>
    /// <exception cref="VolumeHeadException">The attachment is not open here, or the size is smaller than it was.</exception>
    Task ResizeAsync(Guid attachmentId, long sizeBytes, CancellationToken cancellationToken);

    /// <summary>Changes the limits of a volume from the next request on. Does nothing when the attachment is not open here.</summary>
    void SetLimits(Guid attachmentId, VolumeLimits limits);

    IReadOnlyList<VolumeHeadStatus> List();
}

/// <summary>What an open head does.</summary>
/// <param name="Group">How its replicas are.</param>
/// <param name="Fenced">A newer epoch was sealed: this head can not complete requests any more.</param>
public sealed record VolumeHeadStatus(
    Guid AttachmentId, Guid VolumeId, long Epoch, long SizeBytes, string SocketPath, int ConnectionCount, bool Fenced,
    long ReadCount, long WriteCount, long ReadBytes, long WrittenBytes, GroupStatus Group);

/// <summary>A volume head could not be opened or changed.</summary>
public sealed class VolumeHeadException : Exception
{
    public VolumeHeadException(string message) : base(message) { }

    public VolumeHeadException(string message, Exception innerException) : base(message, innerException) { }
}
