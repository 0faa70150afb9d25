using System.Collections.Concurrent;
using System.IO.Hashing;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Nephos.Client.Objects;

/// <summary>1 MiB that never moves, at a page boundary, shared by counting: whoever drops the last reference gives it back to the pool.</summary>
internal sealed class Frame
{
    private const int PageBytes = 4096;
    private readonly FramePool _pool;
    private int _references;

    public Frame(FramePool pool)
    {
        _pool = pool;
        var array = GC.AllocateUninitializedArray<byte>(Frames.FrameBytes + PageBytes, pinned: true);
        // SAFETY: the array is on the pinned heap, so the address taken here stays true; it is used for arithmetic only.
        var address = Unsafe.ByteOffset(ref Unsafe.NullRef<byte>(), ref MemoryMarshal.GetArrayDataReference(array));
        Memory = array.AsMemory((int)(-address & (PageBytes - 1)), Frames.FrameBytes);
    }

    public Memory<byte> Memory { get; }

    /// <summary>Checksums of the blocks, filled by <see cref="HashBlocks"/>.</summary>
    public ulong[] Checksums { get; } = new ulong[Frames.BlocksPerFrame];

    public int Length { get; set; }

    public void Use(int references) => _references = references;

    /// <summary>One more holder.</summary>
    public void Retain() => Interlocked.Increment(ref _references);

    public void Release()
    {
        if (Interlocked.Decrement(ref _references) == 0)
        {
            _pool.Return(this);
        }
    }

    public void HashBlocks()
    {
        var payload = Memory.Span[..Length];
        for (var block = 0; block * Frames.BlockBytes < payload.Length; block++)
        {
            var start = block * Frames.BlockBytes;
            Checksums[block] = XxHash3.HashToUInt64(payload.Slice(start, Math.Min(Frames.BlockBytes, payload.Length - start)));
        }
    }
}

/// <summary>Frames to use again. What is beyond the kept number is freed by the collector.</summary>
internal sealed class FramePool(int framesKept)
{
    private readonly ConcurrentBag<Frame> _free = [];
    private int _count;
    private int _inUse;

    /// <summary>More is in use than is kept: whoever can do with less should.</summary>
    public bool IsShort => Volatile.Read(ref _inUse) > framesKept;

    /// <summary>A frame with one reference and no content that matters.</summary>
    public Frame Rent()
    {
        Interlocked.Increment(ref _inUse);
        if (_free.TryTake(out var frame))
        {
            Interlocked.Decrement(ref _count);
        }
        else
        {
            frame = new Frame(this);
        }

        frame.Length = 0;
        frame.Use(1);
        return frame;
    }

    public void Return(Frame frame)
    {
        Interlocked.Decrement(ref _inUse);
        if (Interlocked.Increment(ref _count) <= framesKept)
        {
            _free.Add(frame);
        }
        else
        {
            Interlocked.Decrement(ref _count);
        }
    }
}
