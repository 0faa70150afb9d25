namespace Nephos.Client.Objects;

/// <summary>Reads the frames of a range in order, some ahead; takes each from the first device that has it undamaged.</summary>
internal sealed class PayloadReader : IPayloadReader
{
    private const int AheadMax = 4;

    private readonly PayloadStore _store;
    private readonly Payload _payload;
    private int _extent;
    private long _offset;
    private long _left;
    private Frame? _current;
    private int _aheadWanted;
    private readonly Queue<Task<(Frame Frame, int Start, int Length)>> _ahead = new(AheadMax);

    public PayloadReader(PayloadStore store, Payload payload, long offsetBytes, long lengthBytes)
    {
        (_store, _payload, _offset, _left) = (store, payload, offsetBytes, lengthBytes);
        while (_extent < payload.Extents.Length && _offset >= payload.Extents[_extent].LengthBytes)
        {
            _offset -= payload.Extents[_extent++].LengthBytes;
        }

        store.Pins.Enter(this);
    }

    public async ValueTask<ReadOnlyMemory<byte>> ReadAsync(CancellationToken cancellationToken)
    {
        _current?.Release();
        _current = null;
        cancellationToken.ThrowIfCancellationRequested();
        if (_left == 0 && _ahead.Count == 0)
        {
            return default;
        }

        var piece = await (_ahead.TryDequeue(out var begun) ? begun : FetchAsync(TakeNext()));
        _current = piece.Frame;
        LookAhead();
        return piece.Frame.Memory.Slice(piece.Start, piece.Length);
    }

    public async ValueTask DisposeAsync()
    {
        _current?.Release();
        _current = null;
        while (_ahead.TryDequeue(out var begun))
        {
            try
            {
                (await begun).Frame.Release();
            }
            catch (ObjectEngineException)
            {
                // Nobody wants these bytes any more.
            }
        }

        _store.Pins.Leave(this);
    }

    /// <summary>Further with every piece, so that a long read keeps the disks busy and a short one begins nothing in vain.</summary>
    private void LookAhead()
    {
        _aheadWanted = _store.Pool.IsShort ? 1 : Math.Min(_aheadWanted + 1, AheadMax);
        while (_left > 0 && _ahead.Count < _aheadWanted)
        {
            var next = TakeNext();
            _ahead.Enqueue(Task.Factory.StartNew(
                () => FetchAsync(next), CancellationToken.None, TaskCreationOptions.DenyChildAttach, _store.Options.Background).Unwrap());
        }
    }

    /// <summary>The next piece within one frame.</summary>
    private (Extent Extent, uint Frame, int Start, int Length) TakeNext()
    {
        var extent = _payload.Extents[_extent];
        var frame = (uint)(_offset / Frames.FrameBytes);
        var start = (int)(_offset % Frames.FrameBytes);
        var length = (int)Math.Min(_left, Frames.SizeOf(extent.LengthBytes, frame) - start);
        _offset += length;
        _left -= length;
        if (_offset >= extent.LengthBytes)
        {
            (_offset, _extent) = (0, _extent + 1);
        }

        return (extent, frame, start, length);
    }

    private Task<(Frame Frame, int Start, int Length)> FetchAsync((Extent Extent, uint Frame, int Start, int Length) piece) =>
        piece.Extent.Blob.Scheme == BlobScheme.Replicated ? FetchCopyAsync(piece) : FetchCodedAsync(piece);

    private async Task<(Frame Frame, int Start, int Length)> FetchCodedAsync((Extent Extent, uint Frame, int Start, int Length) piece)
    {
        var buffer = _store.Pool.Rent();
        var reader = new CodedFrameReader(_store, piece.Extent, piece.Frame);
        if (await reader.TryReadAsync(piece.Start, piece.Length, buffer.Memory))
        {
            return (buffer, piece.Start, piece.Length);
        }

        buffer.Release();
        throw Lost(piece.Extent, piece.Frame, reader.AnyCorrupt, reader.AnyAway);
    }

    private async Task<(Frame Frame, int Start, int Length)> FetchCopyAsync((Extent Extent, uint Frame, int Start, int Length) piece)
    {
        var ring = _store.Node.Ring;
        var partition = ring.PartitionOf(piece.Extent.Blob.PlacementHash);
        var buffer = _store.Pool.Rent();
        var (anyCorrupt, anyAway) = (false, false);
        var firstBlock = piece.Start / Frames.BlockBytes;
        var blocks = ((piece.Start + piece.Length + Frames.BlockBytes - 1) / Frames.BlockBytes) - firstBlock;

        // Those that lately did not answer come last.
        for (var doubtful = 0; doubtful < 2; doubtful++)
        {
            for (var replica = 0; replica < ring.ReplicaCount; replica++)
            {
                // Different blobs and frames begin with different copies, so that reads spread.
                var turn = (int)((piece.Extent.Blob.Low + piece.Frame + (uint)replica) % (uint)ring.ReplicaCount);
                var device = ring.Primary(partition, turn);
                if (_store.Node.IsDoubtful(device) == (doubtful == 1) && await TryFromAsync(device))
                {
                    return (buffer, piece.Start - (firstBlock * Frames.BlockBytes), piece.Length);
                }
            }
        }

        foreach (var device in ring.Others(partition))
        {
            if (await TryFromAsync(device))
            {
                return (buffer, piece.Start - (firstBlock * Frames.BlockBytes), piece.Length);
            }
        }

        buffer.Release();
        throw Lost(piece.Extent, piece.Frame, anyCorrupt, anyAway);

        async ValueTask<bool> TryFromAsync(int device)
        {
            var read = await _store.Node.ReadFrameAsync(
                device, piece.Extent.Blob, piece.Frame, firstBlock, buffer.Memory[..(blocks * Frames.BlockBytes)]);
            if (read.Status == BlobStatus.Ok
                && read.PayloadBytes == Frames.SizeOf(piece.Extent.LengthBytes, piece.Frame)
                && (firstBlock * Frames.BlockBytes) + read.ReadBytes >= piece.Start + piece.Length)
            {
                return true;
            }

            anyCorrupt |= read.Status is BlobStatus.Corrupt or BlobStatus.Ok;
            anyAway |= read.Status == BlobStatus.Unavailable;
            if (ring.IsPrimary(partition, device))
            {
                _store.Node.NoteAtRisk(piece.Extent.Blob, piece.Extent.LengthBytes);
            }

            return false;
        }
    }

    private static ObjectEngineException Lost(Extent extent, uint frame, bool anyCorrupt, bool anyAway)
    {
        var name = $"Frame {frame} of blob {extent.Blob}";
        return anyCorrupt ? new ObjectEngineException(EngineFailure.DataLoss, $"{name} has no undamaged copy.")
            : anyAway ? new ObjectEngineException(EngineFailure.Unavailable, $"{name} is on no device that can be reached.")
            : new ObjectEngineException(EngineFailure.Released, $"{name} is on no device.");
    }
}
