using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Hosting;
using Nephos.Networking.State;

namespace Nephos.Networking.Grpc;

/// <summary>What the watches of all resources have in common.</summary>
internal sealed class GrpcStreams(NetworkStore store, NetworkingOptions options, TimeProvider time, IHostApplicationLifetime lifetime)
{
    /// <summary>Sends what exists, then that it was all, then each change, until the caller or the process ends.</summary>
    /// <param name="select">The objects of a view that the caller wants and may see, by id.</param>
    /// <param name="context">The call.</param>
    /// <param name="changed">Sends one object.</param>
    /// <param name="deleted">Sends the id of one that is gone.</param>
    /// <param name="synced">Sends that everything that existed was sent.</param>
    public async Task WatchAsync<T>(
        ServerCallContext context,
        Func<NetworkView, IEnumerable<(string Id, T Wire)>> select,
        Func<long, T, Task> changed,
        Func<long, string, Task> deleted,
        Func<long, Task> synced)
        where T : IMessage<T>
    {
        Dictionary<string, T>? sent = null;
        await foreach (var view in ViewsAsync(context.CancellationToken))
        {
            var now = select(view).ToDictionary(pair => pair.Id, pair => pair.Wire, StringComparer.Ordinal);
            foreach (var (id, wire) in now)
            {
                if (sent is null || !sent.TryGetValue(id, out var before) || !before.Equals(wire))
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
