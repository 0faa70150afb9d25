using System.Collections.Immutable;
using System.Security.Cryptography;

namespace Nephos.Client.Objects;

internal sealed class PayloadWriter(
    PayloadStore store, ReadOnlyMemory<byte> hint, bool allowInline, BlobScheme scheme, IncrementalHash? digest) : IPayloadWriter
{
    private readonly Queue<(FrameCommit Commit, Task Digested)> _inFlight = new();
    private BlobProgress? _progress;
    private readonly ImmutableArray<Extent>.Builder _extents = ImmutableArray.CreateBuilder<Extent>();
    private Frame? _frame;
    private Task _digested = Task.CompletedTask;
    private BlobId _blob;
    private BlobPlace? _place;
    private bool _isMoved;
    private uint _nextFrame;
    private long _blobBytes;
    private bool _isComplete;

    public long LengthBytes { get; private set; }

    public Memory<byte> GetMemory()
    {
        ObjectDisposedException.ThrowIf(_isComplete, this);
        _frame ??= store.Pool.Rent();
        return _frame.Memory[_frame.Length..];
    }

    public ValueTask AdvanceAsync(int count, CancellationToken cancellationToken)
    {
        if (_frame is null || count < 0 || count > Frames.FrameBytes - _frame.Length)
        {
            throw new ArgumentOutOfRangeException(nameof(count));
        }

        _frame.Length += count;
        LengthBytes += count;
        // A frame that is all but full goes on its way only when it is quite full: all frames but the last have the same size.
        return _frame.Length == Frames.FrameBytes ? SendAsync(cancellationToken) : ValueTask.CompletedTask;
    }

    public async ValueTask WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        while (!data.IsEmpty)
        {
            var target = GetMemory();
            var count = Math.Min(target.Length, data.Length);
            data.Span[..count].CopyTo(target.Span);
            data = data[count..];
            await AdvanceAsync(count, cancellationToken);
        }
    }

    public async ValueTask<Payload> CompleteAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isComplete, this);
        if (_extents.Count == 0 && _nextFrame == 0 && allowInline && LengthBytes <= store.Options.InlineBytesMax)
        {
            var inline = _frame is null ? [] : _frame.Memory.Span[.._frame.Length].ToArray();
            digest?.AppendData(inline);
            _frame?.Release();
            (_frame, _isComplete) = (null, true);
            return new Payload { LengthBytes = inline.Length, Inline = inline };
        }

        if (_frame is { Length: > 0 })
        {
            await SendAsync(cancellationToken);
        }

        while (_inFlight.TryPeek(out _))
        {
            await SettleOldestAsync(cancellationToken);
        }

        await _digested;
        EndBlob();
        _frame?.Release();
        (_frame, _isComplete) = (null, true);
        return new Payload { LengthBytes = LengthBytes, Extents = _extents.ToImmutable() };
    }

    public async ValueTask DisposeAsync()
    {
        if (_isComplete)
        {
            return;
        }

        _isComplete = true;
        _frame?.Release();
        _frame = null;
        await _digested;
        if (_nextFrame > 0)
        {
            EndBlob();
        }

        foreach (var extent in _extents)
        {
            await store.DeleteAsync(extent.Blob);
        }
    }

    private async ValueTask SendAsync(CancellationToken cancellationToken)
    {
        if (_nextFrame == 0)
        {
            if (_extents.Count == ObjectLimits.ExtentCountMax)
            {
                throw new ObjectEngineException(EngineFailure.TooLarge, $"A payload has at most {ObjectLimits.ExtentCountMax} extents.");
            }

            // What is too small to cut is kept in copies.
            var kept = _frame!.Length >= store.Options.CodedBytesMin ? scheme : BlobScheme.Replicated;
            _blob = BlobId.New(store.Time.GetUtcNow(), store.Options.Entropy, kept);
            _place = new BlobPlace(store.Node.Ring, _blob);
            _isMoved = false;
            store.Pins.Pin(_blob);
            _progress = store.Unfinished[_blob] = new BlobProgress(store, _blob);
        }

        while (_inFlight.Count >= (store.Pool.IsShort ? store.Options.FramesInFlightMin : store.Options.FramesInFlightMax))
        {
            await SettleOldestAsync(cancellationToken);
        }

        if (_place!.Ring != store.Node.Ring)
        {
            (_place, _isMoved) = (new BlobPlace(store.Node.Ring, _blob), true);
        }

        var frame = _frame!;
        _frame = null;
        _blobBytes += frame.Length;
        Digest(frame);
        var commit = FrameCommit.Start(store, _blob, _place, _nextFrame++, frame, hint, _progress!);
        _inFlight.Enqueue((commit, _digested));
        if (_blobBytes >= (long)store.Options.ExtentBytes << Math.Min(_extents.Count / 4, 4))
        {
            EndBlob();
        }
    }

    /// <summary>The digest is the slowest part of a large write, so it runs beside the rest; a frame that nothing follows is not worth a hop.</summary>
    private void Digest(Frame frame)
    {
        if (digest is null)
        {
            return;
        }

        if (frame.Length < Frames.FrameBytes && _digested.IsCompletedSuccessfully)
        {
            digest.AppendData(frame.Memory.Span[..frame.Length]);
            return;
        }

        frame.Retain();
        _digested = _digested.ContinueWith(
            (_, state) =>
            {
                var held = (Frame)state!;
                digest.AppendData(held.Memory.Span[..held.Length]);
                held.Release();
            },
            frame, CancellationToken.None, TaskContinuationOptions.DenyChildAttach, store.Options.Background);
    }

    private void EndBlob()
    {
        if (_nextFrame > 0)
        {
            _extents.Add(new Extent(_blob, _blobBytes));
            (_nextFrame, _blobBytes) = (0, 0);
            _progress!.Done();
            if (_isMoved || _place!.Ring != store.Node.Ring)
            {
                // The check that follows a change of the ring may come before the record that refers to the blob.
                store.Node.NoteAtRisk(_blob, 0);
            }
        }
    }

    private async ValueTask SettleOldestAsync(CancellationToken cancellationToken)
    {
        var (commit, digested) = _inFlight.Peek();
        var status = await commit.Quorum.WaitAsync(cancellationToken);
        await digested;
        _inFlight.Dequeue();
        if (status != BlobStatus.Ok)
        {
            throw status == BlobStatus.Full
                ? new ObjectEngineException(EngineFailure.Full, "The devices have no room for the payload.")
                : new ObjectEngineException(EngineFailure.Unavailable, "Too few devices took the payload.");
        }
    }
}
