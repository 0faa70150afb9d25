namespace Nephos.LocalStorage.Objects;

/// <summary>Copies what is alive in a volume to the end of the log, so that the volume can be used again.</summary>
internal sealed class VolumeMover(NeedleIndex index, Func<NeedleWrite, NeedleLocation, ValueTask<StoreStatus>> move)
{
    private const int BatchBytes = 2 << 20;

    /// <summary>False when something could not be moved: damaged (repair writes it anew elsewhere first) or no room.</summary>
    public async ValueTask<bool> MoveAsync(Volume volume, CancellationToken cancellationToken)
    {
        long position = SegmentHeader.HeaderBytes;
        var complete = true;
        while (position < volume.Position)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var moves = new List<(NeedleWrite Write, NeedleLocation From)>();
            var bytes = 0;
            position = VolumeScanner.Scan(volume.File, position, (in header, offset, isIntact, sector, payload) =>
            {
                if (offset >= volume.Position || bytes >= BatchBytes)
                {
                    return false;
                }

                if ((header.Flags & NeedleFlags.Tombstone) == 0
                    && index.TryFind(header.Key, out var location)
                    && location.VolumeId == volume.Id
                    && location.Offset == offset)
                {
                    if (!isIntact)
                    {
                        complete = false;
                        return true;
                    }

                    var checksums = new ulong[NeedleHeader.BlockCountFor(header.PayloadBytes)];
                    for (var block = 0; block < checksums.Length; block++)
                    {
                        checksums[block] = NeedleHeader.ChecksumOf(sector, block);
                    }

                    var write = new NeedleWrite
                    {
                        Key = header.Key,
                        Payload = payload.ToArray(),
                        Checksums = checksums,
                        Hint = System.Text.Encoding.UTF8.GetBytes(NeedleHeader.HintOf(sector)),
                        Flags = header.Flags,
                        HomeDevice = header.HomeDevice,
                    };
                    moves.Add((write, location));
                    bytes += header.PayloadBytes;
                }

                return true;
            });

            var running = new List<ValueTask<StoreStatus>>(moves.Count);
            foreach (var (write, from) in moves)
            {
                running.Add(move(write, from));
            }

            foreach (var moved in running)
            {
                complete &= await moved == StoreStatus.Ok;
            }

            if (moves.Count == 0)
            {
                break;
            }
        }

        return complete;
    }
}
