using Google.Protobuf.WellKnownTypes;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Compute.Seams;

/// <param name="Pool">Name of the external network.</param>
/// <param name="InstanceId">Whose port it leads to; null: nobody's.</param>
internal sealed record FloatingIpInfo(string Id, string Address, string Pool, string? PortId, string? FixedAddress, string? InstanceId);

/// <summary>Floating IPs of the network service, for the old calls of the compute API; always with the rights of the user.</summary>
internal sealed class FloatingIpProxy(
    Wire.FloatingIps.FloatingIpsClient floatingIps, Wire.Networks.NetworksClient networks, Wire.Ports.PortsClient ports, ServiceCalls calls)
{
    private const int PageItems = 1000;

    /// <summary>Names of the external networks.</summary>
    public async Task<IReadOnlyList<string>> ListPoolsAsync(OperationContext operation, CancellationToken cancellationToken) =>
        [.. (await ExternalNetworksAsync(operation, cancellationToken)).Select(network => network.Name)];

    public Task<IReadOnlyList<FloatingIpInfo>> ListAsync(OperationContext operation, CancellationToken cancellationToken) =>
        ListAsync(operation, new Wire.FloatingIpFilter { ProjectIds = { operation.RequireProject() } }, cancellationToken);

    /// <exception cref="FaultException">NotFound.</exception>
    public async Task<FloatingIpInfo> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        if (!Ids.IsUuid(id))
        {
            throw Missing(id);
        }
        return (await ListAsync(operation, new Wire.FloatingIpFilter { Ids = { id } }, cancellationToken)).FirstOrDefault() ?? throw Missing(id);
    }

    /// <exception cref="FaultException">NotFound.</exception>
    public async Task<FloatingIpInfo> FindAsync(OperationContext operation, string address, CancellationToken cancellationToken)
    {
        var filter = new Wire.FloatingIpFilter { FloatingIpAddresses = { address }, ProjectIds = { operation.RequireProject() } };
        return (await ListAsync(operation, filter, cancellationToken)).FirstOrDefault()
            ?? throw new FaultException(ErrorReason.NotFound, $"Floating IP not found for address {address}.");
    }

    /// <param name="pool">Name or id of the external network; null: the first.</param>
    public async Task<FloatingIpInfo> CreateAsync(OperationContext operation, string? pool, CancellationToken cancellationToken)
    {
        var network = (await ExternalNetworksAsync(operation, cancellationToken)).FirstOrDefault(item => pool is null || item.Name == pool || item.Id == pool)
            ?? throw new FaultException(ErrorReason.NotFound, pool is null ? "Floating IP pool not found." : $"Floating IP pool {pool} not found.");
        var made = await floatingIps.CreateFloatingIpAsync(
            new Wire.CreateFloatingIpRequest { FloatingNetworkId = network.Id }, await calls.WithUserRightsAsync(operation, cancellationToken));
        return new FloatingIpInfo(made.Id, made.FloatingIpAddress, network.Name, null, null, null);
    }

    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        await GetAsync(operation, id, cancellationToken);
        await floatingIps.DeleteFloatingIpAsync(
            new Wire.DeleteFloatingIpRequest { FloatingIpId = id }, await calls.WithUserRightsAsync(operation, cancellationToken));
    }

    /// <summary>Leads the address to a port; null: nowhere.</summary>
    public async Task LeadAsync(OperationContext operation, string id, string? portId, string? fixedAddress, CancellationToken cancellationToken)
    {
        try
        {
            await floatingIps.UpdateFloatingIpAsync(
                new Wire.UpdateFloatingIpRequest
                {
                    FloatingIp = new Wire.FloatingIp { Id = id, PortId = portId ?? "", FixedIpAddress = fixedAddress ?? "" },
                    UpdateMask = new FieldMask { Paths = { "port_id", "fixed_ip_address" } },
                },
                await calls.WithUserRightsAsync(operation, cancellationToken));
        }
        catch (FaultException fault) when (fault.Rule.Code is Code.FailedPrecondition or Code.AlreadyExists or Code.NotFound)
        {
            // The server has another floating IP, or no router leads to it: a bad request in this API.
            throw ComputeFaults.Refers("address", $"Unable to associate floating IP with fixed IP {fixedAddress}: {fault.Message}");
        }
    }

    private async Task<IReadOnlyList<FloatingIpInfo>> ListAsync(OperationContext operation, Wire.FloatingIpFilter filter, CancellationToken cancellationToken)
    {
        var found = await floatingIps.ListFloatingIpsAsync(
            new Wire.ListFloatingIpsRequest { Filter = filter, PageSize = PageItems }, await calls.WithUserRightsAsync(operation, cancellationToken));
        var pools = (await ExternalNetworksAsync(operation, cancellationToken)).ToDictionary(network => network.Id, network => network.Name);
        var devices = await DevicesAsync(operation, [.. found.FloatingIps.Select(item => item.PortId).Where(port => port.Length > 0)], cancellationToken);
        return
        [
            .. found.FloatingIps.Select(item => new FloatingIpInfo(
                item.Id, item.FloatingIpAddress, pools.GetValueOrDefault(item.FloatingNetworkId, item.FloatingNetworkId),
                item.PortId.Length > 0 ? item.PortId : null, item.FixedIpAddress.Length > 0 ? item.FixedIpAddress : null, devices.GetValueOrDefault(item.PortId))),
        ];
    }

    private async Task<Dictionary<string, string>> DevicesAsync(OperationContext operation, IReadOnlyList<string> portIds, CancellationToken cancellationToken)
    {
        if (portIds.Count == 0)
        {
            return [];
        }
        var answer = await ports.ListPortsAsync(
            new Wire.ListPortsRequest { Filter = new Wire.PortFilter { Ids = { portIds } }, PageSize = PageItems }, await calls.WithUserRightsAsync(operation, cancellationToken));
        return answer.Ports.Where(port => port.DeviceOwner.StartsWith("compute:", StringComparison.Ordinal)).ToDictionary(port => port.Id, port => port.DeviceId);
    }

    private async Task<IReadOnlyList<Wire.Network>> ExternalNetworksAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        var filter = new Wire.NetworkFilter { External = true };
        return (await networks.ListNetworksAsync(
            new Wire.ListNetworksRequest { Filter = filter, PageSize = PageItems }, await calls.WithUserRightsAsync(operation, cancellationToken))).Networks;
    }

    private static FaultException Missing(string id) =>
        new(ErrorReason.NotFound, $"Floating IP not found for ID {id}", new Dictionary<string, string> { ["kind"] = "FloatingIp", ["id"] = id });
}
