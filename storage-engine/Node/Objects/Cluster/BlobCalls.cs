using System.Runtime.InteropServices;
using Nephos.Client.Objects;
using Nephos.Client.Transport;
using Nephos.Node.Objects.Devices;

namespace Nephos.Node.Objects.Cluster;

/// <summary>What processes ask each other about payload.</summary>
internal static class BlobMethods
{
    /// <summary>i32 device, blob, i32 frame, i32 home device or -1, hint, checksums of 8 bytes each; the payload is the frame. Answers u8 status.</summary>
    public const ushort Write = StorageMethods.Blobs;

    /// <summary>i32 device, blob, i32 frame, i32 first block, i32 room in bytes; answers u8 status, i32 size of the frame, and the bytes as payload.</summary>
    public const ushort Read = StorageMethods.Blobs + 1;

    /// <summary>i32 device, blob; answers u8 status.</summary>
    public const ushort Delete = StorageMethods.Blobs + 2;

    /// <summary>i32 device, blob, i32 frame; answers u8 status.</summary>
    public const ushort Find = StorageMethods.Blobs + 3;

    /// <summary>i32 device, u64 first hash, u64 last hash, i32 limit, u8 whether behind a frame, blob, i32 frame; answers u8 status, entries: blob, i32 frame, i32 bytes.</summary>
    public const ushort List = StorageMethods.Blobs + 4;

    public static CallWriter Blob(this CallWriter call, BlobId blob) => call.UInt64(blob.High).UInt64(blob.Low);

    public static BlobId Blob(this ref CallReader call) => new(call.UInt64(), call.UInt64());
}

/// <summary>Answers for the devices of this process.</summary>
internal sealed class BlobCalls(LocalBlobNode node, FramePool pool, TaskScheduler background)
{
    private const int ListMax = 65_536;

    public async ValueTask<CallResult> HandleAsync(IncomingCall call)
    {
        if (call.Method == BlobMethods.Write)
        {
            return Status(await WriteAsync(new CallReader(call.Head), call.Payload));
        }

        // The disk may take its time: not on the connection's reader.
        return await Task.Factory.StartNew(
            () => RunAsync(call), CancellationToken.None, TaskCreationOptions.DenyChildAttach, background).Unwrap();
    }

    private async Task<CallResult> RunAsync(IncomingCall call)
    {
        var head = new CallReader(call.Head);
        switch (call.Method)
        {
            case BlobMethods.Read:
                return await ReadAsync(head);
            case BlobMethods.Delete:
                return Status(await node.DeleteBlobAsync(head.Int32(), head.Blob()));
            case BlobMethods.Find:
                return Status(await node.FindFrameAsync(head.Int32(), head.Blob(), (uint)head.Int32()));
            case BlobMethods.List:
                return await ListAsync(head);
            default:
                throw new InvalidDataException($"There is no method {call.Method:x} for payload.");
        }
    }

    private ValueTask<BlobStatus> WriteAsync(CallReader head, ReadOnlyMemory<byte> payload)
    {
        var (device, blob, frame, home, hint) = (head.Int32(), head.Blob(), (uint)head.Int32(), head.Int32(), head.Bytes());
        var checksums = MemoryMarshal.Cast<byte, ulong>(head.Rest().Span).ToArray();
        if (checksums.Length != (payload.Length + Frames.BlockBytes - 1) / Frames.BlockBytes)
        {
            throw new InvalidDataException($"A frame of {payload.Length} bytes came with {checksums.Length} checksums.");
        }

        return node.WriteFrameAsync(device, new FrameWrite(blob, frame, payload, checksums, hint, home < 0 ? null : home));
    }

    private async ValueTask<CallResult> ReadAsync(CallReader head)
    {
        var (device, blob, frame, firstBlock, room) = (head.Int32(), head.Blob(), (uint)head.Int32(), head.Int32(), head.Int32());
        if (room is < 0 or > Frames.FrameBytes || firstBlock is < 0 or >= Frames.BlocksPerFrame)
        {
            throw new InvalidDataException($"A frame has no {room} bytes from block {firstBlock} on.");
        }

        var buffer = pool.Rent();
        var read = await node.ReadFrameAsync(device, blob, frame, firstBlock, buffer.Memory[..room]);
        return new CallResult(
            new CallWriter().Byte((byte)read.Status).Int32(read.PayloadBytes).Written, buffer.Memory[..read.ReadBytes], new Release(buffer));
    }

    private async ValueTask<CallResult> ListAsync(CallReader head)
    {
        var (device, firstHash, lastHash, limit) = (head.Int32(), head.UInt64(), head.UInt64(), head.Int32());
        FrameEntry? after = head.Byte() == 1 ? new FrameEntry(head.Blob(), (uint)head.Int32(), 0) : null;
        if (await node.ListFramesAsync(device, firstHash, lastHash, after, Math.Clamp(limit, 1, ListMax)) is not { } entries)
        {
            return Status(BlobStatus.Unavailable);
        }

        var answer = new CallWriter(entries.Count * 24 + 8).Byte((byte)BlobStatus.Ok);
        foreach (var entry in entries)
        {
            answer.Blob(entry.Blob).Int32((int)entry.Frame).Int32(entry.PayloadBytes);
        }

        return new CallResult(answer.Written);
    }

    private static CallResult Status(BlobStatus status) => new(new[] { (byte)status });

    private sealed class Release(Frame frame) : IDisposable
    {
        public void Dispose() => frame.Release();
    }
}
