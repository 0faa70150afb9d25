using System.Text.Json;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.BlockStorage.Backups;

/// <summary>What a backup consists of: the root of a tree of two levels, whose pages name the chunks. Stored under the id of the backup.</summary>
/// <remarks>It says all that is needed to restore the volume when every record is lost. A page is a chunk of up to <see cref="PageChunks"/> digests.</remarks>
internal sealed record BackupManifest
{
    public const string Prefix = "backups/";

    /// <summary>Chunks that a page names, 4 GiB of a volume.</summary>
    public const int PageChunks = 1024;

    public int Format { get; init; } = 1;
    public required string BackupId { get; init; }
    public required string ProjectId { get; init; }
    public required string VolumeId { get; init; }
    public required string Name { get; init; }
    public required long SizeBytes { get; init; }
    public required DateTimeOffset DataAt { get; init; }
    public required BackupSource Source { get; init; }
    public long AddedBytes { get; init; }

    /// <summary>In the order of the volume.</summary>
    public required IReadOnlyList<BackupPage> Pages { get; init; }

    public long ChunkCount => Pages.Sum(page => (long)page.Chunks);

    public static string KeyOf(string backupId) => Prefix + backupId;

    public static int CountPages(long sizeBytes) => (int)((CountChunks(sizeBytes) + PageChunks - 1) / PageChunks);

    public static long CountChunks(long sizeBytes) => (sizeBytes + ChunkStore.ChunkBytes - 1) / ChunkStore.ChunkBytes;

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, BlockStorageJson.Default.BackupManifest);

    /// <exception cref="FaultException">DataLoss.</exception>
    public static BackupManifest Parse(byte[] bytes)
    {
        try
        {
            if (JsonSerializer.Deserialize(bytes, BlockStorageJson.Default.BackupManifest) is { Format: 1, SizeBytes: > 0 } manifest
                && manifest.Pages.Count == CountPages(manifest.SizeBytes)) return manifest;
        }
        catch (JsonException)
        {
            // Told below.
        }
        throw new FaultException(ErrorReason.DataLoss, "The manifest of the backup is damaged or of a newer version.");
    }
}

/// <param name="Digest">Empty when the page names nothing but holes.</param>
/// <param name="Chunks">That are no holes.</param>
internal sealed record BackupPage(string Digest, int Chunks)
{
    public static readonly BackupPage Empty = new("", 0);
}

/// <summary>Reads which chunk is where; the page that was used last stays in memory.</summary>
internal sealed class BackupIndex(ChunkStore chunks, string bucket, BackupManifest manifest)
{
    private int _page = -1;
    private byte[] _digests = [];

    public BackupManifest Manifest => manifest;

    /// <exception cref="FaultException">DataLoss when the manifest is missing or damaged.</exception>
    public static async Task<BackupIndex> OpenAsync(IBackupObjects objects, ChunkStore chunks, Backup backup, CancellationToken cancellationToken)
    {
        var written = await objects.GetAsync(backup.Bucket, BackupManifest.KeyOf(backup.Id), cancellationToken)
            ?? throw new FaultException(ErrorReason.DataLoss, $"The manifest of backup {backup.Id} is missing.");
        return new BackupIndex(chunks, backup.Bucket, BackupManifest.Parse(written));
    }

    /// <summary>The digests of a page; a page behind the end is all holes.</summary>
    public async Task<byte[]> GetPageAsync(int page, CancellationToken cancellationToken)
    {
        if (page == _page) return _digests;
        var blank = page >= manifest.Pages.Count || manifest.Pages[page].Digest.Length == 0;
        var digests = new byte[BackupManifest.PageChunks * ChunkDigest.Bytes];
        if (!blank)
        {
            if (!ChunkDigest.TryParse(manifest.Pages[page].Digest, out var digest)) throw new FaultException(ErrorReason.DataLoss, "A page of the manifest has no digest.");
            var stored = await chunks.GetAsync(bucket, digest, cancellationToken);
            if (stored.Length > digests.Length) throw new FaultException(ErrorReason.DataLoss, $"Page {page} of the manifest is too long.");
            stored.CopyTo(digests, 0);
        }
        (_page, _digests) = (page, digests);
        return digests;
    }

    public async Task<ChunkDigest> GetAsync(long chunk, CancellationToken cancellationToken)
    {
        var page = await GetPageAsync((int)(chunk / BackupManifest.PageChunks), cancellationToken);
        return ChunkDigest.Read(page.AsSpan((int)(chunk % BackupManifest.PageChunks) * ChunkDigest.Bytes));
    }
}
