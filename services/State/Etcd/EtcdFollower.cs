using Etcdserverpb;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Mvccpb;
using Nephos.Kernel.State;

namespace Nephos.State.Etcd;

/// <summary>Follows every change in etcd over one stream and keeps the newest for the watchers of this process.</summary>
/// <remarks>
/// Keys of others are followed too, without their contents: so the history has every revision and a watcher that waits for one
/// always gets there. After a break it goes on where it was; when etcd has compacted that away, every watcher lists again.
/// </remarks>
internal sealed partial class EtcdFollower : IAsyncDisposable
{
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromMilliseconds(500);

    // Ends the stream when the member has lost the others, instead of leaving us waiting there.
    private static readonly Metadata RequireLeader = new() { { "hasleader", "true" } };

    private readonly Watch.WatchClient _client;
    private readonly EtcdKeys _keys;
    private readonly WatchHistory _history;
    private readonly Func<CancellationToken, ValueTask<long>> _readRevision;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _following;

    // 0 while it is not known where to go on.
    private long _next;

    public EtcdFollower(
        Watch.WatchClient client,
        EtcdKeys keys,
        WatchHistory history,
        Func<CancellationToken, ValueTask<long>> readRevision,
        TimeProvider time,
        ILogger logger)
    {
        _client = client;
        _keys = keys;
        _history = history;
        _readRevision = readRevision;
        _time = time;
        _logger = logger;
        _following = Task.Run(RunAsync);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _following;
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await FollowAsync(_stop.Token);
            }
            catch (Exception) when (_stop.IsCancellationRequested)
            {
            }
            catch (Exception e)
            {
                LogBreak(e, _next);
                await Task.Delay(PauseAfterFailure, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        if (_next == 0)
        {
            var revision = await _readRevision(cancellationToken);
            _history.Reset(revision);
            _next = revision + 1;
        }

        using var call = _client.Watch(new CallOptions(RequireLeader, cancellationToken: cancellationToken));
        var everything = new WatchCreateRequest { Key = EtcdKeys.Zero, RangeEnd = EtcdKeys.Zero, StartRevision = _next };
        await call.RequestStream.WriteAsync(new WatchRequest { CreateRequest = everything }, cancellationToken);
        await foreach (var response in call.ResponseStream.ReadAllAsync(cancellationToken))
        {
            if (response.CompactRevision > 0)
            {
                LogCompacted(_next, response.CompactRevision);
                _next = 0;
                return;
            }

            if (response.Canceled)
            {
                throw new IOException($"etcd ended the watch: {response.CancelReason}");
            }

            if (response.Events.Count > 0)
            {
                // A response has whole revisions, in order.
                var batches = Batches(response.Events);
                _history.Append(batches);
                _next = batches[^1].Revision + 1;
            }
        }

        throw new IOException("etcd closed the watch.");
    }

    private List<StateBatch> Batches(IEnumerable<Event> events) =>
        [.. events.GroupBy(one => one.Kv.ModRevision).Select(group => new StateBatch(group.Key, [.. group.Where(IsOurs).Select(Change)]))];

    private bool IsOurs(Event one) => _keys.IsOurs(one.Kv);

    private StateEvent Change(Event one) =>
        new(_keys.KeyOf(one.Kv), one.Type == Event.Types.EventType.Delete ? null : _keys.Entry(one.Kv));

    [LoggerMessage(Level = LogLevel.Warning, Message = "The watch of etcd broke at revision {NextRevision} and goes on there")]
    private partial void LogBreak(Exception exception, long nextRevision);

    [LoggerMessage(Level = LogLevel.Warning, Message = "etcd has compacted revision {NextRevision}, its history starts at {CompactRevision}: every watcher lists again")]
    private partial void LogCompacted(long nextRevision, long compactRevision);
}
