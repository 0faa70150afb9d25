using Nephos.Client.Objects;
using Nephos.Node.Objects;
using Xunit;
using static Nephos.StorageEngine.Tests.Objects.EngineFixture;

namespace Nephos.StorageEngine.Tests.Objects;

/// <summary>Objects kept in an erasure code over seven device directories.</summary>
public sealed class CodedObjectTests : IAsyncLifetime
{
    private const string Policy = "ec-4-2";
    private static readonly int[] Sizes = [(1 << 20) + 1, 3 << 20, 5_000_001];
    private readonly EngineFixture _fixture = new();

    public async Task InitializeAsync()
    {
        _fixture.Options = _fixture.Options with
        {
            Upkeep = _fixture.Options.Upkeep with { RingPeriod = TimeSpan.FromMilliseconds(50) },
            Devices = [.. Enumerable.Range(0, 7).Select(n => new ObjectDeviceLocation(
                n, Path.Combine(Path.GetDirectoryName(_fixture.Options.Devices[0].Path)!, $"device-{n}"), $"zone-{n}", 1))],
        };
        await _fixture.OpenAsync();
        await _fixture.CreateBucketAsync();
    }

    public async Task DisposeAsync() => await _fixture.DisposeAsync();

    [Fact]
    public async Task What_was_put_is_read_back_whole_and_in_ranges()
    {
        await FillAsync();
        await CheckAllAsync();
        var record = (await _fixture.Names.GetObjectAsync(Bucket, $"{Sizes[2]}", default, CancellationToken.None)).Value!;
        var content = Bytes(Sizes[2], seed: Sizes[2]);
        foreach (var (offset, length) in new[] { (0, 1), (262_143, 2), (1_048_575, 300_000), (Sizes[2] - 1, 1), (600_000, 2_000_000) })
        {
            Assert.Equal(content[offset..(offset + length)], await _fixture.ReadAsync(record.Payload, offset, length));
        }
    }

    [Fact]
    public async Task Small_objects_are_kept_in_copies()
    {
        await _fixture.PutAsync("small", Bytes(100_000), policy: Policy);
        var record = (await _fixture.Names.GetObjectAsync(Bucket, "small", default, CancellationToken.None)).Value!;
        Assert.All(record.Payload.Extents, extent => Assert.Equal(BlobScheme.Replicated, extent.Blob.Scheme));
    }

    [Fact]
    public async Task Fragments_take_half_again_as_much_room_as_the_data()
    {
        await _fixture.PutAsync("large", Bytes(8 << 20), policy: Policy);
        // A few percent are headers.
        Assert.InRange(_fixture.Engine.GetStatus().Devices.Sum(d => d.LiveBytes), 12L << 20, 13L << 20);
    }

    [Fact]
    public async Task A_lost_device_is_read_around_and_made_good()
    {
        await FillAsync();
        Directory.Delete(_fixture.PathOf(1), recursive: true);
        await CheckAllAsync();
        await _fixture.WaitUntilAsync(IsWhole, "seven devices and all fragments");
        await CheckAllAsync();
    }

    [Fact]
    public async Task The_payload_of_two_devices_may_be_lost_at_once()
    {
        await FillAsync();
        await _fixture.CloseAsync();
        foreach (var device in new[] { 2, 6 })
        {
            // Their replicas of the namespace stay: of three, two must.
            Directory.Delete(Path.Combine(_fixture.PathOf(device), "volumes"), recursive: true);
            Directory.Delete(Path.Combine(_fixture.PathOf(device), "needles"), recursive: true);
        }

        await _fixture.OpenAsync();
        await CheckAllAsync();
        await _fixture.WaitUntilAsync(s => IsWhole(s) && s.BlobsRepaired > 0, "all fragments again");
        await CheckAllAsync();
    }

    [Fact]
    public async Task A_policy_that_needs_more_devices_than_there_are_is_refused()
    {
        Assert.Equal(["Policy-0", "ec-2-1", "ec-4-2"], ((IObjectEngine)_fixture.Engine).Policies.Select(policy => policy.Name));
        var failure = await Assert.ThrowsAsync<ObjectEngineException>(
            () => _fixture.PutAsync("none", Bytes(2 << 20), policy: "ec-8-3"));
        Assert.Equal(EngineFailure.Unavailable, failure.Failure);
    }

    [Fact]
    public async Task Fragments_without_a_device_of_their_own_wait_for_one_to_be_added()
    {
        await FillAsync();
        var devices = _fixture.Options.Devices;
        await _fixture.CloseAsync();
        _fixture.Options = _fixture.Options with { Devices = [.. devices.Take(5)] };
        await _fixture.OpenAsync();
        await _fixture.WaitUntilAsync(s => s is { BlobsAtRisk: > 0, BlobsMissing: 0, LastFullCheck: not null } && IsFollowed(devices: 5), "five devices and blobs at risk");
        await CheckAllAsync();

        await _fixture.CloseAsync();
        Directory.Delete(devices[6].Path, recursive: true);
        _fixture.Options = _fixture.Options with { Devices = [.. devices.Take(5), devices[6]] };
        await _fixture.OpenAsync();
        await _fixture.WaitUntilAsync(s => IsWhole(s) && IsFollowed(devices: 6), "six devices and all fragments");
        await CheckAllAsync();
    }

    [Fact]
    public async Task A_drained_device_gives_its_fragments_to_others_before_it_may_be_removed()
    {
        await FillAsync();
        await _fixture.Engine.Ring.SetWeightAsync(3, 0, CancellationToken.None);
        await Assert.ThrowsAsync<ArgumentException>(() => _fixture.Engine.Ring.RemoveAsync(3, CancellationToken.None));

        await _fixture.WaitUntilAsync(
            s => s.Devices[3].LiveBytes == 0 && IsWhole(s) && IsFollowed(devices: 7), "an empty device");
        await _fixture.Engine.Ring.RemoveAsync(3, CancellationToken.None);
        await _fixture.WaitUntilAsync(_ => IsFollowed(devices: 6), "six devices");
        await CheckAllAsync();
    }

    [Fact]
    public void The_oldest_blob_in_hand_is_the_oldest_however_it_is_kept()
    {
        var now = DateTimeOffset.FromUnixTimeMilliseconds(1_800_000_000_000);
        var pins = new BlobPins(TimeProvider.System);
        Assert.Null(pins.OldestUnreferenced());
        pins.Pin(BlobId.New(now.AddSeconds(2), Entropy.System, BlobScheme.Replicated));
        pins.Pin(BlobId.New(now, Entropy.System, BlobScheme.Coded8And3));
        pins.Pin(BlobId.New(now.AddSeconds(1), Entropy.System, BlobScheme.Coded2And1));
        Assert.Equal(now, pins.OldestUnreferenced());
    }

    [Fact]
    public async Task Deleted_objects_leave_no_fragments()
    {
        await FillAsync();
        foreach (var size in Sizes)
        {
            await _fixture.DeleteAsync($"{size}");
        }

        await _fixture.WaitUntilAsync(s => s.BlobsToRemove == 0 && s.Devices.Sum(d => d.LiveBytes) == 0, "no live bytes");
    }

    [Fact]
    public void The_id_of_a_blob_says_how_it_is_kept_and_when_it_was_made()
    {
        var now = DateTimeOffset.FromUnixTimeMilliseconds(1_800_000_000_123);
        foreach (var scheme in Enum.GetValues<BlobScheme>())
        {
            var blob = BlobId.New(now, Entropy.System, scheme);
            Assert.Equal((scheme, now), (blob.Scheme, blob.Created));
        }
    }

    private async Task FillAsync()
    {
        foreach (var size in Sizes)
        {
            await _fixture.PutAsync($"{size}", Bytes(size, seed: size), policy: Policy);
        }
    }

    private async Task CheckAllAsync()
    {
        foreach (var size in Sizes)
        {
            Assert.Equal(Bytes(size, seed: size), await _fixture.GetAsync($"{size}"));
        }
    }

    /// <summary>The ring is as so many devices and their weights ask for.</summary>
    private bool IsFollowed(int devices) => _fixture.Engine.Ring.GetStatus() is { ReplicasToMove: 0 } status && status.Devices.Length == devices;

    private static bool IsWhole(ObjectEngineStatus status) =>
        status is { BlobsAtRisk: 0, BlobsMissing: 0, LastFullCheck: not null }
        && status.Devices.All(d => d.State == DeviceState.Online);
}
