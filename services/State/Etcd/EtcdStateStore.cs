using Etcdserverpb;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging;
using Nephos.Kernel.State;

namespace Nephos.State.Etcd;

/// <summary>The state of a cluster, in etcd 3.4 or newer that is ours alone or shares its keys by prefix.</summary>
/// <remarks>
/// Opening connects to nobody: the store may be opened before the cluster is up, and calls fail as unavailable until then. A commit is
/// one etcd transaction, so etcd must allow as many operations as a commit may have: <c>--max-txn-ops=1024</c>.
/// </remarks>
internal sealed partial class EtcdStateStore : IStateStore, IDisposable
{
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(10);

    private readonly GrpcChannel _channel;
    private readonly KV.KVClient _kv;
    private readonly Lease.LeaseClient _leases;
    private readonly EtcdKeys _keys;
    private readonly TimeProvider _time;
    private readonly WatchHistory _history;
    private readonly EtcdFollower _follower;
    private int _disposed;

    public EtcdStateStore(StateStoreOptions options, TimeProvider time, ILogger<EtcdStateStore> logger)
    {
        _channel = EtcdChannel.Create(options);
        _kv = new KV.KVClient(_channel);
        _leases = new Lease.LeaseClient(_channel);
        _keys = new EtcdKeys(options.EtcdPrefix);
        _time = time;
        _history = new WatchHistory(0, options.History.MaxBatches, options.History.MaxBytes);
        _follower = new EtcdFollower(new Watch.WatchClient(_channel), _keys, _history, GetRevisionAsync, time, logger);
    }

    public async ValueTask<long> GetRevisionAsync(CancellationToken cancellationToken)
    {
        var request = new RangeRequest { Key = EtcdKeys.Zero, CountOnly = true };
        return (await ReadAsync(options => _kv.RangeAsync(request, options), cancellationToken)).Header.Revision;
    }

    public async ValueTask<StateEntry?> GetAsync(string key, CancellationToken cancellationToken)
    {
        StateKeys.Validate(key);
        var request = new RangeRequest { Key = _keys.Key(key) };
        var response = await ReadAsync(options => _kv.RangeAsync(request, options), cancellationToken);
        return response.Kvs.Count == 0 ? null : _keys.Entry(response.Kvs[0]);
    }

    public async ValueTask<StateScan> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken)
    {
        StateLimits.CheckKeys(keys);
        if (keys.Count == 0)
        {
            return new StateScan([], await GetRevisionAsync(cancellationToken), More: false);
        }

        var request = new TxnRequest();
        request.Success.AddRange(keys.Select(key => new RequestOp { RequestRange = new RangeRequest { Key = _keys.Key(key) } }));
        var response = await ReadAsync(options => _kv.TxnAsync(request, options), cancellationToken);
        var entries = response.Responses.SelectMany(one => one.ResponseRange.Kvs).Select(_keys.Entry).ToList();
        return new StateScan(entries, response.Header.Revision, More: false);
    }

    public async ValueTask<StateScan> ScanAsync(string fromInclusive, string toExclusive, int limit, CancellationToken cancellationToken)
    {
        StateKeys.ValidateRange(fromInclusive, toExclusive);
        StateLimits.CheckScanLimit(limit);
        var request = new RangeRequest { Key = _keys.RangeStart(fromInclusive), RangeEnd = _keys.RangeEnd(toExclusive), Limit = limit };
        var response = await ReadAsync(options => _kv.RangeAsync(request, options), cancellationToken);
        return new StateScan([.. response.Kvs.Select(_keys.Entry)], response.Header.Revision, response.More);
    }

    public async ValueTask<CommitResult> CommitAsync(StateCommit commit, CancellationToken cancellationToken)
    {
        commit.Validate();
        cancellationToken.ThrowIfCancellationRequested();
        var request = EtcdCommit.Request(commit, _keys);
        try
        {
            // Not cancelled once it is on its way: the caller is told how it ended.
            var response = await _kv.TxnAsync(request, new CallOptions(deadline: Deadline()));
            return EtcdCommit.Result(commit, response);
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.NotFound)
        {
            throw new StateLeaseNotFoundException(commit.Puts.First(put => put.Lease != LeaseId.None).Lease);
        }
        catch (RpcException e)
        {
            throw Translate(e);
        }
    }

    public IAsyncEnumerable<StateBatch> WatchAsync(string prefix, long fromRevision, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(fromRevision, 1);
        return _history.WatchAsync(prefix, fromRevision, cancellationToken);
    }

    public async ValueTask<LeaseId> GrantLeaseAsync(TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        var request = new LeaseGrantRequest { TTL = (long)StateLimits.WholeSeconds(timeToLive).TotalSeconds };
        return new LeaseId((await CallAsync(options => _leases.LeaseGrantAsync(request, options), cancellationToken)).ID);
    }

    public async ValueTask KeepLeaseAliveAsync(LeaseId lease, CancellationToken cancellationToken)
    {
        try
        {
            using var call = _leases.LeaseKeepAlive(new CallOptions(deadline: Deadline(), cancellationToken: cancellationToken));
            await call.RequestStream.WriteAsync(new LeaseKeepAliveRequest { ID = lease.Value }, cancellationToken);
            if (!await call.ResponseStream.MoveNext(cancellationToken) || call.ResponseStream.Current.TTL <= 0)
            {
                throw new StateLeaseNotFoundException(lease);
            }

            await call.RequestStream.CompleteAsync();
        }
        catch (RpcException e)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw Translate(e);
        }
    }

    public async ValueTask RevokeLeaseAsync(LeaseId lease, CancellationToken cancellationToken)
    {
        try
        {
            await CallAsync(options => _leases.LeaseRevokeAsync(new LeaseRevokeRequest { ID = lease.Value }, options), cancellationToken);
        }
        catch (StateLeaseNotFoundException)
        {
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            await _follower.DisposeAsync();
            _history.Close();
            _channel.Dispose();
        }
    }

    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    private static Exception Translate(RpcException e) => e switch
    {
        { StatusCode: StatusCode.InvalidArgument } when e.Status.Detail.Contains("too many operations", StringComparison.Ordinal) =>
            new InvalidOperationException($"etcd refuses so many operations: start it with --max-txn-ops={StateLimits.MaxOperations}.", e),
        { StatusCode: StatusCode.InvalidArgument } => new InvalidOperationException($"etcd refuses the request: {e.Status.Detail}", e),
        _ => new StateUnavailableException($"etcd does not answer as it should: {e.Status.StatusCode}, {e.Status.Detail}", e),
    };

    private DateTime Deadline() => (_time.GetUtcNow() + CallTimeout).UtcDateTime;

    /// <summary>A call without effects: tried once more when the member we talked to went away, so that another one answers.</summary>
    private async Task<T> ReadAsync<T>(Func<CallOptions, AsyncUnaryCall<T>> call, CancellationToken cancellationToken)
    {
        try
        {
            return await call(new CallOptions(deadline: Deadline(), cancellationToken: cancellationToken));
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.Unavailable && !cancellationToken.IsCancellationRequested)
        {
            return await CallAsync(call, cancellationToken);
        }
        catch (RpcException e)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw Translate(e);
        }
    }

    private async Task<T> CallAsync<T>(Func<CallOptions, AsyncUnaryCall<T>> call, CancellationToken cancellationToken)
    {
        try
        {
            return await call(new CallOptions(deadline: Deadline(), cancellationToken: cancellationToken));
        }
        catch (RpcException e)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw e.StatusCode == StatusCode.NotFound ? new StateLeaseNotFoundException(LeaseId.None) : Translate(e);
        }
    }
}
