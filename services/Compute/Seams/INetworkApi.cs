using Nephos.Compute.Instances;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Compute.Seams;

internal sealed record NetworkRef(string Id, string Name, string ProjectId, bool External, bool Shared, bool HasSubnets);

/// <param name="BindingEpoch">Of its last binding; the next one must not be lower.</param>
internal sealed record PortRef(string Id, string NetworkId, string ProjectId, string DeviceId, string DeviceOwner, string Name, long BindingEpoch);

/// <summary>A port to be made for an instance. The same key answers the same port.</summary>
internal sealed record PortWish(
    string ProjectId,
    string NetworkId,
    string? FixedIp,
    IReadOnlyList<string> SecurityGroupIds,
    string DeviceId,
    string DeviceOwner,
    string DnsName,
    string HostName,
    long Epoch,
    string IdempotencyKey);

/// <summary>What this service needs of networks. Every call may be repeated.</summary>
/// <remarks>Calls with an operation are made on behalf of its user, the others by this service itself.</remarks>
internal interface INetworkApi
{
    /// <exception cref="FaultException">NotFound.</exception>
    Task<NetworkRef> GetNetworkAsync(OperationContext operation, string networkId, CancellationToken cancellationToken);

    /// <summary>Networks that the project may plug instances into: its own and shared ones, without external ones.</summary>
    Task<IReadOnlyList<NetworkRef>> ListUsableNetworksAsync(OperationContext operation, CancellationToken cancellationToken);

    /// <summary>Networks that the caller may see; of an administrator that is every one.</summary>
    Task<IReadOnlyList<NetworkRef>> ListVisibleNetworksAsync(OperationContext operation, CancellationToken cancellationToken);

    /// <summary>The network of a project that makes none itself, made with what belongs to it when it is not there.</summary>
    /// <exception cref="FaultException">AutoAllocationImpossible: the cloud has no defaults for it.</exception>
    Task<NetworkRef> EnsureAutoAllocatedNetworkAsync(OperationContext operation, CancellationToken cancellationToken);

    /// <exception cref="FaultException">NotFound.</exception>
    Task<PortRef> GetPortAsync(OperationContext operation, string portId, CancellationToken cancellationToken);

    /// <summary>The group with the id or the only one with the name.</summary>
    /// <exception cref="FaultException">NotFound; Conflict when several have the name.</exception>
    Task<GroupRef> FindSecurityGroupAsync(OperationContext operation, string nameOrId, CancellationToken cancellationToken);

    /// <summary>Replaces the groups of a port.</summary>
    Task SetPortGroupsAsync(OperationContext operation, string portId, IReadOnlyList<string> groupIds, CancellationToken cancellationToken);

    Task<PortRef> CreatePortAsync(PortWish wish, CancellationToken cancellationToken);

    /// <summary>The epoch of the last binding of a port.</summary>
    /// <exception cref="FaultException">NotFound.</exception>
    Task<long> GetBindingEpochAsync(string portId, CancellationToken cancellationToken);

    Task BindPortAsync(string portId, string hostName, long epoch, string deviceId, string deviceOwner, CancellationToken cancellationToken);

    /// <summary>Takes a port off node and device; one that is gone is no error.</summary>
    Task ReleasePortAsync(string portId, long epoch, bool releaseDevice, CancellationToken cancellationToken);

    /// <summary>Deletes a port; one that is gone is no error.</summary>
    Task DeletePortAsync(string portId, CancellationToken cancellationToken);

    /// <summary>Ports with this device, whoever made them.</summary>
    Task<IReadOnlyList<PortRef>> ListPortsOfAsync(string deviceId, CancellationToken cancellationToken);

    /// <summary>Ports with everything that guests need to know; absent ones are left out.</summary>
    Task<IReadOnlyDictionary<string, PortDetails>> GetDetailsAsync(string deviceId, CancellationToken cancellationToken);

    /// <summary>Devices whose ports changed, for as long as the caller listens. Starts with every device there is.</summary>
    IAsyncEnumerable<string> WatchDevicesAsync(CancellationToken cancellationToken);
}
