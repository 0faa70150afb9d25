using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Networking.Grpc;
using Nephos.Networking.State;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.Nodes;

internal sealed class NetworkAgentsGrpcService(NetworkStore store, NetworkingOptions options, TimeProvider time)
    : Wire.NetworkAgents.NetworkAgentsBase
{
    public override async Task<Wire.ListNetworkAgentsResponse> ListNetworkAgents(
        Wire.ListNetworkAgentsRequest request, ServerCallContext context)
    {
        context.GetOperation().RequireAdmin("list network agents");
        var view = await store.ViewAsync(context.CancellationToken);
        return new Wire.ListNetworkAgentsResponse
        {
            Agents =
            {
                view.Nodes.Values.Select(node => new Wire.NetworkAgent
                {
                    Id = node.AgentId,
                    HostName = node.Name,
                    Alive = node.IsAlive(time.GetUtcNow(), options.NodeDownAfter),
                    StartedAt = node.StartedAt.ToWire(),
                    HeartbeatAt = node.HeartbeatAt.ToWire(),
                    PhysicalNetworks = { node.PhysicalNetworks },
                    VtepAddress = node.VtepAddress,
                    PortCount = view.PortsOfHost(node.Name).Count(),
                    RouterCount = view.RouterPlacements.Values.Count(placement => placement.Node == node.Name),
                    UnavailableReason = node.UnavailableReason,
                }),
            },
        };
    }
}
