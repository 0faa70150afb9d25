using Nephos.Client.Volumes;

namespace Nephos.Client.Nbd;

/// <summary>The memory that writes are received in. A replica that is slower than the majority may still read it when the client was answered already;
/// then receiving goes on in other memory, and this comes back when it is free.</summary>
internal sealed partial class NbdConnection
{
    private readonly List<WriteBatch> _freeBatches = [];
    private readonly Stack<NativeBuffer> _freeBuffers = new();
    private readonly List<(NativeBuffer Buffer, WriteBatch Batch)> _lent = [];
    private NativeBuffer _receive = null!;
    private WriteBatch _batch = null!;

    // A batch whose writes were answered is used again, or lent with the memory of its data until all replicas are done.
    private void NextBatch()
    {
        if (HeadOf(_session!).IsReleased(_batch))
        {
            _batch.Reset();
            return;
        }
        _lent.Add((_receive, _batch));
        TakeBatch();
    }

    private void TakeBatch()
    {
        if (_freeBatches.Count > 0)
        {
            _batch = _freeBatches[^1];
            _freeBatches.RemoveAt(_freeBatches.Count - 1);
            _batch.Reset();
        }
        else
        {
            _batch = new WriteBatch(BatchWritesMax);
        }
        _batch.Memory = _receive;
    }

    private bool IsLent => _lent.Count > 0 && _lent.Exists(lent => lent.Buffer == _receive);

    // Before the receive buffer is written to: what is in it, from one place to another, moves to the start of a buffer that nobody reads.
    private void OwnReceiveBuffer(ref int start, ref int end)
    {
        if (_lent.Count == 0) return;
        TakeBack();
        if (!IsLent) return;
        var buffer = _receive;
        var own = _freeBuffers.Count > 0 ? _freeBuffers.Pop() : new NativeBuffer(ReceiveBytes);
        buffer.Span[start..end].CopyTo(own.Span);
        (end, start) = (end - start, 0);
        _receive = own;
        _batch.Memory = own;
    }

    private void TakeBack()
    {
        for (var i = _lent.Count - 1; i >= 0; i--)
        {
            var (buffer, batch) = _lent[i];
            if (!HeadOf(_session!).IsReleased(batch)) continue;
            _lent.RemoveAt(i);
            _freeBatches.Add(batch);
            if (buffer != _receive && !_lent.Exists(lent => lent.Buffer == buffer)) _freeBuffers.Push(buffer);
        }
    }

    // What is still lent is freed by the collector, when its readers have gone.
    private void FreeBuffers()
    {
        if (_receive is null) return;
        TakeBack();
        foreach (var buffer in _freeBuffers) buffer.Dispose();
        if (!_lent.Exists(lent => lent.Buffer == _receive)) _receive.Dispose();
    }
}
