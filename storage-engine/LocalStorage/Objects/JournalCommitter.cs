using System.IO.Hashing;
using System.Threading.Tasks.Sources;

namespace Nephos.LocalStorage.Objects;

internal sealed class JournalRequest : IValueTaskSource<StoreStatus>
{
    private ManualResetValueTaskSourceCore<StoreStatus> _source = new() { RunContinuationsAsynchronously = true };

    public required Guid Group { get; init; }

    public Guid? NewReplica { get; init; }

    public ulong Promised { get; init; }

    public IReadOnlyList<JournalEntry> Entries { get; init; } = [];

    public (ulong Epoch, ulong Sequence)? ResetTo { get; init; }

    public ulong TrimTo { get; init; }

    public ValueTask<StoreStatus> Task => new(this, _source.Version);

    public void Complete(StoreStatus status) => _source.SetResult(status);

    StoreStatus IValueTaskSource<StoreStatus>.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<StoreStatus>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<StoreStatus>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);
}

/// <summary>The one thread that writes a device's journal; one durable write for everything that waits.</summary>
internal sealed class JournalCommitter : IDisposable
{
    private const int PageBytes = JournalRecovery.PageBytes;

    /// <summary>Room for the state of all groups, which a new segment begins with.</summary>
    private const int StateRoomBytes = 256 << 10;
    private readonly SegmentPool _pool;
    private readonly AlignedBuffer _buffer;
    private readonly Lock _gate = new();
    private readonly IWorker _worker;
    private readonly List<SegmentFile> _segments;
    private readonly List<JournalRequest> _placed = [];
    private readonly List<(Guid Group, ulong Sequence, JournalPlace Place)> _entries = [];
    private List<JournalRequest> _waiting = [];
    private List<JournalRequest> _taken = [];
    private long _position;
    private ulong _batch;
    private int _used;
    private bool _stopping;

    public JournalCommitter(
        IDeviceMedium medium, SegmentPool pool, Dictionary<Guid, JournalGroup> groups, List<SegmentFile> segments, ulong lastBatch, long position,
        int writeBytesMax)
    {
        (_pool, Groups, _segments, _batch, _position) = (pool, groups, segments, lastBatch + 1, position);
        _buffer = medium.Allocate(writeBytesMax);
        _worker = medium.StartWorker("journal committer", WriteWaiting);
    }

    /// <summary>Also the lock for what is in it.</summary>
    public Dictionary<Guid, JournalGroup> Groups { get; }

    public bool HasFailed { get; private set; }

    public int SegmentCount
    {
        get
        {
            lock (Groups)
            {
                return _segments.Count;
            }
        }
    }

    public ValueTask<StoreStatus> PostAsync(JournalRequest request)
    {
        var task = request.Task;
        lock (_gate)
        {
            if (!_stopping)
            {
                _waiting.Add(request);
                if (_waiting.Count == 1)
                {
                    _worker.Wake();
                }

                return task;
            }
        }

        request.Complete(StoreStatus.Failed);
        return task;
    }

    public ulong LastSequenceInOldest(Guid id)
    {
        if (_segments.Count < 2 || !Groups.TryGetValue(id, out var group) || !group.Uses(_segments[0]))
        {
            return 0;
        }

        var sequence = group.TrimmedSequence;
        while (group.Find(sequence + 1) is { } place && place.Segment.Id <= _segments[0].Id)
        {
            sequence++;
        }

        return sequence;
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _stopping = true;
        }

        _worker.Dispose();
        ((IDisposable)_buffer).Dispose();
        foreach (var segment in _segments)
        {
            segment.Dispose();
        }
    }

    private void WriteWaiting()
    {
        while (true)
        {
            lock (_gate)
            {
                if (_waiting.Count == 0)
                {
                    return;
                }

                (_taken, _waiting) = (_waiting, _taken);
            }

            foreach (var request in _taken)
            {
                Place(request);
            }

            Write();
            _taken.Clear();
        }
    }

    private void Place(JournalRequest request)
    {
        if (HasFailed)
        {
            request.Complete(StoreStatus.Failed);
            return;
        }

        if (request.TrimTo > 0)
        {
            Trim(request);
            return;
        }

        var needed = JournalRecordHeader.TotalBytesFor(JournalStateBody.SizeBytes);
        foreach (var entry in request.Entries)
        {
            needed += JournalRecordHeader.TotalBytesFor(entry.Body.Length);
        }

        if (needed > _buffer.SizeBytes - StateRoomBytes)
        {
            request.Complete(StoreStatus.Failed);
            return;
        }

        if (_used + needed > _buffer.SizeBytes - StateRoomBytes)
        {
            Write();
        }

        if (!Reserve(needed) || !Change(request))
        {
            request.Complete(StoreStatus.Failed);
            return;
        }

        foreach (var entry in request.Entries)
        {
            var place = Add(JournalRecordKind.Entry, request.Group, entry.Epoch, entry.Sequence, entry.Body.Span, entry.Epoch);
            _entries.Add((request.Group, entry.Sequence, place));
        }

        _placed.Add(request);
    }

    /// <summary>Promises, resets and new replicas go into a state record.</summary>
    private bool Change(JournalRequest request)
    {
        lock (Groups)
        {
            if (request.NewReplica is { } replica)
            {
                var log = new JournalGroup(request.Group, replica);
                Groups[request.Group] = log;
                AddState(log, isReset: true);
                return true;
            }

            if (!Groups.TryGetValue(request.Group, out var group))
            {
                return false;
            }

            if (request.Promised <= group.Promised && request.ResetTo is null)
            {
                return true;
            }

            group.Promised = Math.Max(group.Promised, request.Promised);
            if (request.ResetTo is { } start)
            {
                Write();
                group.Reset(start.Epoch, start.Sequence);
            }

            AddState(group, isReset: request.ResetTo is not null);
            return true;
        }
    }

    private void AddState(JournalGroup group, bool isReset)
    {
        Span<byte> body = stackalloc byte[JournalStateBody.SizeBytes];
        group.ToState(isReset).Write(body);
        Add(JournalRecordKind.State, group.Group, 0, 0, body, 0);
    }

    /// <summary>Makes sure the current segment takes the group; the next one begins with the state of every log.</summary>
    private bool Reserve(int needed)
    {
        if (_segments.Count > 0 && _position + _used + needed <= _segments[^1].SizeBytes - PageBytes)
        {
            return true;
        }

        Write();
        SegmentFile? segment;
        try
        {
            segment = _pool.Take(useReserve: true);
        }
        catch (Exception failure) when (failure is IOException or OperationCanceledException)
        {
            return false;
        }

        if (segment is null)
        {
            return false;
        }

        lock (Groups)
        {
            _segments.Add(segment);
            _position = SegmentHeader.HeaderBytes;
            foreach (var group in Groups.Values)
            {
                AddState(group, isReset: false);
            }
        }

        return true;
    }

    private JournalPlace Add(JournalRecordKind kind, Guid group, ulong epoch, ulong sequence, ReadOnlySpan<byte> body, ulong placeEpoch)
    {
        var segment = _segments[^1];
        var space = _buffer.GetSpan()[_used..];
        var header = new JournalRecordHeader(kind, segment.Id, _batch, group, epoch, sequence, body.Length, XxHash3.HashToUInt64(body));
        header.Write(space);
        body.CopyTo(space[JournalRecordHeader.SizeBytes..]);
        space[(JournalRecordHeader.SizeBytes + body.Length)..header.TotalBytes].Clear();
        var place = new JournalPlace(
            placeEpoch, segment, _position + _used + JournalRecordHeader.SizeBytes, body.Length, header.BodyHash);
        _used += header.TotalBytes;
        return place;
    }

    private void Write()
    {
        if (_used == 0)
        {
            Complete(StoreStatus.Ok);
            return;
        }

        var status = StoreStatus.Ok;
        var total = _used + PageBytes - 1 & ~(PageBytes - 1);
        _buffer.GetSpan()[_used..total].Clear();
        try
        {
            Span<IoVector> pieces = [new IoVector(_buffer.Address, total)];
            _segments[^1].Write(pieces, _position);
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException)
        {
            // Nothing can be appended behind a write whose fate is unknown: the journal is done with, and with it the device.
            HasFailed = true;
            status = StoreStatus.Failed;
        }

        if (status == StoreStatus.Ok)
        {
            lock (Groups)
            {
                foreach (var (id, sequence, place) in _entries)
                {
                    if (!Groups[id].Put(sequence, place))
                    {
                        status = StoreStatus.Failed;
                    }
                }
            }
        }

        _position += total;
        _batch++;
        _used = 0;
        _entries.Clear();
        Complete(status);
        if (_position > _segments[^1].SizeBytes / 2)
        {
            _pool.PrepareSpare();
        }
    }

    private void Complete(StoreStatus status)
    {
        foreach (var request in _placed)
        {
            request.Complete(status);
        }

        _placed.Clear();
    }

    private void Trim(JournalRequest request)
    {
        Write();
        var free = new List<SegmentFile>();
        lock (Groups)
        {
            if (Groups.TryGetValue(request.Group, out var group) && group.Find(request.TrimTo) is { } place)
            {
                group.Trim(place.Epoch, request.TrimTo);
            }

            while (_segments.Count > 1 + free.Count && Groups.Values.All(g => !g.Uses(_segments[free.Count])))
            {
                free.Add(_segments[free.Count]);
            }
        }

        if (free.Count > 0)
        {
            // Recovery must learn that what is missing was trimmed, before it is missing.
            if (Reserve(Groups.Count * JournalRecordHeader.TotalBytesFor(JournalStateBody.SizeBytes)))
            {
                lock (Groups)
                {
                    foreach (var group in Groups.Values)
                    {
                        AddState(group, isReset: false);
                    }
                }

                Write();
            }

            if (!HasFailed)
            {
                Recycle(free);
            }
        }

        request.Complete(HasFailed ? StoreStatus.Failed : StoreStatus.Ok);
    }

    private void Recycle(List<SegmentFile> free)
    {
        try
        {
            foreach (var segment in free)
            {
                lock (Groups)
                {
                    _segments.Remove(segment);
                }

                _pool.Recycle(segment);
            }
        }
        catch (IOException)
        {
            HasFailed = true;
        }
    }
}
