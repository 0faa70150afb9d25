using System.Buffers;
using System.Runtime.InteropServices;

namespace Nephos.LocalStorage.Objects;

/// <summary>Native memory at a page boundary, zeroed; never moved by the collector, so the kernel can write from it directly.</summary>
internal sealed unsafe class AlignedBuffer : MemoryManager<byte>
{
    private const nuint PageBytes = 4096;
    private byte* _address;

    public AlignedBuffer(int sizeBytes)
    {
        // SAFETY: the block is freed once, in Dispose; every span handed out has exactly its size.
        _address = (byte*)NativeMemory.AlignedAlloc((nuint)sizeBytes, PageBytes);
        NativeMemory.Clear(_address, (nuint)sizeBytes);
        SizeBytes = sizeBytes;
    }

    public int SizeBytes { get; }

    public nint Address => (nint)_address;

    public override Span<byte> GetSpan()
    {
        ObjectDisposedException.ThrowIf(_address is null, this);
        return new Span<byte>(_address, SizeBytes);
    }

    public override MemoryHandle Pin(int elementIndex = 0) => new(_address + elementIndex);

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
        if (_address is not null)
        {
            NativeMemory.AlignedFree(_address);
            _address = null;
        }
    }
}
