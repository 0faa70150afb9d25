namespace Nephos.LocalStorage.Objects;

/// <summary>Brings volumes and index together: the index says how far it got, and the volumes are read on from there.</summary>
internal static class VolumeRecovery
{
    internal sealed record Result(NeedleIndex Index, VolumeSet Volumes, SegmentPool Pool, Volume? Current, ulong NextSequence);

    public static Result Open(string directory, Guid deviceId, VolumeStoreOptions options, Func<long, bool> hasRoom, TimeProvider time)
    {
        var volumesPath = Path.Combine(directory, "volumes");
        var indexPath = Path.Combine(directory, "needles");
        Directory.CreateDirectory(volumesPath);
        AdoptDamaged(volumesPath, deviceId);
        var pool = SegmentPool.Open(
            volumesPath, SegmentKind.Volume, deviceId, options.VolumeBytes, reserve: 1, hasRoom, time, out var used, out _);
        var index = OpenIndex(indexPath, options.IndexCacheBytes);
        var volumes = new VolumeSet(index);
        var rows = index.ReadVolumes();
        ulong lastSequence = 0;
        foreach (var file in used)
        {
            var volume = new Volume(file);
            if (rows.Remove(volume.Id, out var row))
            {
                volume.Restore(row);
            }

            volumes.Add(volume);
            if (!volume.IsSealed)
            {
                ReplayTail(volumes, volume);
            }

            lastSequence = Math.Max(lastSequence, volume.LastSequence);
        }

        foreach (var lost in rows.Keys)
        {
            index.RemoveVolume(lost);
        }

        var newest = used.Count == 0 ? null : volumes.Find(used[^1].Id);
        foreach (var volume in volumes.All)
        {
            if (volume != newest && !volume.IsSealed)
            {
                volumes.Seal(volume);
            }
        }

        volumes.Publish();
        return new Result(index, volumes, pool, newest is { IsSealed: false } ? newest : null, lastSequence + 1);
    }

    private static void ReplayTail(VolumeSet volumes, Volume volume)
    {
        VolumeScanner.Scan(volume.File, volume.Position, (in header, offset, isIntact, _, _) =>
        {
            if (!isIntact)
            {
                // Torn, hence never acknowledged; but its sectors are spoken for, or a later scan would take them for data.
                volume.Position = Math.Max(volume.Position, offset + header.TotalBytes);
            }
            else if ((header.Flags & NeedleFlags.Tombstone) != 0)
            {
                volumes.Tombstone(volume, header, offset);
            }
            else
            {
                volumes.Append(volume, header, offset);
            }

            return true;
        });
    }

    private static NeedleIndex OpenIndex(string path, long cacheBytes)
    {
        try
        {
            return new NeedleIndex(path, cacheBytes);
        }
        catch (RocksDbSharp.RocksDbException)
        {
            // Nothing is in the index that the volumes do not hold.
            Directory.Delete(path, recursive: true);
            return new NeedleIndex(path, cacheBytes);
        }
    }

    /// <summary>A volume whose first page is damaged gets it back from its needles; without needles it is of no use.</summary>
    private static void AdoptDamaged(string directory, Guid deviceId)
    {
        foreach (var path in Directory.GetFiles(directory, "*.seg"))
        {
            var file = SegmentFile.Open(path);
            if (file is not null)
            {
                file.Dispose();
                continue;
            }

            var id = VolumeScanner.FindVolumeId(path);
            if (id == 0)
            {
                File.Delete(path);
                continue;
            }

            var header = new SegmentHeader(SegmentKind.Volume, id, 0, deviceId, new FileInfo(path).Length, 0);
            Span<byte> page = new byte[SegmentHeader.HeaderBytes];
            header.Write(page);
            using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Write);
            RandomAccess.Write(handle, page, 0);
            RandomAccess.FlushToDisk(handle);
        }
    }
}
