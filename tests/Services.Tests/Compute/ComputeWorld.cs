using System.Collections.Frozen;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Nephos.Compute;
using Nephos.Compute.Flavors;
using Nephos.Compute.Instances;
using Nephos.Compute.Nodes;
using Nephos.Compute.Seams;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.State;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Services.Tests.Compute;

using Node = Nephos.Compute.Nodes.Node;

/// <summary>The compute service over a store in memory, with networks, volumes, images and nodes that only pretend; passes run when a test
/// says so.</summary>
internal sealed class ComputeWorld : IAsyncDisposable
{
    public const string Project = "11111111111111111111111111111111";
    public const string OtherProject = "22222222222222222222222222222222";

    private static readonly CancellationToken None = CancellationToken.None;

    private readonly ServiceProvider _services;
    private readonly List<IHostedService> _caches = [];

    private ComputeWorld(ComputeOptions options)
    {
        Interference = new Interference();
        Network = new FakeNetwork(Interference);
        Volumes = new FakeVolumes(Interference, Images);
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddSingleton<TimeProvider>(Time);
        services.AddSingleton(options);
        services.AddSingleton(StateRegistration.Open(new StateStoreOptions { Engine = StateEngine.Memory }, Time, NullLoggerFactory.Instance));
        services.AddSingleton<INetworkApi>(Network);
        services.AddSingleton<IVolumeApi>(Volumes);
        services.AddSingleton<IImageApi>(Images);
        services.AddComputeCore();
        _services = services.BuildServiceProvider();
    }

    public FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 11, 23, 12, 0, 0, TimeSpan.Zero));

    public Interference Interference { get; }

    public FakeNetwork Network { get; }

    public FakeVolumes Volumes { get; }

    public FakeImages Images { get; } = new();

    public IStateStore Store => Get<IStateStore>();

    public InstanceService Instances => Get<InstanceService>();

    public string NetworkId { get; private set; } = "";

    public string ImageId { get; private set; } = "";

    public static OperationContext User { get; } = Operation("member", Project);

    public static OperationContext Stranger { get; } = Operation("member", OtherProject);

    public static OperationContext Admin { get; } = Operation("admin", Project);

    public static async Task<ComputeWorld> StartAsync(ComputeOptions? options = null)
    {
        var world = new ComputeWorld(options ?? new ComputeOptions());
        foreach (var service in world._services.GetServices<IHostedService>().Where(service => service.GetType().IsGenericType))
        {
            await service.StartAsync(None);
            world._caches.Add(service);
        }
        await world.Get<Nephos.Compute.Flavors.FlavorSeed>().SeedAsync(None);
        world.NetworkId = world.Network.AddNetwork("private", Project);
        world.ImageId = world.Images.Add();
        return world;
    }

    /// <summary>One with a node whose name is <c>node</c>.</summary>
    public static async Task<ComputeWorld> StartWithNodeAsync()
    {
        var world = await StartAsync();
        await world.AddNodeAsync("node");
        return world;
    }

    public T Get<T>()
        where T : notnull => typeof(T) == typeof(FlavorSeed)
            ? (T)(object)_services.GetServices<IHostedService>().OfType<FlavorSeed>().Single()
            : _services.GetRequiredService<T>();

    /// <summary>A node with a lease.</summary>
    public async Task AddNodeAsync(string id, int vcpus = 4, long memoryMib = 8192)
    {
        var nodes = Get<NodeRegistry>();
        await nodes.IntroduceAsync(new Node { Id = id, HostName = id, Uuid = "", Vcpus = vcpus, MemoryMib = memoryMib, DiskGib = 100 }, None);
        await nodes.BeginLeaseAsync(id, "session", None);
        await SyncAsync();
    }

    public async Task LoseNodeAsync(string id)
    {
        await Store.TransactAsync(transaction =>
        {
            transaction.Delete(NodeLease.Table, id);
            return Task.CompletedTask;
        }, None);
        await SyncAsync();
    }

    public InstanceWish Wish(string name = "vm") => new()
    {
        Name = name, FlavorId = "42", ImageId = ImageId, Nics = [new NicWish(null, NetworkId, null, null)],
    };

    public async Task<InstanceDetails> CreateAsync(InstanceWish? wish = null) =>
        (await Get<InstanceCreation>().CreateAsync(User, wish ?? Wish(), None))[0];

    /// <summary>Creates one and lets it come up.</summary>
    public async Task<InstanceDetails> CreateRunningAsync(InstanceWish? wish = null)
    {
        var made = await CreateAsync(wish);
        return await SettleAsync(made.Instance.Id);
    }

    public async Task<WorkResult> PassAsync(string id, bool refreshPorts = false)
    {
        await SyncAsync();
        var result = await Get<InstanceReconciler>().PassAsync(id, refreshPorts, None);
        await SyncAsync();
        return result;
    }

    /// <summary>Passes and obedient nodes by turns, until nothing changes any more.</summary>
    public async Task<InstanceDetails> SettleAsync(string id, int roundsMax = 30)
    {
        long before;
        do
        {
            before = await Store.GetRevisionAsync(None);
            await PassAsync(id);
            await ObeyAsync(id);
        }
        while (before != await Store.GetRevisionAsync(None) && --roundsMax > 0);
        return await ReadAsync(id);
    }

    /// <summary>Every node that lives does what it was told of an instance, and reports it.</summary>
    public async Task ObeyAsync(string id)
    {
        await SyncAsync();
        var parts = await Store.GetAsync(InstanceParts.Table, id, None);
        foreach (var order in parts?.Orders ?? [])
        {
            if (Get<NodeRegistry>().IsUp(order.NodeId))
            {
                await ReportAsync(order.NodeId, Obeyed(order));
            }
        }
    }

    public async Task ReportAsync(string nodeId, Wire.StatusReport report)
    {
        await Get<ReportWriter>().WriteAsync(nodeId, [report], None);
        await SyncAsync();
    }

    public static Wire.StatusReport Obeyed(Order order)
    {
        var spec = order.ToWire();
        return new Wire.StatusReport
        {
            InstanceId = spec.InstanceId,
            Epoch = spec.Epoch,
            ObservedGeneration = spec.Generation,
            Phase = order.Removes ? Wire.Phase.Gone : Wire.Phase.Settled,
            PowerState = spec.DesiredState switch
            {
                Wire.DesiredState.Running => Wire.PowerState.Running,
                Wire.DesiredState.Paused => Wire.PowerState.Paused,
                Wire.DesiredState.Suspended => Wire.PowerState.Suspended,
                _ => Wire.PowerState.Shutdown,
            },
            PowerGeneration = spec.PowerGeneration,
            RebootNonceDone = spec.RebootNonce,
            Volumes = { spec.Volumes.Select(volume => new Wire.VolumeStatus { AttachmentId = volume.AttachmentId, VolumeId = volume.VolumeId, Attached = true }) },
            Ports = { spec.Ports.Select(port => new Wire.PortStatus { PortId = port.PortId, Attached = true }) },
        };
    }

    /// <summary>The instance as it is, deleted or not.</summary>
    public async Task<InstanceDetails> ReadAsync(string id) =>
        await Get<InstanceViews>().ReadAsync((await Store.GetAsync(Instance.Table, id, None))!, None);

    public async Task<NodeUsage> UsageOfAsync(string nodeId) =>
        await Store.GetAsync(NodeUsage.Table, nodeId, None) ?? new NodeUsage(nodeId, 0, 0, 0, 0);

    public async Task SyncAsync()
    {
        await Get<InstanceViews>().ListAsync(None);
        await Get<NodeRegistry>().CatchUpAsync(None);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var cache in _caches)
        {
            await cache.StopAsync(None);
        }
        await _services.DisposeAsync();
    }

    public static OperationContext Operation(string role, string projectId, string userId = "user") => new()
    {
        RequestId = $"req-{Guid.NewGuid():D}", UserId = userId, ProjectId = projectId, Roles = (role == "admin" ? new[] { "admin", "member" } : [role]).ToFrozenSet(),
    };
}
