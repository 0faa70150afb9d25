using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Nephos.Client.Nbd;

namespace Nephos.Client.Volumes;

/// <summary>The threads of a head with several replicas: for each of them one that writes and one that makes durable, and one that repairs.</summary>
internal sealed partial class HeadThreads : IDisposable
{
    /// <summary>How long a member is left alone after it was lost.</summary>
    private static readonly TimeSpan RejoinPeriod = TimeSpan.FromSeconds(1);

    /// <summary>Between two looks of at most 256 KiB at each replica: about 40 GB a day.</summary>
    private static readonly TimeSpan ScrubPeriod = TimeSpan.FromMilliseconds(500);

    private readonly VolumeGroup _group;
    private readonly Func<int, IBlockReplica?> _connect;
    private readonly RepairPace _pace;
    private readonly ILogger _logger;
    private readonly Signal[] _lanes;
    private readonly Signal[] _syncs;
    private readonly Signal _repairs = new();
    private readonly List<Thread> _threads = [];

    /// <param name="group">Whose work they do.</param>
    /// <param name="connect">Reaches a replica again; null when it can not be.</param>
    /// <param name="pace">How repair gives way.</param>
    /// <param name="logger">For what the replicas do.</param>
    public HeadThreads(VolumeGroup group, Func<int, IBlockReplica?> connect, RepairPace pace, ILogger logger)
    {
        _group = group;
        _pace = pace;
        _connect = connect;
        _logger = logger;
        _lanes = Make();
        _syncs = Make();
        group.LaneWaits = index => _lanes[index].Set(1);
        group.SyncWaits = (index, sequence) => _syncs[index].Set(sequence);
        group.RepairWaits = () => _repairs.Set(1);
        for (var index = 0; index < group.MemberCount && group.MemberCount > 1; index++)
        {
            var own = index;
            Start(() => RunLanes(own), "volume writes");
            Start(() => RunSyncs(own), "volume syncs");
        }
        Start(RunRepairs, "volume repair");

        Signal[] Make() => [.. Enumerable.Range(0, group.MemberCount).Select(_ => new Signal())];
    }

    private void Start(Action run, string name)
    {
        var thread = new Thread(() => run(), maxStackSize: 256 << 10) { IsBackground = true, Name = name };
        _threads.Add(thread);
        thread.Start();
    }

    /// <summary>Asks every member to make what is up to the sequence durable.</summary>
    public void WakeSyncs(long sequence)
    {
        foreach (var sync in _syncs) sync.Set(sequence);
    }

    private void RunLanes(int index)
    {
        while (_lanes[index].Wait() != 0) _group.RunLane(index);
    }

    private void RunSyncs(int index)
    {
        while (_syncs[index].Wait() is var sequence and not 0)
            while (_group.WaitForSync(index, sequence)) _group.RunSync(index, sequence);
    }

    private void RunRepairs()
    {
        using var buffer = new NativeBuffer(VolumeGroup.RepairBytes);
        while (true)
        {
            var whole = _group.IsWhole;
            if (_repairs.Wait(whole ? ScrubPeriod : RejoinPeriod) is not { } woken) return;
            if (whole && woken == 0) _group.RunScrubStep(buffer);
            foreach (var index in _group.Absent)
                if (!_repairs.IsEnded && _connect(index) is { } replica && _group.TryRejoin(index, replica)) LogRejoined(_group.VolumeId, _group.EndpointOf(index).DeviceId);
            var worked = false;
            for (var began = Stopwatch.GetTimestamp(); !_repairs.IsEnded && _group.RunRepairStep(buffer); began = Stopwatch.GetTimestamp())
            {
                worked = true;
                _repairs.Rest(_pace.RestAfter(Stopwatch.GetElapsedTime(began)));
            }
            if (worked && _group.Status is var status && status.CompleteCount == _group.MemberCount)
                LogRepaired(_group.VolumeId, status.RepairedBytes);
        }
    }

    public void Dispose()
    {
        foreach (var signal in _lanes.Concat(_syncs)) signal.End();
        _repairs.End();
        _group.Close();
        // One that hangs in a system call must not hold up the end; it finds nothing to do when it comes back.
        foreach (var thread in _threads) thread.Join(TimeSpan.FromMilliseconds(500));
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "The replica of volume {VolumeId} on device {DeviceId} is back")]
    private partial void LogRejoined(Guid volumeId, string deviceId);

    [LoggerMessage(Level = LogLevel.Information, Message = "All replicas of volume {VolumeId} are complete; {Bytes} bytes were copied")]
    private partial void LogRepaired(Guid volumeId, long bytes);

    // A number that somebody waits for; setting it twice before he looks is one.
    private sealed class Signal
    {
        private readonly object _gate = new();
        private long _value;
        private bool _ended;

        public bool IsEnded => Volatile.Read(ref _ended);

        public void Set(long value)
        {
            lock (_gate)
            {
                _value = Math.Max(_value, value);
                Monitor.Pulse(_gate);
            }
        }

        // Without looking at the number; shorter when it is set or at the end.
        public void Rest(TimeSpan time)
        {
            if (time <= TimeSpan.Zero) return;
            lock (_gate)
                if (!_ended) Monitor.Wait(_gate, time);
        }

        // 0 at the end.
        public long Wait() => Wait(Timeout.InfiniteTimeSpan) ?? 0;

        // Null at the end, 0 when the time is over.
        public long? Wait(TimeSpan time)
        {
            lock (_gate)
            {
                while (_value == 0 && !_ended)
                    if (!Monitor.Wait(_gate, time)) return 0;
                if (_ended) return null;
                var value = _value;
                _value = 0;
                return value;
            }
        }

        public void End()
        {
            lock (_gate)
            {
                _ended = true;
                Monitor.PulseAll(_gate);
            }
        }
    }
}
