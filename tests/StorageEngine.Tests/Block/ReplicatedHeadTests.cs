using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Client.Volumes;
using Nephos.LocalStorage.Block;
using Nephos.Node.Block;
using Nephos.Node.Block.Cluster;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

public sealed class ReplicatedHeadTests
{
    private static readonly BlockStoreOptions Background =
        BlockDevice.Small with { SegmentBytes = 4 << 20, RunInBackground = true, ApplyIdle = TimeSpan.FromMilliseconds(20) };

    [Fact]
    public async Task A_replica_that_hangs_holds_up_neither_writes_nor_flushes()
    {
        await using var volume = new ReplicatedVolume(Background);
        using var client = await volume.AttachAsync(1);
        Assert.Equal(0u, client.DoWrite(0, VolumeTesting.Pattern(0, 4, 1)));
        volume.Ways[1].Open.Reset();
        for (var i = 0; i < 300; i++) Assert.Equal(0u, client.DoWrite((ulong)(i % 64) * 4096 * 4, VolumeTesting.Pattern(i % 64 * 4, 4, i + 2)));
        Assert.Equal(0u, client.Do(NbdTestClient.Flush, 0, 0));
        volume.Ways[1].Open.Set();
        await volume.UntilAsync(status => status.CompleteCount == 3);
        await volume.Heads.CloseAsync(volume.Heads.List().Single().AttachmentId, CancellationToken.None);
        volume.AssertEqualReplicas();
    }

    [Fact]
    public async Task B30_Requests_wait_while_there_is_no_majority_and_are_done_when_there_is()
    {
        await using var volume = new ReplicatedVolume(Background);
        using var client = await volume.AttachAsync(1);
        foreach (var index in new[] { 0, 1 }) volume.Ways[index].IsCut = true;
        var writing = Task.Run(() => client.DoWrite(4096, VolumeTesting.Pattern(1, 1, 5)));
        await Task.Delay(300);
        Assert.False(writing.IsCompleted);
        foreach (var index in new[] { 0, 1 }) volume.Ways[index].IsCut = false;
        Assert.Equal(0u, await writing);
        Assert.Equal(5, VolumeTesting.Values(client.DoRead(0, 8192))[1]);
        await volume.UntilAsync(status => status.CompleteCount == 3);
    }

    [Fact]
    public async Task B32_A_forced_detach_is_over_in_two_seconds_with_the_old_head_hanging()
    {
        await using var volume = new ReplicatedVolume(Background);
        using var old = await volume.AttachAsync(1);
        Assert.Equal(0u, old.DoWrite(0, VolumeTesting.Pattern(0, 1, 1)));
        // The old head is in another process in truth: it is not asked, its calls arrive late.
        await using var elsewhere = new VolumeHeads(volume, TimeProvider.System, NullLogger<VolumeHeads>.Instance);
        var watch = Stopwatch.StartNew();
        await elsewhere.OpenAsync(volume.Opened(2), volume.SocketPath(2), CancellationToken.None);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(2));
        using var client = NbdTestClient.Connect(volume.SocketPath(2), "attachment-2");
        Assert.Equal(0u, client.DoWrite(0, VolumeTesting.Pattern(0, 1, 2)));
        old.SendRequest(NbdTestClient.Write, 0, 4096, payload: VolumeTesting.Pattern(0, 1, 3));
        Assert.True(old.IsClosed());
        Assert.Equal(2, VolumeTesting.Values(client.DoRead(0, 4096))[0]);
    }

    [Fact]
    public async Task B23_Overlapping_writes_of_several_connections_leave_all_replicas_the_same()
    {
        await using var volume = new ReplicatedVolume(Background);
        using var first = await volume.AttachAsync(1);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(number => Task.Run(() =>
        {
            using var client = NbdTestClient.Connect(volume.SocketPath(1), "attachment-1");
            for (var i = 0; i < 150; i++) Assert.Equal(0u, client.DoWrite((ulong)(i * 7 % 5) * 4096, VolumeTesting.Pattern(i * 7 % 5, 3, number * 1000 + i + 1)));
        })));
        await volume.Heads.CloseAsync(volume.Heads.List().Single().AttachmentId, CancellationToken.None);
        volume.AssertEqualReplicas();
        Assert.DoesNotContain(-1, volume.Content(0));
    }

    [Fact]
    public async Task B34_A_head_that_lost_its_majority_answers_no_read()
    {
        await using var volume = new ReplicatedVolume(Background);
        using var old = await volume.AttachAsync(1);
        Assert.Equal(0u, old.DoWrite(0, VolumeTesting.Pattern(0, 1, 1)));
        // It still reaches one replica, which the next head does not.
        foreach (var index in new[] { 1, 2 }) volume.Ways[index].IsCut = true;
        await Task.Delay(VolumeGroup.ReadLease + TimeSpan.FromMilliseconds(200));
        var reading = Task.Run(() => old.DoRead(0, 4096));
        await Task.Delay(500);
        Assert.False(reading.IsCompleted);
        foreach (var index in new[] { 1, 2 }) volume.Ways[index].IsCut = false;
        Assert.Equal(1, VolumeTesting.Values(await reading)[0]);
    }

    [Fact]
    public async Task Closing_does_not_wait_for_replicas_that_never_answer()
    {
        await using var volume = new ReplicatedVolume(Background);
        using var client = await volume.AttachAsync(1);
        foreach (var index in new[] { 0, 1 }) volume.Ways[index].IsCut = true;
        client.SendRequest(NbdTestClient.Write, 0, 4096, payload: VolumeTesting.Pattern(0, 1, 3));
        await Task.Delay(100);
        var watch = Stopwatch.StartNew();
        await volume.Heads.CloseAsync(volume.Heads.List().Single().AttachmentId, CancellationToken.None);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"It took {watch.Elapsed}.");
        Assert.True(client.IsClosed());
    }

    [Fact]
    public async Task B27_Sixteen_requests_of_one_connection_wait_for_the_replicas_together()
    {
        await using var volume = new ReplicatedVolume(Background);
        using var client = await volume.AttachAsync(1);
        var calls = 0;
        volume.Ways[0].Answer = name =>
        {
            if (name == "write") Interlocked.Increment(ref calls);
            return null;
        };
        foreach (var way in volume.Ways) way.Open.Reset();
        var sent = Enumerable.Range(0, 16).Select(block => client.SendRequest(NbdTestClient.Write, (ulong)block * 4096, 4096, payload: VolumeTesting.Pattern(block, 1, 1))).ToList();
        foreach (var way in volume.Ways) way.Open.Set();
        var answered = sent.Select(_ => client.ReceiveChunk()).ToList();
        Assert.All(answered, reply => Assert.Equal(0u, reply.Error));
        Assert.Equal(sent, answered.Select(reply => reply.Cookie).Order());
        Assert.InRange(calls, 1, 8);
    }

    [Fact]
    public async Task Snapshots_of_a_volume_that_is_written_are_the_same_at_all_replicas()
    {
        var options = new BlockDevicesOptions { Directories = [.. Enumerable.Range(0, 3).Select(_ => Path.Combine(Path.GetTempPath(), $"nephos-block-{Guid.NewGuid():n}"))], ReserveBytes = 0, SegmentBytes = 4 << 20 };
        try
        {
            using var devices = new BlockDeviceSet(options, new Hosting.NephosOptions(), TimeProvider.System, NullLogger<BlockDeviceSet>.Instance);
            await using var heads = new VolumeHeads(devices, TimeProvider.System, NullLogger<VolumeHeads>.Instance);
            await using var nodes = new BlockNodes(devices, cluster: null, master: null, TimeProvider.System, NullLogger<BlockNodes>.Instance);
            var sets = new ReplicaSets(nodes, TimeProvider.System, NullLogger<ReplicaSets>.Instance);
            var set = ReplicaSet.NameOf(sets.Placements.Single().Select(device => device.Id.ToString()));
            var id = Guid.NewGuid();
            sets.Create(set, id, 256 * 4096, snapshotId: null);
            var socket = Path.Combine(options.Directories[0], "nbd.sock");
            var opened = new OpenedVolume
            {
                AttachmentId = Guid.NewGuid(), VolumeId = id, Epoch = 1, SizeBytes = 256 * 4096, ReadOnly = false, ExportName = "x",
                Replicas = [.. ReplicaSet.Members(set).Select(device => new ReplicaEndpoint(device, ""))],
            };
            await heads.OpenAsync(opened, socket, CancellationToken.None);
            using var stop = new CancellationTokenSource();
            // Block i + 1 is written after block i, so in a snapshot the values only fall along the blocks, by at most one.
            var writing = Task.Run(() =>
            {
                using var client = NbdTestClient.Connect(socket, "x");
                for (var round = 1; !stop.IsCancellationRequested; round++)
                    for (var block = 0; block < 16; block++) Assert.Equal(0u, client.DoWrite((ulong)block * 4096, VolumeTesting.Pattern(block, 1, round)));
            });
            for (var i = 0; i < 10; i++)
            {
                var snapshot = Guid.NewGuid();
                sets.CreateSnapshots(set, [(id, snapshot)]);
                var copies = devices.Devices.Where(store => store.SnapshotIds.Contains(snapshot)).Select(store => Read(store, snapshot)).ToList();
                Assert.True(copies.Count >= 2);
                Assert.All(copies, copy => Assert.Equal(copies[0], copy));
                Assert.All(Enumerable.Range(0, 15), block => Assert.InRange(copies[0][block] - copies[0][block + 1], 0, 1));
            }
            await stop.CancelAsync();
            await writing;
            await heads.CloseAsync(opened.AttachmentId, CancellationToken.None);
            // Put back to the last one, at all replicas.
            var last = Guid.NewGuid();
            sets.CreateSnapshots(set, [(id, last)]);
            var expected = Read(devices.Devices.First(), last);
            Assert.Equal(ReplicaStatus.Ok, sets.Fill(set, id, 1 + 1).Write(0, VolumeTesting.Pattern(0, 1, 77)));
            sets.Seal(set, id, 2);
            sets.Rollback(set, id, last);
            Assert.All(devices.Devices, store => Assert.Equal(expected, store.GetVolume(id).Values(store.GetVolume(id).SealedEpoch)[..16]));
        }
        finally
        {
            foreach (var directory in options.Directories.Where(Directory.Exists)) Directory.Delete(directory, recursive: true);
        }

        static int[] Read(BlockStore store, Guid snapshot)
        {
            var data = new byte[16 * 4096];
            Assert.Equal(BlockStatus.Ok, store.ReadSnapshot(snapshot, 0, data));
            return VolumeTesting.Values(data);
        }
    }
}
