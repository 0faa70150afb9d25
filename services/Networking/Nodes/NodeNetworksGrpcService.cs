using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Networking.Grpc;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.Nodes;

internal sealed class NodeNetworksGrpcService(NodeService nodes, GrpcStreams streams, TimeProvider time) : Wire.NodeNetworks.NodeNetworksBase
{
    public override async Task WatchNodeNetwork(
        Wire.WatchNodeNetworkRequest request, IServerStreamWriter<Wire.NodeNetworkState> responseStream, ServerCallContext context)
    {
        RequireNode(context.GetOperation());
        await nodes.ArriveAsync(request.NodeId, request.VtepAddress, [.. request.PhysicalNetworks], context.CancellationToken);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken);
        var beats = BeatAsync(request.NodeId, stop.Token);
        try
        {
            Wire.NodeNetworkState? sent = null;
            var wires = new NodePortWires();
            await foreach (var view in streams.ViewsAsync(context.CancellationToken))
            {
                var began = time.GetTimestamp();
                var state = NodeStateBuilder.Build(view, request.NodeId, wires);
                if (!IsSame(state, sent))
                {
                    sent = state;
                    await responseStream.WriteAsync(state);
                }

                await streams.RestAsync(began, context.CancellationToken);
            }
        }
        finally
        {
            await stop.CancelAsync();
            await beats.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public override async Task<Wire.ReportNodeNetworkResponse> ReportNodeNetwork(
        Wire.ReportNodeNetworkRequest request, ServerCallContext context)
    {
        RequireNode(context.GetOperation());
        var items = request.Ports.Concat(request.Routers).Concat(request.FloatingIps).Select(ToItem).ToList();
        await nodes.ReportAsync(request.NodeId, items, request.UnavailableReason, context.CancellationToken);
        return new Wire.ReportNodeNetworkResponse();
    }

    // A later revision alone is no news.
    private static bool IsSame(Wire.NodeNetworkState state, Wire.NodeNetworkState? sent)
    {
        if (sent is null)
        {
            return false;
        }

        var revision = state.Revision;
        state.Revision = sent.Revision;
        var isSame = state.Equals(sent);
        state.Revision = revision;
        return isSame;
    }

    // A node whose stream is open lives, also when it has nothing to report.
    private async Task BeatAsync(string node, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(nodes.HeartbeatPeriod, time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            try
            {
                await nodes.BeatAsync(node, cancellationToken);
            }
            catch (FaultException fault) when (fault.Reason == Protos.Errors.V1.ErrorReason.Aborted)
            {
                // The next beat tries again; one may be missed.
            }
        }
    }

    private static NodeItem ToItem(Wire.NodeItemStatus status) => new(
        status.Id,
        (long)Math.Min(status.Epoch, long.MaxValue),
        status.State switch
        {
            Wire.NodeItemState.Active => WiredState.Active,
            Wire.NodeItemState.Failed => WiredState.Failed,
            _ => WiredState.Down,
        },
        status.Error);

    private static void RequireNode(OperationContext operation)
    {
        if (!operation.MayBind())
        {
            throw Faults.Forbidden("act as a node of the network");
        }
    }
}
