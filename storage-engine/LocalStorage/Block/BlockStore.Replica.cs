using Nephos.Replication.Volumes;

namespace Nephos.LocalStorage.Block;

/// <summary>What a group of replicas of one volume needs of each: its history, sums to compare, what was written lately, and a hold for a common moment.</summary>
public sealed partial class BlockStore
{
    /// <summary>The sum of a block that nothing was written to.</summary>
    public const uint NothingSum = BlockWord.ZeroSum;

    /// <summary>The longest time writes are held.</summary>
    public static readonly TimeSpan HoldMax = TimeSpan.FromSeconds(5);

    internal BlockStatus Begin(BlockVolume volume, VolumeHistory history, bool complete)
    {
        // The history is about to be durable, so what it says must be.
        if (!_journal.Sync()) return BlockStatus.Failed;
        lock (_structure)
        {
            if (volume.Deleted) return BlockStatus.NotFound;
            if (history.Epoch < volume.SealedEpoch) return BlockStatus.Fenced;
            // What came to an incomplete replica, or was given up by a complete one, is not all in its journal. One that has been repaired has just what it says.
            var same = volume.Complete && complete && volume.LastSequence == history.Sequence;
            var unlisted = same ? volume.Unlisted
                : complete && !volume.Complete ? history.Sequence
                : Math.Max(volume.Unlisted, Math.Max(history.Sequence, volume.LastSequence));
            try
            {
                Append(new VolumeBegun(volume.Handle, history, Incomplete: !complete, unlisted));
            }
            catch (BlockStoreException e)
            {
                return e.Error == BlockStoreError.NoSpace ? BlockStatus.NoSpace : BlockStatus.Failed;
            }
            lock (_journal.Gate) volume.Became(history, complete, unlisted);
            return BlockStatus.Ok;
        }
    }

    internal BlockStatus GetSums(BlockVolume volume, long epoch, long offset, Span<uint> sums)
    {
        using var visit = _readers.Enter();
        if (volume.Deleted) return BlockStatus.NotFound;
        if (epoch < volume.SealedEpoch) return BlockStatus.Fenced;
        if (!InRange(offset, (long)sums.Length * BlockGeometry.BlockBytes, volume.SizeBytes)) return BlockStatus.OutOfRange;
        try
        {
            var block = offset / BlockGeometry.BlockBytes;
            for (var done = 0; done < sums.Length;)
            {
                var view = new ExtentView(this, volume.Top, block / BlockGeometry.ExtentBlocks);
                var end = (int)Math.Min(sums.Length, done + BlockGeometry.ExtentBlocks - block % BlockGeometry.ExtentBlocks);
                for (; done < end; done++, block++)
                {
                    var word = view.Resolve((int)(block % BlockGeometry.ExtentBlocks), out _);
                    sums[done] = BlockWord.HasData(word) ? BlockWord.Sum(word) : NothingSum;
                }
            }
            return BlockStatus.Ok;
        }
        catch (BlockFileException)
        {
            return BlockStatus.Corrupt;
        }
    }

    internal bool TryListWritten(BlockVolume volume, long sequence, Action<long, long> found)
    {
        (JournalSegment Segment, ulong Number, long End)[] segments;
        lock (_journal.Gate)
        {
            if (volume.Unlisted > sequence) return false;
            if (volume.LastSequence <= sequence) return true;
            segments = _journal.Segments();
        }
        Span<byte> head = stackalloc byte[RecordHeader.Bytes];
        using var visit = _readers.Enter();
        foreach (var (segment, number, end) in segments)
        {
            for (var position = (long)SegmentHeader.Bytes; position < end;)
            {
                segment.File.Read(position, head);
                // Released and in use again: the look at the end finds that too.
                if (!RecordHeader.TryRead(head, out var header, out _) || header.Segment != number) break;
                if (header.Volume == volume.Handle && (long)header.Sequence > sequence) found((long)header.Offset, header.Length);
                position += RecordHeader.Bytes + header.PayloadBytes;
            }
        }
        lock (_journal.Gate) return volume.Unlisted <= sequence;
    }

    /// <summary>Keeps writes of the volume waiting, until its snapshot is taken, the hold is ended or its time is over.</summary>
    /// <returns>What the replica holds meanwhile.</returns>
    /// <exception cref="BlockStoreException"><c>NotFound</c>.</exception>
    public VolumeInfo Hold(Guid volumeId, TimeSpan time)
    {
        var volume = GetVolume(volumeId);
        lock (_journal.Gate)
        {
            volume.HeldAbove = volume.LastSequence;
            volume.HeldUntil = _time.GetTimestamp() + (long)(Math.Min(time.TotalSeconds, HoldMax.TotalSeconds) * _time.TimestampFrequency);
        }
        return Describe(volume);
    }

    /// <summary>Ends a hold.</summary>
    public void EndHold(Guid volumeId)
    {
        if (FindVolume(volumeId) is not { } volume) return;
        lock (_journal.Gate) EndHold(volume);
    }

    private void EndHold(BlockVolume volume)
    {
        volume.HeldAbove = long.MaxValue;
        Monitor.PulseAll(_journal.Gate);
    }

    // Under the journal's gate, which it leaves while it waits.
    private void WaitWhileHeld(BlockVolume volume, long sequence)
    {
        while (sequence > volume.HeldAbove && _journal.Failure is null)
        {
            var left = _time.GetElapsedTime(_time.GetTimestamp(), volume.HeldUntil);
            if (left <= TimeSpan.Zero) EndHold(volume);
            else Monitor.Wait(_journal.Gate, left < HoldMax ? left : HoldMax);
        }
    }

    /// <summary>Lets a held volume take writes up to a sequence, waits for the last of them, and keeps the hold until it is ended.</summary>
    /// <exception cref="BlockStoreException"><c>Conflict</c>: the replica is behind, or has gone on.</exception>
    private void WaitForHeld(BlockVolume volume, long sequence)
    {
        lock (_journal.Gate)
        {
            if (volume.HeldAbove <= sequence)
            {
                volume.HeldAbove = sequence;
                Monitor.PulseAll(_journal.Gate);
                while (volume.LastSequence < sequence && volume.HeldAbove == sequence && _journal.Failure is null)
                {
                    var left = _time.GetElapsedTime(_time.GetTimestamp(), volume.HeldUntil);
                    if (left <= TimeSpan.Zero) break;
                    Monitor.Wait(_journal.Gate, left);
                }
            }
            if (volume.HeldAbove == sequence && volume.LastSequence == sequence && volume.Complete)
            {
                volume.HeldUntil = long.MaxValue;
                return;
            }
            EndHold(volume);
        }
        throw new BlockStoreException(
            BlockStoreError.Conflict, $"Volume {volume.Id} on device {DeviceId} is at write {volume.LastSequence}, not held at {sequence}.");
    }
}
