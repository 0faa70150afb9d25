using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Client.Objects;
using Nephos.Client.Transport;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects;
using Nephos.Node.Objects.Repair;
using Nephos.StorageEngine.Simulation.Machine;

namespace Nephos.StorageEngine.Simulation.Engine;

/// <summary>
/// A store of several processes and a face for its clients, in one thread and from one seed. Processes crash in the middle of writes and
/// start again, are paused, see their clocks jump, lose each other in one or both directions; messages are late, lost and overtake each
/// other; devices change their weight. Then everything heals: every answer must be explained by one order of events per key, everything
/// acknowledged is read, replicas agree, and every copy is where it belongs.
/// </summary>
internal sealed class ClusterSimulation
{
    private const int DisksPerNode = 2;
    private const int ClientCount = 4;
    private const string Front = "front";
    private static readonly DateTimeOffset Epoch = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private readonly Random _random;
    private readonly EngineFaults _faults;
    private readonly SimulatedWorld _world;
    private readonly SimulatedNetwork _network;
    private readonly MasterContent _master = new();
    private readonly ClientHistory _history = new();
    private readonly List<SimulatedDisk> _disks;
    private readonly List<Member> _members;
    private readonly Member _front;
    private readonly ILoggerFactory _loggers;
    private bool _isHealing;

    private ClusterSimulation(int seed, EngineFaults faults)
    {
        _random = new Random(seed);
        _faults = faults;
        _world = new SimulatedWorld(_random);
        _network = new SimulatedNetwork(_random, _world.Time);
        var nodes = 3 + _random.Next(2);
        _disks = [.. Enumerable.Range(0, nodes * DisksPerNode).Select(n => new SimulatedDisk(n, _random))];
        _loggers = faults.IsTraced ? new TraceLogs(() => TimeSpan.FromTicks(_world.Time.Now)) : NullLoggerFactory.Instance;
        _members = [.. Enumerable.Range(0, nodes).Select(n => Begin($"node-{n}", [.. _disks.Skip(n * DisksPerNode).Take(DisksPerNode)]))];
        _front = Begin(Front, []);
    }

    /// <summary>Runs one seed; returns how many changes were acknowledged.</summary>
    /// <exception cref="SimulationException">What was promised does not hold.</exception>
    public static int Run(int seed, EngineFaults faults)
    {
        var context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);
        var simulation = new ClusterSimulation(seed, faults);
        try
        {
            return simulation.Run();
        }
        finally
        {
            simulation._members.ForEach(m => simulation._world.End(m.Process));
            simulation._world.End(simulation._front.Process);
            SynchronizationContext.SetSynchronizationContext(context);
        }
    }

    private int Run()
    {
        RunUntil(() => _front.Engine is not null, TimeSpan.FromMinutes(5), "the store begins");
        var workload = new Workload(_front.Process, _front.Engine!, _history);
        var prepared = _front.Process.Scheduler.Start(workload.PrepareAsync);
        RunUntil(() => prepared.IsCompleted, TimeSpan.FromMinutes(5), "a bucket is made");
        _network.LossOneIn = _random.Next(3) == 0 ? 200 : 0;
        if (_faults.Disturbs)
        {
            DisturbLater();
            _ = _front.Process.Scheduler.Start(() => ShardChanges.RunAsync(_front.Engine!, _front.Process, TimeSpan.FromMilliseconds(150), () => _isHealing));
        }

        var clients = Enumerable.Range(0, ClientCount)
            .Select(_ => _front.Process.Scheduler.Start(() => workload.RunClientAsync(_faults.RequestsPerClient * 4))).ToList();
        RunUntil(() => clients.TrueForAll(c => c.IsCompleted), TimeSpan.FromHours(2), "the clients finish");
        foreach (var client in clients.Where(c => c.IsFaulted))
        {
            throw new SimulationException($"A client failed: {client.Exception!.InnerException}");
        }

        Heal(workload);
        _history.Check();
        return _history.Acknowledged;
    }

    private void Heal(Workload workload)
    {
        Trace("everything heals");
        _isHealing = true;
        _network.JoinAll();
        _network.LossOneIn = 0;
        foreach (var member in _members)
        {
            member.Process.KeepPower();
            member.Process.Clock.IsPaused = false;
            member.Process.Clock.Jumped = TimeSpan.FromDays(365);
            Restart(member);
        }

        _front.Process.Clock.Jumped = TimeSpan.FromDays(365);
        ObjectEngineStatus Status() => _front.Engine!.GetStatus();
        bool IsHealthy() => _members.TrueForAll(m => m.Engine is not null)
            && Status() is { BlobsAtRisk: 0, BlobsMissing: 0, BlobsToRemove: 0, LastFullCheck: not null } status
            && status.Shards.All(s => s.State == "Serving" && s.ReplicasInSync == s.Replicas)
            && _front.Engine!.Ring.GetStatus() is { IsSettled: true, ReplicasToMove: 0 };
        RunUntil(IsHealthy, TimeSpan.FromMinutes(60), "health");
        var settled = _world.Time.Now + TimeSpan.FromMinutes(2).Ticks;
        RunUntil(
            () => _world.Time.Now > settled && IsHealthy() && ShardChanges.HasSettled([_front.Engine!, .. _members.Select(m => m.Engine!)]), TimeSpan.FromMinutes(60), "it stays healthy");
        var reading = _front.Process.Scheduler.Start(workload.ReadAllAsync);
        RunUntil(() => reading.IsCompleted, TimeSpan.FromMinutes(10), "everything is read");
        if (reading.IsFaulted)
        {
            throw reading.Exception!.InnerException as SimulationException ?? new SimulationException(reading.Exception!.InnerException!.ToString());
        }

        ConsistencyCheck.Run([.. _members.Select(m => m.Engine!)]);
    }

    private void DisturbLater() => _world.Time.After(TimeSpan.FromMilliseconds(_random.Next(1500)), () =>
    {
        if (!_isHealing)
        {
            Disturb();
            DisturbLater();
        }
    });

    private void Disturb()
    {
        var member = _members[_random.Next(_members.Count)];
        var other = _random.Next(3) == 0 ? _front : _members[_random.Next(_members.Count)];
        var disturbance = _random.Next(10);
        Trace($"disturbance {disturbance}, {member.Name} and {other.Name}");
        switch (disturbance)
        {
            case 0 when _members.TrueForAll(m => m.Process.HasPower):
                member.Process.LosePower();
                break;
            case 1 when member.Process.HasPower:
                member.Process.LosePowerAt(_random.Next(60), (Tear)_random.Next(4));
                break;
            case 2 or 3:
                Cut(member.Name, other.Name);
                if (disturbance == 2)
                {
                    Cut(other.Name, member.Name);
                }

                break;
            case 4 when _members.TrueForAll(m => !m.Process.Clock.IsPaused) && member.Process.HasPower:
                var paused = member.Process;
                paused.Clock.IsPaused = true;
                _world.Time.After(TimeSpan.FromMilliseconds(_random.Next(8000)), () => paused.Clock.IsPaused = false);
                break;
            case 5:
                member.Process.Clock.Jumped += TimeSpan.FromSeconds(_random.Next(-4000, 4000));
                break;
            case 6:
                var (disk, weight) = (_random.Next(_disks.Count), _random.Next(3));
                ChangeRing(ring => ring.SetWeightAsync(disk, weight, CancellationToken.None));
                break;
            case 7:
                var power = 3 + _random.Next(3);
                ChangeRing(ring => ring.SetPartitionPowerAsync(power, CancellationToken.None));
                break;
        }

        foreach (var down in _members.Where(m => !m.Process.HasPower && !m.IsStarting))
        {
            down.IsStarting = true;
            _world.Time.After(TimeSpan.FromMilliseconds(_random.Next(10_000)), () => Restart(down));
        }
    }

    /// <summary>A link is cut for a while.</summary>
    private void Cut(string from, string to)
    {
        _network.Cut(from, to);
        _world.Time.After(TimeSpan.FromMilliseconds(_random.Next(6000)), () => _network.Join(from, to));
    }

    /// <summary>A wish that may come to nothing, like any request.</summary>
    private void ChangeRing(Func<IObjectRing, Task> change) => _ = _front.Process.Scheduler.Start(async () =>
    {
        try
        {
            await change(_front.Engine!.Ring);
        }
        catch (Exception failure) when (failure is ArgumentException or ObjectEngineException)
        {
            Trace(failure.Message);
        }
    });

    private void Restart(Member member)
    {
        if (member.Process.HasPower)
        {
            return;
        }

        Trace($"{member.Name} starts again");
        _world.End(member.Process);
        member.Process = _world.Begin(Epoch + (_isHealing ? TimeSpan.FromDays(365) : TimeSpan.Zero));
        Open(member);
    }

    private Member Begin(string name, List<SimulatedDisk> disks)
    {
        var member = new Member(name, disks, _world.Begin(Epoch));
        Open(member);
        return member;
    }

    private void Open(Member member)
    {
        (member.Engine, member.IsStarting) = (null, false);
        var process = member.Process;
        _ = process.Scheduler.Start(async () =>
        {
            var engine = await ObjectEngine.OpenAsync(OptionsOf(member), new SimulatedMaster(_master, process), process.Clock, _loggers, CancellationToken.None);
            if (member.Process == process)
            {
                member.Engine = engine;
            }
        });
    }

    private ObjectEngineOptions OptionsOf(Member member) => new()
    {
        Cluster = new ObjectClusterOptions
        {
            Name = member.Name,
            Transport = _network.For(member.Name, member.Process),
            Listen = member.Disks.Count > 0 ? StorageAddress.Unix(member.Name) : null,
            NodesAtFirst = _disks.Count / DisksPerNode,
        },
        Devices = [.. member.Disks.Select(d => new ObjectDeviceLocation(d.Number, $"{d.Number}", member.Name, 1) { Node = member.Name })],
        ConfigurationDirectory = "",
        PartitionPower = 4,
        Shards = 2,
        ShardObjectsMax = 4,
        ShardChangePause = TimeSpan.FromSeconds(2),
        ReplaceAfter = TimeSpan.FromSeconds(_random.Next(5, 40)),
        Device = new ObjectDeviceOptions
        {
            Medium = path => new SimulatedMedium(_disks[int.Parse(path, System.Globalization.CultureInfo.InvariantCulture)], member.Process),
            NewId = () => new SimulatedEntropy(_random).NewGuid(),
            Volumes = new VolumeStoreOptions { VolumeBytes = 4 << 20, GatherBytes = 512 << 10 },
            Journal = new JournalOptions { SegmentBytes = 2 << 20, WriteBytesMax = 1 << 20, SegmentsKept = 1 },
            HeadroomBytes = 64 << 20,
        },
        Payloads = new PayloadStoreOptions
        {
            ExtentBytes = 1 << 20,
            FramesKept = 8,
            Entropy = new SimulatedEntropy(_random),
            Background = member.Process.Scheduler,
        },
        Upkeep = new UpkeepOptions
        {
            DeviceCheckPeriod = TimeSpan.FromMilliseconds(300),
            ShardPeriod = TimeSpan.FromMilliseconds(40),
            LedgerPeriod = TimeSpan.FromMilliseconds(500),
            RingPeriod = TimeSpan.FromMilliseconds(500),
            FullCheckPeriod = TimeSpan.FromSeconds(20),
            SuspectPeriod = TimeSpan.FromSeconds(1),
            ReleasedPeriod = TimeSpan.FromMilliseconds(500),
            ReleasedDelay = TimeSpan.FromMilliseconds(200),
            CompactionPeriod = TimeSpan.FromSeconds(1),
            ScrubPeriod = TimeSpan.FromSeconds(5),
            OrphanGrace = TimeSpan.FromSeconds(1),
        },
    };

    private void RunUntil(Func<bool> isDone, TimeSpan atMost, string what) => _world.RunUntil(isDone, atMost, () => $"{what} {Describe()}");

    private string Describe() => _front.Engine?.GetStatus() is not { } status ? ""
        : $"{status} {string.Join(' ', status.Shards)} {string.Join(' ', status.Devices)} {_front.Engine.Ring.GetStatus()}";

    private void Trace(string what)
    {
        if (_faults.IsTraced)
        {
            Console.WriteLine($"{TimeSpan.FromTicks(_world.Time.Now).TotalSeconds,10:f4} -- {what}");
        }
    }

    /// <summary>A process of the store over all its lives.</summary>
    private sealed class Member(string name, List<SimulatedDisk> disks, SimulatedProcess process)
    {
        public string Name { get; } = name;

        public List<SimulatedDisk> Disks { get; } = disks;

        public SimulatedProcess Process { get; set; } = process;

        /// <summary>Null until it has opened.</summary>
        public ObjectEngine? Engine { get; set; }

        public bool IsStarting { get; set; }
    }
}
