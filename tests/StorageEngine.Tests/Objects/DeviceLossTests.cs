using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;
using Xunit;
using static Nephos.StorageEngine.Tests.Objects.EngineFixture;

namespace Nephos.StorageEngine.Tests.Objects;

public sealed class DeviceLossTests : IAsyncLifetime
{
    private static readonly int[] Sizes = [10, 3000, 5000, 70_000, 1_500_000, 5_000_000];
    private readonly EngineFixture _fixture = new();

    public Task InitializeAsync() => _fixture.OpenAsync();

    public async Task DisposeAsync() => await _fixture.DisposeAsync();

    [Fact]
    public async Task A_device_directory_deleted_at_run_time_loses_nothing_and_is_filled_again()
    {
        await FillAsync();
        Remove(_fixture.PathOf(1));

        await CheckAllAsync();
        await _fixture.WaitUntilAsync(s => IsWhole(s) && s.BlobsRepaired > 0, "four devices and full replicas");

        // What was made again counts: another one goes, while the process is down, and then everything is read from the rest.
        await _fixture.CloseAsync();
        Remove(_fixture.PathOf(2));
        await _fixture.OpenAsync();
        await CheckAllAsync();
        await _fixture.WaitUntilAsync(s => IsWhole(s) && s.BlobsRepaired > 0, "four devices and full replicas again");
        await _fixture.CloseAsync();
        Remove(_fixture.PathOf(3));
        await _fixture.OpenAsync();
        await CheckAllAsync();
    }

    [Fact]
    public async Task Writes_go_on_while_a_device_is_deleted()
    {
        await _fixture.CreateBucketAsync();
        var acknowledged = new System.Collections.Concurrent.ConcurrentDictionary<string, byte[]>();
        using var stop = new CancellationTokenSource();
        var deleted = new TaskCompletionSource();
        var writers = Enumerable.Range(0, 4).Select(w => Task.Run(async () =>
        {
            for (var n = 0; n < 60; n++)
            {
                var (key, content) = ($"w{w}-{n}", Bytes(n % 3 == 0 ? 100_000 : 2000, n));
                try
                {
                    if ((await _fixture.PutAsync(key, content)).IsOk)
                    {
                        acknowledged[key] = content;
                    }
                }
                catch (ObjectEngineException failure) when (failure.Failure == EngineFailure.Unavailable)
                {
                    // The outcome is unknown: not acknowledged, so not checked.
                }

                if (w == 0 && n == 20)
                {
                    Remove(_fixture.PathOf(0));
                    deleted.SetResult();
                }
            }
        })).ToArray();
        await Task.WhenAll(writers);
        await deleted.Task;

        Assert.True(acknowledged.Count > 200, $"{acknowledged.Count} acknowledged");
        await _fixture.WaitUntilAsync(IsWhole, "four devices and full replicas");
        await _fixture.ReopenAsync();
        foreach (var (key, content) in acknowledged)
        {
            Assert.Equal(content, await _fixture.GetAsync(key));
        }
    }

    [Fact]
    public async Task Writes_while_a_device_is_away_reach_it_when_it_is_back()
    {
        await _fixture.CreateBucketAsync();
        await _fixture.CloseAsync();
        var taken = Take(1);
        await _fixture.OpenAsync();
        var content = Bytes(3_000_000);
        Assert.True((await _fixture.PutAsync("key", content)).IsOk);
        Assert.True((await _fixture.PutAsync("small", Bytes(100))).IsOk);
        Assert.Equal(DeviceState.Failed, _fixture.Engine.GetStatus().Devices[1].State);

        taken.Dispose();
        await _fixture.WaitUntilAsync(IsWhole, "four devices and full replicas");
        await _fixture.CloseAsync();
        Remove(_fixture.PathOf(2));
        await _fixture.OpenAsync();
        Assert.Equal(content, await _fixture.GetAsync("key"));
        Assert.Equal(Bytes(100), await _fixture.GetAsync("small"));
    }

    [Fact]
    public async Task What_was_deleted_while_a_device_was_away_does_not_come_back()
    {
        await _fixture.CreateBucketAsync();
        await _fixture.PutAsync("key", Bytes(3_000_000));
        await _fixture.CloseAsync();
        var taken = Take(1);
        await _fixture.OpenAsync();
        Assert.True((await _fixture.DeleteAsync("key")).Existed);
        await _fixture.WaitUntilAsync(s => s.BlobsToRemove == 0 && s.Devices.Sum(d => d.LiveBytes) == 0, "removed on three");

        taken.Dispose();
        await _fixture.WaitUntilAsync(s => IsWhole(s) && s.Devices.All(d => d.LiveBytes == 0), "nothing left on any device");
        Assert.Null(await _fixture.GetAsync("key"));
    }

    [Fact]
    public async Task A_damaged_copy_is_passed_over_and_made_again()
    {
        await _fixture.CreateBucketAsync();
        var content = Bytes(500_000);
        await _fixture.PutAsync("key", content);
        await _fixture.WaitUntilAsync(s => s.Devices.Sum(d => d.LiveBytes) == 3 * 500_736, "three copies");
        await _fixture.CloseAsync();
        var damaged = 0;
        foreach (var file in Directory.GetFiles(Path.GetDirectoryName(_fixture.PathOf(0))!, "*.seg", SearchOption.AllDirectories))
        {
            if (file.Contains("volumes", StringComparison.Ordinal) && damaged < 2)
            {
                damaged += Damage(file) ? 1 : 0;
            }
        }

        Assert.Equal(2, damaged);
        await _fixture.OpenAsync();
        Assert.Equal(content, await _fixture.GetAsync("key"));
        await _fixture.WaitUntilAsync(s => s.BlobsAtRisk == 0 && s.BlobsRepaired >= 2, "two copies made again");
        Assert.Equal(content, await _fixture.GetAsync("key"));

        static bool Damage(string file)
        {
            var bytes = File.ReadAllBytes(file);
            if (bytes.AsSpan(4096).IndexOfAnyExcept((byte)0) < 0)
            {
                return false;
            }

            using var handle = File.OpenHandle(file, FileMode.Open, FileAccess.Write);
            RandomAccess.Write(handle, "damage"u8, 4096 + 512 + 100_000);
            return true;
        }
    }

    [Fact]
    public async Task A_full_engine_refuses_writes_but_still_deletes_and_recovers()
    {
        await _fixture.DisposeAsync();
        var fixture = new EngineFixture();
        var upkeep = fixture.Options.Upkeep;
        fixture.Options = fixture.Options with
        {
            Device = fixture.Options.Device with { CapacityBytes = 16 << 20 },
            // What a refused write left behind would be room again.
            Upkeep = upkeep with { CompactionPeriod = TimeSpan.FromHours(1) },
        };
        await using (await fixture.OpenAsync())
        {
            await fixture.CreateBucketAsync();
            var keys = new List<string>();
            var failure = await Assert.ThrowsAsync<ObjectEngineException>(async () =>
            {
                for (var n = 0; n < 40; n++)
                {
                    await fixture.PutAsync($"k{n}", Bytes(1_000_000, n));
                    keys.Add($"k{n}");
                }
            });
            Assert.Equal(EngineFailure.Full, failure.Failure);
            Assert.Equal(Bytes(1_000_000, 0), await fixture.GetAsync(keys[0]));

            // Nor what travels in a record, once the devices were looked at: what they keep free is for what follows.
            await fixture.WaitUntilAsync(s => s.Devices.Count(d => d.State == DeviceState.Full) >= 2, "full devices");
            await WaitUntilAsync(isFull: true, () => fixture.PutAsync("inline", Bytes(100)));
            await WaitUntilAsync(isFull: true, () => fixture.CreateBucketAsync(name: new BucketName("account", "more")));
            foreach (var key in keys)
            {
                Assert.True((await fixture.DeleteAsync(key)).Existed);
            }

            fixture.Options = fixture.Options with { Upkeep = upkeep with { CompactionPeriod = TimeSpan.FromMilliseconds(200) } };
            await fixture.ReopenAsync();
            await fixture.WaitUntilAsync(s => s.Devices.All(d => d.State == DeviceState.Online), "room again");
            await WaitUntilAsync(isFull: false, () => fixture.PutAsync("again", Bytes(1_000_000)));
            Assert.Equal(Bytes(1_000_000), await fixture.GetAsync("again"));
        }
    }

    [Fact]
    public async Task A_ring_is_not_settled_until_it_has_the_partitions_that_were_wished_for()
    {
        var ring = _fixture.Engine.Ring;
        await _fixture.WaitUntilAsync(_ => ring.GetStatus().IsSettled, "a settled ring");
        var before = ring.GetStatus().Partitions;

        await ring.SetPartitionPowerAsync(7, CancellationToken.None);

        await _fixture.WaitUntilAsync(_ => ring.GetStatus() is { IsSettled: true } status && (status.Partitions == 128 ? true : throw new InvalidOperationException($"Settled with {status.Partitions}.")), "the wished power");
        Assert.True(before < 128);
    }

    /// <summary>Tries until the answer is the wanted one: the engine looks at its devices from time to time.</summary>
    private static async Task WaitUntilAsync(bool isFull, Func<Task> attempt)
    {
        for (var n = 0; ; n++)
        {
            try
            {
                await attempt();
                if (!isFull)
                {
                    return;
                }
            }
            catch (ObjectEngineException failure) when (failure.Failure == EngineFailure.Full)
            {
                if (isFull)
                {
                    return;
                }
            }

            Assert.True(n < 400, $"The devices do not come to be {(isFull ? "full" : "free")}.");
            await Task.Delay(50);
        }
    }

    private static bool IsWhole(ObjectEngineStatus status) =>
        status.Devices.All(d => d.State == DeviceState.Online)
        && status.Shards.All(s => s is { State: "Serving", ReplicasInSync: 3 })
        && status is { BlobsAtRisk: 0, BlobsMissing: 0, LastFullCheck: not null }
        && status.Devices.Sum(d => d.LiveBytes) % 3 == 0;

    private async Task FillAsync()
    {
        await _fixture.CreateBucketAsync();
        for (var n = 0; n < 60; n++)
        {
            Assert.True((await _fixture.PutAsync($"key-{n}", Bytes(Sizes[n % Sizes.Length], n))).IsOk);
        }
    }

    private async Task CheckAllAsync()
    {
        for (var n = 0; n < 60; n++)
        {
            Assert.Equal(Bytes(Sizes[n % Sizes.Length], n), await _fixture.GetAsync($"key-{n}"));
        }

        var page = (await _fixture.Names.ListObjectsAsync(new ListObjects { Bucket = Bucket }, CancellationToken.None)).Value!;
        Assert.Equal(60, page.Entries.Count);
    }

    /// <summary>Keeps a device from the engine until the handle is disposed: at one moment it is away, at the next it is there.</summary>
    private Microsoft.Win32.SafeHandles.SafeFileHandle Take(int device)
    {
        var header = File.OpenHandle(
            Path.Combine(_fixture.PathOf(device), "device"), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        Assert.True(DirectIo.TryLock(header));
        return header;
    }

    // Moved first: what the engine makes meanwhile would keep it from being empty.
    private static void Remove(string directory)
    {
        Directory.Move(directory, directory + ".removed");
        Directory.Delete(directory + ".removed", recursive: true);
    }
}
