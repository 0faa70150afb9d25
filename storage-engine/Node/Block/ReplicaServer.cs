using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Nephos.Client.Transport;
using Nephos.Client.Volumes;

namespace Nephos.Node.Block;

/// <summary>Answers heads of other processes for the devices of this one.</summary>
public sealed class ReplicaServer(BlockDeviceSet devices)
{
    private const int RangesMax = 4096;

    /// <summary>Places in one answer; more are not worth listing.</summary>
    private const int ListedMax = 64 << 10;

    /// <summary>The calls wait for disks, so they leave the connection's reader at once.</summary>
    public ValueTask<CallResult> HandleAsync(IncomingCall call) => new(Task.Run(() => Handle(call)));

    private CallResult Handle(IncomingCall call)
    {
        var head = call.Head.Span;
        if (head.Length < ReplicaWire.CallBytes) throw new StorageCallException($"A call of {head.Length} bytes names no replica.");
        var (device, volumeId) = (new Guid(head[..16]), new Guid(head[16..32]));
        if (call.Method == ReplicaWire.Open) return new CallResult(ReplicaWire.Answer(Open(device, volumeId, BinaryPrimitives.ReadInt64LittleEndian(Need(head[ReplicaWire.CallBytes..], 8)))));
        if (devices.Find(device.ToString())?.FindVolume(volumeId) is not { } volume) return new CallResult(ReplicaWire.Answer(ReplicaStatus.NotFound));
        var replica = new LocalReplica(volume);
        var epoch = BinaryPrimitives.ReadInt64LittleEndian(head[32..]);
        var arguments = head[ReplicaWire.CallBytes..];
        return call.Method switch
        {
            ReplicaWire.Describe => new CallResult(Describe(replica)),
            ReplicaWire.Seal => new CallResult(ReplicaWire.Answer(replica.Seal(epoch))),
            ReplicaWire.Begin => new CallResult(ReplicaWire.Answer(replica.Begin(ReplicaWire.DecodeHistory(Need(arguments, 13)[1..]), arguments[0] != 0))),
            ReplicaWire.Read => Read(replica, epoch, Need(arguments, 12)),
            ReplicaWire.Write => new CallResult(ReplicaWire.Answer(Write(replica, epoch, arguments, call.Payload))),
            ReplicaWire.Flush => new CallResult(ReplicaWire.Answer(replica.Flush(epoch))),
            ReplicaWire.GetRanges => new CallResult(Ranges(replica, epoch, Need(arguments, 20))),
            ReplicaWire.GetSums => new CallResult(Sums(replica, epoch, Need(arguments, 12))),
            ReplicaWire.ListWritten => new CallResult(ListWritten(replica, epoch, Need(arguments, 8))),
            _ => throw new StorageCallException($"Replicas have no method {call.Method:x}."),
        };
    }

    private static ReadOnlySpan<byte> Need(ReadOnlySpan<byte> arguments, int bytes) =>
        arguments.Length >= bytes ? arguments : throw new StorageCallException($"The call has {arguments.Length} of {bytes} bytes of arguments.");

    private ReplicaStatus Open(Guid device, Guid volumeId, long newSizeBytes)
    {
        try
        {
            devices.FindOrMake(device.ToString(), volumeId, newSizeBytes);
            return ReplicaStatus.Ok;
        }
        catch (VolumeHeadException)
        {
            return ReplicaStatus.NotFound;
        }
    }

    private static byte[] Describe(LocalReplica replica)
    {
        var description = replica.Describe();
        var history = ReplicaWire.Encode(description.History);
        var answer = ReplicaWire.Answer(ReplicaStatus.Ok, 25 + history.Length);
        var result = answer.AsSpan(ReplicaWire.StatusBytes);
        BinaryPrimitives.WriteInt64LittleEndian(result, description.SizeBytes);
        BinaryPrimitives.WriteInt64LittleEndian(result[8..], description.SealedEpoch);
        BinaryPrimitives.WriteInt64LittleEndian(result[16..], description.Begins);
        result[24] = description.Complete ? (byte)1 : (byte)0;
        history.CopyTo(result[25..]);
        return answer;
    }

    private static CallResult Read(LocalReplica replica, long epoch, ReadOnlySpan<byte> arguments)
    {
        var length = BinaryPrimitives.ReadInt32LittleEndian(arguments[8..]);
        if (length is < 0 or > StorageMethods.PayloadBytesMax) throw new StorageCallException($"A read of {length} bytes is too long.");
        var memory = MemoryPool<byte>.Shared.Rent(Math.Max(1, length));
        var status = replica.Read(epoch, BinaryPrimitives.ReadInt64LittleEndian(arguments), memory.Memory.Span[..length]);
        if (status == ReplicaStatus.Ok) return new CallResult(ReplicaWire.Answer(status), memory.Memory[..length], memory);
        memory.Dispose();
        return new CallResult(ReplicaWire.Answer(status));
    }

    private static unsafe ReplicaStatus Write(LocalReplica replica, long epoch, ReadOnlySpan<byte> arguments, ReadOnlyMemory<byte> payload)
    {
        var count = arguments.Length / ReplicaWire.WriteBytes;
        if (count > ReplicaLinkWritesMax) throw new StorageCallException($"{count} writes are too many for one call.");
        using var pin = payload.Pin();
        var writes = new BlockWrite[count];
        var done = 0L;
        for (var i = 0; i < count; i++, arguments = arguments[ReplicaWire.WriteBytes..])
        {
            var kind = (BlockWriteKind)arguments[24];
            var length = BinaryPrimitives.ReadInt64LittleEndian(arguments[16..]);
            if (length < 0 || kind > BlockWriteKind.Zero) return ReplicaStatus.OutOfRange;
            writes[i] = new BlockWrite
            {
                Sequence = BinaryPrimitives.ReadInt64LittleEndian(arguments), Offset = BinaryPrimitives.ReadInt64LittleEndian(arguments[8..]), Length = length,
                Kind = kind, Data = kind == BlockWriteKind.Data ? (nint)pin.Pointer + (nint)done : 0,
            };
            if (kind != BlockWriteKind.Data) continue;
            done += length;
            // SAFETY: no write may lead beyond the payload, which is pinned until all are done.
            if (done > payload.Length) return ReplicaStatus.OutOfRange;
        }
        return replica.Write(epoch, writes);
    }

    private const int ReplicaLinkWritesMax = 1024;

    private static byte[] Ranges(LocalReplica replica, long epoch, ReadOnlySpan<byte> arguments)
    {
        var wanted = Math.Clamp(BinaryPrimitives.ReadInt32LittleEndian(arguments[16..]), 0, RangesMax);
        var ranges = new BlockRange[wanted];
        var status = replica.GetRanges(
            epoch, BinaryPrimitives.ReadInt64LittleEndian(arguments), BinaryPrimitives.ReadInt64LittleEndian(arguments[8..]), ranges, out var count);
        var answer = ReplicaWire.Answer(status, ReplicaWire.RangeBytes * count);
        for (var i = 0; i < count; i++)
        {
            var target = answer.AsSpan(ReplicaWire.StatusBytes + ReplicaWire.RangeBytes * i);
            BinaryPrimitives.WriteInt64LittleEndian(target, ranges[i].Offset);
            BinaryPrimitives.WriteInt64LittleEndian(target[8..], ranges[i].Length);
            target[16] = (byte)ranges[i].Kind;
        }
        return answer;
    }

    private static byte[] Sums(LocalReplica replica, long epoch, ReadOnlySpan<byte> arguments)
    {
        var count = BinaryPrimitives.ReadInt32LittleEndian(arguments[8..]);
        if (count is < 0 or > ReplicaWire.SumsMax) throw new StorageCallException($"{count} sums are too many for one call.");
        var sums = new uint[count];
        var status = replica.GetSums(epoch, BinaryPrimitives.ReadInt64LittleEndian(arguments), sums);
        if (status != ReplicaStatus.Ok) return ReplicaWire.Answer(status);
        var answer = ReplicaWire.Answer(status, 4 * count);
        MemoryMarshal.AsBytes(sums.AsSpan()).CopyTo(answer.AsSpan(ReplicaWire.StatusBytes));
        return answer;
    }

    private static byte[] ListWritten(LocalReplica replica, long epoch, ReadOnlySpan<byte> arguments)
    {
        var places = new List<(long Offset, long Length)>();
        var all = replica.TryListWritten(epoch, BinaryPrimitives.ReadInt64LittleEndian(arguments), (offset, length) =>
        {
            if (places.Count < ListedMax) places.Add((offset, length));
        });
        if (!all || places.Count == ListedMax) return ReplicaWire.Answer(ReplicaStatus.Gap);
        var answer = ReplicaWire.Answer(ReplicaStatus.Ok, 16 * places.Count);
        for (var i = 0; i < places.Count; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(answer.AsSpan(ReplicaWire.StatusBytes + 16 * i), places[i].Offset);
            BinaryPrimitives.WriteInt64LittleEndian(answer.AsSpan(ReplicaWire.StatusBytes + 16 * i + 8), places[i].Length);
        }
        return answer;
    }
}
