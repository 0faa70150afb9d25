using System.Collections.Concurrent;
using Nephos.Client.Objects;
using Nephos.Client.Transport;
using Nephos.Node.Objects.Groups;
using Nephos.Node.Objects.Namespace;

namespace Nephos.Node.Objects.Cluster;

/// <summary>Finds the writer of a shard, here or elsewhere, and asks it; asks again where that is harmless, until a limit.</summary>
internal sealed class ShardDirectory(
    ShardSet shards, StorageCluster cluster, IConfigurationMaster master, TimeProvider time)
{
    /// <summary>A new writer is found well within this.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>What a failure says about the request; 0 when that is not known.</summary>
    private const byte NotBegun = 1, Moved = 2;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(8);
    private readonly ConcurrentDictionary<int, string> _writers = new();

    /// <summary>The shards of the namespace, by number, as of now.</summary>
    public IEnumerable<int> Numbers => shards.Map.Ranges.Select(r => r.Shard);

    /// <summary>The namespace over the shards of this process; set once both are there.</summary>
    public ShardedNamespace Names { get; set; } = null!;

    /// <summary>Asks the shard that has the account, whichever that comes to be.</summary>
    /// <exception cref="ObjectEngineException"><c>Unavailable</c>, or what the shard answers.</exception>
    public ValueTask<TResult> CallAsync<TRequest, TResult>(
        string account, ShardMethod<TRequest, TResult> method, TRequest request, CancellationToken cancellationToken) =>
        CallAsync(ShardMap.HashOf(account), number: null, method, request, cancellationToken);

    /// <summary>Asks one shard and no other.</summary>
    /// <exception cref="ObjectEngineException"><c>Unavailable</c>, <c>WasMoved</c> when others took its place, or what the shard answers.</exception>
    public ValueTask<TResult> CallAsync<TRequest, TResult>(
        int shard, ShardMethod<TRequest, TResult> method, TRequest request, CancellationToken cancellationToken) =>
        CallAsync(0, shard, method, request, cancellationToken);

    private async ValueTask<TResult> CallAsync<TRequest, TResult>(
        ulong hash, int? number, ShardMethod<TRequest, TResult> method, TRequest request, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        while (true)
        {
            string reason;
            var shard = number ?? shards.Map.ShardOf(hash);
            try
            {
                if (cluster.IsAlone || shards.Find(shard) is { IsWriter: true })
                {
                    return await method.RunAsync(new ShardTarget(shards.Get(shard), Names), request, cancellationToken);
                }

                if (await FindWriterAsync(shard, cancellationToken) is { } writer && cluster.Find(writer) is { } peer)
                {
                    return method.Read((await AskAsync(peer, shard, method.Number, method.Write(request))).Span);
                }

                reason = $"Shard {shard} has no writer that is known here.";
            }
            catch (ObjectEngineException failure) when (failure.WasMoved && !(number is { } only && shards.Map.IsGone(only)))
            {
                // The map says more, now or soon.
                reason = failure.Message;
                await shards.RefreshAsync(cancellationToken);
            }
            catch (ObjectEngineException failure) when (!cluster.IsAlone && !failure.WasMoved && failure.Failure == EngineFailure.Unavailable && (failure.WasNotBegun || method.CanRepeat))
            {
                reason = failure.Message;
            }
            catch (ObjectEngineException)
            {
                // Perhaps the writer is cut off from the others and does not know of its successor.
                _writers.TryRemove(shard, out _);
                throw;
            }
            catch (StorageUnreachableException failure) when (!failure.IsOutcomeUnknown || method.CanRepeat)
            {
                reason = failure.Message;
            }
            catch (IOException failure)
            {
                _writers.TryRemove(shard, out _);
                throw new ObjectEngineException(EngineFailure.Unavailable, $"The answer of shard {shard} was lost; whether it was done is not known: {failure.Message}", failure);
            }

            _writers.TryRemove(shard, out _);
            if (time.GetElapsedTime(began) > Patience)
            {
                throw new ObjectEngineException(EngineFailure.Unavailable, $"Shard {shard} did not answer within {Patience.TotalSeconds} s: {reason}") { WasNotBegun = true };
            }

            await Task.Delay(Pause, time, cancellationToken);
        }
    }

    /// <summary>Carries out what another process asks of a shard here.</summary>
    public async ValueTask<CallResult> HandleAsync(IncomingCall call)
    {
        var head = new CallReader(call.Head);
        var shard = head.Int32();
        try
        {
            if (ShardMethods.Find(call.Method) is not { } method)
            {
                throw new InvalidDataException($"Shards have no method {call.Method:x}.");
            }

            var asked = shards.Get(shard);
            if (!asked.IsWriter)
            {
                throw new ObjectEngineException(EngineFailure.Unavailable, $"The writer of shard {shard} is not {cluster.Name}.") { WasNotBegun = true };
            }

            var result = await method.RunAsync(new ShardTarget(asked, Names), head.Rest(), CancellationToken.None);
            return new CallResult(new CallWriter(result.Length + 1).Byte(0).Rest(result.Span).Written);
        }
        catch (ObjectEngineException failure)
        {
            return new CallResult(new CallWriter().Byte(1).Byte((byte)failure.Failure).Byte(failure.WasMoved ? Moved : failure.WasNotBegun ? NotBegun : (byte)0).Text(failure.Message).Written);
        }
    }

    private static async ValueTask<ReadOnlyMemory<byte>> AskAsync(Peer peer, int shard, ushort method, byte[] request)
    {
        var head = new CallWriter(request.Length + 4).Int32(shard).Rest(request).Written;
        var reply = new CallReader((await peer.Calls.CallAsync(new StorageCall(method, head) { Timeout = CallTimeout })).Head);
        if (reply.Byte() == 0)
        {
            return reply.Rest();
        }

        var (failure, outcome) = ((EngineFailure)reply.Byte(), reply.Byte());
        throw new ObjectEngineException(failure, reply.Text()) { WasNotBegun = outcome is NotBegun or Moved, WasMoved = outcome == Moved };
    }

    private async ValueTask<string?> FindWriterAsync(int shard, CancellationToken cancellationToken)
    {
        if (_writers.TryGetValue(shard, out var known))
        {
            return known;
        }

        if (await master.ReadAsync(IndexShard.NameOf(shard), cancellationToken) is not { } stored)
        {
            return null;
        }

        var writer = ShardConfiguration.Parse(stored.Value.Span).Writer;
        return _writers[shard] = writer;
    }
}
