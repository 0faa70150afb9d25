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

    /// <summary>Checksums of the blocks of the pieces, filled by <see cref="HashPieces"/>.</summary>
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

    /// <summary>Takes the checksums of pieces that lie one behind the other; each begins with a block of its own.</summary>
    public void HashPieces(int pieceBytes, int count)
    {
        for (int piece = 0, block = 0; piece < count; piece++)
        {
            var rest = Memory.Span.Slice(piece * pieceBytes, pieceBytes);
            while (!rest.IsEmpty)
            {
                var part = rest[..Math.Min(Frames.BlockBytes, rest.Length)];
                Checksums[block++] = XxHash3.HashToUInt64(part);
                rest = rest[part.Length..];
            }
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
