using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;
using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects.Cluster;
using Nephos.Node.Objects.Devices;
using Nephos.Node.Objects.Namespace;
using Nephos.Replication.Groups;

namespace Nephos.Node.Objects.Groups;

/// <summary>
/// One shard of the namespace: takes over as its writer, evaluates operations in batches, replaces replicas whose device is lost,
/// and answers reads from a replica that has taken in everything decided.
/// </summary>
internal sealed partial class IndexShard : IAsyncDisposable
{
    /// <summary>Sequences of a shard begin at its number shifted by this, so that no two shards give out the same.</summary>
    private const int SequenceBits = 44;
    private const int BatchOperationsMax = 512;
    private const int BatchBytesMax = 2 << 20;
    private const int QueueLengthMax = 8192;
    private static readonly TimeSpan TakeOverTimeout = TimeSpan.FromSeconds(5);
    /// <summary>Whoever waits longer for a commit is told that its outcome is unknown.</summary>
    private static readonly TimeSpan CommitTimeout = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan TakeOverPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan ExpiryPeriod = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan UpkeepPeriod = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan TakeOverPeriod = TimeSpan.FromMilliseconds(250);
    private readonly DeviceSet _devices;
    private readonly IConfigurationMaster _master;
    private readonly StorageCluster _cluster;
    private readonly ShardHost _host;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<ReplicaId, IndexReplica> _replicas = new();
    private readonly ConcurrentQueue<ShardOperation> _queue = new();
    private volatile ShardOperation[] _inFlight = [];
    private ITimer? _expiry;
    private readonly SemaphoreSlim _work = new(0);
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly CancellationTokenSource _stop = new();
    private ShardConfiguration? _configuration;
    private ulong _version;
    private GroupWriter? _writer;
    private volatile IndexReplica? _home;
    private int _queued;
    private ShardOperation? _deferred;
    private Replacement? _replacement;
    private Task _batches = Task.CompletedTask;
    private Task _upkeep = Task.CompletedTask;
    private volatile bool _isOver;

    public IndexShard(
        int number, DeviceSet devices, IConfigurationMaster master, StorageCluster cluster, ShardHost host, ILogger logger)
    {
        (Number, _devices, _master, _cluster, _host, _logger) = (number, devices, master, cluster, host, logger);
    }

    public int Number { get; }

    /// <summary>Reads and writes of the shard are answered here.</summary>
    public bool IsWriter => _home is not null && _writer is { State: WriterState.Serving };

    /// <summary>The devices of its replicas, as this process knows them.</summary>
    internal IEnumerable<int> MemberDevices => _configuration?.Members.Select(m => m.Device) ?? [];

    /// <summary>The members, and up to where their logs are decided.</summary>
    internal (IReadOnlyList<ReplicaId> Members, ulong Committed) Decided => _writer is { } writer
        ? (writer.Configuration.Members, writer.Committed)
        : throw new InvalidOperationException($"Shard {Number} has no writer.");

    /// <summary>Takes over; completes when the shard serves.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await UpkeepStepAsync(cancellationToken);
        _expiry = _host.Time.CreateTimer(_ => ExpireOverdue(), null, ExpiryPeriod, ExpiryPeriod);
        _batches = BatchLoopAsync();
        _upkeep = UpkeepLoopAsync();
    }

    /// <summary>Evaluates an operation inside the next commit; its result once that is decided.</summary>
    /// <exception cref="ObjectEngineException"><c>Unavailable</c>: the outcome is unknown, or too much waits already.</exception>
    public Task<T> ExecuteAsync<T>(Func<RowTransaction, T> evaluate, CancellationToken cancellationToken)
    {
        if (IsClosed)
        {
            throw Moved();
        }

        if (Interlocked.Increment(ref _queued) > QueueLengthMax)
        {
            Interlocked.Decrement(ref _queued);
            throw new ObjectEngineException(EngineFailure.Unavailable, $"Shard {Number} has {QueueLengthMax} operations waiting.");
        }

        var operation = new ShardOperation<T>(evaluate) { QueuedAt = _host.Time.GetTimestamp() };
        _queue.Enqueue(operation);
        _work.Release();
        if (_isOver)
        {
            FailQueued(Stopping);
        }

        return operation.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Tells those who wait too long; what became of an operation whose turn had come is not known then.</summary>
    private void ExpireOverdue()
    {
        foreach (var operation in _queue)
        {
            if (_host.Time.GetElapsedTime(operation.QueuedAt) > CommitTimeout && operation.TryTakeBack())
            {
                operation.Fail(new ObjectEngineException(
                    EngineFailure.Unavailable, $"Shard {Number} was busy for {CommitTimeout.TotalSeconds} s: {Explain()}.") { WasNotBegun = true });
            }
        }

        foreach (var operation in _inFlight.Where(o => _host.Time.GetElapsedTime(o.QueuedAt) > CommitTimeout))
        {
            operation.Fail(new ObjectEngineException(
                EngineFailure.Unavailable,
                $"Shard {Number} found no majority of its replicas within {CommitTimeout.TotalSeconds} s: {Explain()}. Whether the write was done is not known; retry."));
        }
    }

    /// <summary>Runs a read on the newest state; waits while the writer changes: at most one attempt to take over.</summary>
    /// <exception cref="ObjectEngineException"><c>Unavailable</c>: another process writes the shard, or nobody can.</exception>
    public async ValueTask<T> QueryAsync<T>(Func<IndexDatabase, uint, T> query, CancellationToken cancellationToken)
    {
        // Nobody else can answer: this process is about to take over.
        for (var began = _host.Time.GetTimestamp(); _home is null && _cluster.IsAlone && _host.Time.GetElapsedTime(began) < TakeOverTimeout;)
        {
            await Task.Delay(TakeOverPause, _host.Time, cancellationToken);
        }

        var writer = _writer;
        var result = Query(query);
        return writer is not null && await writer.ConfirmAsync()
            ? result
            : throw new ObjectEngineException(EngineFailure.Unavailable, $"Shard {Number} is written elsewhere, or no majority answers.") { WasNotBegun = true };
    }

    /// <summary>Runs a read on a replica that holds everything that this writer decided; there may be a later writer.</summary>
    private T Query<T>(Func<IndexDatabase, uint, T> query) => Inspect((database, group) => IsClosed ? throw Moved() : query(database, group));

    public IndexShardStatus GetStatus()
    {
        var (writer, configuration) = (_writer, _configuration);
        var state = IsClosed ? "Closed" : writer?.State.ToString() ?? "Down";
        return new IndexShardStatus(
            Number, configuration?.Epoch ?? 0, writer?.Committed ?? 0, state, writer?.InSync ?? 0, configuration?.Members.Length ?? 0, _reason)
        {
            Objects = Load?.Objects,
            SplitAt = Load?.SplitAt,
        };
    }

    public async ValueTask DisposeAsync()
    {
        _stop.Cancel();
        _work.Release();

        // What was proposed may be decided yet; without a majority it never is.
        using (_host.Time.CreateTimer(_ => _writer?.GiveUp(), null, StopTimeout, Timeout.InfiniteTimeSpan))
        {
            await Task.WhenAll(_batches, _upkeep);
        }

        if (_writer is not null)
        {
            await _writer.DisposeAsync();
        }

        _expiry?.Dispose();
        _isOver = true;
        FailQueued(Stopping);
        _stop.Dispose();
    }

    private async Task BatchLoopAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            await _work.WaitAsync();
            if (_queue.IsEmpty && _deferred is null)
            {
                continue;
            }

            await _gate.WaitAsync();
            try
            {
                await RunBatchAsync();
            }
            finally
            {
                _gate.Release();
            }
        }
    }

    private async Task RunBatchAsync()
    {
        var (writer, home) = (_writer, _home);
        if (writer is null || writer.State != WriterState.Serving || home is null)
        {
            FailQueued(() => NotBegun($"Shard {Number} has no writer: {_reason}."));
            return;
        }

        if (IsClosed)
        {
            FailQueued(Moved);
            return;
        }

        var operations = new List<ShardOperation>();
        try
        {
            var rows = Evaluate(home, operations);
            if (rows.ToBody() is { } body)
            {
                _inFlight = [.. operations];
                var sequence = await writer.ProposeAsync(body);
                if (sequence == 0)
                {
                    throw new ObjectEngineException(EngineFailure.Unavailable, $"Shard {Number} lost its writer; the outcome is unknown.");
                }

                TakeIn(writer, sequence);
                _watched?.Note(rows.ChangedKeys);
            }
            else if (operations.Count > 0 && !await writer.ConfirmAsync())
            {
                throw new ObjectEngineException(EngineFailure.Unavailable, $"Shard {Number} is written elsewhere, or no majority answers.") { WasNotBegun = true };
            }

            foreach (var operation in operations)
            {
                operation.Complete();
            }
        }
        catch (Exception failure)
        {
            if (_watched is { } watched)
            {
                watched.IsIncomplete = true;
            }

            foreach (var operation in operations)
            {
                operation.Fail(failure as ObjectEngineException
                    ?? new ObjectEngineException(EngineFailure.Unavailable, $"Shard {Number}: {failure.Message}", failure));
            }

            if (failure is not (ObjectEngineException or ReplicaUnavailableException or RocksDbSharp.RocksDbException))
            {
                LogBatchFailed(failure, Number);
            }

            ChooseHome();
        }
        finally
        {
            _inFlight = [];
        }
    }

    /// <summary>Takes operations from the queue and evaluates them; again on another replica when the one read from goes away.</summary>
    private RowTransaction Evaluate(IndexReplica home, List<ShardOperation> operations)
    {
        for (var attempt = 0; ; attempt++)
        {
            var rows = new RowTransaction(
                key => home.Query((database, group) => database.Get(group, key)),
                (from, to) => home.Query((database, group) => ShardReader.ScanRows(database, group, from, to)),
                _host.Entropy) { SequenceBase = (ulong)Number << SequenceBits };
            try
            {
                foreach (var operation in operations)
                {
                    operation.Evaluate(rows);
                }

                while (operations.Count < BatchOperationsMax && rows.SizeBytes < BatchBytesMax && TryTake(out var operation))
                {
                    // Ours from here on, also when the replica goes away in the middle.
                    operations.Add(operation);
                    operation.Evaluate(rows);
                    if (rows.SizeBytes <= Journal.AppendBytesMax)
                    {
                        continue;
                    }

                    rows.Undo();
                    operations.RemoveAt(operations.Count - 1);
                    if (operations.Count > 0)
                    {
                        // Too large for this batch; alone in the next one it may fit.
                        _deferred = operation;
                        _work.Release();
                        break;
                    }

                    operation.Fail(new ObjectEngineException(
                        EngineFailure.TooLarge, $"One operation changes at most {Journal.AppendBytesMax} bytes of rows."));
                }

                return rows;
            }
            catch (Exception failure) when (attempt < 2 && failure is ReplicaUnavailableException or RocksDbSharp.RocksDbException)
            {
                LogHomeLost(Number, failure.Message);
                ChooseHome();
                home = _home ?? throw new ObjectEngineException(EngineFailure.Unavailable, $"Shard {Number} has no replica to read from: {Explain()}.");
            }
        }
    }

    /// <summary>Before anyone hears of a decision, the replica that answers reads has it.</summary>
    private void TakeIn(GroupWriter writer, ulong sequence)
    {
        for (var attempt = 0; attempt < 3; attempt++)
        {
            if (_home is { } home && writer.IsComplete(home.Id))
            {
                try
                {
                    home.ApplyUpTo(sequence);
                    return;
                }
                catch (Exception failure) when (failure is ReplicaUnavailableException or RocksDbSharp.RocksDbException)
                {
                    LogHomeLost(Number, failure.Message);
                }
            }

            ChooseHome();
        }

        throw new ObjectEngineException(EngineFailure.Unavailable, $"Shard {Number} has no replica to read from; the write is kept.");
    }

    /// <summary>Reads come from a member with the whole log, once it took in all that is decided.</summary>
    private void ChooseHome()
    {
        if (_writer is not { State: WriterState.Serving } writer)
        {
            _home = null;
            return;
        }

        foreach (var member in writer.Configuration.Members)
        {
            if (writer.IsComplete(member) && _replicas.TryGetValue(member, out var replica))
            {
                try
                {
                    replica.ApplyUpTo(writer.Committed);
                    if (replica.Applied >= writer.Committed)
                    {
                        LearnWhetherClosed(replica);
                        _home = replica;
                        return;
                    }
                }
                catch (Exception failure) when (failure is ReplicaUnavailableException or RocksDbSharp.RocksDbException)
                {
                    LogHomeLost(Number, failure.Message);
                }
            }
        }

        _home = null;
    }

    private string Explain() =>
        _reason.Length > 0 ? _reason : $"{_replicas.Values.Count(r => r.IsUsable)} of {_configuration?.Members.Length} replicas are here, {_writer?.InSync} in sync";

    private bool TryTake([NotNullWhen(true)] out ShardOperation? operation)
    {
        if (_deferred is not null)
        {
            (operation, _deferred) = (_deferred, null);
            return true;
        }

        while (_queue.TryDequeue(out operation))
        {
            Interlocked.Decrement(ref _queued);
            if (operation.TryBegin())
            {
                return true;
            }
        }

        return false;
    }

    private void FailQueued(Func<ObjectEngineException> failure)
    {
        while (TryTake(out var operation))
        {
            operation.Fail(failure());
        }
    }

    private static ObjectEngineException NotBegun(string reason) => new(EngineFailure.Unavailable, reason) { WasNotBegun = true };

    private ObjectEngineException Stopping() => IsClosed ? Moved() : NotBegun("The engine is stopping.");

    [LoggerMessage(LogLevel.Warning, "Shard {Shard}: the replica that answers reads is gone: {Reason}")]
    private partial void LogHomeLost(int shard, string reason);

    [LoggerMessage(LogLevel.Error, "Shard {Shard}: a batch failed")]
    private partial void LogBatchFailed(Exception failure, int shard);
}

/// <summary>What a shard takes from the process it runs in.</summary>
internal sealed record ShardHost(TimeProvider Time, Entropy Entropy, TaskScheduler Background, bool IsAlone);
