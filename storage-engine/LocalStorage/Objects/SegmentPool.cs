using System.Globalization;

namespace Nephos.LocalStorage.Objects;

/// <summary>The segment files of one directory: those in use, and a stock of prepared ones that a worker keeps up.</summary>
internal sealed class SegmentPool : IDisposable
{
    private readonly ISegmentDirectory _directory;
    private readonly SegmentKind _kind;
    private readonly Guid _deviceId;
    private readonly long _segmentBytes;
    private readonly int _reserve;
    private readonly Func<long, bool> _hasRoom;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();

    // Held while a file is written, by the worker or by an appender that cannot wait for it.
    private readonly Lock _preparing = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Queue<SegmentFile> _free = new();
    private IWorker? _worker;
    private ulong _lastId;
    private int _nextNumber;
    private int _inUse;
    private bool _noRoom;
    private bool _wantSpare;

    /// <param name="reserve">Prepared files kept for work that frees space: deletes and compaction.</param>
    /// <param name="hasRoom">Whether the device may grow by this many bytes.</param>
    private SegmentPool(
        ISegmentDirectory directory, SegmentKind kind, Guid deviceId, long segmentBytes, int reserve, Func<long, bool> hasRoom, TimeProvider time)
    {
        (_directory, _kind, _deviceId, _segmentBytes) = (directory, kind, deviceId, segmentBytes);
        (_reserve, _hasRoom, _time) = (reserve, hasRoom, time);
    }

    /// <summary>Prepared and used files together.</summary>
    public long SizeBytes
    {
        get
        {
            lock (_gate)
            {
                return (_inUse + _free.Count) * _segmentBytes;
            }
        }
    }

    /// <summary>False when an ordinary append that needs a new segment would be refused.</summary>
    public bool CanTake
    {
        get
        {
            lock (_gate)
            {
                return _free.Count > _reserve || !_noRoom || _hasRoom(_segmentBytes);
            }
        }
    }

    /// <summary>Opens the directory; <paramref name="used"/> gets the segments in use, oldest first, and the names of damaged ones.</summary>
    public static SegmentPool Open(
        IDeviceMedium medium, string name, SegmentKind kind, Guid deviceId, long segmentBytes, int reserve, Func<long, bool> hasRoom, TimeProvider time,
        out List<SegmentFile> used, out List<string> damaged)
    {
        var directory = medium.OpenSegments(name);
        var pool = new SegmentPool(directory, kind, deviceId, segmentBytes, reserve, hasRoom, time);
        used = [];
        damaged = [];
        foreach (var entry in directory.Names)
        {
            if (int.TryParse(Path.GetFileNameWithoutExtension(entry), NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            {
                pool._nextNumber = Math.Max(pool._nextNumber, number + 1);
            }

            var file = directory.Open(entry);
            if (file is null || file.Header.Kind != kind)
            {
                file?.Dispose();
                damaged.Add(entry);
                continue;
            }

            pool._lastId = Math.Max(pool._lastId, Math.Max(file.Id, file.Header.PreviousId));
            if (file.Id == 0 && file.SizeBytes == segmentBytes)
            {
                pool._free.Enqueue(file);
            }
            else if (file.Id == 0)
            {
                file.Dispose(); // The configured size changed since it was prepared.
                directory.Delete(entry);
            }
            else
            {
                used.Add(file);
            }
        }

        used.Sort((a, b) => a.Id.CompareTo(b.Id));
        pool._inUse = used.Count;
        pool._worker = medium.StartWorker($"prepare {kind}", pool.PrepareWanted);
        pool._worker.Wake();
        return pool;
    }

    /// <summary>A prepared file with a new id; prepares one when there is none; null when the device may not grow.</summary>
    public SegmentFile? Take(bool useReserve)
    {
        while (!_stop.IsCancellationRequested)
        {
            lock (_gate)
            {
                if (_free.Count > (useReserve ? 0 : _reserve))
                {
                    var file = _free.Dequeue();
                    _inUse++;
                    var now = (ulong)_time.GetUtcNow().ToUnixTimeMilliseconds();
                    _wantSpare = false;
                    _lastId = Math.Max(_lastId + 1, now << 8);
                    file.Rename(file.Header with { Id = _lastId, PreviousId = file.Header.PreviousId, CreatedUnixMs = (long)now });
                    _worker!.Wake();
                    return file;
                }

                if (_noRoom && !_hasRoom(_segmentBytes))
                {
                    return null;
                }

                _noRoom = false;
                _wantSpare = true;
            }

            if (!TryPrepare())
            {
                break;
            }
        }

        return null;
    }

    /// <summary>Removes a file that is of no use.</summary>
    public void Delete(string name) => _directory.Delete(name);

    /// <summary>Prepares the next file in the background, so that <see cref="Take"/> will not have to wait.</summary>
    public void PrepareSpare()
    {
        lock (_gate)
        {
            if (_wantSpare)
            {
                return;
            }

            _wantSpare = true;
        }

        _worker!.Wake();
    }

    /// <summary>Ends the use of a file; it will be used again under another id.</summary>
    public void Recycle(SegmentFile file)
    {
        file.Rename(file.Header with { Id = 0, PreviousId = file.Id });
        lock (_gate)
        {
            _inUse--;
            if (file.SizeBytes == _segmentBytes)
            {
                _free.Enqueue(file);
                return;
            }
        }

        file.Dispose();
        _directory.Delete(file.Name);
    }

    public void Dispose()
    {
        _stop.Cancel();
        _worker?.Dispose();
        foreach (var file in _free)
        {
            file.Dispose();
        }

        _stop.Dispose();
    }

    private void PrepareWanted()
    {
        while (!_stop.IsCancellationRequested && IsShort() && TryPrepare())
        {
        }
    }

    private bool IsShort()
    {
        lock (_gate)
        {
            return _free.Count < _reserve + (_wantSpare ? 1 : 0) && !_noRoom;
        }
    }

    /// <summary>False when the device is full, gone or being closed.</summary>
    private bool TryPrepare()
    {
        lock (_preparing)
        {
            if (!IsShort())
            {
                return true;
            }

            try
            {
                Prepare();
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or OperationCanceledException)
            {
                lock (_gate)
                {
                    _noRoom = true;
                }
            }

            return !_noRoom;
        }
    }

    private void Prepare()
    {
        int number;
        lock (_gate)
        {
            if (!_hasRoom(_segmentBytes))
            {
                _noRoom = true;
                return;
            }

            number = _nextNumber++;
        }

        var name = number.ToString("d8", CultureInfo.InvariantCulture) + ".seg";
        var file = _directory.Create(name, new SegmentHeader(_kind, 0, 0, _deviceId, _segmentBytes, 0), _stop.Token);
        lock (_gate)
        {
            _free.Enqueue(file);
        }
    }
}
