using System.Collections.Concurrent;
using System.Collections.Immutable;
using Nephos.Client.Objects;
using Nephos.Client.Transport;
using Nephos.Node.Objects.Groups;
using Nephos.Node.Objects.Namespace;

namespace Nephos.Node.Objects.Cluster;

/// <summary>Finds the writer of a shard, here or elsewhere, and asks it; asks again where that is harmless, until a limit.</summary>
internal sealed class ShardDirectory(
    ImmutableArray<IndexShard> shards, StorageCluster cluster, IConfigurationMaster master, TimeProvider time)
{
    /// <summary>A new writer is found well within this.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(8);
    private readonly ConcurrentDictionary<int, string> _writers = new();

    public int Count => shards.Length;

    /// <summary>The namespace over the shards of this process; set once both are there.</summary>
    public ShardedNamespace Names { get; set; } = null!;

    /// <exception cref="ObjectEngineException"><c>Unavailable</c>, or what the shard answers.</exception>
    public async ValueTask<TResult> CallAsync<TRequest, TResult>(
        int shard, ShardMethod<TRequest, TResult> method, TRequest request, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        while (true)
        {
            string reason;
            try
            {
                if (cluster.IsAlone || shards[shard].IsWriter)
                {
                    return await method.RunAsync(new ShardTarget(shards[shard], Names), request, cancellationToken);
                }

                if (await FindWriterAsync(shard, cancellationToken) is { } writer && cluster.Find(writer) is { } peer)
                {
                    return method.Read((await AskAsync(peer, shard, method.Number, method.Write(request))).Span);
                }

                reason = $"Shard {shard} has no writer that is known here.";
            }
            catch (ObjectEngineException failure) when (!cluster.IsAlone && failure.Failure == EngineFailure.Unavailable && (failure.WasNotBegun || method.CanRepeat))
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
            if (shard < 0 || shard >= shards.Length || ShardMethods.Find(call.Method) is not { } method)
            {
                throw new InvalidDataException($"There is no method {call.Method:x} of shard {shard} here.");
            }

            if (!shards[shard].IsWriter)
            {
                throw new ObjectEngineException(EngineFailure.Unavailable, $"The writer of shard {shard} is not {cluster.Name}.") { WasNotBegun = true };
            }

            var result = await method.RunAsync(new ShardTarget(shards[shard], Names), head.Rest(), CancellationToken.None);
            return new CallResult(new CallWriter(result.Length + 1).Byte(0).Rest(result.Span).Written);
        }
        catch (ObjectEngineException failure)
        {
            return new CallResult(new CallWriter().Byte(1).Byte((byte)failure.Failure).Byte(failure.WasNotBegun ? (byte)1 : (byte)0).Text(failure.Message).Written);
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

        var (failure, wasNotBegun) = ((EngineFailure)reply.Byte(), reply.Byte() == 1);
        throw new ObjectEngineException(failure, reply.Text()) { WasNotBegun = wasNotBegun };
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
