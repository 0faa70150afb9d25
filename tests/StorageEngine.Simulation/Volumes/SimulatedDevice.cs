using Nephos.Client.Volumes;
using Nephos.LocalStorage.Block;
using Nephos.Node.Block;
using Nephos.Replication.Volumes;

namespace Nephos.StorageEngine.Simulation.Volumes;

/// <summary>A storage process with one device, which can be killed, lose its power or fail.</summary>
internal sealed class SimulatedDevice : IDisposable
{
    private readonly string _directory;
    private readonly TimeProvider _time;
    private VolatileFiles _files = new();

    public SimulatedDevice(string directory, TimeProvider time)
    {
        _directory = directory;
        _time = time;
        Store = Open();
    }

    public BlockStore Store { get; private set; }

    /// <summary>Grows with each start; the ways of before lead nowhere.</summary>
    public int Life { get; private set; }

    public long FreeBytes { get; set; } = 1L << 40;

    private BlockStore Open() => BlockStore.Open(
        _directory,
        new BlockStoreOptions
        {
            SegmentBytes = 1 << 20, SegmentsMax = 6, ReserveBytes = 0, RunInBackground = false,
            Faults = _files.Before, FreeBytes = _ => FreeBytes,
        },
        _time);

    /// <summary>What the device does by itself; an error leaves it to the next time, as in truth.</summary>
    public void Work(bool drain)
    {
        try { Store.RunBackgroundStep(drain); }
        catch (Exception e) when (e is IOException or BlockStoreException) { }
    }

    public void FailSyncs() => _files.SyncFails = true;

    public void Restart(Random? powerLost)
    {
        var files = _files;
        files.Die();
        Store.Dispose();
        // A sync that failed has lost what it was for.
        if (powerLost is not null) files.LosePower(powerLost);
        else if (files.SyncFails) files.LosePower(new Random(Life));
        _files = new VolatileFiles();
        Life++;
        Store = Open();
        // Each start begins a segment; nobody else would make room for more.
        if (Life % 3 == 0) Work(drain: true);
    }

    public void Dispose()
    {
        _files.Die();
        Store.Dispose();
    }
}

/// <summary>The way of one head to one device, with what can happen on it.</summary>
internal sealed class SimulatedWay(SimulatedDevice device, Guid volumeId, Func<Trouble> next) : IBlockReplica
{
    private readonly int _life = device.Life;
    private readonly LocalReplica? _inner = device.Store.FindVolume(volumeId) is { } volume ? new LocalReplica(volume) : null;

    private T Call<T>(Func<LocalReplica, T> call)
    {
        if (_life != device.Life) throw new VolumeHeadException("the process is another one");
        if (_inner is null) throw new VolumeHeadException("no such volume");
        var trouble = next();
        if (trouble == Trouble.Lost) throw new VolumeHeadException("the call was lost");
        var result = call(_inner);
        return trouble == Trouble.AnswerLost ? throw new VolumeHeadException("the answer was lost") : result;
    }

    public ReplicaDescription Describe() => Call(inner => inner.Describe());
    public ReplicaStatus Seal(long epoch) => Call(inner => inner.Seal(epoch));
    public ReplicaStatus Begin(VolumeHistory history, bool complete) => Call(inner => inner.Begin(history, complete));
    public ReplicaStatus Flush(long epoch) => Call(inner => inner.Flush(epoch));
    public bool TryListWritten(long epoch, long sequence, Action<long, long> found) => Call(inner => inner.TryListWritten(epoch, sequence, found));

    public ReplicaStatus Read(long epoch, long offset, Span<byte> buffer)
    {
        var data = new byte[buffer.Length];
        var status = Call(inner => inner.Read(epoch, offset, data));
        data.CopyTo(buffer);
        return status;
    }

    public ReplicaStatus Write(long epoch, ReadOnlySpan<BlockWrite> writes)
    {
        var copy = writes.ToArray();
        return Call(inner => inner.Write(epoch, copy));
    }

    public ReplicaStatus GetRanges(long epoch, long offset, long length, Span<BlockRange> ranges, out int count)
    {
        var found = new BlockRange[ranges.Length];
        var (status, filled) = Call(inner => (inner.GetRanges(epoch, offset, length, found, out var number), number));
        found.CopyTo(ranges);
        count = filled;
        return status;
    }

    public ReplicaStatus GetSums(long epoch, long offset, Span<uint> sums)
    {
        var found = new uint[sums.Length];
        var status = Call(inner => inner.GetSums(epoch, offset, found));
        found.CopyTo(sums);
        return status;
    }

    public void Dispose() { }
}

internal enum Trouble
{
    None,

    /// <summary>Nothing happened.</summary>
    Lost,

    /// <summary>It happened, and nobody knows.</summary>
    AnswerLost,
}
