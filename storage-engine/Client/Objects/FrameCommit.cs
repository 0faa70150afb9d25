using System.Runtime.CompilerServices;

namespace Nephos.Client.Objects;

/// <summary>One frame on its way to all its devices: done for the writer at a quorum, done for good when every copy is made or given up.</summary>
internal sealed class FrameCommit
{
    private readonly PayloadStore _store;
    private readonly BlobId _blob;
    private readonly BlobPlace _place;
    private readonly uint _frame;
    private readonly Frame _buffer;
    private readonly Frame? _parity;
    private readonly int _pieceBytes;
    private readonly ReadOnlyMemory<byte> _hint;
    private readonly TaskCompletionSource<BlobStatus> _quorumReached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly BlobProgress _progress;
    private readonly Lock _gate = new();
    private int _nextStandIn;
    private int _durable;
    private int _running;
    private int _atHome;
    private bool _anyFull;

    private FrameCommit(
        PayloadStore store, BlobId blob, BlobPlace place, uint frame, Frame buffer, ReadOnlyMemory<byte> hint, BlobProgress progress)
    {
        (_store, _blob, _place, _frame, _buffer, _hint, _progress) = (store, blob, place, frame, buffer, hint, progress);
        progress.Add();
        _pieceBytes = place.Layout.PieceBytes(buffer.Length);
        _running = place.Homes.Length;
        if (place.Layout.Code is not { } code)
        {
            buffer.HashPieces(_pieceBytes, 1);
            return;
        }

        _parity = store.Pool.Rent();
        var data = buffer.Memory.Span[..(_pieceBytes * code.DataCount)];
        data[buffer.Length..].Clear();
        code.Encode(data, _parity.Memory.Span[..(_pieceBytes * code.ParityCount)], _pieceBytes);
        buffer.HashPieces(_pieceBytes, code.DataCount);
        _parity.HashPieces(_pieceBytes, code.ParityCount);
    }

    /// <summary>Ok once enough pieces are durable; otherwise why they cannot be.</summary>
    public Task<BlobStatus> Quorum => _quorumReached.Task;

    /// <summary>Sends the frame; takes over the caller's reference to the buffer.</summary>
    public static FrameCommit Start(
        PayloadStore store, BlobId blob, BlobPlace place, uint frame, Frame buffer, ReadOnlyMemory<byte> hint, BlobProgress progress)
    {
        var commit = new FrameCommit(store, blob, place, frame, buffer, hint, progress);
        for (var piece = 0; piece < place.Homes.Length; piece++)
        {
            _ = commit.WritePieceAsync(piece);
        }

        return commit;
    }

    private FrameWrite PieceFor(int device, int piece)
    {
        int? home = device == _place.Homes[piece] ? null : _place.Homes[piece];
        if (_place.Layout.Code is not { } code)
        {
            return new FrameWrite(_blob, _frame, _buffer.Memory[.._pieceBytes], _buffer.Checksums, _hint, home);
        }

        var (source, at) = piece < code.DataCount ? (_buffer, piece) : (_parity!, piece - code.DataCount);
        var blocks = (_pieceBytes + Frames.BlockBytes - 1) / Frames.BlockBytes;
        return new FrameWrite(
            _blob, _place.Layout.NumberOf(_frame, piece), source.Memory.Slice(at * _pieceBytes, _pieceBytes),
            source.Checksums.AsMemory(at * blocks, blocks), _hint, home);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WritePieceAsync(int piece)
    {
        int? target = _place.Homes[piece];
        var status = BlobStatus.Unavailable;
        while (target is { } device)
        {
            status = await _store.Node.WriteFrameAsync(device, PieceFor(device, piece));
            if (status == BlobStatus.Ok)
            {
                break;
            }

            target = NextStandIn(status);
        }

        Finish(status, isAtHome: target == _place.Homes[piece]);
    }

    private int? NextStandIn(BlobStatus failure)
    {
        lock (_gate)
        {
            _anyFull |= failure == BlobStatus.Full;
            return _place.StandIn(_nextStandIn++);
        }
    }

    private void Finish(BlobStatus status, bool isAtHome)
    {
        bool isLast;
        lock (_gate)
        {
            _running--;
            _durable += status == BlobStatus.Ok ? 1 : 0;
            _atHome += status == BlobStatus.Ok && isAtHome ? 1 : 0;
            isLast = _running == 0;
            if (_durable == _place.Quorum)
            {
                _quorumReached.TrySetResult(BlobStatus.Ok);
            }
            else if (_durable + _running < _place.Quorum)
            {
                _quorumReached.TrySetResult(_anyFull ? BlobStatus.Full : BlobStatus.Unavailable);
            }
        }

        if (isLast)
        {
            if (_atHome < _place.PieceCount)
            {
                _store.Node.NoteAtRisk(_blob, 0);
            }

            _buffer.Release();
            _parity?.Release();
            _progress.Done();
        }
    }
}
