using System.Diagnostics;
using System.Runtime.InteropServices;
using Nephos.StorageEngine.Tests.Block;
using Xunit;

namespace Nephos.Probe.Tests.Block;

/// <summary>A client that writes, flushes and reads blocks of a disk, and compares: any error and any old content ends it.</summary>
internal sealed class BlockLoad
{
    public const int BlockBytes = 4096;
    private const int Blocks = 256;

    private readonly CancellationTokenSource _stop = new();
    private readonly Task _working;
    private int _done;
    private long _longestTicks;

    public BlockLoad(string socketPath, string exportName) => _working = Task.Run(() => Work(socketPath, exportName));

    /// <summary>Requests that were answered.</summary>
    public int Done => Volatile.Read(ref _done);

    /// <summary>The longest time that a request took.</summary>
    public TimeSpan Longest => TimeSpan.FromTicks(Volatile.Read(ref _longestTicks));

    /// <summary>Waits until so many more requests were answered.</summary>
    public async Task GoesOnAsync(int requests, TimeSpan patience)
    {
        var (wanted, began) = (Done + requests, Stopwatch.GetTimestamp());
        while (Done < wanted && !_working.IsCompleted)
        {
            Assert.True(Stopwatch.GetElapsedTime(began) < patience, "Nothing goes on.");
            await Task.Delay(20);
        }
        if (_working.IsFaulted) await _working;
    }

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _working;
    }

    public static byte[] Content(int value)
    {
        var content = new byte[BlockBytes];
        MemoryMarshal.Cast<byte, int>(content.AsSpan()).Fill(value);
        return content;
    }

    private void Work(string socketPath, string exportName)
    {
        using var client = NbdTestClient.Connect(socketPath, exportName);
        var random = new Random(7);
        var values = new int[Blocks];
        while (!_stop.IsCancellationRequested)
        {
            var (block, began) = (random.Next(Blocks), Stopwatch.GetTimestamp());
            if (random.Next(3) == 0)
            {
                Assert.Equal(values[block], BitConverter.ToInt32(client.DoRead((ulong)block * BlockBytes, BlockBytes)));
            }
            else
            {
                Assert.Equal(0u, client.DoWrite((ulong)block * BlockBytes, Content(++values[block])));
                if (random.Next(20) == 0) Assert.Equal(0u, client.Do(NbdTestClient.Flush, 0, 0));
            }
            _longestTicks = Math.Max(_longestTicks, Stopwatch.GetElapsedTime(began).Ticks);
            Interlocked.Increment(ref _done);
        }
    }
}
