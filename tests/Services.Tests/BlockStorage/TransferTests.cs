using Nephos.BlockStorage;
using Nephos.BlockStorage.Quotas;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.Transfers;
using Nephos.BlockStorage.Volumes;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.BlockStorage;

public sealed class TransferTests
{
    private static readonly CancellationToken None = BlockStorageWorld.None;

    private static async Task<long> UsedAsync(BlockStorageWorld world, string project, string resource) =>
        (await world.Quotas.GetAsync(world.Admin, project, None))[resource].Used;

    [Fact]
    public async Task Accepting_moves_the_volume_its_snapshots_and_their_quota()
    {
        await using var world = await BlockStorageWorld.StartAsync();
        var transfers = world.Get<TransferService>();
        var volume = (await world.CreateAsync()).Volume;
        var snapshot = await world.Snapshots.CreateAsync(world.User, new SnapshotWish { VolumeId = volume.Id }, wait: true, None);
        var (transfer, key) = await transfers.CreateAsync(world.User, volume.Id, "t", withoutSnapshots: false, None);
        Assert.Equal(VolumeStatus.AwaitingTransfer, (await world.GetAsync(volume.Id)).Status);
        await Assert.ThrowsAsync<FaultException>(() => world.Volumes.DeleteAsync(world.User, volume.Id, cascade: true, force: false, None));
        var wrong = await Assert.ThrowsAsync<FaultException>(() => transfers.AcceptAsync(world.Other, transfer.Id, key + "0", None));
        Assert.Equal(ErrorReason.InvalidArgument, wrong.Reason);
        await transfers.AcceptAsync(world.Other, transfer.Id, key, None);
        Assert.Equal("project-b", (await world.GetAsync(volume.Id)).Volume.ProjectId);
        Assert.Equal(VolumeStatus.Available, (await world.GetAsync(volume.Id)).Status);
        Assert.Equal("project-b", (await world.Snapshots.GetAsync(world.Other, snapshot.Id, None)).ProjectId);
        Assert.Equal((0L, 0L), (await UsedAsync(world, "project-a", QuotaResources.Volumes), await UsedAsync(world, "project-a", QuotaResources.Gigabytes)));
        Assert.Equal((1L, 2L), (await UsedAsync(world, "project-b", QuotaResources.Volumes), await UsedAsync(world, "project-b", QuotaResources.Gigabytes)));
        await Assert.ThrowsAsync<FaultException>(() => transfers.AcceptAsync(world.Other, transfer.Id, key, None));
    }

    [Fact]
    public async Task A_project_without_room_does_not_get_it_and_an_offer_can_be_taken_back()
    {
        await using var world = await BlockStorageWorld.StartAsync(new BlockStorageOptions { QuotaVolumes = 1 });
        var transfers = world.Get<TransferService>();
        var volume = (await world.CreateAsync()).Volume;
        await world.CreateAsync(operation: world.Other);
        var (transfer, key) = await transfers.CreateAsync(world.User, volume.Id, "t", withoutSnapshots: false, None);
        var full = await Assert.ThrowsAsync<FaultException>(() => transfers.AcceptAsync(world.Other, transfer.Id, key, None));
        Assert.Equal(ErrorReason.QuotaExceeded, full.Reason);
        Assert.Equal(1, await UsedAsync(world, "project-a", QuotaResources.Volumes));
        await Assert.ThrowsAsync<FaultException>(() => transfers.DeleteAsync(world.Other, transfer.Id, None));
        await transfers.DeleteAsync(world.User, transfer.Id, None);
        Assert.Equal(VolumeStatus.Available, (await world.GetAsync(volume.Id)).Status);
    }
}
