using Microsoft.Extensions.Logging;
using Nephos.Kernel.Reconciliation;
using Nephos.Kernel.State;
using Nephos.Networking.Networks;
using Nephos.Networking.Nodes;
using Nephos.Networking.State;

namespace Nephos.Networking.Routers;

/// <summary>Gives every router a node that is alive and has the physical network of its gateway.</summary>
/// <remarks>A router stays where it is as long as its node can carry it, and also when no other can.</remarks>
internal sealed partial class RouterPlacer(
    IStateStore state, NetworkStore store, NetworkingOptions options, TimeProvider time, ReconcilerRegistry registry,
    ILogger<RouterPlacer> logger)
    : Reconciler("network/router-placement", TimeSpan.FromSeconds(15), time, registry, logger)
{
    private readonly TimeProvider _time = time;
    private readonly ILogger _logger = logger;

    protected override async Task<ReconcileResult> ReconcileAsync(CancellationToken cancellationToken)
    {
        var view = await store.ViewAsync(cancellationToken);
        var alive = view.Nodes.Values.Where(node => node.IsAlive(_time.GetUtcNow(), options.NodeDownAfter)).ToList();
        var load = view.RouterPlacements.Values.CountBy(placement => placement.Node).ToDictionary();
        int changed = 0, homeless = 0;
        foreach (var router in view.Routers.Values)
        {
            var current = view.RouterPlacements.GetValueOrDefault(router.Id);
            var fitting = alive.Where(node => Fits(node, router, view)).ToList();
            if (current is not null && (fitting.Count == 0 || fitting.Any(node => node.Name == current.Node)))
            {
                continue;
            }

            if (fitting.MinBy(node => (load.GetValueOrDefault(node.Name), node.Name)) is not { } chosen)
            {
                homeless++;
                continue;
            }

            if (await PlaceAsync(router.Id, chosen.Name, current, cancellationToken))
            {
                load[chosen.Name] = load.GetValueOrDefault(chosen.Name) + 1;
                changed++;
            }
        }

        return new ReconcileResult(view.Routers.Count, changed, homeless);
    }

    private async Task<bool> PlaceAsync(string routerId, string node, RouterPlacement? seen, CancellationToken cancellationToken)
    {
        var placed = await state.TransactAsync(
            async transaction =>
            {
                // Another copy of the service, or a delete, may have been quicker.
                var current = await transaction.GetAsync(Tables.RouterPlacements, routerId, cancellationToken);
                if (current != seen || await transaction.GetAsync(Tables.Routers, routerId, cancellationToken) is null)
                {
                    return false;
                }

                transaction.Put(Tables.RouterPlacements, new RouterPlacement(routerId, node, (current?.Epoch ?? 0) + 1));
                return true;
            },
            cancellationToken);
        if (placed)
        {
            LogPlaced(routerId, node, seen?.Node ?? "none");
        }

        return placed;
    }

    private static bool Fits(NetworkNode node, Router router, NetworkView view) =>
        node.UnavailableReason.Length == 0 &&
        (router.Gateway is not { } gateway || view.Networks.GetValueOrDefault(gateway.NetworkId) is not { Kind: NetworkKind.Flat } network ||
         node.PhysicalNetworks.Contains(network.PhysicalNetwork!));

    [LoggerMessage(LogLevel.Information, "Router {RouterId} is placed on {Node}; it was on {PreviousNode}")]
    private partial void LogPlaced(string routerId, string node, string previousNode);
}
