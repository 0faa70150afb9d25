using System.Diagnostics;

namespace Nephos.LocalStorage.Objects;

/// <summary>
/// The one thread that writes a device's volumes. It takes every request that waits, writes them with one gathered durable
/// write, indexes them, and completes them; while it writes, the next group collects.
/// </summary>
internal sealed class VolumeCommitter : IDisposable
{
    private const int GroupBytesMax = 16 << 20;
    private const int CopyBytesMax = 64 << 10;
    private const int PageBytes = 4096;
    private const int FailuresMax = 3;
    private readonly VolumeSet _volumes;
    private readonly NeedleIndex _index;
    private readonly SegmentPool _pool;
    private readonly AlignedBuffer _buffer;
    private readonly AlignedBuffer _zeros;
    private readonly IoVector[] _pieces = new IoVector[DirectIo.VectorCountMax];
    private readonly List<System.Buffers.MemoryHandle> _pins = [];
    private readonly Lock _gate = new();
    private readonly IWorker _worker;
    private List<StoreRequest> _waiting = [];
    private List<StoreRequest> _group = [];
    private readonly List<(StoreRequest Request, NeedleHeader Header)> _placed = [];
    private Volume? _current;
    private ulong _nextSequence;
    private ulong _batch;
    private long _groupStart;
    private long _groupBytes;
    private int _pieceCount;
    private int _bufferUsed;
    private int _failures;
    private bool _hasDeletes;
    private bool _stopping;

    /// <param name="current">The volume to go on with; null to begin a new one.</param>
    public VolumeCommitter(
        IDeviceMedium medium, VolumeSet volumes, NeedleIndex index, SegmentPool pool, Volume? current, ulong nextSequence, int gatherBytes)
    {
        (_volumes, _index, _pool, _current, _nextSequence) = (volumes, index, pool, current, nextSequence);
        (_buffer, _zeros) = (medium.Allocate(gatherBytes), medium.Allocate(PageBytes));
        _worker = medium.StartWorker("volume committer", WriteWaiting);
    }

    /// <summary>Set after repeated write failures: the device is not to be used any more.</summary>
    public bool HasFailed { get; private set; }

    public void Post(StoreRequest request)
    {
        lock (_gate)
        {
            if (!_stopping)
            {
                _waiting.Add(request);
                if (_waiting.Count == 1)
                {
                    _worker.Wake();
                }

                return;
            }
        }

        request.Complete(StoreStatus.Failed);
    }

    /// <summary>Completes what waits, then ends the thread.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _stopping = true;
        }

        _worker.Dispose();
        ((IDisposable)_buffer).Dispose();
        ((IDisposable)_zeros).Dispose();
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

                (_group, _waiting) = (_waiting, _group);
            }

            foreach (var request in _group)
            {
                Place(request);
            }

            Write();
            _group.Clear();
        }
    }

    private void Place(StoreRequest request)
    {
        request.Status = StoreStatus.Ok;
        if (HasFailed)
        {
            request.Complete(StoreStatus.Failed);
            return;
        }

        if (request.Kind == StoreRequestKind.Recycle)
        {
            Write();
            Recycle(request);
            return;
        }

        if (request.Kind == StoreRequestKind.Move)
        {
            // Deleted or replaced meanwhile? Whatever comes later in the log wins over this copy, so it must not be written.
            if (_hasDeletes)
            {
                Write();
            }

            if (!_volumes.IsAt(request.Write.Key, request.Expected))
            {
                request.Complete(StoreStatus.Ok);
                return;
            }
        }

        var isTombstone = request.Kind == StoreRequestKind.Delete;
        var payloadBytes = isTombstone ? 0 : request.Write.Payload.Length;
        var totalBytes = NeedleHeader.TotalBytesFor(payloadBytes);
        if (_groupBytes + totalBytes > GroupBytesMax
            || _pieceCount + 5 > _pieces.Length
            || _bufferUsed + NeedleHeader.SizeBytes * 2 + CopyBytesMax > _buffer.SizeBytes)
        {
            Write();
        }

        if (!Reserve(totalBytes, useReserve: request.Kind != StoreRequestKind.Append))
        {
            request.Complete(_pool.CanTake ? StoreStatus.Failed : StoreStatus.Full);
            return;
        }

        if (_groupBytes == 0)
        {
            _groupStart = _current!.Position + PageBytes - 1 & ~(PageBytes - 1L);
            _batch = _nextSequence;
        }

        var header = new NeedleHeader
        {
            VolumeId = _current!.Id,
            Sequence = _nextSequence++,
            Batch = _batch,
            Key = request.Write.Key,
            Flags = isTombstone ? NeedleFlags.Tombstone : request.Write.Flags,
            PayloadBytes = payloadBytes,
            HomeDevice = isTombstone ? NeedleHeader.NoHome : request.Write.HomeDevice,
        };
        request.Offset = _groupStart + _groupBytes;
        Gather(request.Write, header);
        _groupBytes += totalBytes;
        _hasDeletes |= isTombstone;
        _placed.Add((request, header));
    }

    /// <summary>Makes sure the current volume takes the needle; begins the next volume when it does not.</summary>
    private bool Reserve(int totalBytes, bool useReserve)
    {
        if (_current is not null && Fits(_current))
        {
            return true;
        }

        Write();
        SegmentFile? file;
        try
        {
            file = _pool.Take(useReserve);
        }
        catch (Exception failure) when (failure is IOException or OperationCanceledException)
        {
            return false;
        }

        if (file is null)
        {
            return false;
        }

        if (_current is not null)
        {
            _volumes.Seal(_current);
            _volumes.Publish();
        }

        _current = new Volume(file);
        _volumes.Add(_current);
        return true;

        bool Fits(Volume volume) =>
            (volume.Position + PageBytes - 1 & ~(PageBytes - 1L)) + _groupBytes + totalBytes <= volume.File.SizeBytes;
    }

    private void Gather(in NeedleWrite write, in NeedleHeader header)
    {
        var space = _buffer.GetSpan();
        header.Write(space[_bufferUsed..], write.Checksums.Span, write.Hint.Span);
        Add(_buffer.Address + _bufferUsed, NeedleHeader.SizeBytes);
        _bufferUsed += NeedleHeader.SizeBytes;
        var payload = header.PayloadBytes == 0 ? default : write.Payload;
        var copied = payload;
        if (payload.Length > CopyBytesMax)
        {
            var pin = payload.Pin();
            _pins.Add(pin);
            nint address;
            unsafe
            {
                // SAFETY: pinned until the group is written.
                address = (nint)pin.Pointer;
            }

            if (address % DirectIo.SectorBytes == 0)
            {
                var direct = payload.Length & ~(DirectIo.SectorBytes - 1);
                Add(address, direct);
                copied = payload[direct..];
            }
            else
            {
                CopyLarge(payload.Span);
                return;
            }
        }

        if (!copied.IsEmpty)
        {
            var padded = copied.Length + DirectIo.SectorBytes - 1 & ~(DirectIo.SectorBytes - 1);
            var target = space.Slice(_bufferUsed, padded);
            copied.Span.CopyTo(target);
            target[copied.Length..].Clear();
            Add(_buffer.Address + _bufferUsed, padded);
            _bufferUsed += padded;
        }
    }

    /// <summary>A large payload that is not aligned goes through memory of its own, freed with the group's pins.</summary>
    private void CopyLarge(ReadOnlySpan<byte> payload)
    {
        var padded = payload.Length + DirectIo.SectorBytes - 1 & ~(DirectIo.SectorBytes - 1);
        var copy = new AlignedBuffer(padded);
        payload.CopyTo(copy.GetSpan());
        Add(copy.Address, padded);
        _pins.Add(new OwnedPin(copy).Handle);
    }

    private void Add(nint address, int length)
    {
        if (length == 0)
        {
            return;
        }

        // Neighbours in the buffer become one piece.
        if (_pieceCount > 0 && _pieces[_pieceCount - 1].Address + _pieces[_pieceCount - 1].Length == address)
        {
            _pieces[_pieceCount - 1] = new IoVector(_pieces[_pieceCount - 1].Address, _pieces[_pieceCount - 1].Length + length);
        }
        else
        {
            _pieces[_pieceCount++] = new IoVector(address, length);
        }
    }

    /// <summary>Writes what was gathered, indexes it and completes it.</summary>
    private void Write()
    {
        if (_placed.Count == 0)
        {
            return;
        }

        var volume = _current!;
        var status = StoreStatus.Ok;
        try
        {
            var padding = (int)(-_groupBytes & (PageBytes - 1));
            if (_groupStart + _groupBytes + padding <= volume.File.SizeBytes)
            {
                Add(_zeros.Address, padding);
            }

            volume.File.Write(_pieces.AsSpan(0, _pieceCount), _groupStart);
            _failures = 0;
            foreach (var (request, header) in _placed)
            {
                Apply(volume, request, header);
            }
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException or RocksDbSharp.RocksDbException)
        {
            // What the disk holds now is unknown, and asking it again would prove nothing: this volume is done with.
            status = StoreStatus.Failed;
            _volumes.Seal(volume);
            _current = null;
            HasFailed = ++_failures >= FailuresMax;
        }
        finally
        {
            foreach (var pin in _pins)
            {
                pin.Dispose();
            }

            _pins.Clear();
        }

        try
        {
            _volumes.Publish();
        }
        catch (RocksDbSharp.RocksDbException)
        {
            status = StoreStatus.Failed;
            HasFailed = true;
        }

        foreach (var (request, _) in _placed)
        {
            request.Complete(status);
        }

        if (volume.Position > volume.File.SizeBytes / 2)
        {
            _pool.PrepareSpare();
        }

        _placed.Clear();
        (_groupBytes, _pieceCount, _bufferUsed, _hasDeletes) = (0, 0, 0, false);
    }

    private void Apply(Volume volume, StoreRequest request, in NeedleHeader header)
    {
        Debug.Assert(request.Offset >= volume.Position, "Groups are written in order.");
        if (request.Kind == StoreRequestKind.Delete)
        {
            _volumes.Tombstone(volume, header, request.Offset);
        }
        else
        {
            _volumes.Append(volume, header, request.Offset);
        }
    }

    private void Recycle(StoreRequest request)
    {
        var status = StoreStatus.Ok;
        if (_volumes.Find(request.VolumeId) is { IsSealed: true } volume)
        {
            try
            {
                _volumes.Remove(volume);
                _volumes.Publish();
                _index.Flush();
                _pool.Recycle(volume.File);
            }
            catch (Exception failure) when (failure is IOException or RocksDbSharp.RocksDbException)
            {
                status = StoreStatus.Failed;
            }
        }

        request.Complete(status);
    }

    /// <summary>Lets memory that is freed travel in the list of pins.</summary>
    private sealed unsafe class OwnedPin(AlignedBuffer buffer) : System.Buffers.IPinnable
    {
        public System.Buffers.MemoryHandle Handle => new((void*)buffer.Address, default, this);

        public System.Buffers.MemoryHandle Pin(int elementIndex) => throw new InvalidOperationException("Pinned once.");

        public void Unpin() => ((IDisposable)buffer).Dispose();
    }
}
