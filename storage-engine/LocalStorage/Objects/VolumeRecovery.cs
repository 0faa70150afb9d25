namespace Nephos.LocalStorage.Objects;

/// <summary>Brings volumes and index together: the index says how far it got, and the volumes are read on from there.</summary>
internal static class VolumeRecovery
{
    internal sealed record Result(NeedleIndex Index, VolumeSet Volumes, SegmentPool Pool, Volume? Current, ulong NextSequence);

    private const string SegmentsName = "volumes", IndexName = "needles";
    private const long IndexBufferBytes = 16 << 20;

    public static Result Open(IDeviceMedium medium, Guid deviceId, VolumeStoreOptions options, Func<long, bool> hasRoom, TimeProvider time)
    {
        AdoptDamaged(medium.OpenSegments(SegmentsName), deviceId);
        var pool = SegmentPool.Open(
            medium, SegmentsName, SegmentKind.Volume, deviceId, options.VolumeBytes, reserve: 1, hasRoom, time, out var used, out _);
        var index = OpenIndex(medium, options.IndexCacheBytes);
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

    private static NeedleIndex OpenIndex(IDeviceMedium medium, long cacheBytes)
    {
        var options = new RowTableOptions(IndexBufferBytes, cacheBytes);
        try
        {
            return new NeedleIndex(medium.OpenTable(IndexName, options));
        }
        catch (RocksDbSharp.RocksDbException)
        {
            // Nothing is in the index that the volumes do not hold.
            medium.DeleteTable(IndexName);
            return new NeedleIndex(medium.OpenTable(IndexName, options));
        }
    }

    /// <summary>A volume whose first page is damaged gets it back from its needles; without needles it is of no use.</summary>
    private static void AdoptDamaged(ISegmentDirectory directory, Guid deviceId)
    {
        foreach (var name in directory.Names)
        {
            var file = directory.Open(name);
            if (file is not null)
            {
                file.Dispose();
                continue;
            }

            var id = VolumeScanner.FindVolumeId(directory, name);
            if (id == 0)
            {
                directory.Delete(name);
                continue;
            }

            directory.WriteHeader(name, new SegmentHeader(SegmentKind.Volume, id, 0, deviceId, directory.SizeOf(name), 0));
        }
    }
}
