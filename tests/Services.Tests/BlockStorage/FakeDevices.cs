using Nephos.BlockStorage.Devices;
using Nephos.Client.Volumes;
using Nephos.Kernel.Errors;

namespace Nephos.Services.Tests.BlockStorage;

/// <summary>A device whose volumes are dictionaries of chunks, and which can be told to fail.</summary>
internal sealed class FakeDevices : IBlockDevices
{
    public const string Id = "4e1b2a7e-0000-4000-8000-000000000001";

    private readonly Lock _gate = new();
    private readonly Dictionary<string, (long Size, long Epoch, SortedDictionary<long, byte[]> Data)> _volumes = [];
    private readonly Dictionary<string, (string Volume, long Size, SortedDictionary<long, byte[]> Data)> _snapshots = [];

    /// <summary>Called before each operation with its name; throws to fail it.</summary>
    public Action<string>? Before { get; set; }

    /// <summary>Called after each operation, before its answer; throws as a cut connection would.</summary>
    public Action<string>? After { get; set; }

    public List<string> Calls { get; } = [];

    public IReadOnlyCollection<string> Volumes
    {
        get { lock (_gate) return [.. _volumes.Keys]; }
    }

    public IReadOnlyCollection<string> Snapshots
    {
        get { lock (_gate) return [.. _snapshots.Keys]; }
    }

    public long EpochOf(string volume)
    {
        lock (_gate) return _volumes[volume].Epoch;
    }

    public long SizeOf(string volume)
    {
        lock (_gate) return _volumes[volume].Size;
    }

    public void Put(string volume, long offset, byte[] data)
    {
        lock (_gate) _volumes[volume].Data[offset] = data;
    }

    public byte[]? At(string volume, long offset)
    {
        lock (_gate) return _volumes[volume].Data.GetValueOrDefault(offset);
    }

    public Task<IReadOnlyList<BlockDevice>> ListAsync(CancellationToken cancellationToken) =>
        Do("list", () => (IReadOnlyList<BlockDevice>)[new BlockDevice(Id, "nova", 100L << 30, 50L << 30, Failed: false)]);

    public Task<IReadOnlyList<ReplicaEndpoint>> LocateAsync(string deviceId, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<ReplicaEndpoint>>([new ReplicaEndpoint(deviceId, "")]);

    public Task<bool> ExistsAsync(string deviceId, string volumeId, CancellationToken cancellationToken) => Do("exists", () => _volumes.ContainsKey(volumeId));

    public Task CreateAsync(string deviceId, string volumeId, long sizeBytes, string? snapshotId, CancellationToken cancellationToken) => Do("create", () =>
    {
        if (_volumes.ContainsKey(volumeId)) return true;
        var data = new SortedDictionary<long, byte[]>();
        if (snapshotId is not null) data = new SortedDictionary<long, byte[]>(Snapshot(snapshotId).Data);
        _volumes[volumeId] = (sizeBytes, 0, data);
        return true;
    });

    public Task DeleteAsync(string deviceId, string volumeId, CancellationToken cancellationToken) => Do("delete", () => _volumes.Remove(volumeId));

    public Task ResizeAsync(string deviceId, string volumeId, long sizeBytes, CancellationToken cancellationToken) => Do("resize", () =>
    {
        var volume = Volume(volumeId);
        _volumes[volumeId] = volume with { Size = sizeBytes };
        return true;
    });

    public Task CreateSnapshotAsync(string deviceId, string volumeId, string snapshotId, CancellationToken cancellationToken) => Do("snapshot", () =>
    {
        if (_snapshots.ContainsKey(snapshotId)) return true;
        var volume = Volume(volumeId);
        _snapshots[snapshotId] = (volumeId, volume.Size, new SortedDictionary<long, byte[]>(volume.Data));
        return true;
    });

    public Task CreateSnapshotsAsync(
        string deviceId, IReadOnlyList<(string VolumeId, string SnapshotId)> snapshots, CancellationToken cancellationToken) => Do("snapshots", () =>
    {
        foreach (var (volumeId, snapshotId) in snapshots)
        {
            var volume = Volume(volumeId);
            _snapshots.TryAdd(snapshotId, (volumeId, volume.Size, new SortedDictionary<long, byte[]>(volume.Data)));
        }
        return true;
    });

    public Task DeleteSnapshotAsync(string deviceId, string volumeId, string snapshotId, CancellationToken cancellationToken) =>
        Do("delete-snapshot", () => _snapshots.Remove(snapshotId));

    public Task RollbackAsync(string deviceId, string volumeId, string snapshotId, CancellationToken cancellationToken) => Do("rollback", () =>
    {
        _volumes[volumeId] = Volume(volumeId) with { Data = new SortedDictionary<long, byte[]>(Snapshot(snapshotId).Data) };
        return true;
    });

    public Task SealAsync(string deviceId, string volumeId, long epoch, CancellationToken cancellationToken) => Do("seal", () =>
    {
        var volume = Volume(volumeId);
        if (epoch < volume.Epoch) throw Faults.Conflict("A newer epoch of the volume is sealed.");
        _volumes[volumeId] = volume with { Epoch = epoch };
        return true;
    });

    public async Task WriteAsync(string deviceId, string volumeId, long epoch, IAsyncEnumerable<BlockChunk> chunks, CancellationToken cancellationToken)
    {
        await foreach (var chunk in chunks.WithCancellation(cancellationToken))
        {
            await Do("write", () =>
            {
                Volume(volumeId).Data[chunk.Offset] = chunk.Data.ToArray();
                return true;
            });
        }
    }

    public Task<(long SizeBytes, IAsyncEnumerable<BlockChunk> Chunks)> ReadAsync(
        string deviceId, string volumeId, string snapshotId, BlockSpan? span, CancellationToken cancellationToken) =>
        Do("read", () => (Snapshot(snapshotId).Size, ToChunks(Snapshot(snapshotId).Data, span ?? new BlockSpan(0, long.MaxValue))));

    /// <summary>By content, which is what comparing maps comes to.</summary>
    public Task<IReadOnlyList<BlockSpan>> ListChangedAsync(
        string deviceId, string volumeId, string snapshotId, string baseSnapshotId, CancellationToken cancellationToken) => Do("changed", () =>
    {
        const long extent = 4 << 20;
        var (now, before) = (Snapshot(snapshotId).Data, Snapshot(baseSnapshotId).Data);
        return (IReadOnlyList<BlockSpan>)
        [
            .. now.Keys.Union(before.Keys)
                .Where(offset => !ReferenceEquals(now.GetValueOrDefault(offset), before.GetValueOrDefault(offset)))
                .Select(offset => offset / extent).Distinct().Order().Select(index => new BlockSpan(index * extent, extent)),
        ];
    });

    /// <summary>Blocks of chunks are data, others holes; for a base, chunks that are not the same.</summary>
    public Task<IReadOnlyList<BlockRange>> DescribeAsync(
        string deviceId, string volumeId, string snapshotId, string? baseSnapshotId, BlockSpan span, CancellationToken cancellationToken) => Do("describe", () =>
    {
        const int block = 4096;
        var snapshot = Snapshot(snapshotId);
        var before = baseSnapshotId is null ? null : Snapshot(baseSnapshotId).Data;
        var data = snapshot.Data.Where(chunk => before is null || !ReferenceEquals(before.GetValueOrDefault(chunk.Key), chunk.Value))
            .SelectMany(chunk => Enumerable.Range(0, (chunk.Value.Length + block - 1) / block).Select(index => chunk.Key / block + index)).ToHashSet();
        var ranges = new List<BlockRange>();
        for (var offset = span.Offset; offset < Math.Min(span.End, snapshot.Size); offset += block)
        {
            var kind = data.Contains(offset / block) ? BlockRangeKind.Data : BlockRangeKind.Hole;
            if (ranges.Count > 0 && ranges[^1].Kind == kind) ranges[^1] = ranges[^1] with { Length = ranges[^1].Length + block };
            else ranges.Add(new BlockRange(offset, block, kind));
        }
        return (IReadOnlyList<BlockRange>)ranges;
    });

    private static async IAsyncEnumerable<BlockChunk> ToChunks(SortedDictionary<long, byte[]> data, BlockSpan span)
    {
        foreach (var (offset, bytes) in data)
        {
            if (offset < span.Offset || offset >= span.End) continue;
            await Task.Yield();
            yield return new BlockChunk(offset, bytes);
        }
    }

    private (long Size, long Epoch, SortedDictionary<long, byte[]> Data) Volume(string id) =>
        _volumes.TryGetValue(id, out var volume) ? volume : throw Faults.NotFound("Replica", id);

    private (string Volume, long Size, SortedDictionary<long, byte[]> Data) Snapshot(string id) =>
        _snapshots.TryGetValue(id, out var snapshot) ? snapshot : throw Faults.NotFound("Replica snapshot", id);

    private Task<T> Do<T>(string name, Func<T> action)
    {
        lock (_gate)
        {
            Calls.Add(name);
            Before?.Invoke(name);
            var result = action();
            After?.Invoke(name);
            return Task.FromResult(result);
        }
    }
}
