using Nephos.Kernel.State;

namespace Nephos.State.Local;

/// <summary>Something that waits for the committer thread. It may be given up until the committer begins it, not after.</summary>
internal abstract class CommitterWork(long bytes)
{
    /// <summary>Bytes it is going to write, about.</summary>
    public long Bytes => bytes;

    public abstract void Decide(CommitGroup group);

    /// <summary>Tells the outcome of <see cref="Decide"/>, which is durable now.</summary>
    public abstract void Complete();

    public abstract void Fail(Exception exception);
}

internal sealed class CommitterWork<T>(Func<CommitGroup, T> decide, long bytes) : CommitterWork(bytes)
{
    private const int Waiting = 0, Begun = 1, GivenUp = 2;

    private readonly TaskCompletionSource<T> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _state;
    private T? _result;
    private Exception? _refused;

    public Task<T> WaitAsync(CancellationToken cancellationToken) =>
        cancellationToken.CanBeCanceled ? WaitOrGiveUpAsync(cancellationToken) : _outcome.Task;

    public override void Decide(CommitGroup group)
    {
        if (Interlocked.CompareExchange(ref _state, Begun, Waiting) != Waiting)
        {
            return;
        }

        try
        {
            _result = decide(group);
        }
        catch (Exception e) when (e is StateLeaseNotFoundException or StateFullException)
        {
            _refused = e;
        }
    }

    public override void Complete()
    {
        if (_state != Begun)
        {
            return;
        }

        if (_refused is not null)
        {
            _outcome.TrySetException(_refused);
        }
        else
        {
            _outcome.TrySetResult(_result!);
        }
    }

    public override void Fail(Exception exception) => _outcome.TrySetException(exception);

    private async Task<T> WaitOrGiveUpAsync(CancellationToken cancellationToken)
    {
        await using var registration = cancellationToken.UnsafeRegister(
            (_, token) =>
            {
                if (Interlocked.CompareExchange(ref _state, GivenUp, Waiting) == Waiting)
                {
                    _outcome.TrySetCanceled(token);
                }
            },
            null);
        return await _outcome.Task;
    }
}
