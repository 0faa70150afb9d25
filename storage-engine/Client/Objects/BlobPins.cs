using System.Collections.Concurrent;

namespace Nephos.Client.Objects;

/// <summary>
/// What this process is in the middle of: blobs that are written but not yet referred to, and reads that may still need what was
/// just released. The removal of unreferenced and released blobs respects both.
/// </summary>
public sealed class BlobPins(TimeProvider time)
{
    private readonly ConcurrentDictionary<BlobId, byte> _unreferenced = new();
    private readonly ConcurrentDictionary<object, DateTimeOffset> _readers = new();

    public void Pin(BlobId blob) => _unreferenced[blob] = 0;

    public void Unpin(BlobId blob) => _unreferenced.TryRemove(blob, out _);

    public void Unpin(Payload payload)
    {
        foreach (var extent in payload.Extents)
        {
            Unpin(extent.Blob);
        }
    }

    public bool IsPinned(BlobId blob) => _unreferenced.ContainsKey(blob);

    /// <summary>When the oldest blob that is not yet referred to was begun; null when there is none.</summary>
    public DateTimeOffset? OldestUnreferenced() => _unreferenced.Keys.Min(b => (DateTimeOffset?)b.Created);

    internal void Enter(object reader) => _readers[reader] = time.GetUtcNow();

    internal void Leave(object reader) => _readers.TryRemove(reader, out _);

    /// <summary>Blobs released before this are needed by no read that is under way.</summary>
    public DateTimeOffset OldestRead()
    {
        var oldest = DateTimeOffset.MaxValue;
        foreach (var (_, since) in _readers)
        {
            oldest = since < oldest ? since : oldest;
        }

        return oldest;
    }
}
