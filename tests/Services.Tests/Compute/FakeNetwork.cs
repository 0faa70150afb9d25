using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Nephos.Compute.Instances;
using Nephos.Compute.Seams;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Services.Tests.Compute;

/// <summary>Calls to fakes go through here: a test may let one fail, before or after it took effect.</summary>
internal sealed class Interference
{
    private readonly ConcurrentDictionary<string, (int After, Func<Exception> Failure)> _failures = new();
    private readonly ConcurrentDictionary<string, int> _counts = new();

    public int CountOf(string call) => _counts.GetValueOrDefault(call);

    /// <summary>The next call fails although it did its work, as when the answer is lost.</summary>
    public void LoseNextAnswer(string call) => _failures[call] = (1, () => Faults.Unavailable($"the answer of {call} was lost"));

    public void FailNext(string call, FaultException? fault = null) => _failures[call] = (0, () => fault ?? Faults.Unavailable($"{call} does not work now"));

    public void Before(string call)
    {
        _counts.AddOrUpdate(call, 1, (_, count) => count + 1);
        if (_failures.TryGetValue(call, out var failure) && failure.After == 0 && _failures.TryRemove(call, out _))
        {
            throw failure.Failure();
        }
    }

    public void After(string call)
    {
        if (_failures.TryGetValue(call, out var failure) && failure.After == 1 && _failures.TryRemove(call, out _))
        {
            throw failure.Failure();
        }
    }
}

internal sealed record FakePort(
    string Id, string NetworkId, string ProjectId, string DeviceId, string DeviceOwner, string HostName, long Epoch, string Address, string? Key);

/// <summary>Networks and ports in memory.</summary>
internal sealed class FakeNetwork(Interference interference) : INetworkApi
{
    private readonly Channel<string> _changes = Channel.CreateUnbounded<string>();
    private int _lastAddress = 10;

    public ConcurrentDictionary<string, NetworkRef> Networks { get; } = new();

    public ConcurrentDictionary<string, FakePort> Ports { get; } = new();

    public ConcurrentDictionary<string, (GroupRef Group, string ProjectId)> Groups { get; } = new();

    public string AddNetwork(string name, string projectId, bool hasSubnets = true, bool external = false)
    {
        var id = Ids.NewUuid();
        Networks[id] = new NetworkRef(id, name, projectId, external, Shared: false, hasSubnets);
        return id;
    }

    public FakePort AddPort(string networkId, string projectId)
    {
        var port = new FakePort(Ids.NewUuid(), networkId, projectId, "", "", "", 7, NextAddress(), null);
        return Ports[port.Id] = port;
    }

    public Task<NetworkRef> GetNetworkAsync(OperationContext operation, string networkId, CancellationToken cancellationToken) =>
        Networks.TryGetValue(networkId, out var network) && (operation.CanSee(network.ProjectId) || network.Shared)
            ? Task.FromResult(network) : throw Faults.NotFound("Network", networkId);

    public Task<IReadOnlyList<NetworkRef>> ListUsableNetworksAsync(OperationContext operation, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<NetworkRef>>([.. Networks.Values.Where(network => network.ProjectId == operation.ProjectId && !network.External)]);

    public Task<IReadOnlyList<NetworkRef>> ListVisibleNetworksAsync(OperationContext operation, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<NetworkRef>>([.. Networks.Values.Where(network => operation.CanSee(network.ProjectId))]);

    /// <summary>The network that is made for projects without one; null: that is impossible.</summary>
    public string? AutoNetworkName { get; set; }

    public Task<NetworkRef> EnsureAutoAllocatedNetworkAsync(OperationContext operation, CancellationToken cancellationToken) => AutoNetworkName is { } name
        ? Task.FromResult(Networks[AddNetwork(name, operation.ProjectId!)])
        : throw new FaultException(Protos.Errors.V1.ErrorReason.AutoAllocationImpossible, "no defaults");

    public Task<PortRef> GetPortAsync(OperationContext operation, string portId, CancellationToken cancellationToken) =>
        Ports.TryGetValue(portId, out var port) && operation.CanSee(port.ProjectId) ? Task.FromResult(ToRef(port)) : throw Faults.NotFound("Port", portId);

    public Task<GroupRef> FindSecurityGroupAsync(OperationContext operation, string nameOrId, CancellationToken cancellationToken)
    {
        var found = Groups.Values.Where(item => operation.CanSee(item.ProjectId) && (item.Group.Id == nameOrId || item.Group.Name == nameOrId)).ToList();
        return found.Count == 1 ? Task.FromResult(found[0].Group) : throw Faults.NotFound("Security group", nameOrId);
    }

    public Task SetPortGroupsAsync(OperationContext operation, string portId, IReadOnlyList<string> groupIds, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task<PortRef> CreatePortAsync(PortWish wish, CancellationToken cancellationToken)
    {
        interference.Before("port.create");
        var port = Ports.Values.FirstOrDefault(item => item.Key == wish.IdempotencyKey);
        if (port is null)
        {
            if (!Networks.ContainsKey(wish.NetworkId))
            {
                throw Faults.NotFound("Network", wish.NetworkId);
            }
            port = new FakePort(
                Ids.NewUuid(), wish.NetworkId, wish.ProjectId, wish.DeviceId, wish.DeviceOwner, wish.HostName, wish.Epoch, wish.FixedIp ?? NextAddress(),
                wish.IdempotencyKey);
            Ports[port.Id] = port;
        }
        interference.After("port.create");
        return Task.FromResult(ToRef(port));
    }

    public Task<long> GetBindingEpochAsync(string portId, CancellationToken cancellationToken) => Task.FromResult(Find(portId).Epoch);

    public Task BindPortAsync(string portId, string hostName, long epoch, string deviceId, string deviceOwner, CancellationToken cancellationToken)
    {
        interference.Before("port.bind");
        var port = Find(portId);
        if (epoch < port.Epoch)
        {
            throw Faults.Aborted("The port was bound with a higher epoch.");
        }
        if (port.DeviceId.Length > 0 && port.DeviceId != deviceId)
        {
            throw Faults.Conflict("The port belongs to another device.");
        }
        Ports[portId] = port with { HostName = hostName, Epoch = epoch, DeviceId = deviceId, DeviceOwner = deviceOwner };
        interference.After("port.bind");
        return Task.CompletedTask;
    }

    public Task ReleasePortAsync(string portId, long epoch, bool releaseDevice, CancellationToken cancellationToken)
    {
        interference.Before("port.release");
        if (Ports.TryGetValue(portId, out var port))
        {
            Ports[portId] = releaseDevice ? port with { HostName = "", DeviceId = "", DeviceOwner = "" } : port with { HostName = "" };
        }
        interference.After("port.release");
        return Task.CompletedTask;
    }

    public Task DeletePortAsync(string portId, CancellationToken cancellationToken)
    {
        interference.Before("port.delete");
        Ports.TryRemove(portId, out _);
        interference.After("port.delete");
        return Task.CompletedTask;
    }

    public Task<IReadOnlyList<PortRef>> ListPortsOfAsync(string deviceId, CancellationToken cancellationToken)
    {
        interference.Before("port.list");
        return Task.FromResult<IReadOnlyList<PortRef>>([.. Ports.Values.Where(port => port.DeviceId == deviceId).Select(ToRef)]);
    }

    public Task<IReadOnlyDictionary<string, PortDetails>> GetDetailsAsync(string deviceId, CancellationToken cancellationToken)
    {
        interference.Before("port.details");
        return Task.FromResult<IReadOnlyDictionary<string, PortDetails>>(Ports.Values.Where(port => port.DeviceId == deviceId).ToDictionary(port => port.Id, port =>
            new PortDetails(port.NetworkId, Networks[port.NetworkId].Name, "fa:16:3e:00:00:01", 1450, Active: true,
                [new PortAddress("b5a0f3a4-0000-4000-8000-000000000001", port.Address, "10.0.0.0/24", "10.0.0.1", [], [], Dhcp: true, [])], [])));
    }

    public async IAsyncEnumerable<string> WatchDevicesAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var device in _changes.Reader.ReadAllAsync(cancellationToken))
        {
            yield return device;
        }
    }

    public void Announce(string deviceId) => _changes.Writer.TryWrite(deviceId);

    private string NextAddress() => $"10.0.0.{Interlocked.Increment(ref _lastAddress)}";

    private FakePort Find(string portId) => Ports.TryGetValue(portId, out var port) ? port : throw Faults.NotFound("Port", portId);

    private static PortRef ToRef(FakePort port) => new(port.Id, port.NetworkId, port.ProjectId, port.DeviceId, port.DeviceOwner, "", port.Epoch);
}
