using System.Collections.Concurrent;
using System.Text.Json;
using Nephos.Client.Transport;
using Nephos.Node.Objects.Groups;
using Nephos.Replication.Groups;

namespace Nephos.Node.Objects.Cluster;

/// <summary>Answers for the replicas of shards in this process, and for the process itself.</summary>
internal sealed class GroupCalls(
    ShardSet shards, StorageCluster cluster, Func<PresenceReply> present, TimeProvider time, TaskScheduler background) : IAsyncDisposable
{
    private const int CopiesMax = 32;
    private static readonly TimeSpan CopyKept = TimeSpan.FromSeconds(30);
    private readonly ConcurrentDictionary<ulong, Copy> _copies = new();
    private ulong _lastCopy;

    public ValueTask<CallResult> HandleAsync(IncomingCall call)
    {
        // In the order in which they came, up to the journal.
        if (call.Method == GroupMethods.Handle)
        {
            return HandleReplicaAsync(new CallReader(call.Head));
        }

        return new ValueTask<CallResult>(Task.Factory.StartNew(
            () => RunAsync(call), CancellationToken.None, TaskCreationOptions.DenyChildAttach, background).Unwrap());
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var number in _copies.Keys)
        {
            await CloseAsync(number);
        }
    }

    private async ValueTask<CallResult> HandleReplicaAsync(CallReader head)
    {
        var (shard, id) = (ShardOf(head.Int32()), new ReplicaId(head.Guid()));
        var replica = shard.FindHere(id) ?? throw new ReplicaUnavailableException($"Replica {id} is not here.");
        var reply = await replica.HandleAsync(GroupCodec.ReadRequest(head));
        return new CallResult(GroupCodec.Write(new CallWriter(), reply).Written);
    }

    private async Task<CallResult> RunAsync(IncomingCall call)
    {
        var head = new CallReader(call.Head);
        switch (call.Method)
        {
            case ClusterMethods.Presence:
                return Present(call.Head);
            case GroupMethods.Create:
            {
                var (shard, member) = (ShardOf(head.Int32()), new ShardMember(head.Int32(), head.Guid()));
                return new CallResult(new[] { await shard.CreateHereAsync(member, mayReplace: head.Byte() == 1) ? (byte)1 : (byte)0 });
            }

            case GroupMethods.Install:
            {
                var (shard, target, epoch) = (ShardOf(head.Int32()), new ReplicaId(head.Guid()), head.UInt64());
                var position = await shard.InstallHereAsync(target, new ShardMember(head.Int32(), head.Guid()), epoch, CancellationToken.None);
                return new CallResult(GroupCodec.Position(new CallWriter(), position).Written);
            }

            case GroupMethods.OpenCopy:
                return Open(ShardOf(head.Int32()), new ReplicaId(head.Guid()));
            case GroupMethods.NextPage:
                return await NextPageAsync(head.UInt64());
            case GroupMethods.Probe:
            {
                var (state, silence) = ShardOf(head.Int32()).ProbeHere(new ShardMember(head.Int32(), head.Guid()));
                return new CallResult(new CallWriter().Byte((byte)state).UInt64((ulong)silence.TotalMilliseconds).Written);
            }

            default:
                throw new InvalidDataException($"There is no method {call.Method:x} for replicas.");
        }
    }

    private CallResult Present(ReadOnlyMemory<byte> head)
    {
        cluster.Hear(JsonSerializer.Deserialize(head.Span, ClusterJson.Default.PresenceRequest) ?? throw new InvalidDataException("Who calls?"));
        return new CallResult(JsonSerializer.SerializeToUtf8Bytes(present(), ClusterJson.Default.PresenceReply));
    }

    private CallResult Open(IndexShard shard, ReplicaId id)
    {
        if (_copies.Count >= CopiesMax)
        {
            throw new ReplicaUnavailableException($"{CopiesMax} copies are under way.");
        }

        var rows = (shard.FindHere(id) ?? throw new ReplicaUnavailableException($"Replica {id} is not here.")).OpenCopy();
        var number = Interlocked.Increment(ref _lastCopy);
        _copies[number] = new Copy(rows, time.CreateTimer(_ => _ = CloseAsync(number), null, CopyKept, Timeout.InfiniteTimeSpan));
        return new CallResult(GroupCodec.Position(new CallWriter().UInt64(number), rows.Position).Written);
    }

    private async Task<CallResult> NextPageAsync(ulong number)
    {
        if (!_copies.TryRemove(number, out var copy))
        {
            throw new ReplicaUnavailableException("The copy was given up, or its last page was not waited for.");
        }

        // Nobody closes it while it is used.
        var page = await copy.Rows.NextAsync();
        copy.Limit.Change(CopyKept, Timeout.InfiniteTimeSpan);
        _copies[number] = copy;
        if (page.IsEmpty)
        {
            await CloseAsync(number);
        }

        return new CallResult(page);
    }

    private async Task CloseAsync(ulong number)
    {
        if (_copies.TryRemove(number, out var copy))
        {
            await copy.Limit.DisposeAsync();
            await copy.Rows.DisposeAsync();
        }
    }

    private IndexShard ShardOf(int number) => shards.Find(number) ?? throw new ReplicaUnavailableException($"Shard {number} is not known here.");

    private sealed record Copy(IRowSource Rows, ITimer Limit);
}
