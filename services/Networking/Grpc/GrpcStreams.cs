using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Hosting;
using Nephos.Networking.State;

namespace Nephos.Networking.Grpc;

/// <summary>What the watches of all resources have in common.</summary>
internal sealed class GrpcStreams(NetworkStore store, NetworkingOptions options, TimeProvider time, IHostApplicationLifetime lifetime)
{
    private const int RestFactor = 4;
    private static readonly TimeSpan RestAfter = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan MaxRest = TimeSpan.FromMilliseconds(500);

    /// <summary>Sends what exists, then that it was all, then each change, until the caller or the process ends.</summary>
    /// <param name="context">The call.</param>
    /// <param name="select">The objects of a view that the caller wants and may see.</param>
    /// <param name="changed">Sends one object.</param>
    /// <param name="deleted">Sends the id of one that is gone.</param>
    /// <param name="synced">Sends that everything that existed was sent.</param>
    public async Task WatchAsync<T>(
        ServerCallContext context,
        Func<NetworkView, IEnumerable<Watched<T>>> select,
        Func<long, T, Task> changed,
        Func<long, string, Task> deleted,
        Func<long, Task> synced)
        where T : class, IMessage<T>
    {
        Dictionary<string, (Sources Sources, T Wire)>? sent = null;
        await foreach (var view in ViewsAsync(context.CancellationToken))
        {
            var began = time.GetTimestamp();
            var now = new Dictionary<string, (Sources Sources, T Wire)>(sent?.Count ?? 0, StringComparer.Ordinal);
            foreach (var watched in select(view))
            {
                var known = sent is not null && sent.TryGetValue(watched.Id, out var before) ? before : default;
                if (known.Wire is not null && known.Sources.AreSameAs(watched.Sources))
                {
                    now.Add(watched.Id, known);
                    continue;
                }

                var wire = watched.Make();
                now.Add(watched.Id, (watched.Sources, wire));
                if (!wire.Equals(known.Wire))
                {
                    await changed(view.Revision, wire);
                }
            }

            foreach (var id in sent?.Keys.Where(id => !now.ContainsKey(id)) ?? [])
            {
                await deleted(view.Revision, id);
            }

            if (sent is null)
            {
                await synced(view.Revision);
            }

            sent = now;
            await RestAsync(began, context.CancellationToken);
        }
    }

    /// <summary>Pauses in proportion to the work since a time stamp, so that watchers of many objects leave time for others.</summary>
    public async Task RestAsync(long began, CancellationToken cancellationToken)
    {
        var worked = time.GetElapsedTime(began);
        if (worked > RestAfter)
        {
            await Task.Delay(worked * RestFactor < MaxRest ? worked * RestFactor : MaxRest, time, cancellationToken)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>The view now and after each change; ends without an error when the call or the process does.</summary>
    public async IAsyncEnumerable<NetworkView> ViewsAsync(
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lifetime.ApplicationStopping);
        await using var views = store.WatchAsync(time, options.SnapshotDelay, stop.Token).GetAsyncEnumerator(stop.Token);
        while (true)
        {
            try
            {
                if (!await views.MoveNextAsync())
                {
                    yield break;
                }
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                yield break;
            }

            yield return views.Current;
        }
    }
}

/// <summary>The records that a message is made of: while they are the same objects, so is the message.</summary>
internal readonly struct Sources(object? first, object? second)
{
    private readonly object? _first = first;
    private readonly object? _second = second;

    /// <summary>Never true without a first record: such a message is made anew each time.</summary>
    public bool AreSameAs(Sources other) =>
        _first is not null && ReferenceEquals(_first, other._first) && ReferenceEquals(_second, other._second);
}

/// <param name="Sources">What the message depends on.</param>
/// <param name="Make">Makes the message; called only when it is needed.</param>
internal readonly record struct Watched<T>(string Id, Sources Sources, Func<T> Make);
