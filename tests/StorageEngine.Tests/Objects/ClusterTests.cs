using Nephos.Client.Objects;
using Xunit;

namespace Nephos.StorageEngine.Tests.Objects;

/// <summary>One store of several processes: here engines that share nothing but a configuration and sockets.</summary>
public sealed class ClusterTests
{
    private static readonly int[] Sizes = [0, 100, 5_000, 70_000, 1 << 20, (3 << 20) + 17];

    [Fact]
    public async Task What_one_process_writes_every_other_reads()
    {
        await using var cluster = await new ClusterFixture().OpenAsync();
        await Task.WhenAll(Sizes.Select(size => ClusterFixture.PutAsync(cluster.Front, $"k{size}", EngineFixture.Bytes(size))));

        foreach (var (_, engine) in cluster.Engines)
        {
            foreach (var size in Sizes)
            {
                Assert.Equal(EngineFixture.Bytes(size), await ClusterFixture.GetAsync(engine, $"k{size}"));
            }

            var page = await engine.Namespace.ListObjectsAsync(new ListObjects { Bucket = ClusterFixture.Bucket }, CancellationToken.None);
            Assert.Equal(Sizes.Length, page.Value!.Entries.Count);
        }
    }

    [Fact]
    public async Task The_loss_of_any_process_heals_and_loses_nothing()
    {
        await using var cluster = await new ClusterFixture().OpenAsync();
        for (var round = 0; round < ClusterFixture.NodeCount; round++)
        {
            var node = ClusterFixture.Node(round);
            await ClusterFixture.PutAsync(cluster.Front, $"before-{round}", EngineFixture.Bytes(70_000, round));
            await cluster.StopAsync(node);

            await PutUntilTakenAsync(cluster.Front, $"during-{round}", EngineFixture.Bytes(90_000, round));
            for (var written = 0; written <= round; written++)
            {
                Assert.Equal(EngineFixture.Bytes(70_000, written), await ClusterFixture.GetAsync(cluster.Front, $"before-{written}"));
                Assert.Equal(EngineFixture.Bytes(90_000, written), await ClusterFixture.GetAsync(cluster.Front, $"during-{written}"));
            }

            await cluster.StartAsync(node);
            await ClusterFixture.WaitUntilAsync(
                cluster.Front,
                s => s is { BlobsAtRisk: 0, BlobsMissing: 0, LastFullCheck: not null } && s.Shards.All(h => h.ReplicasInSync == 3),
                "everything has its copies again");
        }
    }

    [Fact]
    public async Task A_drained_device_gives_up_payload_and_replicas_of_the_namespace()
    {
        await using var cluster = await new ClusterFixture().OpenAsync();
        for (var n = 0; n < 20; n++)
        {
            await ClusterFixture.PutAsync(cluster.Front, $"k{n}", EngineFixture.Bytes(9_000, n));
        }

        await cluster.Front.Ring.SetWeightAsync(0, 0, CancellationToken.None);

        await ClusterFixture.WaitUntilAsync(
            cluster.Front,
            s => s.Devices.Single(d => d.Id == 0).LiveBytes == 0 && cluster.Front.Ring.GetStatus() is { IsSettled: true, ReplicasToMove: 0 },
            "the device is empty");
        await ClusterFixture.WaitUntilAsync(
            cluster.Front, _ => cluster.Engines.SelectMany(e => e.Value.Shards.All).All(s => !s.IsWriter || !s.MemberDevices.Contains(0)), "no shard has a replica there");
        await cluster.Front.Ring.RemoveAsync(0, CancellationToken.None);
        for (var n = 0; n < 20; n++)
        {
            Assert.Equal(EngineFixture.Bytes(9_000, n), await ClusterFixture.GetAsync(cluster.Front, $"k{n}"));
        }
    }

    [Fact]
    public async Task Without_a_majority_a_write_is_refused_in_bounded_time()
    {
        await using var cluster = await new ClusterFixture().OpenAsync();
        await cluster.StopAsync(ClusterFixture.Node(0));
        await cluster.StopAsync(ClusterFixture.Node(1));

        var refused = await Assert.ThrowsAsync<ObjectEngineException>(
            () => ClusterFixture.PutAsync(cluster.Front, "k", EngineFixture.Bytes(10))).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(EngineFailure.Unavailable, refused.Failure);
    }

    /// <summary>An answer that says nothing is taken for none: the same object is written again.</summary>
    private static async Task PutUntilTakenAsync(IObjectEngine engine, string key, byte[] content)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                await ClusterFixture.PutAsync(engine, key, content);
                return;
            }
            catch (ObjectEngineException failure) when (failure.Failure == EngineFailure.Unavailable && attempt < 5)
            {
            }
        }
    }
}
