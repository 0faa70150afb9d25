namespace Nephos.Client.Objects;

/// <summary>The frames of one blob that are on their way: the last copies go on after the writer had its answer.</summary>
internal sealed class BlobProgress(PayloadStore store, BlobId blob)
{
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // The writer counts as one until it has sent the last frame.
    private int _open = 1;

    /// <summary>No copy of the blob is being written any more.</summary>
    public Task Completion => _completion.Task;

    public void Add() => Interlocked.Increment(ref _open);

    public void Done()
    {
        if (Interlocked.Decrement(ref _open) == 0)
        {
            store.Unfinished.TryRemove(blob, out _);
            _completion.TrySetResult();
        }
    }
}
