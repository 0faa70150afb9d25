using Nephos.Hosting.Authentication;
using Nephos.Identity.Shared;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Identity.Tokens;

/// <summary>Every change of the directory: one transaction that holds the change and the revocations it causes.</summary>
internal sealed class IdentityWrites(IStateStore store, RevocationTable revocations, TimeProvider time)
{
    /// <summary>No token lives longer, whatever the options were when it was made.</summary>
    public static readonly TimeSpan MaxTokenLifetime = TimeSpan.FromDays(2);

    private const int MaxIdempotencyKeyChars = 128;

    /// <summary>A repeated create finds what the first one made for so long.</summary>
    private static readonly TimeSpan IdempotencyLifetime = TimeSpan.FromDays(1);

    /// <summary>Runs the body, revokes what it names, commits, and tells this process at once; others hear of it by the stream.</summary>
    /// <returns>What the body returned.</returns>
    public async Task<T> RunAsync<T>(Func<IdentityTransaction, Task<T>> body, CancellationToken cancellationToken)
    {
        try
        {
            var (result, revoked) = await store.TransactAsync(
                async transaction =>
                {
                    var change = new IdentityTransaction(transaction);
                    var result = await body(change);
                    return (result, await RevokeAsync(transaction, change.Revoked, cancellationToken));
                },
                cancellationToken);
            foreach (var revocation in revoked)
            {
                revocations.Apply(revocation);
            }
            return result;
        }
        catch (StateConflictException exception)
        {
            throw Faults.Aborted($"Others change the same objects all the time: {exception.Message}");
        }
    }

    public async Task RunAsync(Func<IdentityTransaction, Task> body, CancellationToken cancellationToken) =>
        await RunAsync(
            async change =>
            {
                await body(change);
                return true;
            },
            cancellationToken);

    /// <summary>Creates an object unless the same caller did with the same key before.</summary>
    /// <param name="operation">The caller.</param>
    /// <param name="kind">The kind of object; keys of different kinds do not meet.</param>
    /// <param name="idempotencyKey">"" for none.</param>
    /// <param name="find">The object a repetition answers with, or null when it is gone.</param>
    /// <param name="create">Writes the new object and returns it with its id.</param>
    /// <param name="cancellationToken">Gives up before the commit.</param>
    public async Task<T> CreateAsync<T>(
        OperationContext operation, string kind, string idempotencyKey, Func<IdentityTransaction, string, Task<T?>> find,
        Func<IdentityTransaction, Task<(string Id, T Made)>> create, CancellationToken cancellationToken)
        where T : class
    {
        if (idempotencyKey.Length > MaxIdempotencyKeyChars)
        {
            throw Faults.Invalid("idempotency_key", $"at most {MaxIdempotencyKeyChars} characters are allowed");
        }
        var key = $"{operation.UserId}/{kind}/{idempotencyKey}";
        return await RunAsync(
            async change =>
            {
                var now = time.GetUtcNow();
                if (idempotencyKey.Length > 0 &&
                    await change.State.GetAsync(IdentityTables.IdempotentCreates, key, cancellationToken) is { } before &&
                    before.Until > now)
                {
                    return await find(change, before.ObjectId) ?? throw Faults.NotFound(kind, before.ObjectId);
                }
                var (id, made) = await create(change);
                if (idempotencyKey.Length > 0)
                {
                    change.State.Put(IdentityTables.IdempotentCreates, new IdempotentCreate(key, id, now + IdempotencyLifetime));
                }
                return made;
            },
            cancellationToken);
    }

    private async Task<IReadOnlyList<TokenRevocation>> RevokeAsync(
        StateTransaction transaction, IReadOnlyCollection<string> subjects, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var revoked = new List<TokenRevocation>(subjects.Count);
        foreach (var subject in subjects)
        {
            var before = await transaction.GetAsync(IdentityTables.Revocations, subject, cancellationToken);
            var record = new RevocationRecord(
                subject, Math.Max(now.ToUnixTimeMilliseconds(), (before?.Epoch ?? 0) + 1), now + MaxTokenLifetime);
            transaction.Put(IdentityTables.Revocations, record);
            revoked.Add(new TokenRevocation(record.Subject, record.Epoch, record.Until));
        }
        return revoked;
    }
}

/// <summary>A transaction over the directory, and what it revokes.</summary>
internal sealed class IdentityTransaction(StateTransaction state)
{
    private readonly HashSet<string> _revoked = new(StringComparer.Ordinal);

    public StateTransaction State => state;

    public IReadOnlyCollection<string> Revoked => _revoked;

    /// <param name="subject">See <see cref="RevocationSubject"/>.</param>
    public void Revoke(string subject) => _revoked.Add(subject);
}
