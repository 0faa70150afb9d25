using Nephos.Images.Data;

namespace Nephos.Images.Formats;

/// <summary>Bytes at any place of a file. One flow at a time.</summary>
internal interface IRandomReader
{
    long LengthBytes { get; }

    /// <summary>Fills the buffer with bytes that lie inside the file.</summary>
    ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken);
}

/// <summary>Reads the data of an image in large aligned windows, the newest of which it keeps.</summary>
internal sealed class BlobReader(IImageBlobs blobs, string key, long lengthBytes) : IRandomReader
{
    public const int WindowBytes = 2 * 1024 * 1024;
    public const int MaxWindows = 8;

    // The most recently used first.
    private readonly LinkedList<(long Offset, byte[] Data, int Length)> _windows = [];

    public long LengthBytes => lengthBytes;

    public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, lengthBytes - buffer.Length);
        while (!buffer.IsEmpty)
        {
            var start = offset - offset % WindowBytes;
            var (data, length) = await WindowAsync(start, cancellationToken);
            var at = (int)(offset - start);
            var take = Math.Min(buffer.Length, length - at);
            data.AsMemory(at, take).CopyTo(buffer);
            buffer = buffer[take..];
            offset += take;
        }
    }

    private async ValueTask<(byte[] Data, int Length)> WindowAsync(long start, CancellationToken cancellationToken)
    {
        for (var node = _windows.First; node is not null; node = node.Next)
        {
            if (node.Value.Offset == start)
            {
                _windows.Remove(node);
                _windows.AddFirst(node);
                return (node.Value.Data, node.Value.Length);
            }
        }
        byte[] data;
        if (_windows.Count < MaxWindows)
        {
            data = GC.AllocateUninitializedArray<byte>((int)Math.Min(WindowBytes, lengthBytes));
        }
        else
        {
            data = _windows.Last!.Value.Data;
            _windows.RemoveLast();
        }
        var length = (int)Math.Min(WindowBytes, lengthBytes - start);
        var filled = 0;
        await foreach (var piece in blobs.ReadAsync(key, start, length, cancellationToken))
        {
            piece.CopyTo(data.AsMemory(filled));
            filled += piece.Length;
        }
        _windows.AddFirst((start, data, length));
        return (data, length);
    }
}
