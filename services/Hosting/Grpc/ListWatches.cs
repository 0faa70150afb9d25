using Grpc.Core;
using Nephos.Kernel.State;

namespace Nephos.Hosting.Grpc;

/// <summary>Watches of what few and small records are: the list as the caller may see it, and after each change what is different in it.</summary>
/// <remarks>
/// The list is asked for anew after a change of the table, so who may see what is decided in one place and always by the present
/// records. Changes that come together are told together. For large tables there is <see cref="TableCache{T}"/>.
/// </remarks>
public static class ListWatches
{
    /// <summary>Sends everything in the list, then <paramref name="synchronized"/>, then what changes, until the caller ends it.</summary>
    /// <param name="stream">The answer.</param>
    /// <param name="store">Where the table is.</param>
    /// <param name="prefix">Of the keys whose changes matter: the name of the table, or the beginning that several share.</param>
    /// <param name="list">The messages that the caller may see now; equal messages are not sent again.</param>
    /// <param name="id">What tells them apart.</param>
    /// <param name="changed">One that is new or different.</param>
    /// <param name="deleted">The id of one that is not in the list any more.</param>
    /// <param name="synchronized">The mark.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    public static async Task SendListAsync<TItem, TEvent>(
        this IServerStreamWriter<TEvent> stream, IStateStore store, string prefix, Func<Task<IEnumerable<TItem>>> list, Func<TItem, string> id,
        Func<TItem, TEvent> changed, Func<string, TEvent> deleted, Func<TEvent> synchronized, CancellationToken cancellationToken)
        where TItem : class, IEquatable<TItem>
    {
        var sent = new Dictionary<string, TItem>(StringComparer.Ordinal);
        for (var isFirst = true; ; isFirst = false)
        {
            var revision = await store.GetRevisionAsync(cancellationToken);
            var gone = sent.Keys.ToHashSet(StringComparer.Ordinal);
            foreach (var item in await list())
            {
                gone.Remove(id(item));
                if (!sent.TryGetValue(id(item), out var before) || !before.Equals(item))
                {
                    sent[id(item)] = item;
                    await stream.WriteAsync(changed(item), cancellationToken);
                }
            }
            foreach (var key in gone)
            {
                sent.Remove(key);
                await stream.WriteAsync(deleted(key), cancellationToken);
            }
            if (isFirst)
            {
                await stream.WriteAsync(synchronized(), cancellationToken);
            }
            await WaitForChangeAsync(store, prefix, revision, cancellationToken);
        }
    }

    private static async Task WaitForChangeAsync(IStateStore store, string prefix, long revision, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var batch in store.WatchAsync(prefix, revision + 1, cancellationToken))
            {
                if (batch.Events.Count > 0)
                {
                    return;
                }
            }
        }
        catch (StateCompactedException)
        {
            // More has changed than is remembered.
        }
    }
}
