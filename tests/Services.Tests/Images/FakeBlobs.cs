using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Nephos.Images.Data;

namespace Nephos.Services.Tests.Images;

/// <summary>The object store as the image service sees it, over a dictionary.</summary>
internal sealed class FakeBlobs : IImageBlobs
{
    public ConcurrentDictionary<string, byte[]> Objects { get; } = new();

    /// <summary>Thrown by the next writes when set.</summary>
    public Exception? WriteFailure { get; set; }

    /// <summary>Thrown by removals when set.</summary>
    public Exception? DeleteFailure { get; set; }

    /// <summary>Runs when a writer has completed, before its caller knows.</summary>
    public Func<Task> Completed { get; set; } = () => Task.CompletedTask;

    public int LargestPieceBytes { get; private set; }

    public Task<IBlobWriter> CreateAsync(string key, CancellationToken cancellationToken) => Task.FromResult<IBlobWriter>(new Writer(this, key));

    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(
        string key, long offset, long length, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.Yield();
        var range = Objects[key].AsMemory((int)offset, (int)length);
        // Odd pieces, so that nothing depends on their size.
        for (; !range.IsEmpty; range = range[Math.Min(range.Length, 99_991)..])
        {
            yield return range[..Math.Min(range.Length, 99_991)];
        }
    }

    public Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        if (DeleteFailure is { } failure)
        {
            throw failure;
        }
        Objects.TryRemove(key, out _);
        return Task.CompletedTask;
    }

    private sealed class Writer(FakeBlobs blobs, string key) : IBlobWriter
    {
        private readonly MemoryStream _data = new();

        public Task WriteAsync(ReadOnlyMemory<byte> piece, CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (blobs.WriteFailure is { } failure)
            {
                throw failure;
            }
            blobs.LargestPieceBytes = Math.Max(blobs.LargestPieceBytes, piece.Length);
            _data.Write(piece.Span);
            return Task.CompletedTask;
        }

        public async Task CompleteAsync(CancellationToken cancellationToken)
        {
            blobs.Objects[key] = _data.ToArray();
            await blobs.Completed();
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}

/// <summary>A file in memory.</summary>
internal sealed class MemoryFile(byte[] bytes) : Nephos.Images.Formats.IRandomReader
{
    public long LengthBytes => bytes.Length;

    public long BytesRead { get; private set; }

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        BytesRead += buffer.Length;
        bytes.AsMemory((int)offset, buffer.Length).CopyTo(buffer);
        return ValueTask.CompletedTask;
    }
}
