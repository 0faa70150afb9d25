using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects;
using Nephos.Node.Objects.Repair;
using Nephos.StorageEngine.Simulation.Machine;

namespace Nephos.StorageEngine.Simulation.Engine;

/// <summary>
/// The whole object engine on five simulated disks, in one thread and from one seed. Clients work while the power goes in the middle of
/// writes, one disk loses its data or rots, others go away and come back, fill up, change their weight, and the clock jumps. Then
/// everything heals: every answer must be explained by one order of events, every object must be readable, every copy must be where it
/// belongs, and nothing else may be left.
/// </summary>
internal sealed class EngineSimulation
{
    private const int DiskCount = 5;
    private const int ClientCount = 5;
    private static readonly DateTimeOffset Epoch = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>What was released while the clock was ahead is removed when it gets there.</summary>
    private static readonly TimeSpan AfterAllJumps = TimeSpan.FromDays(365);
    private readonly Random _random;
    private readonly List<SimulatedDisk> _disks;
    private readonly MasterContent _master = new();
    private readonly ClientHistory _history = new();
    private readonly double[] _weights;

    /// <summary>The disk that may lose what it was given; the others only crash, fill up and go away.</summary>
    private readonly SimulatedDisk _bad;
    private readonly EngineFaults _faults;
    private readonly ILoggerFactory _loggers;
    private SimulatedProcess _process;
    private ObjectEngine? _engine;

    private EngineSimulation(int seed, EngineFaults faults)
    {
        _random = new Random(seed);
        _faults = faults;
        _loggers = faults.IsTraced ? new TraceLogs(() => TimeSpan.FromTicks(_process!.Clock.Now)) : NullLoggerFactory.Instance;
        _disks = [.. Enumerable.Range(0, DiskCount).Select(n => new SimulatedDisk(n, _random))];
        _weights = [1, 1, 1, 1, _random.Next(2)];
        _bad = _disks[_random.Next(DiskCount)];
        _process = new SimulatedProcess(_random, Epoch, new SimulatedTime());
    }

    /// <summary>Runs one seed; returns how many changes were acknowledged.</summary>
    /// <exception cref="SimulationException">What was promised does not hold.</exception>
    public static int Run(int seed, EngineFaults faults) => Alone(() => new EngineSimulation(seed, faults).Run());

    /// <summary>Everything goes on where the scheduler says; a test's own context would take it elsewhere.</summary>
    private static int Alone(Func<int> run)
    {
        var context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);
        try
        {
            return run();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
        }
    }

    private int Run()
    {
        try
        {
            for (var life = 0; life < _faults.Lives; life++)
            {
                Live(isLast: life == _faults.Lives - 1);
            }

            Heal();
            _history.Check();
            return _history.Acknowledged;
        }
        catch (SimulationException failure) when (_engine?.GetStatus() is { } status)
        {
            throw new SimulationException($"{failure.Message} {ShardChanges.FindLeftover([_engine])} {status} {string.Join(' ', status.Shards)} {string.Join(' ', status.Devices)}");
        }
        finally
        {
            _process.Bury();
        }
    }

    /// <summary>The writes of the device files of the last life; for crashes at each of them.</summary>
    public static int CountWrites(int seed, EngineFaults faults)
    {
        var simulation = new EngineSimulation(seed, faults);
        Alone(simulation.Run);
        return simulation._writes;
    }

    private int _writes;

    private void Live(bool isLast)
    {
        Begin(heals: false);
        if (_faults.TearAtWrite is { } write)
        {
            _process.LosePowerAt(write, _faults.Tear);
        }
        else if (!isLast && _random.Next(2) == 0)
        {
            _process.LosePowerAt(_random.Next(400), (Tear)_random.Next(4));
        }

        if (Open() && Prepare(out var workload))
        {
            var clients = Enumerable.Range(0, ClientCount)
                .Select(_ => _process.Scheduler.Start(() => workload.RunClientAsync(_faults.RequestsPerClient))).ToList();
            if (_faults.Disturbs)
            {
                _ = _process.Scheduler.Start(() => DisturbAsync(mayCrash: !isLast));
                _ = _process.Scheduler.Start(() => ShardChanges.RunAsync(_engine!, _process, TimeSpan.FromMilliseconds(40), () => workload.IsStopping));
            }

            _process.RunUntil(() => clients.TrueForAll(c => c.IsCompleted), TimeSpan.FromMinutes(30), "the clients finish");
            workload.IsStopping = true;
            foreach (var client in clients.Where(c => c.IsFaulted && _process.HasPower))
            {
                throw new SimulationException($"A client failed: {client.Exception!.InnerException}");
            }
        }

        _writes = _process.Writes;
        End(isOrderly: _process.HasPower && _random.Next(2) == 0);
    }

    private void Begin(bool heals)
    {
        Trace("the next life");
        var start = heals ? Epoch + AfterAllJumps : _process.Clock.GetUtcNow() + TimeSpan.FromSeconds(_random.Next(100));
        _process.Bury();
        _process = new SimulatedProcess(_random, start, new SimulatedTime());
        _disks.ForEach(EndLater);
    }

    /// <summary>A disk that is away or full is so for a while, whatever becomes of the process.</summary>
    private void EndLater(SimulatedDisk disk) => _process.Clock.After(
        TimeSpan.FromMilliseconds(_random.Next(3000)), () => (disk.IsAway, disk.FreeBytes) = (false, long.MaxValue / 4));

    private bool Open()
    {
        var opening = _process.Scheduler.Start(
            () => ObjectEngine.OpenAsync(Options(), new SimulatedMaster(_master, _process), _process.Clock, _loggers, CancellationToken.None));
        _process.RunUntil(() => opening.IsCompleted, TimeSpan.FromMinutes(10), "the engine opens");
        if (!_process.HasPower)
        {
            return false;
        }

        _engine = opening.IsCompletedSuccessfully
            ? opening.Result
            : throw new SimulationException($"The engine does not open: {opening.Exception!.InnerException}");
        return true;
    }

    private bool Prepare(out Workload workload)
    {
        var prepared = workload = new Workload(_process, _engine!, _history);
        var task = _process.Scheduler.Start(prepared.PrepareAsync);
        _process.RunUntil(() => task.IsCompleted, TimeSpan.FromMinutes(30), "a bucket can be made");
        return _process.HasPower;
    }

    private void End(bool isOrderly)
    {
        if (isOrderly)
        {
            var closing = _process.Scheduler.Start(async () =>
            {
                await _engine!.DisposeAsync();
                return true;
            });
            _process.RunUntil(() => closing.IsCompleted, TimeSpan.FromMinutes(10), "the engine closes");
            if (closing.IsFaulted && _process.HasPower)
            {
                throw new SimulationException($"The engine does not close: {closing.Exception!.InnerException}");
            }
        }

        _process.Bury();
        _engine = null;
    }

    private void Trace(string what)
    {
        if (_faults.IsTraced)
        {
            Console.WriteLine($"{TimeSpan.FromTicks(_process.Clock.Now).TotalSeconds,10:f4} -- {what}");
        }
    }

    private async Task DisturbAsync(bool mayCrash)
    {
        while (true)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(_random.Next(120)), _process.Clock);
            var disturbance = _random.Next(14);
            Trace($"disturbance {disturbance}, disk {_bad.Number} is bad");
            switch (disturbance)
            {
                case 0 when mayCrash:
                    _process.LosePower();
                    return;
                case 1:
                    _bad.Wipe();
                    break;
                case 2 or 3:
                    _bad.Rot();
                    break;
                case 4 or 5 when !_disks.Exists(d => d.IsAway):
                    var away = _disks[_random.Next(DiskCount)];
                    away.IsAway = true;
                    EndLater(away);
                    break;
                case 6:
                    var full = _disks[_random.Next(DiskCount)];
                    full.FreeBytes = HeadroomBytes;
                    EndLater(full);
                    break;
                case 7:
                    _process.Clock.Jumped += TimeSpan.FromSeconds(_random.Next(-4000, 4000));
                    break;
                case 8:
                    // Takes effect when the engine opens next.
                    _weights[_random.Next(DiskCount)] = _random.Next(3);
                    break;
            }
        }
    }

    private const long HeadroomBytes = 64 << 20;

    private void Heal()
    {
        Begin(heals: true);
        foreach (var disk in _disks)
        {
            (disk.IsAway, disk.FreeBytes) = (false, long.MaxValue / 4);
        }

        Open();
        Prepare(out var workload);
        ObjectEngineStatus Status() => _engine!.GetStatus();
        _process.RunUntil(
            () => Status() is { BlobsAtRisk: 0, BlobsMissing: 0, BlobsToRemove: 0, LastFullCheck: not null } status
                && status.Shards.All(s => s.State == "Serving" && s.ReplicasInSync == s.Replicas)
                && _engine!.Shards.Map.Change is null,
            TimeSpan.FromMinutes(60),
            "health");
        // Damage that nobody has met yet is found by the scrub.
        var settled = _process.Clock.Now + TimeSpan.FromMinutes(3).Ticks;
        _process.RunUntil(() => _process.Clock.Now > settled && Status() is { BlobsAtRisk: 0, BlobsMissing: 0, BlobsToRemove: 0 }
            && ShardChanges.HasSettled([_engine!]), TimeSpan.FromMinutes(60), "the scrub passes");
        var reading = _process.Scheduler.Start(workload.ReadAllAsync);
        _process.RunUntil(() => reading.IsCompleted, TimeSpan.FromMinutes(10), "everything is read");
        if (reading.IsFaulted)
        {
            throw reading.Exception!.InnerException as SimulationException ?? new SimulationException(reading.Exception!.InnerException!.ToString());
        }

        ConsistencyCheck.Run([_engine!]);
        End(isOrderly: true);
    }

    private ObjectEngineOptions Options() => new()
    {
        Devices = [.. _disks.Select(d => new ObjectDeviceLocation(d.Number, $"{d.Number}", $"z{d.Number}", WeightOf(d.Number)))],
        ConfigurationDirectory = "",
        PartitionPower = 4,
        Shards = 2,
        ShardObjectsMax = 4,
        ShardChangePause = TimeSpan.FromSeconds(1),
        ReplaceAfter = TimeSpan.FromSeconds(_random.Next(1, 20)),
        Device = new ObjectDeviceOptions
        {
            Medium = path => new SimulatedMedium(_disks[int.Parse(path, System.Globalization.CultureInfo.InvariantCulture)], _process),
            NewId = () => new SimulatedEntropy(_random).NewGuid(),
            Volumes = new VolumeStoreOptions { VolumeBytes = 4 << 20, GatherBytes = 512 << 10 },
            Journal = new JournalOptions { SegmentBytes = 2 << 20, WriteBytesMax = 1 << 20, SegmentsKept = 1 },
            HeadroomBytes = HeadroomBytes,
        },
        Payloads = new PayloadStoreOptions
        {
            ExtentBytes = 1 << 20,
            FramesKept = 8,
            CodedBytesMin = 8 << 10,
            Entropy = new SimulatedEntropy(_random),
            Background = _process.Scheduler,
        },
        Upkeep = new UpkeepOptions
        {
            DeviceCheckPeriod = TimeSpan.FromMilliseconds(100),
            ShardPeriod = TimeSpan.FromMilliseconds(20),
            LedgerPeriod = TimeSpan.FromMilliseconds(200),
            FullCheckPeriod = TimeSpan.FromSeconds(10),
            SuspectPeriod = TimeSpan.FromSeconds(1),
            ReleasedPeriod = TimeSpan.FromMilliseconds(300),
            ReleasedDelay = TimeSpan.FromMilliseconds(200),
            CompactionPeriod = TimeSpan.FromMilliseconds(500),
            ScrubPeriod = TimeSpan.FromSeconds(1),
            OrphanGrace = TimeSpan.FromSeconds(1),
        },
    };

    /// <summary>At least four disks take part, so that three copies and a stand-in have places.</summary>
    private double WeightOf(int disk) => _weights[disk] > 0 || _weights.Count(w => w == 0) > 1 ? Math.Max(1, _weights[disk]) : 0;
}

/// <summary>What one simulation is put through.</summary>
internal sealed record EngineFaults
{
    public int Lives { get; init; } = 4;

    public int RequestsPerClient { get; init; } = 12;

    public bool Disturbs { get; init; } = true;

    /// <summary>Prints what happens.</summary>
    public bool IsTraced { get; init; }

    /// <summary>The power goes at this write of each life.</summary>
    public int? TearAtWrite { get; init; }

    public Tear Tear { get; init; }
}
