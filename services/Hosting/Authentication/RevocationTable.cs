using System.Collections.Concurrent;

namespace Nephos.Hosting.Authentication;

/// <summary>A token dies when it was born under a lower epoch of the subject.</summary>
/// <param name="Subject">See <see cref="RevocationSubject"/>.</param>
/// <param name="Epoch">Only grows, also when the record was forgotten between: the time of the revocation in Unix milliseconds.</param>
/// <param name="Until">No token that this concerns lives longer.</param>
public readonly record struct TokenRevocation(string Subject, long Epoch, DateTimeOffset Until);

/// <summary>Every revocation that a token still alive could match. Thread-safe; reads take no lock.</summary>
public sealed class RevocationTable(TimeProvider time)
{
    private static readonly TimeSpan PruneInterval = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<string, TokenRevocation> _revocations = new(StringComparer.Ordinal);
    private long _version;
    private DateTimeOffset _nextPrune = time.GetUtcNow() + PruneInterval;

    /// <summary>Grows with every revocation: who has looked at this version need not look again.</summary>
    public long Version => Volatile.Read(ref _version);

    public int Count => _revocations.Count;

    public void Apply(TokenRevocation revocation)
    {
        _revocations.AddOrUpdate(
            revocation.Subject,
            static (_, added) => added,
            static (_, before, added) => added.Epoch > before.Epoch ? added : before,
            revocation);
        Interlocked.Increment(ref _version);
        Prune();
    }

    public bool IsRevoked(IReadOnlyList<string> subjects, IReadOnlyList<long> epochs)
    {
        for (var index = 0; index < subjects.Count; index++)
        {
            if (_revocations.TryGetValue(subjects[index], out var revocation) &&
                revocation.Epoch > (index < epochs.Count ? epochs[index] : 0))
            {
                return true;
            }
        }
        return false;
    }

    private void Prune()
    {
        var now = time.GetUtcNow();
        if (now < _nextPrune)
        {
            return;
        }
        _nextPrune = now + PruneInterval;
        foreach (var (subject, revocation) in _revocations)
        {
            if (revocation.Until < now)
            {
                _revocations.TryRemove(KeyValuePair.Create(subject, revocation));
            }
        }
    }
}
