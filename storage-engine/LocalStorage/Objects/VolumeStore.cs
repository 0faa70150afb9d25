using System.Collections.Concurrent;

namespace Nephos.LocalStorage.Objects;

public sealed record VolumeStoreOptions
{
    /// <summary>Size of each volume file; a multiple of 4 KiB, at least 4 MiB.</summary>
    public long VolumeBytes { get; init; } = 64L << 20;

    /// <summary>Memory in which small frames are gathered for one write.</summary>
    public int GatherBytes { get; init; } = 4 << 20;

    /// <summary>Memory for blocks of the needle index.</summary>
    public long IndexCacheBytes { get; init; } = 8L << 20;

    /// <summary>Share of dead bytes from which a sealed volume is worth compacting.</summary>
    public double CompactDeadShare { get; init; } = 0.5;
}

/// <summary>One stored frame, as a listing shows it.</summary>
public readonly record struct NeedleEntry(NeedleKey Key, int PayloadBytes, NeedleFlags Flags, uint HomeDevice);

/// <summary>
/// The needles of one device: appended by group commit to volumes, found through an index that the volumes can always
/// rebuild. An append or delete that answered <see cref="StoreStatus.Ok"/> survives a crash. Thread-safe.
/// </summary>
/// <remarks>
/// Cost of an append of n bytes: 512 + n bytes written once, a share of one disk flush, one insert into a table in memory.
/// Cost of a read: one lookup in memory or one block of the index, and one disk read.
/// </remarks>
public sealed class VolumeStore : IDisposable
{
    private readonly ConcurrentBag<StoreRequest> _requests = [];
    private readonly NeedleIndex _index;
    private readonly VolumeSet _volumes;
    private readonly SegmentPool _pool;
    private readonly VolumeCommitter _committer;
    private readonly VolumeStoreOptions _options;
    private readonly Action<StoreRequest> _release;
    private NeedleKey _scrubNext;
    private byte[]? _scrubBuffer;

    private VolumeStore(NeedleIndex index, VolumeSet volumes, SegmentPool pool, VolumeCommitter committer, VolumeStoreOptions options)
    {
        (_index, _volumes, _pool, _committer, _options) = (index, volumes, pool, committer, options);
        _release = _requests.Add;
    }

    /// <summary>Opens the volumes under a directory, after a crash or not: recovery is the normal open.</summary>
    internal static VolumeStore Open(
        IDeviceMedium medium, Guid deviceId, VolumeStoreOptions options, Func<long, bool> hasRoom, TimeProvider time)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.VolumeBytes, 4L << 20);
        var recovered = VolumeRecovery.Open(medium, deviceId, options, hasRoom, time);
        var committer = new VolumeCommitter(
            medium, recovered.Volumes, recovered.Index, recovered.Pool, recovered.Current, recovered.NextSequence, options.GatherBytes);
        return new VolumeStore(recovered.Index, recovered.Volumes, recovered.Pool, committer, options);
    }

    /// <summary>Repeated write failures: the device must be replaced.</summary>
    public bool HasFailed => _committer.HasFailed;

    /// <summary>False while appends would be refused for lack of room.</summary>
    public bool HasRoom => _pool.CanTake || _volumes.All.Any(v => !v.IsSealed && v.Position + NeedleHeader.PayloadBytesMax < v.File.SizeBytes);

    public long SizeBytes => _pool.SizeBytes;

    public long LiveBytes => _volumes.All.Sum(v => v.LiveBytes);

    public long DeadBytes => _volumes.All.Sum(v => v.DeadBytes);

    /// <summary>An estimate of the frames stored.</summary>
    public long Needles => _index.EstimateCount();

    /// <summary>Completes when the frame is durable. The buffers of <paramref name="write"/> must not change before that.</summary>
    public ValueTask<StoreStatus> AppendAsync(in NeedleWrite write)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(write.Payload.Length, NeedleHeader.PayloadBytesMax);
        return PostAsync(StoreRequestKind.Append, write, default, 0);
    }

    /// <summary>Removes every frame of a blob; <c>NotFound</c> when there is none. The space comes back by compaction.</summary>
    public ValueTask<StoreStatus> DeleteAsync(in NeedleKey blob)
    {
        var first = blob with { Frame = 0 };
        if (!HasAnyFrame(first))
        {
            return ValueTask.FromResult(StoreStatus.NotFound);
        }

        return PostAsync(StoreRequestKind.Delete, new NeedleWrite { Key = first, Payload = default, Checksums = default }, default, 0);
    }

    /// <summary>Reads whole blocks of 64 KiB, each verified, from <paramref name="firstBlock"/> on, as many as fit.</summary>
    /// <param name="payloadBytes">Size of the whole payload of the needle.</param>
    /// <param name="readBytes">Bytes put into <paramref name="destination"/>: a multiple of the block size, or up to the payload's end.</param>
    public StoreStatus Read(in NeedleKey key, int firstBlock, Span<byte> destination, out int payloadBytes, out int readBytes)
    {
        (payloadBytes, readBytes) = (0, 0);
        Span<byte> sector = stackalloc byte[NeedleHeader.SizeBytes];
        for (var attempt = 0; ; attempt++)
        {
            if (!_index.TryFind(key, out var location) || _volumes.Find(location.VolumeId) is not { } volume)
            {
                return StoreStatus.NotFound;
            }

            var start = Math.Min((long)firstBlock * NeedleHeader.BlockBytes, location.PayloadBytes);
            var length = location.PayloadBytes - (int)start;
            if (length > destination.Length)
            {
                length = destination.Length / NeedleHeader.BlockBytes * NeedleHeader.BlockBytes;
            }

            var data = destination[..length];
            try
            {
                var wanted = sector.Length + data.Length;
                var read = start == 0
                    ? volume.File.Read(location.Offset, sector, data)
                    : volume.File.Read(location.Offset, sector)
                        + volume.File.Read(location.Offset + NeedleHeader.SizeBytes + start, data);
                if (read == wanted
                    && NeedleHeader.TryRead(sector, out var header)
                    && header.VolumeId == location.VolumeId
                    && header.Key == key
                    && header.PayloadBytes == location.PayloadBytes
                    && NeedleHeader.Verify(sector, firstBlock, data))
                {
                    (payloadBytes, readBytes) = (header.PayloadBytes, length);
                    return StoreStatus.Ok;
                }
            }
            catch (Exception failure) when (failure is IOException or ObjectDisposedException)
            {
                return StoreStatus.Failed;
            }

            // Compaction may have moved the needle and recycled its volume between the lookup and the read.
            if (attempt > 0 || (_index.TryFind(key, out var now) && now == location))
            {
                return StoreStatus.Corrupt;
            }
        }
    }

    /// <summary>True when the frame is indexed in a volume that exists.</summary>
    public bool Contains(in NeedleKey key) => _index.TryFind(key, out var location) && _volumes.Find(location.VolumeId) is not null;

    /// <summary>Frames with <paramref name="from"/> ≤ key and placement hash ≤ <paramref name="lastHash"/>, in order, at most <paramref name="limit"/>.</summary>
    public List<NeedleEntry> List(NeedleKey from, ulong lastHash, int limit)
    {
        var entries = new List<NeedleEntry>();
        _index.Visit(from, (key, location) =>
        {
            if (key.PlacementHash > lastHash || entries.Count >= limit)
            {
                return false;
            }

            if (_volumes.Find(location.VolumeId) is not null)
            {
                entries.Add(new NeedleEntry(key, location.PayloadBytes, location.Flags, location.HomeDevice));
            }

            return true;
        });
        return entries;
    }

    /// <summary>Moves what lives in the sealed volume with most dead bytes, then frees it; false when none is worth it.</summary>
    /// <param name="force">Take any volume with dead bytes: the device is short of room.</param>
    public async ValueTask<bool> CompactStepAsync(bool force, CancellationToken cancellationToken)
    {
        var victim = _volumes.All
            .Where(v => v.IsSealed && (v.LiveBytes <= 0 || DeadShare(v) >= _options.CompactDeadShare || (force && v.DeadBytes > v.File.SizeBytes / 8)))
            .MaxBy(DeadShare);
        if (victim is null)
        {
            return false;
        }

        var mover = new VolumeMover(_index, (write, expected) => PostAsync(StoreRequestKind.Move, write, expected, 0));
        if (!await mover.MoveAsync(victim, cancellationToken))
        {
            return false;
        }

        return await PostAsync(StoreRequestKind.Recycle, default, default, victim.Id) == StoreStatus.Ok;

        static double DeadShare(Volume volume) => volume.DeadBytes / (double)Math.Max(1, volume.LiveBytes + volume.DeadBytes);
    }

    /// <summary>Reads and verifies the next frames in index order, so that damaged headers are noticed too; wraps around at the end.</summary>
    /// <param name="bytesMax">Stops after about this many bytes.</param>
    /// <param name="corrupt">Gets the frames that cannot be read back as they were written.</param>
    /// <returns>True when this step ended a pass over the device.</returns>
    public bool ScrubStep(long bytesMax, List<NeedleKey> corrupt)
    {
        const int PageEntries = 64;
        var page = List(_scrubNext, ulong.MaxValue, PageEntries);
        if (page.Count > 0)
        {
            _scrubBuffer ??= GC.AllocateUninitializedArray<byte>(NeedleHeader.PayloadBytesMax);
        }

        for (var entry = 0; entry < page.Count && bytesMax > 0; entry++)
        {
            var key = page[entry].Key;
            if (Read(key, 0, _scrubBuffer, out _, out var readBytes) is StoreStatus.Corrupt or StoreStatus.Failed)
            {
                corrupt.Add(key);
            }

            bytesMax -= NeedleHeader.SizeBytes + readBytes;
            _scrubNext = key with { Frame = key.Frame + 1 };
        }

        if (page.Count == PageEntries || bytesMax <= 0)
        {
            return false;
        }

        _scrubNext = default;
        return true;
    }

    /// <summary>Completes what waits, makes the index durable and closes the files.</summary>
    public void Dispose()
    {
        _pool.Dispose();
        _committer.Dispose();
        try
        {
            _index.Flush();
        }
        catch (RocksDbSharp.RocksDbException)
        {
            // The directory may be gone; the volumes, if they are there, hold everything.
        }

        _index.Dispose();
        foreach (var volume in _volumes.All)
        {
            volume.File.Dispose();
        }
    }

    private bool HasAnyFrame(NeedleKey first)
    {
        var found = false;
        _index.Visit(first, (key, _) =>
        {
            found = key with { Frame = 0 } == first;
            return false;
        });
        return found;
    }

    private ValueTask<StoreStatus> PostAsync(StoreRequestKind kind, in NeedleWrite write, in NeedleLocation expected, ulong volumeId)
    {
        if (!_requests.TryTake(out var request))
        {
            request = new StoreRequest();
        }

        (request.Kind, request.Write, request.Expected, request.VolumeId) = (kind, write, expected, volumeId);
        var task = request.Start(_release);
        _committer.Post(request);
        return task;
    }
}
