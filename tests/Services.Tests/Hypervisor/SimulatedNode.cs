using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Hypervisor;
using Nephos.Hypervisor.Instances;
using Nephos.Hypervisor.Simulation;

namespace Nephos.Services.Tests.Hypervisor;

/// <summary>An agent over simulated machines. The world and the folder survive <see cref="RestartAsync"/>, as processes and disks do.</summary>
internal sealed class SimulatedNode : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly string _folder = Directory.CreateTempSubdirectory("nephos-agent-test").FullName;
    private readonly HypervisorOptions _options;

    public SimulatedNode(double failureRate = 0, HypervisorOptions? options = null)
    {
        World = new SimulatedWorld(TimeProvider.System, seed: 7, failureRate);
        _options = options ?? new HypervisorOptions
        {
            BackoffMin = TimeSpan.FromMilliseconds(1), BackoffMax = TimeSpan.FromMilliseconds(5), DetachRetry = TimeSpan.FromMilliseconds(5),
            ShutdownTimeout = TimeSpan.FromMilliseconds(200), StrangerGrace = TimeSpan.Zero,
        };
        Start(crash: null);
    }

    public SimulatedWorld World { get; }

    public SimulatedHypervisor Hypervisor { get; private set; } = null!;

    public SimulatedVolumeConnector Volumes { get; private set; } = null!;

    public InstanceAgent Agent { get; private set; } = null!;

    public string Folder => _folder;

    /// <summary>Drops the agent with what it knows, as a kill does, and starts another one.</summary>
    /// <param name="crash">Called before each step of the new agent.</param>
    public async Task RestartAsync(Action<Guid, StepKind>? crash = null)
    {
        await Agent.DisposeAsync();
        Start(crash);
        await Agent.StartAsync(default);
    }

    public void Snapshot(params InstanceSpec[] specs)
    {
        Agent.BeginSnapshot();
        foreach (var spec in specs)
        {
            Agent.Apply(spec);
        }
        Agent.EndSnapshot(revision: 1);
    }

    /// <summary>Waits until the actor of the spec has reached it.</summary>
    public Task<InstanceStatus> SettledAsync(InstanceSpec spec) => UntilAsync(spec.Id, status =>
        status.ObservedGeneration >= spec.Generation && status.Phase == (spec.Desired == DesiredState.Deleted ? Phase.Gone : Phase.Settled));

    public async Task<InstanceStatus> UntilAsync(Guid instanceId, Func<InstanceStatus, bool> reached)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            var status = Agent.Statuses.FirstOrDefault(status => status.InstanceId == instanceId);
            if (status is not null && reached(status))
            {
                return status;
            }
            if (patience.IsCancellationRequested)
            {
                throw new TimeoutException($"instance {instanceId} is {status}; last steps: {string.Join(", ", World.History.TakeLast(10))}");
            }
            await Task.Delay(1);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Agent.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private void Start(Action<Guid, StepKind>? crash)
    {
        Hypervisor = new SimulatedHypervisor(World);
        Volumes = new SimulatedVolumeConnector();
        Agent = new InstanceAgent(
            Hypervisor, Volumes, new SimulatedPortConnector(), new InstanceStore(_folder), _options, TimeProvider.System,
            NullLogger<InstanceAgent>.Instance, crash);
    }
}
