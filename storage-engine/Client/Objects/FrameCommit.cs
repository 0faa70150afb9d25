using System.Runtime.CompilerServices;

namespace Nephos.Client.Objects;

/// <summary>One frame on its way to all its devices: done for the writer at a quorum, done for good when every copy is made or given up.</summary>
internal sealed class FrameCommit
{
    private readonly PayloadStore _store;
    private readonly BlobId _blob;
    private readonly uint _frame;
    private readonly Frame _buffer;
    private readonly ReadOnlyMemory<byte> _hint;
    private readonly int[] _primaries;
    private readonly int _quorum;
    private readonly TaskCompletionSource<BlobStatus> _quorumReached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly BlobProgress _progress;
    private readonly Lock _gate = new();
    private IReadOnlyList<int>? _handoffs;
    private int _nextHandoff;
    private int _durable;
    private int _running;
    private int _atHome;
    private bool _anyFull;

    private FrameCommit(PayloadStore store, BlobId blob, uint frame, Frame buffer, ReadOnlyMemory<byte> hint, BlobProgress progress)
    {
        (_store, _blob, _frame, _buffer, _hint, _progress) = (store, blob, frame, buffer, hint, progress);
        progress.Add();
        var ring = store.Node.Ring;
        _primaries = new int[ring.ReplicaCount];
        ring.Primaries(ring.PartitionOf(blob.PlacementHash), _primaries);
        _quorum = (_primaries.Length / 2) + 1;
        _running = _primaries.Length;
    }

    /// <summary>Ok once a quorum of copies is durable; otherwise why it cannot be.</summary>
    public Task<BlobStatus> Quorum => _quorumReached.Task;

    /// <summary>Sends the frame; takes over the caller's reference to the buffer.</summary>
    public static FrameCommit Start(
        PayloadStore store, BlobId blob, uint frame, Frame buffer, ReadOnlyMemory<byte> hint, BlobProgress progress)
    {
        buffer.HashBlocks();
        var commit = new FrameCommit(store, blob, frame, buffer, hint, progress);
        foreach (var primary in commit._primaries)
        {
            _ = commit.WriteCopyAsync(primary);
        }

        return commit;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WriteCopyAsync(int primary)
    {
        int? target = primary;
        var status = BlobStatus.Unavailable;
        while (target is { } device)
        {
            var write = new FrameWrite(
                _blob, _frame, _buffer.Memory[.._buffer.Length], _buffer.Checksums, _hint, device == primary ? null : primary);
            status = await _store.Node.WriteFrameAsync(device, write);
            if (status == BlobStatus.Ok)
            {
                break;
            }

            target = NextHandoff(status);
        }

        Finish(status, isAtHome: target == primary);
    }

    private int? NextHandoff(BlobStatus failure)
    {
        lock (_gate)
        {
            _anyFull |= failure == BlobStatus.Full;
            var ring = _store.Node.Ring;
            _handoffs ??= ring.Handoffs(ring.PartitionOf(_blob.PlacementHash));
            return _nextHandoff < _handoffs.Count ? _handoffs[_nextHandoff++] : null;
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
            if (_durable == _quorum)
            {
                _quorumReached.TrySetResult(BlobStatus.Ok);
            }
            else if (_durable + _running < _quorum)
            {
                _quorumReached.TrySetResult(_anyFull ? BlobStatus.Full : BlobStatus.Unavailable);
            }
        }

        if (isLast)
        {
            if (_atHome < _primaries.Length)
            {
                _store.Node.NoteAtRisk(_blob, 0);
            }

            _buffer.Release();
            _progress.Done();
        }
    }
}
