namespace Nephos.State.Local;

/// <summary>Lets many threads use a native resource, and the one that closes it wait until none does.</summary>
internal sealed class UseCount
{
    private readonly Lock _closing = new();
    private readonly ManualResetEventSlim _unused = new();

    // One for being open, one for each use.
    private int _count = 1;
    private bool _closed;

    /// <exception cref="ObjectDisposedException">The resource is closed.</exception>
    public Use Enter()
    {
        var count = Volatile.Read(ref _count);
        while (count > 0 && !Volatile.Read(ref _closed))
        {
            var seen = Interlocked.CompareExchange(ref _count, count + 1, count);
            if (seen == count)
            {
                return new Use(this);
            }

            count = seen;
        }

        throw new ObjectDisposedException("state store");
    }

    /// <summary>Refuses new uses and waits until those there are have ended.</summary>
    /// <returns>False when it was closed before.</returns>
    public bool Close()
    {
        lock (_closing)
        {
            if (_closed)
            {
                return false;
            }

            Volatile.Write(ref _closed, true);
            Leave();
            _unused.Wait();
            return true;
        }
    }

    private void Leave()
    {
        if (Interlocked.Decrement(ref _count) == 0)
        {
            _unused.Set();
        }
    }

    internal readonly ref struct Use(UseCount count)
    {
        public void Dispose() => count.Leave();
    }
}
