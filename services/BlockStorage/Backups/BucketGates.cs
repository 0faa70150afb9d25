using System.Collections.Concurrent;

namespace Nephos.BlockStorage.Backups;

/// <summary>Lets several backups use a bucket at once, and its sweeper only alone: a chunk that was found may not vanish before it is named.</summary>
/// <remarks>It holds in this process; two processes that serve block storage must not share an account of the object store.</remarks>
internal sealed class BucketGates
{
    private const int UsersMax = 4;

    private readonly ConcurrentDictionary<string, SemaphoreSlim> _gates = new(StringComparer.Ordinal);

    public async Task<IDisposable> EnterAsync(string bucket, CancellationToken cancellationToken)
    {
        var gate = GateOf(bucket);
        await gate.WaitAsync(cancellationToken);
        return new Places(gate, 1);
    }

    /// <summary>Alone. Only one caller may ask for this at a time.</summary>
    public async Task<IDisposable> EnterAloneAsync(string bucket, CancellationToken cancellationToken)
    {
        var gate = GateOf(bucket);
        var taken = 0;
        try
        {
            for (; taken < UsersMax; taken++) await gate.WaitAsync(cancellationToken);
        }
        catch
        {
            if (taken > 0) gate.Release(taken);
            throw;
        }
        return new Places(gate, UsersMax);
    }

    private SemaphoreSlim GateOf(string bucket) => _gates.GetOrAdd(bucket, _ => new SemaphoreSlim(UsersMax, UsersMax));

    private sealed class Places(SemaphoreSlim gate, int count) : IDisposable
    {
        public void Dispose() => gate.Release(count);
    }
}
