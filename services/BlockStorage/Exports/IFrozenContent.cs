using Nephos.Client.Volumes;

namespace Nephos.BlockStorage.Exports;

/// <summary>Where the content of an export comes from, in chunks.</summary>
/// <remarks>What can not be had is a FaultException: NotFound when it is gone, DataLoss when it is damaged.</remarks>
internal interface IFrozenContent : IDisposable
{
    long SizeBytes { get; }

    /// <summary>How much is read at once; the last chunk may be shorter.</summary>
    int ChunkBytes { get; }

    /// <summary>What it can be compared with.</summary>
    IReadOnlyList<string> Bases { get; }

    /// <summary>The content of a chunk.</summary>
    Task<byte[]> ReadAsync(long chunk, CancellationToken cancellationToken);

    /// <summary>Ranges that follow each other from an offset, one at least; they may end before the content does.</summary>
    /// <param name="baseName">When given, by whether they were changed since: changed ones are data, others holes.</param>
    /// <param name="offset">Of whole blocks, inside the content.</param>
    /// <param name="cancellationToken">Gives up.</param>
    Task<IReadOnlyList<BlockRange>> DescribeAsync(string? baseName, long offset, CancellationToken cancellationToken);
}
