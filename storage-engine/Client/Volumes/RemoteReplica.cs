using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Nephos.Client.Transport;
using Nephos.Replication.Volumes;

namespace Nephos.Client.Volumes;

/// <summary>The ways to replicas in other processes, one connection for each.</summary>
public sealed class RemoteReplicas(IStorageTransport transport) : IReplicaConnector, IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, IStorageChannel> _channels = new(StringComparer.Ordinal);

    public async ValueTask<IBlockReplica> ConnectAsync(ReplicaEndpoint endpoint, Guid volumeId, long newSizeBytes, CancellationToken cancellationToken)
    {
        if (!Guid.TryParse(endpoint.DeviceId, out var device)) throw new VolumeHeadException($"{endpoint.DeviceId} is no device.");
        var channel = _channels.GetOrAdd(endpoint.Address, address => transport.Open(StorageAddress.Parse(address)));
        var replica = new RemoteReplica(channel, device, volumeId);
        await Task.Run(() => replica.Open(newSizeBytes), cancellationToken);
        return replica;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var channel in _channels.Values) await channel.DisposeAsync();
    }
}

/// <summary>A replica in another process, by frames. Each call waits for its answer.</summary>
/// <param name="channel">Shared with other replicas of the process; not disposed.</param>
public sealed class RemoteReplica(IStorageChannel channel, Guid device, Guid volume) : IBlockReplica
{
    /// <summary>A replica that does not answer within this time counts as lost; what it missed is brought to it when it is back.</summary>
    private static readonly TimeSpan DataTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Control may wait for disks several times, in a process that has just begun.</summary>
    private static readonly TimeSpan ControlTimeout = TimeSpan.FromSeconds(20);

    private readonly Lock _writing = new();
    private byte[]? _payload;

    private ReadOnlyMemory<byte> Call(ushort method, byte[] head, ReadOnlyMemory<byte> payload = default, Memory<byte> destination = default)
    {
        try
        {
            var call = channel.CallAsync(new StorageCall(method, head) { Payload = payload, Destination = destination, Timeout = method is ReplicaWire.Read or ReplicaWire.Write ? DataTimeout : ControlTimeout });
            var answer = (call.IsCompleted ? call.Result : call.AsTask().GetAwaiter().GetResult()).Head;
            return answer.Length >= ReplicaWire.StatusBytes ? answer : throw new VolumeHeadException($"Device {device} answered {answer.Length} bytes.");
        }
        catch (Exception e) when (e is IOException or TimeoutException or OperationCanceledException or ObjectDisposedException)
        {
            throw new VolumeHeadException($"Device {device} does not answer: {e.Message}", e);
        }
    }

    private static ReplicaStatus StatusOf(ReadOnlyMemory<byte> answer) => (ReplicaStatus)BinaryPrimitives.ReadInt32LittleEndian(answer.Span);

    private byte[] Head(long epoch, int argumentBytes = 0) => ReplicaWire.Call(device, volume, epoch, argumentBytes);

    /// <summary>Finds the replica, or makes an incomplete one of this size; 0: it must be there.</summary>
    /// <exception cref="VolumeHeadException">It is not there, or is not reached.</exception>
    public void Open(long newSizeBytes)
    {
        var head = Head(0, 8);
        BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(ReplicaWire.CallBytes), newSizeBytes);
        if (StatusOf(Call(ReplicaWire.Open, head)) is var status and not ReplicaStatus.Ok) throw new VolumeHeadException($"Device {device} has no volume {volume}: {status}.");
    }

    public ReplicaDescription Describe()
    {
        var answer = Call(ReplicaWire.Describe, Head(0));
        if (StatusOf(answer) is var status and not ReplicaStatus.Ok) throw new VolumeHeadException($"Device {device} answered {status}.");
        var result = answer.Span[ReplicaWire.StatusBytes..];
        if (result.Length < 25) throw new VolumeHeadException($"Device {device} described volume {volume} in {result.Length} bytes.");
        return new ReplicaDescription(
            BinaryPrimitives.ReadInt64LittleEndian(result), BinaryPrimitives.ReadInt64LittleEndian(result[8..]), ReplicaWire.DecodeHistory(result[25..]), result[24] != 0,
            BinaryPrimitives.ReadInt64LittleEndian(result[16..]));
    }

    public ReplicaStatus Seal(long epoch) => StatusOf(Call(ReplicaWire.Seal, Head(epoch)));

    public ReplicaStatus Begin(VolumeHistory history, bool complete)
    {
        var encoded = ReplicaWire.Encode(history);
        var head = Head(history.Epoch, 1 + encoded.Length);
        head[ReplicaWire.CallBytes] = complete ? (byte)1 : (byte)0;
        encoded.CopyTo(head, ReplicaWire.CallBytes + 1);
        return StatusOf(Call(ReplicaWire.Begin, head));
    }

    public ReplicaStatus Read(long epoch, long offset, Span<byte> buffer)
    {
        var rented = ArrayPool<byte>.Shared.Rent(Math.Min(buffer.Length, StorageMethods.PayloadBytesMax));
        try
        {
            do
            {
                var part = Math.Min(buffer.Length, StorageMethods.PayloadBytesMax);
                var head = Head(epoch, 12);
                BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(ReplicaWire.CallBytes), offset);
                BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(ReplicaWire.CallBytes + 8), part);
                var status = StatusOf(Call(ReplicaWire.Read, head, destination: rented.AsMemory(0, part)));
                if (status != ReplicaStatus.Ok) return status;
                rented.AsSpan(0, part).CopyTo(buffer);
                buffer = buffer[part..];
                offset += part;
            }
            while (!buffer.IsEmpty);
            return ReplicaStatus.Ok;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    public ReplicaStatus Write(long epoch, ReadOnlySpan<BlockWrite> writes)
    {
        lock (_writing)
        {
            _payload ??= GC.AllocateUninitializedArray<byte>(StorageMethods.PayloadBytesMax, pinned: true);
            while (!writes.IsEmpty)
            {
                var (count, bytes) = (0, 0L);
                while (count < writes.Length && (count == 0 || bytes + DataBytes(in writes[count]) <= StorageMethods.PayloadBytesMax)) bytes += DataBytes(in writes[count++]);
                var status = bytes <= StorageMethods.PayloadBytesMax ? WriteSome(epoch, writes[..count]) : WriteInParts(epoch, in writes[0]);
                if (status != ReplicaStatus.Ok) return status;
                writes = writes[count..];
            }
            return ReplicaStatus.Ok;
        }
    }

    private static long DataBytes(in BlockWrite write) => write.Kind == BlockWriteKind.Data ? write.Length : 0;

    private ReplicaStatus WriteInParts(long epoch, in BlockWrite write)
    {
        var rest = write;
        while (rest.Length > 0)
        {
            var part = rest with { Length = Math.Min(rest.Length, StorageMethods.PayloadBytesMax) };
            var status = WriteSome(epoch, MemoryMarshal.CreateReadOnlySpan(ref part, 1));
            if (status != ReplicaStatus.Ok) return status;
            rest.Offset += part.Length;
            rest.Length -= part.Length;
            rest.Data += (nint)part.Length;
            if (rest.Sequence > 0) rest.Sequence += part.Records;
        }
        return ReplicaStatus.Ok;
    }

    private unsafe ReplicaStatus WriteSome(long epoch, ReadOnlySpan<BlockWrite> writes)
    {
        var head = Head(epoch, ReplicaWire.WriteBytes * writes.Length);
        var bytes = 0;
        for (var i = 0; i < writes.Length; i++)
        {
            ref readonly var write = ref writes[i];
            var target = head.AsSpan(ReplicaWire.CallBytes + ReplicaWire.WriteBytes * i);
            BinaryPrimitives.WriteInt64LittleEndian(target, write.Sequence);
            BinaryPrimitives.WriteInt64LittleEndian(target[8..], write.Offset);
            BinaryPrimitives.WriteInt64LittleEndian(target[16..], write.Length);
            target[24] = (byte)write.Kind;
            if (write.Kind != BlockWriteKind.Data) continue;
            // SAFETY: the data of a write stays valid until the call returns, and has its length.
            new ReadOnlySpan<byte>((void*)write.Data, (int)write.Length).CopyTo(_payload.AsSpan(bytes));
            bytes += (int)write.Length;
        }
        return StatusOf(Call(ReplicaWire.Write, head, _payload.AsMemory(0, bytes)));
    }

    public ReplicaStatus Flush(long epoch) => StatusOf(Call(ReplicaWire.Flush, Head(epoch)));

    public ReplicaStatus GetRanges(long epoch, long offset, long length, Span<BlockRange> ranges, out int count)
    {
        count = 0;
        var head = Head(epoch, 20);
        BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(ReplicaWire.CallBytes), offset);
        BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(ReplicaWire.CallBytes + 8), length);
        BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(ReplicaWire.CallBytes + 16), ranges.Length);
        var answer = Call(ReplicaWire.GetRanges, head);
        var found = answer.Span[ReplicaWire.StatusBytes..];
        for (; count < ranges.Length && found.Length >= ReplicaWire.RangeBytes; found = found[ReplicaWire.RangeBytes..])
            ranges[count++] = new BlockRange(BinaryPrimitives.ReadInt64LittleEndian(found), BinaryPrimitives.ReadInt64LittleEndian(found[8..]), (BlockRangeKind)found[16]);
        return StatusOf(answer);
    }

    public ReplicaStatus GetSums(long epoch, long offset, Span<uint> sums)
    {
        var head = Head(epoch, 12);
        BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(ReplicaWire.CallBytes), offset);
        BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(ReplicaWire.CallBytes + 8), sums.Length);
        var answer = Call(ReplicaWire.GetSums, head);
        if (StatusOf(answer) is var status and not ReplicaStatus.Ok) return status;
        var found = MemoryMarshal.Cast<byte, uint>(answer.Span[ReplicaWire.StatusBytes..]);
        if (found.Length < sums.Length) throw new VolumeHeadException($"Device {device} answered {found.Length} of {sums.Length} sums.");
        found[..sums.Length].CopyTo(sums);
        return ReplicaStatus.Ok;
    }

    public bool TryListWritten(long epoch, long sequence, Action<long, long> found)
    {
        var head = Head(epoch, 8);
        BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(ReplicaWire.CallBytes), sequence);
        var answer = Call(ReplicaWire.ListWritten, head);
        for (var rest = answer.Span[ReplicaWire.StatusBytes..]; rest.Length >= 16; rest = rest[16..])
            found(BinaryPrimitives.ReadInt64LittleEndian(rest), BinaryPrimitives.ReadInt64LittleEndian(rest[8..]));
        return StatusOf(answer) == ReplicaStatus.Ok;
    }

    public void Dispose()
    {
        // The channel is shared.
    }
}
