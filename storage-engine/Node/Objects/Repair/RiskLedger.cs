using System.Collections.Concurrent;
using Nephos.Client.Objects;

namespace Nephos.Node.Objects.Repair;

/// <summary>
/// Blobs that are known to have, or may have, fewer good copies than wanted. Kept in memory: after a restart the comparison of all
/// references with all devices finds what is missing, whatever the reason.
/// </summary>
internal sealed class RiskLedger
{
    /// <summary>More than this and the full check is the better way to find them.</summary>
    public const int BlobsMax = 100_000;

    private readonly ConcurrentDictionary<BlobId, byte> _blobs = new();

    public int Count => _blobs.Count;

    /// <summary>Set when blobs were noted beyond the bound: a full check is due.</summary>
    public bool HasOverflowed { get; set; }

    public void Note(BlobId blob)
    {
        if (_blobs.Count >= BlobsMax)
        {
            HasOverflowed = true;
            return;
        }

        _blobs.TryAdd(blob, 0);
    }

    public void Clear(BlobId blob) => _blobs.TryRemove(blob, out _);

    public IReadOnlyList<BlobId> Take(int limit) => [.. _blobs.Keys.Take(limit)];
}
