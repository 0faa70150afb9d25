using Microsoft.Extensions.Time.Testing;
using Nephos.Client.Nbd;
using Nephos.Client.Volumes;
using Nephos.LocalStorage.Block;
using Nephos.Node.Block;
using Nephos.Replication.Volumes;

namespace Nephos.StorageEngine.Simulation.Volumes;

/// <summary>Three devices with real stores on files that forget, and heads of one volume one after the other, in one thread; a seed decides everything.</summary>
/// <remarks>Heads that were replaced live on and go on trying. Lanes, syncs, repairs and the devices' own work run in any order; calls and answers get
/// lost, processes are killed, power fails at one or all, syncs fail, disks are full.</remarks>
internal sealed class VolumeSimulation : IDisposable
{
    private const int Blocks = 48;
    private const int Devices = 3;

    private readonly Random _random;
    private readonly Action<string>? _trace;
    private readonly string _root;
    private readonly Guid _volumeId = new("0f0e0d0c-0b0a-0908-0706-050403020100");
    private readonly FakeTimeProvider _time = new();
    private readonly SimulatedDevice[] _devices;
    private readonly BlockHistory _history = new(Blocks);
    private readonly List<Head> _frozen = [];
    private readonly List<NativeBuffer> _memory = [];
    private readonly bool[] _cut = new bool[Devices];
    private readonly double _lossRate;
    private Head? _head;
    private long _epoch;
    private int _nextValue = 1;
    private int _acknowledged;
    private bool _calm;

    private sealed class Head(VolumeGroup group, VolumeHistory found)
    {
        public VolumeGroup Group { get; } = group;
        public List<(WriteBatch Batch, int Block, int Count, int Value)> Writes { get; } = [];
        public long? Flush { get; set; }

        /// <summary>Up to where writes wait for each device to make them durable.</summary>
        public long[] SyncsWanted { get; } = new long[Devices];

        /// <summary>The first head that opened after it.</summary>
        public Head? Successor { get; set; }

        /// <summary>Whether it went on behind a write of an older epoch.</summary>
        public bool TookOver(long epoch, long sequence) =>
            sequence <= found.Sequence && found.Epochs.LastOrDefault(start => start.First <= sequence).Epoch == epoch;
    }

    private sealed class WouldWaitException : Exception;

    private VolumeSimulation(int seed, Action<string>? trace)
    {
        _random = new Random(seed);
        _trace = trace;
        var memory = Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath();
        _root = Path.Combine(memory, $"nephos-volumes-{Environment.ProcessId}-{seed}");
        _devices = [.. Enumerable.Range(0, Devices).Select(index => new SimulatedDevice(Path.Combine(_root, $"{index}"), _time))];
        foreach (var device in _devices) device.Store.CreateVolume(_volumeId, Blocks * VolumeGroup.BlockBytes, null);
        _lossRate = _random.Next(3) * 0.01;
    }

    /// <summary>Runs one seed.</summary>
    /// <returns>Writes that were acknowledged.</returns>
    /// <exception cref="SimulationException">Something that was promised does not hold.</exception>
    public static int Run(int seed, Action<string>? trace = null)
    {
        using var simulation = new VolumeSimulation(seed, trace);
        simulation.RunSteps();
        return simulation._acknowledged;
    }

    private void RunSteps()
    {
        var steps = 200 + _random.Next(600);
        for (var step = 0; step < steps; step++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(_random.Next(20)));
            Step();
        }
        Heal();
    }

    private void Step()
    {
        var choice = _random.Next(1000);
        if (_head is null || choice < 4) OpenHead();
        else if (choice < 250) StartWrite(_head);
        else if (choice < 600) RunSomething(_head);
        else if (choice < 700) TryRead(_head, _random.Next(Blocks));
        else if (choice < 730) Flush(_head);
        else if (choice < 800) Quietly(() => Repair(_head));
        else if (choice < 830) Rejoin(_head);
        else if (choice < 880) RunFrozen();
        else if (choice < 920) Work(_random.Next(Devices));
        else if (choice < 940) Cut(_random.Next(Devices));
        else if (choice < 955) Restart(_random.Next(Devices), power: false);
        else if (choice < 965) Restart(_random.Next(Devices), power: true);
        else if (choice < 970) LoseAllPower();
        else if (choice < 974) FailSyncs(_random.Next(Devices));
        else if (choice < 980) Fill(_random.Next(Devices));
        Look();
    }

    private void Trace(string text) => _trace?.Invoke(text);

    private static string StateOf(VolumeGroup group) => string.Join(", ", group.Status.Replicas.Select(replica =>
        $"{(replica.Reached ? replica.Complete ? "complete" : "in repair" : "away")} -{replica.LackingBytes / VolumeGroup.BlockBytes} ?{replica.ToCompareBytes / VolumeGroup.BlockBytes}"));

    private IBlockReplica? Connect(int index) => _cut[index] ? null : new SimulatedWay(_devices[index], _volumeId, () => NextTrouble(index));

    private Trouble NextTrouble(int index)
    {
        if (_cut[index]) return Trouble.Lost;
        if (_calm || _random.NextDouble() >= _lossRate) return Trouble.None;
        return _random.Next(2) == 0 ? Trouble.Lost : Trouble.AnswerLost;
    }

    // A head that waits would wait for ever in one thread: what it does is given up and tried again.
    private static void Quietly(Action action)
    {
        try { action(); }
        catch (WouldWaitException) { }
    }

    private void OpenHead()
    {
        if (_head is { } old)
        {
            // It is stopped, not killed: it goes on some time.
            _frozen.Add(old);
            foreach (var (_, block, count, value) in old.Writes)
                for (var i = 0; i < count; i++) _history.IsUnknown(block + i, value);
            _history.FlushEnds();
            _head = null;
        }
        var epoch = ++_epoch;
        try
        {
            var group = VolumeGroup.Open(
                _volumeId, epoch, Blocks * VolumeGroup.BlockBytes, [.. Enumerable.Range(0, Devices).Select(index => new ReplicaEndpoint($"{index}", ""))],
                [.. Enumerable.Range(0, Devices).Select(Connect)], _time, parallel: false);
            group.OnWait = () => throw new WouldWaitException();
            if (!group.SealedEverywhere) _time.Advance(VolumeGroup.ReadLease);
            var head = new Head(group, BestHistory());
            group.SyncWaits = (index, sequence) => head.SyncsWanted[index] = sequence;
            foreach (var frozen in _frozen) frozen.Successor ??= head;
            _head = head;
            Trace($"head {epoch} open at {group.Status.Acknowledged}: {StateOf(group)}");
        }
        catch (VolumeHeadException e)
        {
            Trace($"head {epoch} not open: {e.Message}");
        }
    }

    // What a head that has just been opened goes on from.
    private VolumeHistory BestHistory()
    {
        VolumeHistory? best = null;
        foreach (var device in _devices)
            if (new LocalReplica(device.Store.GetVolume(_volumeId)).Describe() is { Complete: true, History: var history } && best?.IsBehind(history) != false) best = history;
        return best ?? throw new SimulationException("No replica is complete.");
    }

    private void StartWrite(Head head, bool counts = true)
    {
        if (head.Writes.Count > 12) return;
        var count = 1 + _random.Next(4);
        var block = _random.Next(Blocks - count);
        var value = _nextValue++;
        var buffer = new NativeBuffer(count * VolumeGroup.BlockBytes);
        _memory.Add(buffer);
        for (var i = 0; i < count; i++) BitConverter.TryWriteBytes(buffer.Span[(i * VolumeGroup.BlockBytes)..], value);
        var batch = new WriteBatch(1) { Memory = buffer };
        batch.Add(new BlockWrite { Offset = block * VolumeGroup.BlockBytes, Length = count * VolumeGroup.BlockBytes, Data = buffer.Address(0) });
        if (counts)
            for (var i = 0; i < count; i++) _history.Begins(block + i, value);
        head.Writes.Add((batch, block, count, value));
        head.Group.Submit(batch);
        Trace($"write {value} to {block}+{count} is {batch.First}");
    }

    private void RunSomething(Head head)
    {
        var index = _random.Next(Devices);
        if (_random.Next(6) == 0) head.Group.RunSync(index, Math.Max(head.Flush ?? 0, head.SyncsWanted[index]));
        else head.Group.RunLane(index);
    }

    // A head of before: it must not get one write through that its successor did not find, and nobody may read from it what is not so any more.
    private void RunFrozen()
    {
        if (_frozen.Count == 0) return;
        var head = _frozen[_random.Next(_frozen.Count)];
        var choice = _random.Next(4);
        if (choice == 0 && _head is not null) StartWrite(head, counts: false);
        else if (choice == 1 && _head is not null) TryRead(head, _random.Next(Blocks));
        else if (choice == 2) Quietly(() => Repair(head));
        else head.Group.RunLane(_random.Next(Devices));
        foreach (var write in head.Writes.Where(write => write.Batch.IsDone).ToList())
        {
            head.Writes.Remove(write);
            // It may hear late that a write was done which its successor found done; nothing else can be.
            if (write.Batch.Status == ReplicaStatus.Ok && head.Successor is { } successor && !successor.TookOver(head.Group.Epoch, write.Batch.Last))
                throw new SimulationException($"Write {write.Value} of the head of epoch {head.Group.Epoch} was acknowledged although epoch {successor.Group.Epoch} began without it.");
        }
    }

    private void TryRead(Head head, int block)
    {
        var data = new byte[VolumeGroup.BlockBytes];
        Quietly(() =>
        {
            if (head.Group.Read(block * VolumeGroup.BlockBytes, data) != ReplicaStatus.Ok) return;
            Trace($"block {block} reads {BitConverter.ToInt32(data)} at epoch {head.Group.Epoch}");
            _history.IsSeen(block, BitConverter.ToInt32(data));
        });
    }

    private void Flush(Head head)
    {
        if (head.Flush is not null) return;
        head.Flush = head.Group.Acknowledged;
        _history.FlushBegins();
        Trace($"flush up to {head.Flush}");
    }

    private void Repair(Head head)
    {
        var buffer = new NativeBuffer(VolumeGroup.RepairBytes);
        _memory.Add(buffer);
        head.Group.RunRepairStep(buffer);
    }

    private void Rejoin(Head head)
    {
        foreach (var index in head.Group.Absent)
        {
            if (Connect(index) is not { } replica) continue;
            var joined = head.Group.TryRejoin(index, replica);
            Trace($"device {index} is back: {joined}; {StateOf(head.Group)}");
        }
    }

    private void Work(int index) => _devices[index].Work(drain: _random.Next(3) == 0);

    private void Cut(int index)
    {
        // At most one at a time, most of the time.
        _cut[index] = !_cut[index] && (_random.Next(8) == 0 || !_cut.Any(cut => cut));
        Trace($"device {index} is {(_cut[index] ? "cut" : "reached")}");
    }

    private void Restart(int index, bool power)
    {
        Trace($"device {index} restarts{(power ? " without power" : "")}");
        if (power) _history.PowerIsLost();
        _devices[index].Restart(power ? _random : null);
    }

    private void LoseAllPower()
    {
        for (var index = 0; index < Devices; index++) Restart(index, power: true);
        if (_head is { } head)
            foreach (var (_, block, count, value) in head.Writes)
                for (var i = 0; i < count; i++) _history.IsUnknown(block + i, value);
        _history.FlushEnds();
        _head = null;
    }

    private void FailSyncs(int index)
    {
        Trace($"syncs of device {index} fail");
        // What it was told is durable is; the rest may be gone with it.
        _history.PowerIsLost();
        _devices[index].FailSyncs();
        _devices[index].Work(drain: true);
        _devices[index].Restart(powerLost: null);
    }

    private void Fill(int index)
    {
        foreach (var device in _devices) device.FreeBytes = 1L << 40;
        if (_random.Next(2) == 0) return;
        foreach (var device in _devices)
            if (device == _devices[index] || _random.Next(3) == 0) device.FreeBytes = 0;
        Trace("disks are full: " + string.Join(' ', _devices.Select(device => device.FreeBytes == 0)));
    }

    // What the head answered since the last look.
    private void Look()
    {
        if (_head is not { } head) return;
        foreach (var write in head.Writes.Where(write => write.Batch.IsDone).ToList())
        {
            var (batch, block, count, value) = write;
            head.Writes.Remove(write);
            Trace($"write {value} ends as {batch.Status}");
            for (var i = 0; i < count; i++)
            {
                if (batch.Status == ReplicaStatus.Ok) _history.IsAcknowledged(block + i, value);
                else _history.IsUnknown(block + i, value);
            }
            if (batch.Status == ReplicaStatus.Ok) _acknowledged++;
        }
        if (head.Flush is { } sequence)
        {
            Quietly(() =>
            {
                if (head.Group.WaitDurable(sequence) is not { } status) return;
                Trace($"flush up to {sequence} ends as {status}; {StateOf(head.Group)}");
                if (status == ReplicaStatus.Ok) _history.IsFlushed();
                else _history.FlushEnds();
                head.Flush = null;
            });
        }
        // The journal of a device is worked off by itself in truth.
        foreach (var device in _devices)
            if (device.Store.JournalBytes > 3 << 20) device.Work(drain: true);
    }

    private void Heal()
    {
        Trace("healing");
        _calm = true;
        Array.Clear(_cut);
        foreach (var device in _devices) device.FreeBytes = 1L << 40;
        foreach (var head in _frozen) head.Group.Close();
        OpenHead();
        if (_head is not { } last) throw new SimulationException("With all devices there the volume can not be opened.");
        for (var round = 0; round < 2000 && last.Group.Status.CompleteCount < Devices; round++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(10));
            Rejoin(last);
            for (var index = 0; index < Devices; index++) last.Group.RunLane(index);
            Quietly(() => Repair(last));
        }
        if (last.Group.Status.CompleteCount < Devices) throw new SimulationException($"Not repaired: {string.Join(", ", last.Group.Status.Replicas)}");
        for (var block = 0; block < Blocks; block++)
        {
            var data = new byte[VolumeGroup.BlockBytes];
            if (last.Group.Read(block * VolumeGroup.BlockBytes, data) is var status and not ReplicaStatus.Ok) throw new SimulationException($"Block {block} answers {status}.");
            _history.IsSeen(block, BitConverter.ToInt32(data));
        }
        var contents = _devices.Select(device => Content(device.Store.GetVolume(_volumeId))).ToList();
        for (var index = 1; index < Devices; index++)
        {
            var different = Enumerable.Range(0, Blocks).Where(block => contents[index][block] != contents[0][block]).ToList();
            if (different.Count > 0) throw new SimulationException($"Devices 0 and {index} differ in blocks {string.Join(", ", different)}.");
        }
    }

    private static int[] Content(BlockVolume volume)
    {
        var data = new byte[Blocks * VolumeGroup.BlockBytes];
        if (volume.Read(volume.SealedEpoch, 0, data) != BlockStatus.Ok) throw new SimulationException("A replica is damaged.");
        return [.. Enumerable.Range(0, Blocks).Select(block => BitConverter.ToInt32(data, block * VolumeGroup.BlockBytes))];
    }

    public void Dispose()
    {
        _head?.Group.Dispose();
        foreach (var head in _frozen) head.Group.Dispose();
        foreach (var device in _devices) device.Dispose();
        foreach (var buffer in _memory) buffer.Dispose();
        Directory.Delete(_root, recursive: true);
    }
}
