using System.Runtime.CompilerServices;
using Google.Protobuf.WellKnownTypes;
using Nephos.Compute.Instances;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Compute.Seams;

/// <summary>The network service, by its gRPC clients.</summary>
internal sealed class GrpcNetworkApi(
    Wire.Networks.NetworksClient networks,
    Wire.Ports.PortsClient ports,
    Wire.SecurityGroups.SecurityGroupsClient groups,
    Wire.FloatingIps.FloatingIpsClient floatingIps,
    ServiceCalls calls) : INetworkApi
{
    private const int PageItems = 1000;

    public async Task<NetworkRef> GetNetworkAsync(OperationContext operation, string networkId, CancellationToken cancellationToken)
    {
        var network = await networks.GetNetworkAsync(
            new Wire.GetNetworkRequest { NetworkId = networkId }, await calls.WithUserRightsAsync(operation, cancellationToken));
        return ToRef(network);
    }

    public async Task<IReadOnlyList<NetworkRef>> ListUsableNetworksAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        var found = await ListAsync(operation, new Wire.NetworkFilter { External = false }, cancellationToken);
        return [.. found.Where(network => network.Shared || network.ProjectId == operation.ProjectId)];
    }

    public Task<IReadOnlyList<NetworkRef>> ListVisibleNetworksAsync(OperationContext operation, CancellationToken cancellationToken) =>
        ListAsync(operation, new Wire.NetworkFilter(), cancellationToken);

    public async Task<NetworkRef> EnsureAutoAllocatedNetworkAsync(OperationContext operation, CancellationToken cancellationToken) => ToRef(
        await networks.EnsureAutoAllocatedNetworkAsync(new Wire.EnsureAutoAllocatedNetworkRequest(), await calls.WithUserRightsAsync(operation, cancellationToken)));

    public async Task<PortRef> GetPortAsync(OperationContext operation, string portId, CancellationToken cancellationToken) =>
        Ids.IsUuid(portId)
            ? ToRef(await ports.GetPortAsync(new Wire.GetPortRequest { PortId = portId }, await calls.WithUserRightsAsync(operation, cancellationToken)))
            : throw Faults.NotFound("Port", portId);

    public async Task<GroupRef> FindSecurityGroupAsync(OperationContext operation, string nameOrId, CancellationToken cancellationToken)
    {
        if (Ids.IsUuid(nameOrId))
        {
            try
            {
                var group = await groups.GetSecurityGroupAsync(
                    new Wire.GetSecurityGroupRequest { SecurityGroupId = nameOrId }, await calls.WithUserRightsAsync(operation, cancellationToken));
                return new GroupRef(group.Id, group.Name);
            }
            catch (FaultException fault) when (fault.Rule.Code == Code.NotFound)
            {
                // It may be a name that looks like an id.
            }
        }
        var filter = new Wire.SecurityGroupFilter { Names = { nameOrId } };
        if (operation.ProjectId is { } projectId)
        {
            filter.ProjectIds.Add(projectId);
        }
        var found = await groups.ListSecurityGroupsAsync(
            new Wire.ListSecurityGroupsRequest { Filter = filter, PageSize = 2 }, await calls.WithUserRightsAsync(operation, cancellationToken));
        return found.SecurityGroups.Count switch
        {
            1 => new GroupRef(found.SecurityGroups[0].Id, found.SecurityGroups[0].Name),
            0 => throw new FaultException(ErrorReason.NotFound, $"Security group {nameOrId} not found.",
                new Dictionary<string, string> { ["kind"] = "SecurityGroup", ["id"] = nameOrId }),
            _ => throw Faults.Conflict($"Multiple security groups found matching '{nameOrId}'. Use an ID to be more specific."),
        };
    }

    public async Task SetPortGroupsAsync(
        OperationContext operation, string portId, IReadOnlyList<string> groupIds, CancellationToken cancellationToken) =>
        await ports.UpdatePortAsync(new Wire.UpdatePortRequest
        {
            Port = new Wire.Port { Id = portId, SecurityGroupIds = { groupIds } },
            UpdateMask = new FieldMask { Paths = { "security_group_ids" } },
        }, await calls.WithUserRightsAsync(operation, cancellationToken));

    public async Task<PortRef> CreatePortAsync(PortWish wish, CancellationToken cancellationToken)
    {
        var request = new Wire.CreatePortRequest
        {
            ProjectId = wish.ProjectId,
            NetworkId = wish.NetworkId,
            DeviceId = wish.DeviceId,
            DeviceOwner = wish.DeviceOwner,
            DnsName = wish.DnsName,
            HostName = wish.HostName,
            BindingEpoch = (ulong)wish.Epoch,
            IdempotencyKey = wish.IdempotencyKey,
        };
        if (wish.FixedIp is { } address)
        {
            request.FixedIps = new Wire.FixedIpList { FixedIps = { new Wire.FixedIp { IpAddress = address } } };
        }
        string[] groupIds = [.. wish.SecurityGroupIds.Where(id => id.Length > 0)];
        if (groupIds.Length > 0)
        {
            request.SecurityGroups = new Wire.SecurityGroupList { SecurityGroups = { groupIds } };
        }
        return ToRef(await ports.CreatePortAsync(request, await calls.AsServiceAsync(cancellationToken)));
    }

    public async Task<long> GetBindingEpochAsync(string portId, CancellationToken cancellationToken) =>
        (long)(await ports.GetPortAsync(new Wire.GetPortRequest { PortId = portId }, await calls.AsServiceAsync(cancellationToken))).BindingEpoch;

    public async Task BindPortAsync(
        string portId, string hostName, long epoch, string deviceId, string deviceOwner, CancellationToken cancellationToken) =>
        await ports.BindPortAsync(new Wire.BindPortRequest
        {
            PortId = portId, HostName = hostName, Epoch = (ulong)epoch, DeviceId = deviceId, DeviceOwner = deviceOwner,
        }, await calls.AsServiceAsync(cancellationToken));

    public Task ReleasePortAsync(string portId, long epoch, bool releaseDevice, CancellationToken cancellationToken) =>
        Gone.IsFineAsync(async () => await ports.UnbindPortAsync(
            new Wire.UnbindPortRequest { PortId = portId, Epoch = (ulong)epoch, ReleaseDevice = releaseDevice }, await calls.AsServiceAsync(cancellationToken)));

    public Task DeletePortAsync(string portId, CancellationToken cancellationToken) =>
        Gone.IsFineAsync(async () => await ports.DeletePortAsync(new Wire.DeletePortRequest { PortId = portId }, await calls.AsServiceAsync(cancellationToken)));

    public async Task<IReadOnlyList<PortRef>> ListPortsOfAsync(string deviceId, CancellationToken cancellationToken)
    {
        var answer = await ports.ListPortsAsync(
            new Wire.ListPortsRequest { Filter = new Wire.PortFilter { DeviceIds = { deviceId } }, PageSize = PageItems }, await calls.AsServiceAsync(cancellationToken));
        return [.. answer.Ports.Select(ToRef)];
    }

    public async Task<IReadOnlyDictionary<string, PortDetails>> GetDetailsAsync(string deviceId, CancellationToken cancellationToken)
    {
        var answer = await ports.GetPortsDetailsAsync(new Wire.GetPortsDetailsRequest { DeviceId = deviceId }, await calls.AsServiceAsync(cancellationToken));
        return answer.Ports.ToDictionary(item => item.Port.Id, ToDetails);
    }

    public async IAsyncEnumerable<string> WatchDevicesAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var devices = new Dictionary<string, string>(StringComparer.Ordinal);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var portEvents = ports.WatchPorts(
            new Wire.WatchPortsRequest { Filter = new Wire.PortFilter { DeviceOwners = { "compute:" } } },
            await calls.AsServiceAsync(stop.Token, Timeout.InfiniteTimeSpan));
        using var addressEvents = floatingIps.WatchFloatingIps(
            new Wire.WatchFloatingIpsRequest(), await calls.AsServiceAsync(stop.Token, Timeout.InfiniteTimeSpan));
        var floating = new Dictionary<string, string>(StringComparer.Ordinal);
        var nextPort = portEvents.ResponseStream.MoveNext(stop.Token);
        var nextAddress = addressEvents.ResponseStream.MoveNext(stop.Token);
        try
        {
            while (true)
            {
                await Task.WhenAny(nextPort, nextAddress);
                if (nextPort.IsCompleted)
                {
                    if (!await nextPort)
                    {
                        yield break;
                    }
                    if (DeviceOf(portEvents.ResponseStream.Current, devices) is { } device)
                    {
                        yield return device;
                    }
                    nextPort = portEvents.ResponseStream.MoveNext(stop.Token);
                }
                else
                {
                    if (!await nextAddress)
                    {
                        yield break;
                    }
                    foreach (var portId in PortsOf(addressEvents.ResponseStream.Current, floating))
                    {
                        if (devices.TryGetValue(portId, out var device))
                        {
                            yield return device;
                        }
                    }
                    nextAddress = addressEvents.ResponseStream.MoveNext(stop.Token);
                }
            }
        }
        finally
        {
            await stop.CancelAsync();
        }
    }

    private async Task<IReadOnlyList<NetworkRef>> ListAsync(OperationContext operation, Wire.NetworkFilter filter, CancellationToken cancellationToken)
    {
        var all = new List<NetworkRef>();
        var request = new Wire.ListNetworksRequest { Filter = filter, PageSize = PageItems };
        do
        {
            var page = await networks.ListNetworksAsync(request, await calls.WithUserRightsAsync(operation, cancellationToken));
            all.AddRange(page.Networks.Select(ToRef));
            request.PageToken = page.NextPageToken;
        }
        while (request.PageToken.Length > 0);
        return all;
    }

    private static string? DeviceOf(Wire.PortEvent change, Dictionary<string, string> devices)
    {
        switch (change.EventCase)
        {
            case Wire.PortEvent.EventOneofCase.Changed when change.Changed.DeviceId.Length > 0:
                devices[change.Changed.Id] = change.Changed.DeviceId;
                return change.Changed.DeviceId;
            case Wire.PortEvent.EventOneofCase.Deleted:
                return devices.Remove(change.Deleted, out var device) ? device : null;
            default:
                return null;
        }
    }

    // The port that a floating IP leads to now, and the one it led to before.
    private static List<string> PortsOf(Wire.FloatingIpEvent change, Dictionary<string, string> floating)
    {
        var touched = new List<string>();
        var id = change.EventCase == Wire.FloatingIpEvent.EventOneofCase.Changed ? change.Changed.Id : change.Deleted;
        if (id.Length > 0 && floating.Remove(id, out var before))
        {
            touched.Add(before);
        }
        if (change.EventCase == Wire.FloatingIpEvent.EventOneofCase.Changed && change.Changed.PortId.Length > 0)
        {
            floating[id] = change.Changed.PortId;
            touched.Add(change.Changed.PortId);
        }
        return touched;
    }

    private static NetworkRef ToRef(Wire.Network network) =>
        new(network.Id, network.Name, network.ProjectId, network.External, network.Shared, network.SubnetIds.Count > 0);

    private static PortRef ToRef(Wire.Port port) =>
        new(port.Id, port.NetworkId, port.ProjectId, port.DeviceId, port.DeviceOwner, port.Name, (long)port.BindingEpoch);

    private static PortDetails ToDetails(Wire.PortDetails details)
    {
        var subnets = details.Subnets.DistinctBy(subnet => subnet.Id).ToDictionary(subnet => subnet.Id);
        return new PortDetails(
            details.Network.Id,
            details.Network.Name,
            details.Port.MacAddress,
            (int)details.Network.Mtu,
            details.Port.Status == Wire.PortStatus.Active,
            [
                .. details.Port.FixedIps.Select(fixedIp =>
                {
                    var subnet = subnets.GetValueOrDefault(fixedIp.SubnetId) ?? new Wire.Subnet();
                    return new PortAddress(
                        fixedIp.SubnetId, fixedIp.IpAddress, subnet.Cidr, subnet.GatewayIp, [.. subnet.DnsNameservers],
                        [.. subnet.HostRoutes.Select(route => new PortRoute(route.Destination, route.Nexthop))], subnet.EnableDhcp,
                        [.. details.FloatingIps.Where(item => item.FixedAddress == fixedIp.IpAddress).Select(item => item.FloatingAddress)]);
                }),
            ],
            [.. details.Port.SecurityGroupIds.Select(id => new GroupRef(id, ""))]);
    }
}

/// <summary>For calls that take something away.</summary>
internal static class Gone
{
    /// <summary>What does not exist needs no taking away.</summary>
    public static async Task IsFineAsync(Func<Task> call)
    {
        try
        {
            await call();
        }
        catch (FaultException fault) when (fault.Rule.Code == Code.NotFound)
        {
        }
    }
}
