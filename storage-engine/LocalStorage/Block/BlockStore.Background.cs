using System.Buffers.Binary;

namespace Nephos.LocalStorage.Block;

/// <summary>What happens behind the requests: blocks are moved from the journal to their place, superfluous layers go, the cache stays small.</summary>
public sealed partial class BlockStore
{
    private readonly object _wake = new();
    private readonly Queue<(Layer Layer, long Phase)> _retired = new();
    private Thread? _background;
    private bool _woken;
    private bool _stopping;

    /// <summary>What the last background step stumbled over, or null.</summary>
    public Exception? BackgroundError { get; private set; }

    private void StartBackground()
    {
        _background = new Thread(RunBackground) { IsBackground = true, Name = $"block {DeviceId:n}"[..15] };
        _background.Start();
    }

    private void WakeWhenSegmentsWait()
    {
        if (_journal.ClosedCount > 0 && _background is not null && !Volatile.Read(ref _woken)) WakeBackground();
    }

    private void WakeBackground()
    {
        lock (_wake)
        {
            _woken = true;
            Monitor.Pulse(_wake);
        }
    }

    private void StopBackground()
    {
        lock (_wake)
        {
            _stopping = true;
            Monitor.Pulse(_wake);
        }
        _background?.Join();
    }

    private void RunBackground()
    {
        while (true)
        {
            lock (_wake)
            {
                // Without records and without superfluous layers there is nothing that time alone would bring.
                if (!_woken && !_stopping) Monitor.Wait(_wake, _options.ApplyIdle);
                if (_stopping) return;
                _woken = false;
            }
            try
            {
                RunBackgroundStep(_journal.OldestClosed() is null);
                BackgroundError = null;
            }
            catch (Exception e) when (e is IOException or BlockStoreException)
            {
                BackgroundError = e;
                if (e is BlockFileException { ErrorNumber: not BlockFileException.Enospc }) _journal.Fail(e);
            }
        }
    }

    /// <summary>Applies what is closed, merges and deletes layers, shrinks the cache. For tests without a background thread.</summary>
    /// <param name="drain">Ends the current segment first, so that the journal is empty afterwards.</param>
    /// <exception cref="InvalidOperationException">The store does that itself, on a thread of its own.</exception>
    public void RunBackgroundStep(bool drain)
    {
        if (_background is { } own && own != Thread.CurrentThread) throw new InvalidOperationException("The store has a background thread.");
        if (_journal.Failure is not null) return;
        _journal.PrepareSpare(always: drain);
        if (drain) lock (_journal.Gate) _journal.Close();
        ApplyClosed();
        while (!_stopping && RemoveOneLayer()) { }
        ShrinkCache();
        DeleteRetired();
    }

    private void ApplyClosed()
    {
        while (!_stopping && _journal.OldestClosed() is { } segment)
        {
            _journal.PrepareSpare(always: false);
            // What is in its place must be in the journal too, else a power cut would leave later writes without earlier ones.
            if (!_journal.Sync()) return;
            RecordRelease(Apply(segment));
            _journal.Release(segment);
        }
    }

    // Blocks of one extent that lie one behind the other, whose newest version is in the segment that is applied.
    private readonly record struct ApplyRun(Layer Layer, long Extent, int Block, int Count, uint Place, uint Sequence, bool Zero);

    // Without its records nobody could tell which writes the volumes have.
    private void RecordRelease(List<ReleasedWrites> writes)
    {
        if (writes.Count == 0) return;
        lock (_structure)
        {
            Append(new JournalReleased(writes));
            lock (_journal.Gate)
                foreach (var released in writes)
                    if (_volumesByHandle.TryGetValue(released.Volume, out var volume)) volume.Unlisted = Math.Max(volume.Unlisted, released.Last);
        }
    }

    private List<ReleasedWrites> Apply(JournalSegment segment)
    {
        var writes = new List<ReleasedWrites>();
        var runs = CollectRuns(segment, writes);
        runs.Sort(static (a, b) =>
            a.Layer.Handle != b.Layer.Handle ? a.Layer.Handle.CompareTo(b.Layer.Handle)
            : a.Extent != b.Extent ? a.Extent.CompareTo(b.Extent) : a.Block.CompareTo(b.Block));
        var touched = new HashSet<LayerGroup>();
        for (var first = 0; first < runs.Count;)
        {
            var last = first + 1;
            while (last < runs.Count && ReferenceEquals(runs[last].Layer, runs[first].Layer) && runs[last].Extent == runs[first].Extent) last++;
            var extentRuns = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(runs)[first..last];
            if (!runs[first].Layer.Deleted) touched.Add(ApplyExtent(segment, extentRuns));
            first = last;
        }
        foreach (var group in touched)
        {
            group.Data!.Sync();
            group.Sums!.Sync();
        }
        SyncNewDirectories(touched);
        foreach (var run in runs) Settle(run);
        return writes;
    }

    // A new file is there after a crash only when its directory was made durable too.
    private void SyncNewDirectories(HashSet<LayerGroup> groups)
    {
        var directories = groups.Where(group => group.TakeIsNew()).Select(group => Path.GetDirectoryName(group.Data!.Path)!).ToHashSet();
        foreach (var directory in directories) BlockFile.SyncDirectory(directory);
        if (directories.Count == 0) return;
        BlockFile.SyncDirectory(Path.Combine(_directory, "layers"));
        BlockFile.SyncDirectory(_directory);
    }

    // Which blocks of the segment are still the newest version: their words lead into it.
    private List<ApplyRun> CollectRuns(JournalSegment segment, List<ReleasedWrites> writes)
    {
        var runs = new List<ApplyRun>();
        Span<byte> head = stackalloc byte[RecordHeader.Bytes];
        for (var position = (long)SegmentHeader.Bytes; position < segment.Position;)
        {
            segment.File.Read(position, head);
            if (!RecordHeader.TryRead(head, out var header, out _))
                throw new BlockStoreException(BlockStoreError.Corrupt, $"{segment.File.Path} is damaged at byte {position}.");
            Layer? layer;
            lock (_structure) layer = _layers.GetValueOrDefault(header.Layer);
            if (layer is not null) CollectRuns(runs, layer, in header, segment.Slot, position);
            if (header.Sequence > 0) AddReleased(writes, in header);
            position += RecordHeader.Bytes + header.PayloadBytes;
        }
        return runs;
    }

    private static void AddReleased(List<ReleasedWrites> writes, in RecordHeader header)
    {
        var (handle, epoch, sequence) = (header.Volume, (long)header.Epoch, (long)header.Sequence);
        var known = writes.FindIndex(write => write.Volume == handle && write.Epoch == epoch);
        if (known < 0) writes.Add(new ReleasedWrites(handle, epoch, sequence, sequence));
        else writes[known] = writes[known] with { Last = Math.Max(writes[known].Last, sequence) };
    }

    private static void CollectRuns(List<ApplyRun> runs, Layer layer, in RecordHeader header, int slot, long position)
    {
        var zero = header.Kind == RecordKind.Zero;
        var firstBlock = (long)header.Offset / BlockGeometry.BlockBytes;
        var end = firstBlock + header.Length / BlockGeometry.BlockBytes;
        for (var block = firstBlock; block < end;)
        {
            var number = block / BlockGeometry.ExtentBlocks;
            var extentEnd = Math.Min(end, (number + 1) * BlockGeometry.ExtentBlocks);
            var extent = layer.Extent(number);
            if (ReferenceEquals(extent, LayerExtent.Empty))
            {
                block = extentEnd;
                continue;
            }
            while (block < extentEnd)
            {
                var start = block;
                while (block < extentEnd && BlockWord.Place(extent[(int)(block % BlockGeometry.ExtentBlocks)]) == PlaceAt(block)) block++;
                if (block > start)
                {
                    runs.Add(new ApplyRun(
                        layer, number, (int)(start % BlockGeometry.ExtentBlocks), (int)(block - start), PlaceAt(start), (uint)header.Sequence, zero));
                }
                else
                {
                    block++;
                }
            }
        }

        uint PlaceAt(long block) => zero
            ? BlockWord.PlaceOf(slot, position)
            : BlockWord.PlaceOf(slot, position + RecordHeader.Bytes + (block - firstBlock) * BlockGeometry.BlockBytes);
    }

    private LayerGroup ApplyExtent(JournalSegment segment, ReadOnlySpan<ApplyRun> runs)
    {
        var layer = runs[0].Layer;
        var number = runs[0].Extent;
        var group = layer.Group((int)(number / BlockGeometry.GroupExtents));
        var index = (int)(number % BlockGeometry.GroupExtents);
        group.OpenFiles(create: true);
        Span<byte> sums = stackalloc byte[LayerGroup.ExtentSumsBytes];
        group.Sums!.Read(LayerGroup.SumsPosition(index), sums);
        var buffer = _applyBuffer ??= new byte[RunBlocksMax * BlockGeometry.BlockBytes];
        foreach (ref readonly var run in runs)
        {
            if (run.Zero)
            {
                group.Data!.PunchHole(DataPosition(index, run.Block), (long)run.Count * BlockGeometry.BlockBytes);
                for (var i = 0; i < run.Count; i++) PutSum(sums, run.Block + i, SettledZero(layer), run.Sequence);
                continue;
            }
            for (var done = 0; done < run.Count;)
            {
                var blocks = Math.Min(run.Count - done, RunBlocksMax);
                var data = buffer.AsSpan(0, blocks * BlockGeometry.BlockBytes);
                segment.File.Read(BlockWord.Position(run.Place) + (long)done * BlockGeometry.BlockBytes, data);
                for (var i = 0; i < blocks; i++)
                {
                    // A block that is damaged in the journal stays damaged to its readers: its sum is carried over, not made anew.
                    var word = layer.Extent(number)[run.Block + done + i];
                    var sum = BlockWord.SumOf(data.Slice(i * BlockGeometry.BlockBytes, BlockGeometry.BlockBytes));
                    if (BlockWord.Place(word) == run.Place + (uint)((done + i) * (BlockGeometry.BlockBytes / BlockWord.UnitBytes))) sum = BlockWord.Sum(word);
                    PutSum(sums, run.Block + done + i, sum, run.Sequence);
                }
                group.Data!.Write(DataPosition(index, run.Block + done), data);
                done += blocks;
            }
        }
        group.Sums.Write(LayerGroup.SumsPosition(index), sums);
        return group;
    }

    private byte[]? _applyBuffer;

    // Below the lowest layer there is nothing to hide.
    private static uint SettledZero(Layer layer) => layer.Parent is null ? BlockWord.AbsentSum : BlockWord.ZeroSum;

    private static void PutSum(Span<byte> sums, int block, uint sum, uint sequence)
    {
        var entry = sums[(block * LayerGroup.SumEntryBytes)..];
        BinaryPrimitives.WriteUInt32LittleEndian(entry, sum);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[4..], sequence);
    }

    // The blocks are durable in their place: from now on their words say so, unless they were written again.
    private void Settle(in ApplyRun run)
    {
        lock (_journal.Gate)
        {
            if (run.Layer.Deleted) return;
            var extent = run.Layer.Extent(run.Extent);
            for (var i = 0; i < run.Count; i++)
            {
                ref var word = ref extent.Words[run.Block + i];
                var place = run.Zero ? run.Place : run.Place + (uint)(i * (BlockGeometry.BlockBytes / BlockWord.UnitBytes));
                if (BlockWord.Place(word) != place) continue;
                Volatile.Write(ref word, run.Zero ? SettledZero(run.Layer) : BlockWord.Sum(word));
                extent.JournalCount--;
                run.Layer.JournalCount--;
                _journalBlocks--;
            }
        }
    }

    private void ShrinkCache()
    {
        List<Layer> layers;
        lock (_structure) layers = [.. _layers.Values];
        var loaded = 0;
        foreach (var layer in layers)
            foreach (var (_, group) in layer.Groups) loaded += group.CountLoaded();
        if (loaded <= _options.CachedExtentsMax) return;
        // Twice: the first round takes the mark of use away, the second takes what was not used since.
        for (var round = 0; round < 2 && loaded > _options.CachedExtentsMax; round++)
        {
            foreach (var layer in layers)
            {
                foreach (var (_, group) in layer.Groups)
                {
                    for (var index = 0; index < BlockGeometry.GroupExtents && loaded > _options.CachedExtentsMax; index++)
                    {
                        if (group.ForgetFlat(index)) loaded--;
                        if (group.Peek(index) is null) continue;
                        lock (_journal.Gate)
                        {
                            if (group.Forget(index, onlyUnused: true)) loaded--;
                        }
                    }
                }
            }
        }
    }
}
