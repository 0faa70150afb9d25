using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text;

namespace Nephos.Client.Objects;

public sealed record PayloadStoreOptions
{
    /// <summary>Payloads up to this size travel in the record; they cost no trip of their own to the devices.</summary>
    public int InlineBytesMax { get; init; } = 4096;

    /// <summary>
    /// Size of the first blobs of a large payload, a multiple of 1 MiB; after every four the size doubles, up to sixteen times this.
    /// </summary>
    public int ExtentBytes { get; init; } = 16 << 20;

    /// <summary>Frames of one payload under way at once while memory is plenty: what waits at a device becomes one large write.</summary>
    public int FramesInFlightMax { get; init; } = 16;

    /// <summary>The same once all payloads together use more than <see cref="FramesKept"/>.</summary>
    public int FramesInFlightMin { get; init; } = 4;

    /// <summary>Free frames of 1 MiB kept for use.</summary>
    public int FramesKept { get; init; } = 64;

    /// <summary>Blobs that begin with fewer bytes are kept in copies, whatever scheme was asked for.</summary>
    public int CodedBytesMin { get; init; } = Frames.FrameBytes;

    public Entropy Entropy { get; init; } = Entropy.System;

    /// <summary>Runs what goes on beside the caller.</summary>
    public TaskScheduler Background { get; init; } = TaskScheduler.Default;
}

/// <summary>Writes payload to a quorum of the devices that the ring names, and reads it back from whichever has it.</summary>
/// <remarks>
/// A write is answered when ⌊N/2⌋+1 of N copies are durable; the others go on. A device that does not take its copy is replaced
/// by the next handoff; what is still missing then is noted for repair.
/// </remarks>
public sealed class PayloadStore(IBlobNode node, BlobPins pins, PayloadStoreOptions options, TimeProvider time) : IPayloadStore
{
    internal IBlobNode Node { get; } = node;

    internal BlobPins Pins { get; } = pins;

    internal PayloadStoreOptions Options { get; } = options;

    internal TimeProvider Time { get; } = time;

    internal FramePool Pool { get; } = new(options.FramesKept);

    public IPayloadWriter OpenWriter(PayloadOptions payload)
    {
        var hint = Encoding.UTF8.GetBytes($"{payload.Bucket.Account}/{payload.Bucket.Name}/{payload.Key}");
        return new PayloadWriter(this, hint.AsMemory(0, Math.Min(hint.Length, 246)), payload.AllowInline, BlobPolicies.SchemeOf(payload.Policy, Node.Ring), payload.Digest);
    }

    /// <summary>The policies for which there are devices enough.</summary>
    public ImmutableArray<StoragePolicy> Policies => BlobPolicies.Offered(Node.Ring);

    public IPayloadReader OpenReader(Payload payload, long offsetBytes, long lengthBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offsetBytes);
        ArgumentOutOfRangeException.ThrowIfNegative(lengthBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lengthBytes, payload.LengthBytes - offsetBytes);
        return payload.Extents.IsEmpty
            ? new InlineReader(payload.Inline.Slice((int)offsetBytes, (int)lengthBytes))
            : new PayloadReader(this, payload, offsetBytes, lengthBytes);
    }

    public async ValueTask ReleaseAsync(Payload payload, CancellationToken cancellationToken)
    {
        foreach (var extent in payload.Extents)
        {
            await DeleteAsync(extent.Blob);
        }
    }

    /// <summary>Copies still being written, by blob.</summary>
    internal ConcurrentDictionary<BlobId, BlobProgress> Unfinished { get; } = new();

    /// <summary>
    /// Removes what can be removed of a blob that nothing refers to, once no copy of it is being written any more; what cannot be
    /// reached now is found as unreferenced later.
    /// </summary>
    public async ValueTask DeleteAsync(BlobId blob)
    {
        if (Unfinished.TryGetValue(blob, out var progress))
        {
            await progress.Completion;
        }

        foreach (var device in Node.Ring.Devices)
        {
            await Node.DeleteBlobAsync(device.Id, blob);
        }

        Pins.Unpin(blob);
    }

    private sealed class InlineReader(ReadOnlyMemory<byte> bytes) : IPayloadReader
    {
        private ReadOnlyMemory<byte> _bytes = bytes;

        public ValueTask<ReadOnlyMemory<byte>> ReadAsync(CancellationToken cancellationToken)
        {
            var all = _bytes;
            _bytes = default;
            return ValueTask.FromResult(all);
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
