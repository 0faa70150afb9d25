using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections;

namespace Nephos.Hosting;

/// <summary>
/// Buffers for connections in blocks of 64 KiB: with the usual 4 KiB an upload is received in pieces of about 2 KB, which costs three
/// times the processor time. A connection that waits holds none. Thread-safe.
/// </summary>
internal sealed class ConnectionBuffers : IMemoryPoolFactory<byte>
{
    public MemoryPool<byte> Create(MemoryPoolOptions? options) => new Pool();

    private sealed class Pool : MemoryPool<byte>
    {
        private const int BlockBytes = 64 * 1024;

        /// <summary>Free blocks kept; what is beyond is the collector's.</summary>
        private const int BlocksKept = 256;

        private readonly ConcurrentQueue<Block> _free = new();
        private int _count;

        public override int MaxBufferSize => BlockBytes;

        public override IMemoryOwner<byte> Rent(int minBufferSize)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThan(minBufferSize, BlockBytes);
            if (!_free.TryDequeue(out var block))
            {
                return new Block(this);
            }

            Interlocked.Decrement(ref _count);
            block.IsFree = false;
            return block;
        }

        protected override void Dispose(bool disposing) => _free.Clear();

        private void Return(Block block)
        {
            if (Interlocked.Increment(ref _count) <= BlocksKept)
            {
                _free.Enqueue(block);
            }
            else
            {
                Interlocked.Decrement(ref _count);
            }
        }

        private sealed class Block(Pool pool) : IMemoryOwner<byte>
        {
            public Memory<byte> Memory { get; } =
                MemoryMarshal.CreateFromPinnedArray(GC.AllocateUninitializedArray<byte>(BlockBytes, pinned: true), 0, BlockBytes);

            public bool IsFree { get; set; }

            public void Dispose()
            {
                if (!IsFree)
                {
                    IsFree = true;
                    pool.Return(this);
                }
            }
        }
    }
}
