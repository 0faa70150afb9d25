using System.Runtime.InteropServices;
using Microsoft.Extensions.Hosting;

namespace Nephos.Hosting;

/// <summary>
/// Gives memory back to the machine once a burst of work is over: collections happen only while something allocates, and the C library keeps
/// what RocksDB freed, so an idle process would hold the peak of its last load for ever.
/// </summary>
public sealed partial class IdleMemory(TimeProvider time, Func<long> allocatedBytes, Action giveBack) : BackgroundService
{
    /// <summary>So much allocated since memory was last given back makes it worth the pause.</summary>
    public const long BusyBytes = 64L << 20;

    /// <summary>What an interval may allocate and still count as idle: housekeeping and health checks.</summary>
    public const long IdleBytes = 8L << 20;

    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private long _lastBytes = allocatedBytes();
    private long _sinceBytes;

    /// <summary>Of this process.</summary>
    public IdleMemory(TimeProvider time)
        : this(time, () => GC.GetTotalAllocatedBytes(), GiveBack)
    {
    }

    /// <summary>One interval has passed.</summary>
    public void Look()
    {
        var now = allocatedBytes();
        var interval = now - _lastBytes;
        _lastBytes = now;
        _sinceBytes += interval;
        if (interval <= IdleBytes && _sinceBytes >= BusyBytes)
        {
            _sinceBytes = 0;
            giveBack();
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            Look();
        }
    }

    private static void GiveBack()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        try
        {
            _ = TrimHeap(0);
        }
        catch (Exception exception) when (exception is DllNotFoundException or EntryPointNotFoundException)
        {
            // Only glibc has it; other C libraries return pages by themselves.
        }
    }

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    private static partial int TrimHeap(nuint keepBytes);
}
