using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Networking.Networks;
using Nephos.Networking.Ports;
using Nephos.Networking.Routers;
using Nephos.Networking.SecurityGroups;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;
using Nephos.Networking.Subnets;
using Nephos.Protos.Errors.V1;

namespace Nephos.Networking.AutoAllocation;

/// <summary>The network that a project gets without knowing how to make one: a subnet of the default pool, behind a router to the default
/// external network.</summary>
/// <remarks>Each part is made by a request with the same key, so a call that was cut off is completed by the next.</remarks>
internal sealed class AutoAllocationService(
    NetworkStore store, NetworkService networks, SubnetService subnets, RouterService routers, DefaultGroups groups)
{
    private const string RequestKey = "auto-allocated-topology";

    /// <summary>The topology's network; made with all that belongs to it when it is not there.</summary>
    public async Task<string> EnsureAsync(OperationContext operation, string projectId, CancellationToken cancellationToken)
    {
        operation.RequireMember("get_auto_allocated_topology");
        var outside = await CheckAsync(operation, projectId, cancellationToken);
        await groups.EnsureAsync(projectId, cancellationToken);
        var network = await networks.CreateAsync(
            operation, new NewNetwork { ProjectId = projectId, Name = "auto_allocated_network", IdempotencyKey = RequestKey }, cancellationToken);
        var subnet = (await subnets.CreateAsync(
            operation,
            [new NewSubnet { ProjectId = projectId, NetworkId = network.Id, Name = "auto_allocated_subnet_v4", UseDefaultPool = true, IdempotencyKey = RequestKey }],
            cancellationToken))[0];
        var router = await routers.CreateAsync(
            operation,
            new NewRouter { ProjectId = projectId, Name = "auto_allocated_router", Gateway = new NewGateway(outside.Id, null, null), IdempotencyKey = RequestKey },
            cancellationToken);
        var view = await store.ViewAsync(cancellationToken);
        if (!view.PortsOfDevice(router.Id).Any(port => port.DeviceOwner == DeviceOwners.RouterInterface && port.FixedIps.Any(ip => ip.SubnetId == subnet.Id)))
        {
            await routers.AddInterfaceAsync(operation, router.Id, subnet.Id, null, cancellationToken);
        }

        return network.Id;
    }

    /// <summary>Takes the topology away; refused while ports are on its network.</summary>
    public async Task DeleteAsync(OperationContext operation, string projectId, CancellationToken cancellationToken)
    {
        RequireFor(operation, projectId);
        var view = await store.ViewAsync(cancellationToken);
        bool IsPart(Resource resource) => resource.ProjectId == projectId && resource.IdempotencyKey == RequestKey;
        var network = view.Networks.Values.FirstOrDefault(IsPart)
            ?? throw NetworkFaults.Of(ErrorReason.NetworkNotFound, $"Auto-allocated topology of project {projectId} could not be found.");
        if (view.PortsOn(network.Id).Count(port => !port.BelongsToRouter) is > 0 and var count)
        {
            throw NetworkFaults.NetworkInUse(network.Id, count);
        }

        foreach (var router in view.Routers.Values.Where(IsPart))
        {
            foreach (var port in view.PortsOfDevice(router.Id).Where(port => port.DeviceOwner == DeviceOwners.RouterInterface))
            {
                await routers.RemoveInterfaceAsync(operation, router.Id, null, port.Id, cancellationToken);
            }

            await routers.DeleteAsync(operation, router.Id, cancellationToken);
        }

        await networks.DeleteAsync(operation, network.Id, cancellationToken);
    }

    /// <summary>What the topology needs of the cloud.</summary>
    /// <returns>The external network that it would lead to.</returns>
    /// <exception cref="FaultException">AutoAllocationImpossible: a default is missing.</exception>
    public async Task<Network> CheckAsync(OperationContext operation, string projectId, CancellationToken cancellationToken)
    {
        RequireFor(operation, projectId);
        var view = await store.ViewAsync(cancellationToken);
        var outside = view.Networks.Values.FirstOrDefault(network => network.IsDefault && network.Allows(GrantAction.External, projectId))
            ?? throw Impossible("No default router:external network.");
        return view.SubnetPools.Values.Any(pool => pool is { IsDefault: true, IpVersion: 4 } &&
                (pool.ProjectId == projectId || pool.Allows(GrantAction.Shared, projectId)))
            ? outside
            : throw Impossible("No default pools available.");
    }

    private static void RequireFor(OperationContext operation, string projectId)
    {
        Checks.ProjectId(projectId);
        if (!operation.Owns(projectId))
        {
            throw Faults.Forbidden("get_auto_allocated_topology of another project");
        }
    }

    private static FaultException Impossible(string why) =>
        NetworkFaults.Of(ErrorReason.AutoAllocationImpossible, $"Deployment error: {why}");
}
