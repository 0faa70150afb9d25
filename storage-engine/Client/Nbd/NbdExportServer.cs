using System.Net;
using Nephos.Client.Volumes;

namespace Nephos.Client.Nbd;

/// <summary>Content that never changes, as people read it. Blocking calls, safe for use by several threads; whole blocks of 4 KiB.</summary>
public interface IFrozenDisk
{
    /// <summary>A multiple of 4 KiB.</summary>
    long SizeBytes { get; }

    /// <summary>Names of older content that this can be compared with; ASCII, without spaces.</summary>
    IReadOnlyList<string> Bases { get; }

    ReplicaStatus Read(long offset, Span<byte> buffer);

    /// <summary>Describes a range from its beginning, until the ranges are full or it ends; at least one.</summary>
    ReplicaStatus GetRanges(long offset, long length, Span<BlockRange> ranges, out int count);

    /// <summary>Where the content was changed since a base: ranges of <see cref="BlockRangeKind.Data"/> were, those that are holes were not.</summary>
    ReplicaStatus GetChanges(int baseIndex, long offset, long length, Span<BlockRange> ranges, out int count);
}

/// <summary>Serves frozen disks by NBD, read-only, to whoever knows their names.</summary>
/// <remarks>On a path in clear; on an address over TLS only, with clients that have a certificate (B37). Never both on one.</remarks>
public sealed class NbdExportServer : IDisposable
{
    private const int ConnectionsMax = 256;

    private readonly NbdListener _listener;

    /// <param name="endPoint">A path or an address.</param>
    /// <param name="tls">For an address; null for a path.</param>
    /// <param name="find">Answers the disk of a name, or null, for a client by the name in its certificate, which is null on a path. Compares in constant time.</param>
    /// <param name="time">For nothing but waiting.</param>
    /// <exception cref="VolumeHeadException">It can not be listened on.</exception>
    public NbdExportServer(EndPoint endPoint, NbdTls? tls, Func<string, string?, IFrozenDisk?> find, TimeProvider time)
    {
        if (tls is null && endPoint is IPEndPoint) throw new ArgumentException("An address is served over TLS.", nameof(tls));
        var rate = new RateLimit(default, time);
        _listener = new NbdListener(endPoint, ConnectionsMax, (number, socket) => new NbdConnection(
            number, socket, (name, peer) => find(name, peer) is { } disk ? new FrozenExport(disk) : null, (_, _) => { }, rate, tls));
    }

    /// <summary>Where it listens, with the port that it got.</summary>
    public EndPoint EndPoint => _listener.EndPoint;

    /// <summary>Whether somebody is connected to the disk.</summary>
    public bool Serves(IFrozenDisk disk) => _listener.FindAll(connection => connection.Export is FrozenExport export && export.Disk == disk).Count > 0;

    /// <summary>Ends the connections to a disk; what they have in hand is finished.</summary>
    public void Drop(IFrozenDisk disk) => _listener.Drop(connection => connection.Export is FrozenExport export && export.Disk == disk);

    public void Dispose() => _listener.Dispose();

    private sealed class FrozenExport(IFrozenDisk disk) : INbdExport, INbdContent
    {
        public IFrozenDisk Disk => disk;
        public long SizeBytes => disk.SizeBytes;
        public bool ReadOnly => true;
        public VolumeHead? Head => null;
        public INbdContent Content => this;
        public IReadOnlyList<string> Bitmaps => disk.Bases;

        public ReplicaStatus Read(long offset, Span<byte> buffer, Func<int, Span<byte>> scratch)
        {
            if ((offset | (long)buffer.Length) % VolumeHead.BlockBytes == 0) return disk.Read(offset, buffer);
            var start = offset / VolumeHead.BlockBytes * VolumeHead.BlockBytes;
            var blocks = scratch((int)(VolumeHead.RoundUp(offset + buffer.Length) - start));
            var status = disk.Read(start, blocks);
            if (status == ReplicaStatus.Ok) blocks.Slice((int)(offset - start), buffer.Length).CopyTo(buffer);
            return status;
        }

        public ReplicaStatus GetRanges(long offset, long length, Span<BlockRange> ranges, out int count) => disk.GetRanges(offset, length, ranges, out count);

        public ReplicaStatus GetChanges(int bitmap, long offset, long length, Span<BlockRange> ranges, out int count) =>
            disk.GetChanges(bitmap, offset, length, ranges, out count);
    }
}
