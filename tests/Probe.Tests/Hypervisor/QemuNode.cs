using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Hypervisor;
using Nephos.Hypervisor.Instances;
using Nephos.Hypervisor.Qemu;

namespace Nephos.Probe.Tests.Hypervisor;

/// <summary>The agent over real processes, with qemu-nbd for disks and user networking, in a folder of its own.</summary>
internal sealed class QemuNode : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly string _folder = Directory.CreateTempSubdirectory("nephos-qemu-test").FullName;

    public QemuNode(Func<VolumeSpec, string?>? template = null, Action<HypervisorOptions>? configure = null)
    {
        Options = new HypervisorOptions
        {
            StateDirectory = Path.Combine(_folder, "hypervisor"), Acceleration = "tcg", ShutdownTimeout = TimeSpan.FromSeconds(1),
            BackoffMin = TimeSpan.FromMilliseconds(20), BackoffMax = TimeSpan.FromSeconds(1), DetachRetry = TimeSpan.FromMilliseconds(200),
        };
        configure?.Invoke(Options);
        Directory.CreateDirectory(Options.StateDirectory);
        Runtime = new RuntimeFolder(Options.StateDirectory);
        Store = new InstanceStore(Options.StateDirectory);
        Volumes = new NbdVolumes(_folder, Runtime, template);
        Start(crash: null);
    }

    public HypervisorOptions Options { get; }

    public RuntimeFolder Runtime { get; }

    public InstanceStore Store { get; }

    public NbdVolumes Volumes { get; }

    public QemuHypervisor Hypervisor { get; private set; } = null!;

    public InstanceAgent Agent { get; private set; } = null!;

    public string Folder => _folder;

    public int? PidOf(InstanceSpec spec) => QemuProcess.FindAll(Runtime.Root).Where(found => found.InstanceId == spec.Id)
        .Select(found => (int?)found.Pid).SingleOrDefault();

    /// <summary>Drops the agent, its connections and its volume heads, as a kill does, and starts another one.</summary>
    public async Task RestartAsync(Action<Guid, StepKind>? crash = null)
    {
        await Agent.DisposeAsync();
        await Hypervisor.DisposeAsync();
        Volumes.Dispose();
        Start(crash);
        await Agent.StartAsync(default);
    }

    public Task<InstanceStatus> SettledAsync(InstanceSpec spec) => UntilAsync(spec.Id, status =>
        status.ObservedGeneration >= spec.Generation && status.Phase == (spec.Desired == DesiredState.Deleted ? Phase.Gone : Phase.Settled));

    public async Task<InstanceStatus> UntilAsync(Guid instanceId, Func<InstanceStatus, bool> reached, TimeSpan? patience = null)
    {
        using var deadline = new CancellationTokenSource(patience ?? Patience);
        while (true)
        {
            var status = Agent.Statuses.FirstOrDefault(status => status.InstanceId == instanceId);
            if (status is not null && reached(status))
            {
                return status;
            }
            if (deadline.IsCancellationRequested)
            {
                throw new TimeoutException($"instance {instanceId} is {status} {status?.Error}; "
                    + string.Join(", ", status?.Conditions.Select(one => $"{one.Type}={one.Value} {one.Message}") ?? []));
            }
            await Task.Delay(5);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Agent.DisposeAsync();
        await NodeObjects.KillAllAsync(Options.StateDirectory, TimeProvider.System, default);
        await Hypervisor.DisposeAsync();
        Volumes.Dispose();
        Directory.Delete(_folder, recursive: true);
        if (Directory.Exists(Runtime.Root))
        {
            Directory.Delete(Runtime.Root, recursive: true);
        }
    }

    private void Start(Action<Guid, StepKind>? crash)
    {
        Hypervisor = new QemuHypervisor(Options, Store, Runtime, TimeProvider.System, NullLogger<QemuHypervisor>.Instance);
        Agent = new InstanceAgent(
            Hypervisor, Volumes, new UserPorts(), Store, Options, TimeProvider.System, NullLogger<InstanceAgent>.Instance, crash);
    }

    private sealed class UserPorts : IPortConnector
    {
        public PortWiring Kind => PortWiring.User;

        public string Reason => "the test uses no rights";

        public Task<PortEndpoint> ConnectAsync(PortSpec port, CancellationToken cancellationToken) =>
            Task.FromResult(new PortEndpoint(port, OpenTap: null));
    }
}
