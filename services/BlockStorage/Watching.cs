using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage;

/// <summary>A change that a watcher is told of.</summary>
/// <param name="Id">Null when everything that existed was told.</param>
internal readonly record struct WatchedChange(string? Id, long Revision);

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
        await other.CatchUpAsync(cancellationToken);
        await foreach (var change in FollowAsync(main, (writer, ending) => PumpAsync(other, (_, record) => idOf(record), writer, ending), cancellationToken))
            yield return change;
    }

    /// <summary>The ids of everything there is in a table, a mark, then the id of whatever changes.</summary>
    public static IAsyncEnumerable<WatchedChange> OfAsync<T>(TableCache<T> table, CancellationToken cancellationToken)
        where T : class => FollowAsync(table, (_, _) => Task.CompletedTask, cancellationToken);

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
