using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Nephos.Hosting.Authentication;
using Nephos.Kernel.State;

namespace Nephos.Identity.Tokens;

/// <summary>The identity service for the process it runs in, and what the stream to other processes is made of.</summary>
internal sealed class LocalTokenAuthority(
    DirectoryView directory, TableCache<RevocationRecord> revocations, SigningKeyring keyring, TimeProvider time) : ITokenAuthority
{
    /// <summary>What happens in this process is told to this process as it happens.</summary>
    public TimeSpan MaxSilence => Timeout.InfiniteTimeSpan;

    public async IAsyncEnumerable<TokenAuthorityEvent> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var events = Channel.CreateBounded<TokenAuthorityEvent>(new BoundedChannelOptions(1024) { SingleReader = true });
        var producers = Task.WhenAll(FollowKeysAsync(events.Writer, ending.Token), FollowRevocationsAsync(events.Writer, ending.Token));
        _ = producers.ContinueWith(
            done => events.Writer.TryComplete(done.Exception?.InnerException), CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        try
        {
            await foreach (var told in events.Reader.ReadAllAsync(cancellationToken))
            {
                yield return told;
            }
        }
        finally
        {
            await ending.CancelAsync();
            await producers.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public async ValueTask<IReadOnlyList<TokenSigningKey>> GetKeysAsync(CancellationToken cancellationToken)
    {
        await keyring.CatchUpAsync(cancellationToken);
        return keyring.Keys;
    }

    public async ValueTask<bool> IsValidAsync(string token, CancellationToken cancellationToken)
    {
        await directory.CatchUpAsync(cancellationToken);
        return keyring.Decode(token) is { } claims &&
            claims.ExpiresAt > time.GetUtcNow() && !IsRevoked(claims);
    }

    /// <summary>As the caught-up store has it.</summary>
    public bool IsRevoked(TokenClaims claims)
    {
        var known = directory.Revocations;
        var subjects = claims.Subjects();
        for (var index = 0; index < subjects.Count; index++)
        {
            if (known.GetValueOrDefault(subjects[index]) is { } record && record.Epoch > (index < claims.Epochs.Count ? claims.Epochs[index] : 0))
            {
                return true;
            }
        }
        return false;
    }

    private async Task FollowKeysAsync(ChannelWriter<TokenAuthorityEvent> events, CancellationToken cancellationToken)
    {
        await foreach (var _ in keyring.WatchAsync(cancellationToken))
        {
            await events.WriteAsync(new TokenAuthorityEvent.Keys(keyring.Keys), cancellationToken);
        }
    }

    private async Task FollowRevocationsAsync(ChannelWriter<TokenAuthorityEvent> events, CancellationToken cancellationToken)
    {
        await using var changes = revocations.WatchAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
        var isSynchronized = false;
        while (true)
        {
            var next = changes.MoveNextAsync();
            if (!next.IsCompleted && !isSynchronized)
            {
                // What was there before comes without waiting; this is the first time that there is something to wait for.
                isSynchronized = true;
                await events.WriteAsync(new TokenAuthorityEvent.Synchronized(), cancellationToken);
            }
            if (!await next)
            {
                return;
            }
            if (changes.Current.After is { } record)
            {
                await events.WriteAsync(
                    new TokenAuthorityEvent.Revoked(new TokenRevocation(record.Subject, record.Epoch, record.Until)), cancellationToken);
            }
        }
    }
}
