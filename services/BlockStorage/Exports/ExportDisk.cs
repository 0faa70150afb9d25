using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Nephos.Client.Nbd;
using Nephos.Client.Volumes;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.BlockStorage.Exports;

/// <summary>The content of an export as connections read it: chunks that were read a moment ago, and the description of where somebody reads, stay in memory.</summary>
internal sealed partial class ExportDisk(string exportId, IFrozenContent content, ILogger logger) : IFrozenDisk, IDisposable
{
    /// <summary>For each export; readers that go through it side by side, as nbdcopy's do, each need one.</summary>
    private const int CachedBytesMax = 32 << 20;

    /// <summary>Longer than any single step of reading takes; then the client is told nothing and comes back.</summary>
    private static readonly TimeSpan ReadTime = TimeSpan.FromSeconds(30);

    private readonly Lock _gate = new();
    private readonly LinkedList<(long Chunk, Task<byte[]> Data)> _cached = [];
    private readonly Dictionary<int, List<BlockRange>> _described = [];
    private readonly CancellationTokenSource _ending = new();

    public string ExportId => exportId;
    public long SizeBytes => content.SizeBytes;
    public IReadOnlyList<string> Bases => content.Bases;

    public ReplicaStatus Read(long offset, Span<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            var chunk = offset / content.ChunkBytes;
            var within = (int)(offset % content.ChunkBytes);
            var status = Try(() => FindAsync(chunk).WaitAsync(ReadTime, _ending.Token), out var data);
            if (status != ReplicaStatus.Ok) return status;
            var part = Math.Min(data!.Length - within, buffer.Length);
            data.AsSpan(within, part).CopyTo(buffer);
            buffer = buffer[part..];
            offset += part;
        }
        return ReplicaStatus.Ok;
    }

    // Whoever asks for a chunk that somebody else is reading waits for the same.
    private Task<byte[]> FindAsync(long chunk)
    {
        lock (_gate)
        {
            for (var node = _cached.First; node is not null; node = node.Next)
            {
                if (node.Value.Chunk != chunk) continue;
                _cached.Remove(node);
                if (node.Value.Data is { IsCompleted: true, IsCompletedSuccessfully: false }) break;
                _cached.AddFirst(node);
                return node.Value.Data;
            }
            var data = Task.Run(() => content.ReadAsync(chunk, _ending.Token));
            _cached.AddFirst((chunk, data));
            if (_cached.Count > Math.Max(1, CachedBytesMax / content.ChunkBytes)) _cached.RemoveLast();
            return data;
        }
    }

    public ReplicaStatus GetRanges(long offset, long length, Span<BlockRange> ranges, out int count) => Describe(-1, offset, length, ranges, out count);

    public ReplicaStatus GetChanges(int baseIndex, long offset, long length, Span<BlockRange> ranges, out int count) => Describe(baseIndex, offset, length, ranges, out count);

    private ReplicaStatus Describe(int baseIndex, long offset, long length, Span<BlockRange> ranges, out int count)
    {
        count = 0;
        var end = offset + length;
        while (offset < end && count < ranges.Length)
        {
            var status = Find(baseIndex, offset, out var known, out var at);
            if (status != ReplicaStatus.Ok) return status;
            foreach (var range in CollectionsMarshal.AsSpan(known)[at..])
            {
                if (offset >= end || count == ranges.Length) break;
                var stop = Math.Min(end, range.Offset + range.Length);
                if (count > 0 && ranges[count - 1].Kind == range.Kind) ranges[count - 1] = ranges[count - 1] with { Length = stop - ranges[count - 1].Offset };
                else ranges[count++] = new BlockRange(offset, stop - offset, range.Kind);
                offset = stop;
            }
        }
        return ReplicaStatus.Ok;
    }

    // Ranges, and which of them has the offset.
    private ReplicaStatus Find(int baseIndex, long offset, out List<BlockRange> ranges, out int at)
    {
        lock (_gate)
        {
            if (_described.TryGetValue(baseIndex, out var known) && (at = IndexOf(known, offset)) >= 0)
            {
                ranges = known;
                return ReplicaStatus.Ok;
            }
        }
        var name = baseIndex < 0 ? null : Bases[baseIndex];
        var status = Try(() => Task.Run(() => content.DescribeAsync(name, offset, _ending.Token)).WaitAsync(ReadTime, _ending.Token), out var found);
        (ranges, at) = ([.. found ?? []], 0);
        lock (_gate)
            if (status == ReplicaStatus.Ok) _described[baseIndex] = ranges;
        return status;
    }

    private static int IndexOf(List<BlockRange> ranges, long offset)
    {
        var (low, high) = (0, ranges.Count - 1);
        while (low <= high)
        {
            var middle = (low + high) / 2;
            if (offset < ranges[middle].Offset) high = middle - 1;
            else if (offset >= ranges[middle].Offset + ranges[middle].Length) low = middle + 1;
            else return middle;
        }
        return -1;
    }

    // On the thread of a connection, which is there to wait. Only damage is told to the client; else its connection goes, and it may come back.
    private ReplicaStatus Try<T>(Func<Task<T>> action, out T? result)
    {
        result = default;
        try
        {
            result = action().GetAwaiter().GetResult();
            return ReplicaStatus.Ok;
        }
        catch (FaultException fault) when (fault.Reason == ErrorReason.DataLoss)
        {
            LogDamaged(fault, exportId);
            return ReplicaStatus.Corrupt;
        }
        catch (Exception e)
        {
            LogUnreadable(e, exportId);
            return ReplicaStatus.Closing;
        }
    }

    public void Dispose()
    {
        _ending.Cancel();
        content.Dispose();
        _ending.Dispose();
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The content of export {ExportId} is damaged")]
    private partial void LogDamaged(Exception exception, string exportId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The content of export {ExportId} can not be read now")]
    private partial void LogUnreadable(Exception exception, string exportId);
}
