using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Nephos.Kernel.State;

/// <summary>A record that came, changed or went.</summary>
/// <param name="Key">The key of the record.</param>
/// <param name="Before">Null when the record is new.</param>
/// <param name="After">Null when the record was deleted.</param>
/// <param name="Revision">The revision of the store that has the change, or a later one when changes were folded.</param>
public sealed record TableChange<T>(string Key, T? Before, T? After, long Revision)
    where T : class;

/// <summary>A copy of a table in memory that follows the store: lists without reading the store, and a stream of changes.</summary>
/// <remarks>
/// Every snapshot is the table at one revision. It lags behind the store by the time a change takes to arrive;
/// <see cref="CatchUpAsync"/> before a read makes the read see everything acknowledged so far. Safe for any number of threads.
/// Register with <see cref="TableCacheRegistration.AddTableCache{T}"/>; the host starts it and waits until it is filled.
/// </remarks>
public sealed partial class TableCache<T> : BackgroundService
    where T : class
{
    /// <summary>Changes that a subscriber may leave unread before it is cut off.</summary>
    public const int MaxUnreadChanges = 4096;

    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromSeconds(1);

    private readonly IStateStore _store;
    private readonly TableSchema<T> _schema;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private readonly HashSet<Channel<TableChange<T>>> _subscribers = [];
    private readonly PriorityQueue<TaskCompletionSource, long> _waiters = new();
    private readonly TaskCompletionSource _filled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile Snapshot _snapshot = new(ImmutableSortedDictionary.Create<string, T>(StateKeys.Comparer), 0);

    public TableCache(IStateStore store, TableSchema<T> schema, TimeProvider time, ILogger<TableCache<T>> logger)
    {
        _store = store;
        _schema = schema;
        _time = time;
        _logger = logger;
    }

    /// <summary>The revision of the store that the cache has reached.</summary>
    public long Revision => Current.Revision;

    private Snapshot Current => _filled.Task.IsCompletedSuccessfully
        ? _snapshot
        : throw new InvalidOperationException($"The cache of table {_schema.Name} was not started or is not filled yet.");

    public T? Get(string key) => Current.Records.GetValueOrDefault(key);

    /// <summary>All records at one revision, in key order.</summary>
    public IReadOnlyList<T> List() => Current.List;

    /// <summary>All records by key, at one revision.</summary>
    public IImmutableDictionary<string, T> ByKey() => Current.Records;

    /// <summary>Waits until the cache shows a revision: that of a commit that is to be seen.</summary>
    public Task WaitForRevisionAsync(long revision, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_filled.Task.IsCompletedSuccessfully && _snapshot.Revision >= revision)
            {
                return Task.CompletedTask;
            }

            var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiters.Enqueue(waiter, revision);
            return waiter.Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Waits until the cache shows everything that was acknowledged, by any process, before the call.</summary>
    public async Task CatchUpAsync(CancellationToken cancellationToken) =>
        await WaitForRevisionAsync(await _store.GetRevisionAsync(cancellationToken), cancellationToken);

    /// <summary>The records there are, as changes without a before, then every change.</summary>
    /// <exception cref="StateCompactedException">The reader left <see cref="MaxUnreadChanges"/> changes unread; it may start again.</exception>
    public async IAsyncEnumerable<TableChange<T>> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await _filled.Task.WaitAsync(cancellationToken);
        var channel = Channel.CreateBounded<TableChange<T>>(new BoundedChannelOptions(MaxUnreadChanges) { SingleReader = true });
        Snapshot first;
        lock (_gate)
        {
            first = _snapshot;
            _subscribers.Add(channel);
        }

        try
        {
            foreach (var (key, record) in first.Records)
            {
                yield return new TableChange<T>(key, null, record, first.Revision);
            }

            await foreach (var change in channel.Reader.ReadAllAsync(cancellationToken))
            {
                yield return change;
            }
        }
        finally
        {
            lock (_gate)
            {
                _subscribers.Remove(channel);
            }
        }
    }

    /// <summary>Starts following the table; completes when the cache is filled.</summary>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await base.StartAsync(cancellationToken);
        await _filled.Task.WaitAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // Leaves the caller's stack: a store in memory would run the whole loop on it.
        await Task.Yield();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await FollowAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
            }
            catch (StateCompactedException e)
            {
                LogRelist(_schema.Name, e.OldestRevision);
            }
            catch (Exception e)
            {
                LogFailure(e, _schema.Name);
                await Task.Delay(PauseAfterFailure, _time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        lock (_gate)
        {
            foreach (var subscriber in _subscribers)
            {
                subscriber.Writer.TryComplete();
            }

            while (_waiters.TryDequeue(out var waiter, out _))
            {
                waiter.TrySetCanceled(stoppingToken);
            }
        }
    }

    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        var prefix = _schema.RecordPrefix;
        var (entries, revision) = await _store.ScanAllAsync(prefix, StateKeys.PrefixEnd(prefix), cancellationToken);
        var records = ImmutableSortedDictionary.CreateRange(
            StateKeys.Comparer, entries.Select(entry => KeyValuePair.Create(entry.Key[prefix.Length..], _schema.Deserialize(entry))));

        // A long list is read in several steps, each at its own revision; it is whole when the watch has passed the last of them.
        var wholeFrom = await _store.GetRevisionAsync(cancellationToken);
        HashSet<string>? touched = null;
        if (revision >= wholeFrom)
        {
            Publish(records, revision, touched);
            touched = [];
        }

        await foreach (var batch in _store.WatchAsync(prefix, revision + 1, cancellationToken))
        {
            foreach (var change in batch.Events)
            {
                var key = change.Key[prefix.Length..];
                records = change.Entry is null ? records.Remove(key) : records.SetItem(key, _schema.Deserialize(change.Entry));
                touched?.Add(key);
            }

            if (batch.Revision >= wholeFrom)
            {
                Publish(records, batch.Revision, touched);
                touched = [];
            }
        }
    }

    /// <param name="records">The table.</param>
    /// <param name="revision">Its revision.</param>
    /// <param name="touched">The keys that may differ from the last snapshot; null when any may.</param>
    private void Publish(ImmutableSortedDictionary<string, T> records, long revision, HashSet<string>? touched)
    {
        lock (_gate)
        {
            var before = _snapshot.Records;
            _snapshot = new Snapshot(records, revision);
            _filled.TrySetResult();
            while (_waiters.TryPeek(out var waiter, out var awaited) && awaited <= revision)
            {
                _waiters.Dequeue();
                waiter.TrySetResult();
            }

            if (_subscribers.Count > 0 && !ReferenceEquals(before, records))
            {
                Announce(before, records, touched ?? before.Keys.Union(records.Keys), revision);
            }
        }
    }

    private void Announce(
        ImmutableSortedDictionary<string, T> before, ImmutableSortedDictionary<string, T> after, IEnumerable<string> keys, long revision)
    {
        foreach (var key in keys)
        {
            var change = new TableChange<T>(key, before.GetValueOrDefault(key), after.GetValueOrDefault(key), revision);
            if (Equals(change.Before, change.After))
            {
                continue;
            }

            foreach (var subscriber in _subscribers)
            {
                if (!subscriber.Writer.TryWrite(change))
                {
                    subscriber.Writer.TryComplete(new StateCompactedException(revision));
                }
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "The cache of table {Table} lists again; history starts at revision {OldestRevision}")]
    private partial void LogRelist(string table, long oldestRevision);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The cache of table {Table} lost the store and tries again")]
    private partial void LogFailure(Exception exception, string table);

    private sealed class Snapshot(ImmutableSortedDictionary<string, T> records, long revision)
    {
        private IReadOnlyList<T>? _list;

        public ImmutableSortedDictionary<string, T> Records => records;

        public long Revision => revision;

        public IReadOnlyList<T> List => _list ??= [.. records.Values];
    }
}

public static class TableCacheRegistration
{
    /// <summary>Adds the cache of a table as a singleton that the host starts and fills before it serves.</summary>
    public static IServiceCollection AddTableCache<T>(this IServiceCollection services, TableSchema<T> schema)
        where T : class
    {
        services.AddSingleton(provider => new TableCache<T>(
            provider.GetRequiredService<IStateStore>(),
            schema,
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<TableCache<T>>>()));
        services.AddHostedService(provider => provider.GetRequiredService<TableCache<T>>());
        return services;
    }
}
