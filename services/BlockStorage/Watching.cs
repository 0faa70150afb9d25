using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Grpc.Core;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage;

/// <summary>A change that a watcher is told of.</summary>
/// <param name="Id">Null when everything that existed was told.</param>
internal readonly record struct WatchedChange(string? Id, long Revision);

/// <summary>A message to a watcher.</summary>
/// <param name="Revision">Of the change.</param>
/// <param name="Id">Null when everything that existed was told.</param>
/// <param name="Shown">Null when the object is gone, or out of the watcher's sight.</param>
internal readonly record struct Told<TShown>(long Revision, string? Id, TShown? Shown)
    where TShown : class;

/// <summary>A table whose changes are joined to those of another.</summary>
internal interface IWatchedSource
{
    Task CatchUpAsync(CancellationToken cancellationToken);

    Task PumpAsync(ChannelWriter<WatchedChange> writer, CancellationToken cancellationToken);
}

/// <summary>Joins the changes of tables into one stream of ids.</summary>
internal static class Watching
{
    private const int WaitingMax = 1024;

    /// <summary>The ids of everything there is, a mark, then the id of whatever changes, in either table.</summary>
    /// <param name="main">The table that the ids are of.</param>
    /// <param name="other">A table whose records belong to one of the first.</param>
    /// <param name="idOf">Answers which.</param>
    /// <param name="cancellationToken">Ends the stream.</param>
    public static async IAsyncEnumerable<WatchedChange> JoinAsync<T, TOther>(
        TableCache<T> main, TableCache<TOther> other, Func<TOther, string> idOf, [EnumeratorCancellation] CancellationToken cancellationToken)
        where T : class
        where TOther : class
    {
        await foreach (var change in JoinAsync(main, [From(other, idOf)], cancellationToken)) yield return change;
    }

    /// <summary>The same with several other tables.</summary>
    public static async IAsyncEnumerable<WatchedChange> JoinAsync<T>(
        TableCache<T> main, IReadOnlyList<IWatchedSource> others, [EnumeratorCancellation] CancellationToken cancellationToken)
        where T : class
    {
        foreach (var other in others) await other.CatchUpAsync(cancellationToken);
        await foreach (var change in FollowAsync(main, (writer, ending) => Task.WhenAll(others.Select(other => other.PumpAsync(writer, ending))), cancellationToken))
            yield return change;
    }

    /// <summary>A table whose changes are told under the ids of others.</summary>
    public static IWatchedSource From<T>(TableCache<T> table, Func<T, string> idOf)
        where T : class => new Source<T>(table, idOf);

    private sealed class Source<T>(TableCache<T> table, Func<T, string> idOf) : IWatchedSource
        where T : class
    {
        public Task CatchUpAsync(CancellationToken cancellationToken) => table.CatchUpAsync(cancellationToken);

        public Task PumpAsync(ChannelWriter<WatchedChange> writer, CancellationToken cancellationToken) =>
            Watching.PumpAsync(table, (_, record) => idOf(record), writer, cancellationToken);
    }

    /// <summary>The ids of everything there is in a table, a mark, then the id of whatever changes.</summary>
    public static IAsyncEnumerable<WatchedChange> OfAsync<T>(TableCache<T> table, CancellationToken cancellationToken)
        where T : class => FollowAsync(table, (_, _) => Task.CompletedTask, cancellationToken);

    /// <summary>Tells a watcher everything that it may see, that this was all, then each change of it.</summary>
    /// <param name="table">What is watched.</param>
    /// <param name="show">A record as the watcher sees it; null when it does not.</param>
    /// <param name="stream">The answer.</param>
    /// <param name="message">What is sent.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    public static async Task TellAsync<T, TShown, TMessage>(
        TableCache<T> table, Func<T, TShown?> show, IServerStreamWriter<TMessage> stream, Func<Told<TShown>, TMessage> message,
        CancellationToken cancellationToken)
        where T : class
        where TShown : class
    {
        var told = new Dictionary<string, TShown>(StringComparer.Ordinal);
        await foreach (var change in OfAsync(table, cancellationToken))
        {
            if (change.Id is not { } id)
            {
                await stream.WriteAsync(message(new Told<TShown>(change.Revision, null, null)), cancellationToken);
                continue;
            }
            var shown = table.Get(id) is { } record ? show(record) : null;
            if (shown is null)
            {
                if (told.Remove(id)) await stream.WriteAsync(message(new Told<TShown>(change.Revision, id, null)), cancellationToken);
                continue;
            }
            if (told.TryGetValue(id, out var before) && before.Equals(shown)) continue;
            told[id] = shown;
            await stream.WriteAsync(message(new Told<TShown>(change.Revision, id, shown)), cancellationToken);
        }
    }

    private static async IAsyncEnumerable<WatchedChange> FollowAsync<T>(
        TableCache<T> main, Func<ChannelWriter<WatchedChange>, CancellationToken, Task> pumpOther, [EnumeratorCancellation] CancellationToken cancellationToken)
        where T : class
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var changes = Channel.CreateBounded<WatchedChange>(WaitingMax);
        await main.CatchUpAsync(cancellationToken);
        var existing = main.ByKey().Keys.ToList();
        var pumps = Task.WhenAll(
            PumpAsync(main, (change, _) => change.Key, changes.Writer, ending.Token), pumpOther(changes.Writer, ending.Token));
        try
        {
            foreach (var id in existing) yield return new WatchedChange(id, main.Revision);
            yield return new WatchedChange(null, main.Revision);
            while (await changes.Reader.WaitToReadAsync(cancellationToken))
            {
                while (changes.Reader.TryRead(out var change)) yield return change;
            }
        }
        finally
        {
            await ending.CancelAsync();
            await pumps.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static async Task PumpAsync<T>(
        TableCache<T> table, Func<TableChange<T>, T, string> idOf, ChannelWriter<WatchedChange> writer, CancellationToken cancellationToken)
        where T : class
    {
        try
        {
            await foreach (var change in table.WatchAsync(cancellationToken))
                await writer.WriteAsync(new WatchedChange(idOf(change, change.After ?? change.Before!), change.Revision), cancellationToken);
            writer.TryComplete();
        }
        catch (Exception e)
        {
            writer.TryComplete(e);
        }
    }
}
