using Nephos.BlockStorage.Backups;
using Nephos.Client.Volumes;

namespace Nephos.BlockStorage.Exports;

/// <summary>A backup in the object store.</summary>
/// <param name="cipher">Null when the volume was not encrypted. Belongs to this from now on.</param>
internal sealed class BackupContent(ChunkStore chunks, BackupIndex index, string bucket, BlockCipher? cipher) : IFrozenContent
{
    /// <summary>Chunks that are described at once.</summary>
    private const int DescribedMax = BackupManifest.PageChunks;

    private readonly SemaphoreSlim _indexGate = new(1, 1);

    public long SizeBytes => index.Manifest.SizeBytes;

    public int ChunkBytes => ChunkStore.ChunkBytes;

    public IReadOnlyList<string> Bases => [];

    public async Task<byte[]> ReadAsync(long chunk, CancellationToken cancellationToken)
    {
        var start = chunk * ChunkBytes;
        var content = new byte[Math.Min(ChunkBytes, SizeBytes - start)];
        var digest = await FindAsync(chunk, cancellationToken);
        if (digest.IsHole) return content;
        var stored = await chunks.GetAsync(bucket, digest, cancellationToken);
        stored.AsSpan(0, Math.Min(stored.Length, content.Length)).CopyTo(content);
        cipher?.Decrypt(start / BlockCipher.BlockBytes, content);
        return content;
    }

    public async Task<IReadOnlyList<BlockRange>> DescribeAsync(string? baseName, long offset, CancellationToken cancellationToken)
    {
        var ranges = new List<BlockRange>();
        for (var described = 0; described < DescribedMax && offset < SizeBytes; described++)
        {
            var chunk = offset / ChunkBytes;
            var length = Math.Min(SizeBytes, (chunk + 1) * ChunkBytes) - offset;
            var kind = (await FindAsync(chunk, cancellationToken)).IsHole ? BlockRangeKind.Hole : BlockRangeKind.Data;
            if (ranges.Count > 0 && ranges[^1] is var last && last.Kind == kind) ranges[^1] = last with { Length = last.Length + length };
            else ranges.Add(new BlockRange(offset, length, kind));
            offset += length;
        }
        return ranges;
    }

    private async Task<ChunkDigest> FindAsync(long chunk, CancellationToken cancellationToken)
    {
        await _indexGate.WaitAsync(cancellationToken);
        try
        {
            return await index.GetAsync(chunk, cancellationToken);
        }
        finally
        {
            _indexGate.Release();
        }
    }

    public void Dispose()
    {
        cipher?.Dispose();
        _indexGate.Dispose();
    }
}
