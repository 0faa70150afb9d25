namespace Nephos.LocalStorage.Block;

/// <summary>The journal of one device: where each write goes first, in one order for all volumes.</summary>
/// <remarks>Appending happens under <see cref="Gate"/>, by whoever has something to append: a write into the page cache takes less time than handing it
/// to another thread. Durability is asked for by <see cref="Sync"/>; one call of fdatasync serves everybody who waits.</remarks>
internal sealed class Journal : IDisposable
{
    private readonly string _directory;
    private readonly Guid _deviceId;
    private readonly BlockStoreOptions _options;
    private readonly Lock _syncGate = new();
    private readonly JournalSegment?[] _slots;
    private readonly Queue<JournalSegment> _closed = new();
    private readonly Stack<JournalSegment> _free = new();
    private readonly List<JournalSegment> _unsynced = [];
    private JournalSegment? _spare;
    private bool _preparing;
    private ulong _nextNumber = 1;
    private long _appended;
    private long _synced;

    public Journal(string directory, Guid deviceId, BlockStoreOptions options)
    {
        _directory = directory;
        _deviceId = deviceId;
        _options = options;
        _slots = new JournalSegment?[BlockWord.SlotsMax];
    }

    /// <summary>Guards the order of records and the words that point at them. Waiters for a free segment wait on it.</summary>
    public object Gate { get; } = new();

    /// <summary>Null until the first record.</summary>
    public JournalSegment? Current { get; private set; }

    public uint PreviousCrc { get; set; }

    /// <summary>Why the device takes no more writes.</summary>
    public Exception? Failure { get; private set; }

    public int ClosedCount => _closed.Count;

    public bool HasRecords => _closed.Count > 0 || Current is { Position: > SegmentHeader.Bytes };

    public long LiveBytes => _closed.Sum(segment => segment.Position) + (Current?.Position ?? 0);

    public BlockFile? FileOf(int slot) => Volatile.Read(ref _slots[slot])?.File;

    public void Fail(Exception reason)
    {
        lock (Gate)
        {
            Failure ??= reason;
            Monitor.PulseAll(Gate);
        }
    }

    /// <summary>Makes room for a record; under the gate, which it leaves while it waits for a free segment.</summary>
    public BlockStatus Reserve(long recordBytes)
    {
        while (true)
        {
            if (Failure is not null) return BlockStatus.Failed;
            if (Current is { } current && current.Position + recordBytes <= _options.SegmentBytes) return BlockStatus.Ok;
            if (Current is not null && _closed.Count + 1 >= _options.SegmentsMax)
            {
                Monitor.Wait(Gate);
                continue;
            }
            try
            {
                if (!EnsureSpare()) continue;
            }
            catch (BlockFileException e) when (e.ErrorNumber == BlockFileException.Enospc)
            {
                return BlockStatus.NoSpace;
            }
            catch (BlockFileException e)
            {
                Fail(e);
                continue;
            }
            Close();
            Current = _spare;
            _spare = null;
        }
    }

    /// <summary>Ends the current segment, so that it can be applied. Under the gate.</summary>
    public void Close()
    {
        if (Current is not { Position: > SegmentHeader.Bytes } full) return;
        _closed.Enqueue(full);
        Current = null;
        Monitor.PulseAll(Gate);
    }

    /// <summary>Makes the next segment ready beforehand, so that no writer waits for it.</summary>
    /// <param name="always">Also when the current segment is far from full.</param>
    public void PrepareSpare(bool always)
    {
        lock (Gate)
        {
            if (_spare is not null || Failure is not null || _closed.Count + 2 > _options.SegmentsMax) return;
            if (Current is not { Position: > SegmentHeader.Bytes } current) return;
            if (always || current.Position >= _options.SegmentBytes / 2) EnsureSpare();
        }
    }

    // Under the gate, which it leaves while the file is made. False when somebody else did that meanwhile: look again.
    private bool EnsureSpare()
    {
        if (_spare is not null) return true;
        if (_preparing)
        {
            Monitor.Wait(Gate);
            return false;
        }
        _preparing = true;
        var segment = _free.Count > 0 ? _free.Pop() : null;
        var number = _nextNumber;
        var oldest = _closed.TryPeek(out var first) ? first.Number : Current?.Number ?? number;
        Monitor.Exit(Gate);
        try
        {
            segment ??= MakeFile();
            Span<byte> page = stackalloc byte[SegmentHeader.Bytes];
            new SegmentHeader(_deviceId, number, oldest).Write(page);
            segment.File.Write(0, page);
            segment.File.Sync();
        }
        finally
        {
            Monitor.Enter(Gate);
            _preparing = false;
            Monitor.PulseAll(Gate);
        }
        segment.Number = number;
        segment.Position = SegmentHeader.Bytes;
        _nextNumber = number + 1;
        _spare = segment;
        return true;
    }

    /// <summary>Counts a record that was written. Under the gate.</summary>
    public void Advance(long bytes, uint lastCrc)
    {
        var current = Current!;
        if (_unsynced.Count == 0 || !ReferenceEquals(_unsynced[^1], current)) _unsynced.Add(current);
        current.Position += bytes;
        PreviousCrc = lastCrc;
        _appended += bytes;
    }

    /// <summary>Makes everything appended so far durable.</summary>
    /// <returns>False when the device has failed.</returns>
    public bool Sync()
    {
        long target;
        lock (Gate)
        {
            if (Failure is not null) return false;
            target = _appended;
        }
        if (Volatile.Read(ref _synced) >= target) return true;
        lock (_syncGate)
        {
            if (Volatile.Read(ref _synced) >= target) return true;
            JournalSegment[] segments;
            lock (Gate)
            {
                if (Failure is not null) return false;
                target = _appended;
                segments = [.. _unsynced];
                _unsynced.Clear();
            }
            try
            {
                foreach (var segment in segments) segment.File.Sync();
            }
            catch (BlockFileException e)
            {
                Fail(e);
                return false;
            }
            Volatile.Write(ref _synced, target);
            return true;
        }
    }

    /// <summary>The oldest segment that takes no more records, for the applier.</summary>
    public JournalSegment? OldestClosed()
    {
        lock (Gate) return _closed.TryPeek(out var segment) ? segment : null;
    }

    /// <summary>The segments that hold records, oldest first, and how far. Under the gate.</summary>
    public (JournalSegment Segment, ulong Number, long End)[] Segments()
    {
        var closed = _closed.Select(segment => (segment, segment.Number, segment.Position));
        return [.. Current is { } current ? closed.Append((current, current.Number, current.Position)) : closed];
    }

    /// <summary>The oldest segment is applied and durable in its place: its file is free again.</summary>
    public void Release(JournalSegment segment)
    {
        lock (Gate)
        {
            if (!ReferenceEquals(_closed.Dequeue(), segment)) throw new InvalidOperationException("Segments are released in order.");
            _unsynced.Remove(segment);
            _free.Push(segment);
            Monitor.PulseAll(Gate);
        }
    }

    private JournalSegment MakeFile()
    {
        var slot = Array.IndexOf(_slots, null);
        if (slot < 0) throw new InvalidOperationException("The journal has no free slot.");
        Directory.CreateDirectory(_directory);
        var file = new BlockFile(PathOf(slot), FileMode.Create, _options.Faults);
        try
        {
            file.Allocate(0, _options.SegmentBytes);
            file.Sync();
            BlockFile.SyncDirectory(_directory);
        }
        catch
        {
            file.Dispose();
            File.Delete(PathOf(slot));
            throw;
        }
        var segment = new JournalSegment(slot, file);
        Volatile.Write(ref _slots[slot], segment);
        return segment;
    }

    private string PathOf(int slot) => Path.Combine(_directory, slot.ToString("d4") + ".seg");

    public delegate void RecordFound(JournalSegment segment, long position, in RecordHeader header, ReadOnlySpan<byte> payload);

    /// <summary>Opens the segments and hands over each valid record, in order.</summary>
    /// <param name="oldestNeeded">Segments below this number are not needed any more, whatever a header says.</param>
    /// <param name="beforeDiscard">Makes the number of the oldest segment that is needed durable.</param>
    /// <param name="found">Gets the records.</param>
    /// <exception cref="BlockStoreException">A segment that is still needed is missing, or belongs to another device.</exception>
    public RecoveryReport Recover(ulong oldestNeeded, Action<ulong> beforeDiscard, RecordFound found)
    {
        _nextNumber = Math.Max(oldestNeeded, 1);
        var headers = FindSegments();
        if (headers.Count == 0) return new RecoveryReport(0, 0, 0, null);
        var newest = headers.Values.Last().Header;
        var oldest = Math.Max(newest.OldestNumber, oldestNeeded);
        var (records, bytes) = (0L, 0L);
        string? stoppedAt = null;
        uint? previousCrc = null;
        for (var number = oldest; number <= newest.Number; number++)
        {
            if (!headers.TryGetValue(number, out var entry))
                throw new BlockStoreException(BlockStoreError.Corrupt, $"Segment {number} of the journal in {_directory} is missing.");
            var before = records;
            previousCrc = Replay(entry.Segment, previousCrc, found, ref records, ref bytes);
            if (records == before)
            {
                // What follows a break was never durable as a whole: it hangs on records that are not there.
                if (number < newest.Number) stoppedAt = $"segment {number}";
                break;
            }
            _closed.Enqueue(entry.Segment);
            _nextNumber = number + 1;
        }
        if (_closed.Count == 0) _nextNumber = Math.Max(oldest, 1);
        PreviousCrc = previousCrc ?? 0;
        foreach (var segment in _closed) segment.File.Sync();
        if (_closed.Count < headers.Count)
        {
            beforeDiscard(_closed.TryPeek(out var first) ? first.Number : _nextNumber);
            foreach (var (segment, _) in headers.Values)
                if (!_closed.Contains(segment)) Discard(segment);
            BlockFile.SyncDirectory(_directory);
        }
        return new RecoveryReport(_closed.Count, records, bytes, stoppedAt);
    }

    private SortedDictionary<ulong, (JournalSegment Segment, SegmentHeader Header)> FindSegments()
    {
        var headers = new SortedDictionary<ulong, (JournalSegment Segment, SegmentHeader Header)>();
        if (!Directory.Exists(_directory)) return headers;
        Span<byte> page = stackalloc byte[64];
        foreach (var path in Directory.GetFiles(_directory, "*.seg"))
        {
            if (!int.TryParse(Path.GetFileNameWithoutExtension(path), out var slot) || slot < 0 || slot >= _slots.Length) continue;
            var segment = new JournalSegment(slot, new BlockFile(path, FileMode.Open, _options.Faults));
            _slots[slot] = segment;
            segment.File.Read(0, page);
            // A file that was being made has no header yet.
            if (!SegmentHeader.TryRead(page, out var header))
            {
                Discard(segment);
                continue;
            }
            if (header.DeviceId != _deviceId)
                throw new BlockStoreException(BlockStoreError.Corrupt, $"{segment.File.Path} belongs to device {header.DeviceId}, not {_deviceId}.");
            segment.Number = header.Number;
            headers[header.Number] = (segment, header);
        }
        return headers;
    }

    private void Discard(JournalSegment segment)
    {
        _slots[segment.Slot] = null;
        segment.File.Dispose();
        File.Delete(segment.File.Path);
    }

    private uint? Replay(JournalSegment segment, uint? previousCrc, RecordFound found, ref long records, ref long bytes)
    {
        var position = (long)SegmentHeader.Bytes;
        Span<byte> head = stackalloc byte[RecordHeader.Bytes];
        var payload = new byte[1 << 20];
        while (position + RecordHeader.Bytes <= _options.SegmentBytes)
        {
            segment.File.Read(position, head);
            if (!RecordHeader.TryRead(head, out var header, out var crc) || header.Segment != segment.Number) break;
            if (previousCrc is { } expected && header.PreviousCrc != expected) break;
            if (position + RecordHeader.Bytes + header.PayloadBytes > _options.SegmentBytes) break;
            if (payload.Length < header.PayloadBytes) payload = new byte[header.PayloadBytes];
            var data = payload.AsSpan(0, header.PayloadBytes);
            segment.File.Read(position + RecordHeader.Bytes, data);
            if (Crc32C.Compute(data) != header.PayloadCrc) break;
            found(segment, position, in header, data);
            position += RecordHeader.Bytes + header.PayloadBytes;
            records++;
            bytes += header.PayloadBytes;
            previousCrc = crc;
        }
        segment.Position = position;
        return previousCrc;
    }

    public void Dispose()
    {
        foreach (var segment in _slots) segment?.File.Dispose();
    }
}
