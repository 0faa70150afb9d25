namespace Nephos.Kernel.State;

/// <summary>Runs optimistic transactions.</summary>
public static class StateTransactions
{
    /// <summary>How often a transaction may lose before it gives up.</summary>
    public const int MaxAttempts = 48;

    private const int MaxDelayMs = 32;
    private static int _seed = Environment.ProcessId << 16;

    /// <summary>Runs the body and commits what it wrote; runs it again when something it read has changed meanwhile.</summary>
    /// <remarks>The body has no effects but on the transaction. A transaction that writes nothing does not commit.</remarks>
    /// <returns>What the last run of the body returned.</returns>
    /// <exception cref="UniqueViolationException">Another record has a unique value.</exception>
    /// <exception cref="StateConflictException">Lost <see cref="MaxAttempts"/> times.</exception>
    public static async Task<TResult> TransactAsync<TResult>(
        this IStateStore store, Func<StateTransaction, Task<TResult>> body, CancellationToken cancellationToken) =>
        (await store.RunAsync(body, cancellationToken)).Result;

    /// <inheritdoc cref="TransactAsync{TResult}"/>
    /// <returns>The revision of the commit, for <see cref="TableCache{T}.WaitForRevisionAsync"/>.</returns>
    public static async Task<long> TransactAsync(
        this IStateStore store, Func<StateTransaction, Task> body, CancellationToken cancellationToken)
    {
        var (_, revision) = await store.RunAsync(
            async transaction =>
            {
                await body(transaction);
                return true;
            },
            cancellationToken);
        return revision;
    }

    private static async Task<(TResult Result, long Revision)> RunAsync<TResult>(
        this IStateStore store, Func<StateTransaction, Task<TResult>> body, CancellationToken cancellationToken)
    {
        Random? jitter = null;
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var transaction = new StateTransaction(store);
                var result = await body(transaction);
                return (result, await transaction.CommitAsync(cancellationToken));
            }
            catch (LostRaceException e)
            {
                if (attempt == MaxAttempts)
                {
                    throw new StateConflictException(e.Key, attempt);
                }
            }

            // The first retry is free: most races have two sides.
            if (attempt > 1)
            {
                jitter ??= new Random(Interlocked.Increment(ref _seed));
                await Task.Delay(jitter.Next(1 << Math.Min(attempt, 5)) % MaxDelayMs, cancellationToken);
            }
        }
    }
}
