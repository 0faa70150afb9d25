namespace Nephos.Images.Data;

/// <summary>Where the data of images is kept: whole immutable pieces by key.</summary>
internal interface IImageBlobs
{
    /// <summary>Largest piece that <see cref="IBlobWriter.WriteAsync"/> takes.</summary>
    const int MaxPieceBytes = 512 * 1024;

    /// <summary>Begins to write. What is written appears whole when it is completed, and leaves nothing when the writer is disposed before.</summary>
    Task<IBlobWriter> CreateAsync(string key, CancellationToken cancellationToken);

    /// <summary>A range in order, in pieces that are valid until the next one is asked for.</summary>
    /// <param name="key">Of the data.</param>
    /// <param name="offset">First byte, inside the data.</param>
    /// <param name="length">At least 1, and not beyond the end.</param>
    /// <param name="cancellationToken">Gives up.</param>
    IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(string key, long offset, long length, CancellationToken cancellationToken);

    /// <summary>Removes the data; what is not there is removed already.</summary>
    Task DeleteAsync(string key, CancellationToken cancellationToken);
}

internal interface IBlobWriter : IAsyncDisposable
{
    /// <summary>The buffer may be used again when the call completes.</summary>
    Task WriteAsync(ReadOnlyMemory<byte> piece, CancellationToken cancellationToken);

    /// <summary>All of it is durable when the call completes.</summary>
    Task CompleteAsync(CancellationToken cancellationToken);
}

/// <summary>Data on its way in.</summary>
internal interface IByteSource
{
    /// <summary>The next piece, at most <see cref="IImageBlobs.MaxPieceBytes"/>, valid until the next call; empty at the end.</summary>
    ValueTask<ReadOnlyMemory<byte>> ReadAsync(CancellationToken cancellationToken);
}
