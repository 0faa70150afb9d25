using Nephos.Client.Objects;
using Xunit;
using static Nephos.StorageEngine.Tests.Objects.EngineFixture;

namespace Nephos.StorageEngine.Tests.Objects;

public sealed class ObjectRingTests : IAsyncLifetime
{
    private const int Objects = 12;
    private const int SizeBytes = 100_000;
    private readonly EngineFixture _fixture = new();

    public async Task InitializeAsync()
    {
        _fixture.Options = _fixture.Options with { Upkeep = _fixture.Options.Upkeep with { RingPeriod = TimeSpan.FromMilliseconds(50) } };
        await _fixture.OpenAsync();
    }

    public async Task DisposeAsync() => await _fixture.DisposeAsync();

    [Fact]
    public async Task A_drained_device_gives_everything_away_while_all_of_it_stays_readable()
    {
        await PutAsync();
        var ring = _fixture.Engine.Ring;
        Assert.True(ring.Plan(2, 0) is { ReplicasMoved: > 0, BytesMoved: > 0, Steps: > 0 } plan && plan.Devices[2].Replicas == 0);
        Assert.Equal(0, ring.GetStatus().ReplicasToMove);

        await ring.SetWeightAsync(2, 0, CancellationToken.None);
        await FollowedAsync(d => d.LiveBytes == 0 || d.Device != 2);

        Assert.Equal(0, ring.GetStatus().Devices[2].Replicas);
        await ReadAsync();
        await _fixture.ReopenAsync();
        Assert.Equal((0, 0d), (_fixture.Engine.Ring.GetStatus().ReplicasToMove, _fixture.Engine.Ring.GetStatus().Devices[2].Weight));
        await ReadAsync();
    }

    [Fact]
    public async Task A_plan_says_how_full_devices_get_how_long_it_takes_and_what_comes_too_close_together()
    {
        await PutAsync();
        var ring = _fixture.Engine.Ring;

        // The third copies come after the answers.
        await _fixture.WaitUntilAsync(_ => ring.GetStatus().Devices.Sum(d => d.LiveBytes) >= 3 * Objects * SizeBytes, "three copies of everything");
        var now = ring.GetStatus().Devices;
        var live = now.Sum(d => d.LiveBytes);

        var first = ring.Plan(2, 0);
        Assert.Equal((0, 0), (first.SharedDomains, first.SharedDomainsNow));
        Assert.InRange(first.Devices.Sum(d => d.LiveBytes), live - 10, live);
        Assert.All(first.Devices, d => Assert.Equal(d.Replicas > 0, d.LiveBytes > 0));
        Assert.True(first.Devices[0].Fill > now[0].Fill && first.Devices[2].Fill < now[2].Fill);

        await ring.SetWeightAsync(2, 0, CancellationToken.None);
        await FollowedAsync(d => d.LiveBytes == 0 || d.Device != 2);
        await _fixture.WaitUntilAsync(_ => ring.Plan(2, 1).Duration > TimeSpan.Zero, "a rate of copies");
        Assert.Equal(TimeSpan.Zero, ring.Plan(2, 0).Duration);
    }

    [Fact]
    public async Task A_drained_device_gets_its_share_back_with_its_weight()
    {
        await PutAsync();
        await _fixture.Engine.Ring.SetWeightAsync(1, 0, CancellationToken.None);
        await FollowedAsync(d => d.LiveBytes == 0 || d.Device != 1);
        await _fixture.Engine.Ring.SetWeightAsync(1, 1, CancellationToken.None);
        await FollowedAsync(d => d.LiveBytes > 0);

        await ReadAsync();
    }

    [Fact]
    public async Task Weights_that_leave_too_few_devices_or_name_none_are_refused()
    {
        var ring = _fixture.Engine.Ring;
        await ring.SetWeightAsync(0, 0, CancellationToken.None);

        await Assert.ThrowsAsync<ArgumentException>(() => ring.SetWeightAsync(1, 0, CancellationToken.None));
        await Assert.ThrowsAsync<ArgumentException>(() => ring.SetWeightAsync(9, 1, CancellationToken.None));
        await Assert.ThrowsAsync<ArgumentException>(() => ring.SetWeightAsync(1, double.NaN, CancellationToken.None));
        await Assert.ThrowsAsync<ArgumentException>(() => ring.SetWeightAsync(1, -1, CancellationToken.None));
        Assert.Throws<ArgumentException>(() => ring.Plan(1, 0));
    }

    private async Task PutAsync()
    {
        await _fixture.CreateBucketAsync();
        for (var n = 0; n < Objects; n++)
        {
            Assert.True((await _fixture.PutAsync($"k{n}", Bytes(SizeBytes, n))).IsOk);
        }
    }

    private async Task ReadAsync()
    {
        for (var n = 0; n < Objects; n++)
        {
            Assert.Equal(Bytes(SizeBytes, n), await _fixture.GetAsync($"k{n}"));
        }
    }

    private Task FollowedAsync(Predicate<RingDeviceStatus> holds) => _fixture.WaitUntilAsync(
        _ => _fixture.Engine.Ring.GetStatus() is { ReplicasToMove: 0, IsSettled: true } status && status.Devices.All(d => holds(d)),
        "the data follows the ring");
}
