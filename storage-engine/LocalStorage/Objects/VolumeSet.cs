using System.Collections.Concurrent;

namespace Nephos.LocalStorage.Objects;

/// <summary>One volume: a segment of needles, how far it is filled and how much of it still counts.</summary>
internal sealed class Volume(SegmentFile file)
{
    private long _liveBytes;
    private long _deadBytes;

    public SegmentFile File { get; } = file;

    public ulong Id { get; } = file.Id;

    /// <summary>Where the next write goes.</summary>
    public long Position { get; set; } = SegmentHeader.HeaderBytes;

    public ulong LastSequence { get; set; }

    /// <summary>Nothing is appended any more.</summary>
    public bool IsSealed { get; set; }

    public long LiveBytes => Volatile.Read(ref _liveBytes);

    public long DeadBytes => Volatile.Read(ref _deadBytes);

    public void Count(long liveBytes, long deadBytes)
    {
        // One writer (the committer); readers only look.
        Volatile.Write(ref _liveBytes, _liveBytes + liveBytes);
        Volatile.Write(ref _deadBytes, _deadBytes + deadBytes);
    }

    public VolumeRow ToRow() => new(Position, LiveBytes, DeadBytes, LastSequence, IsSealed);

    public void Restore(in VolumeRow row)
    {
        Position = row.Position;
        LastSequence = row.LastSequence;
        IsSealed = row.IsSealed;
        Count(row.LiveBytes - _liveBytes, row.DeadBytes - _deadBytes);
    }
}

/// <summary>
/// The volumes of a device and the index over them; knows what an append and a tombstone mean. The committer and recovery
/// both go through here, so a replay gives exactly what the first time gave. One writer; lookups from any thread.
/// </summary>
internal sealed class VolumeSet(NeedleIndex index)
{
    private readonly ConcurrentDictionary<ulong, Volume> _volumes = new();
    private readonly HashSet<NeedleKey> _putInBatch = [];
    private readonly HashSet<Volume> _changed = [];
    private readonly List<(NeedleKey Key, NeedleLocation Location)> _found = [];

    public ICollection<Volume> All => _volumes.Values;

    public void Add(Volume volume) => _volumes[volume.Id] = volume;

    public Volume? Find(ulong id) => _volumes.GetValueOrDefault(id);

    public void Append(Volume volume, in NeedleHeader header, long offset)
    {
        Supersede(header.Key);
        index.Put(header.Key, new NeedleLocation(volume.Id, offset, header.PayloadBytes, header.Flags, header.HomeDevice));
        _putInBatch.Add(header.Key);
        volume.Count(header.TotalBytes, 0);
        Advance(volume, header, offset);
    }

    public void Tombstone(Volume volume, in NeedleHeader header, long offset)
    {
        index.Apply();
        _putInBatch.Clear();
        _found.Clear();
        var blob = header.Key with { Frame = 0 };
        index.Visit(blob, (key, location) =>
        {
            if (key with { Frame = 0 } != blob)
            {
                return false;
            }

            _found.Add((key, location));
            return true;
        });
        foreach (var (key, location) in _found)
        {
            index.Remove(key);
            Forget(location);
        }

        volume.Count(0, header.TotalBytes);
        Advance(volume, header, offset);
    }

    /// <summary>True while the index still points there; looks at what this batch did, too.</summary>
    public bool IsAt(in NeedleKey key, in NeedleLocation expected)
    {
        if (_putInBatch.Contains(key))
        {
            return false;
        }

        index.Apply();
        _putInBatch.Clear();
        return index.TryFind(key, out var location) && location == expected;
    }

    /// <summary>Records that no more will be appended.</summary>
    public void Seal(Volume volume)
    {
        volume.IsSealed = true;
        _changed.Add(volume);
    }

    public void Remove(Volume volume)
    {
        _volumes.TryRemove(volume.Id, out _);
        _changed.Remove(volume);
        index.RemoveVolume(volume.Id);
    }

    /// <summary>Makes the batch visible to readers.</summary>
    public void Publish()
    {
        foreach (var volume in _changed)
        {
            index.PutVolume(volume.Id, volume.ToRow());
        }

        _changed.Clear();
        _putInBatch.Clear();
        index.Apply();
    }

    private void Supersede(in NeedleKey key)
    {
        if (_putInBatch.Contains(key))
        {
            index.Apply();
            _putInBatch.Clear();
        }

        if (index.TryFind(key, out var earlier))
        {
            Forget(earlier);
        }
    }

    private void Forget(in NeedleLocation location)
    {
        if (Find(location.VolumeId) is { } volume)
        {
            var bytes = NeedleHeader.TotalBytesFor(location.PayloadBytes);
            volume.Count(-bytes, bytes);
            _changed.Add(volume);
        }
    }

    private void Advance(Volume volume, in NeedleHeader header, long offset)
    {
        volume.Position = Math.Max(volume.Position, offset + header.TotalBytes);
        volume.LastSequence = Math.Max(volume.LastSequence, header.Sequence);
        _changed.Add(volume);
    }
}
