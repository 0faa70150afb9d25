namespace Nephos.Client.Transport;

/// <summary>A call that waits for its answer. It completes only while neither loop of its connection uses its memory.</summary>
internal sealed class PendingCall : OutgoingFrame
{
    private readonly TaskCompletionSource<CallReply> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private State _state;

    private enum State
    {
        Queued,
        Sending,
        Sent,
        Receiving,
        Done,
    }

    public required Memory<byte> Destination { get; init; }

    /// <summary>A timestamp of the time provider.</summary>
    public required long Due { get; init; }

    public required TimeSpan Timeout { get; init; }

    public Task<CallReply> Completion => _completion.Task;

    public override bool TryBegin()
    {
        lock (_gate)
        {
            if (_state != State.Queued)
            {
                return false;
            }

            _state = State.Sending;
            return true;
        }
    }

    public override void End()
    {
        lock (_gate)
        {
            // The answer may be here already.
            _state = _state == State.Sending ? State.Sent : _state;
        }
    }

    /// <summary>The answer begins to arrive; false when nobody waits for it any more.</summary>
    public bool TryReceive()
    {
        lock (_gate)
        {
            if (_state is not (State.Sending or State.Sent))
            {
                return false;
            }

            _state = State.Receiving;
            return true;
        }
    }

    public void Complete(CallReply reply)
    {
        _state = State.Done;
        _completion.TrySetResult(reply);
    }

    public void Refuse(string reason)
    {
        _state = State.Done;
        _completion.TrySetException(new StorageCallException(reason));
    }

    /// <summary>Gives up; false while its memory is in use: then the connection has to end first.</summary>
    public bool TryExpire(string reason)
    {
        bool wasSent;
        lock (_gate)
        {
            if (_state is State.Sending or State.Receiving)
            {
                return false;
            }

            wasSent = _state == State.Sent;
            _state = State.Done;
        }

        _completion.TrySetException(new StorageUnreachableException(reason, wasSent));
        return true;
    }

    /// <summary>Its connection has ended.</summary>
    public void Fail(Exception reason)
    {
        var wasSent = _state != State.Queued;
        _state = State.Done;
        _completion.TrySetException(new StorageUnreachableException(reason.Message, wasSent, reason));
    }
}
