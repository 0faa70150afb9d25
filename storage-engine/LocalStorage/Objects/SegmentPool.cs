using System.Globalization;

namespace Nephos.LocalStorage.Objects;

/// <summary>The segment files of one directory: those in use, and a stock of prepared ones that a thread keeps up.</summary>
internal sealed class SegmentPool : IDisposable
{
    private readonly string _directory;
    private readonly SegmentKind _kind;
    private readonly Guid _deviceId;
    private readonly long _segmentBytes;
    private readonly int _reserve;
    private readonly Func<long, bool> _hasRoom;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly ManualResetEventSlim _wanted = new(false);
    private readonly ManualResetEventSlim _prepared = new(false);
    private readonly CancellationTokenSource _stop = new();
    private readonly Queue<SegmentFile> _free = new();
    private readonly Thread _preparer;
    private ulong _lastId;
    private int _nextNumber;
    private int _inUse;
    private bool _noRoom;
    private bool _wantSpare;

    /// <param name="reserve">Prepared files kept for work that frees space: deletes and compaction.</param>
    /// <param name="hasRoom">Whether the device may grow by this many bytes.</param>
    private SegmentPool(
        string directory, SegmentKind kind, Guid deviceId, long segmentBytes, int reserve, Func<long, bool> hasRoom, TimeProvider time)
    {
        (_directory, _kind, _deviceId, _segmentBytes) = (directory, kind, deviceId, segmentBytes);
        (_reserve, _hasRoom, _time) = (reserve, hasRoom, time);
        _preparer = new Thread(PrepareLoop) { IsBackground = true, Name = $"prepare {kind}" };
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

    /// <summary>Opens the directory; <paramref name="used"/> gets the segments in use, oldest first, and the paths of damaged ones.</summary>
    public static SegmentPool Open(
        string directory, SegmentKind kind, Guid deviceId, long segmentBytes, int reserve, Func<long, bool> hasRoom, TimeProvider time,
        out List<SegmentFile> used, out List<string> damaged)
    {
        Directory.CreateDirectory(directory);
        var pool = new SegmentPool(directory, kind, deviceId, segmentBytes, reserve, hasRoom, time);
        used = [];
        damaged = [];
        foreach (var path in Directory.GetFiles(directory))
        {
            if (path.EndsWith(".new", StringComparison.Ordinal))
            {
                File.Delete(path);
                continue;
            }

            if (int.TryParse(Path.GetFileNameWithoutExtension(path), NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            {
                pool._nextNumber = Math.Max(pool._nextNumber, number + 1);
            }

            var file = SegmentFile.Open(path);
            if (file is null || file.Header.Kind != kind)
            {
                file?.Dispose();
                damaged.Add(path);
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
                File.Delete(path);
            }
            else
            {
                used.Add(file);
            }
        }

        used.Sort((a, b) => a.Id.CompareTo(b.Id));
        pool._inUse = used.Count;
        pool._preparer.Start();
        pool._wanted.Set();
        return pool;
    }

    /// <summary>A prepared file with a new id; waits for the preparer; null when the device may not grow.</summary>
    public SegmentFile? Take(bool useReserve)
    {
        while (true)
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
                    _wanted.Set();
                    return file;
                }

                if (_noRoom && !_hasRoom(_segmentBytes))
                {
                    return null;
                }

                _noRoom = false;
                _wantSpare = true;
                _prepared.Reset();
                _wanted.Set();
            }

            _prepared.Wait(_stop.Token);
        }
    }

    /// <summary>Prepares the next file in the background, so that <see cref="Take"/> will not have to wait.</summary>
    public void PrepareSpare()
    {
        lock (_gate)
        {
            _wantSpare = true;
        }

        _wanted.Set();
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
                _prepared.Set();
                return;
            }
        }

        file.Dispose();
        File.Delete(file.Path);
    }

    public void Dispose()
    {
        _stop.Cancel();
        _wanted.Set();
        _preparer.Join();
        foreach (var file in _free)
        {
            file.Dispose();
        }

        _wanted.Dispose();
        _prepared.Dispose();
        _stop.Dispose();
    }

    private void PrepareLoop()
    {
        while (true)
        {
            _wanted.Wait();
            _wanted.Reset();
            while (!_stop.IsCancellationRequested && IsShort())
            {
                try
                {
                    Prepare();
                }
                catch (OperationCanceledException)
                {
                    return;
                }
                catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
                {
                    // The device is full or gone: the appenders find out by themselves, and ask again.
                    lock (_gate)
                    {
                        _noRoom = true;
                    }
                }

                _prepared.Set();
            }

            if (_stop.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private bool IsShort()
    {
        lock (_gate)
        {
            return _free.Count < _reserve + (_wantSpare ? 1 : 0) && !_noRoom;
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

        var path = Path.Combine(_directory, number.ToString("d8", CultureInfo.InvariantCulture) + ".seg");
        var file = SegmentFile.Create(path, new SegmentHeader(_kind, 0, 0, _deviceId, _segmentBytes, 0), _stop.Token);
        lock (_gate)
        {
            _free.Enqueue(file);
        }
    }
}
