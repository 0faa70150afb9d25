using Nephos.BlockStorage.Groups;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.Volumes;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Xunit;

namespace Nephos.Services.Tests.BlockStorage;

public sealed class GroupTests
{
    private static readonly CancellationToken None = BlockStorageWorld.None;

    private static async Task<VolumeGroup> MakeGroupAsync(BlockStorageWorld world)
    {
        var kind = await world.Get<GroupTypeService>().CreateAsync(world.Admin, $"kind-{Guid.NewGuid():n}", null, isPublic: true, new Dictionary<string, string>(), None);
        return (await world.Get<GroupService>().CreateAsync(world.User, new GroupWish { Name = "g", GroupTypeId = kind.Id, VolumeTypes = ["standard"] }, None)).Group;
    }

    private static async Task<Volume> MakeVolumeAsync(BlockStorageWorld world, string groupId) =>
        (await world.CreateAsync(new VolumeWish { Name = "v", SizeBytes = BlockStorageWorld.Gib, GroupId = groupId })).Volume;

    private static async Task<GroupSnapshot> SettleAsync(BlockStorageWorld world, string id)
    {
        for (var round = 0; round < 100; round++)
        {
            await world.Worker.RunSoonAsync(id, None);
            if (await world.Store.GetAsync(GroupSnapshot.Table, id, None) is { IsPending: false } snapshot) return snapshot;
        }
        throw new InvalidOperationException("The group snapshot is still pending.");
    }

    [Fact]
    public async Task A_group_snapshot_freezes_all_volumes_in_one_call_and_makes_another_group()
    {
        await using var world = await BlockStorageWorld.StartAsync();
        var group = await MakeGroupAsync(world);
        var (one, two) = (await MakeVolumeAsync(world, group.Id), await MakeVolumeAsync(world, group.Id));
        world.Devices.Put(one.Id, 0, [1]);
        world.Devices.Put(two.Id, 0, [2]);
        var snapshots = world.Get<GroupSnapshotService>();
        var snapshot = await SettleAsync(world, (await snapshots.CreateAsync(world.User, group.Id, "s", null, None)).Id);
        Assert.Equal("available", snapshot.Status);
        Assert.Single(world.Devices.Calls, call => call == "snapshots");
        world.Devices.Put(one.Id, 0, [9]);
        var parts = await GroupSnapshotService.PartsAsync(world.Store, snapshot.Id, None);
        Assert.All(parts, part => Assert.Equal(SnapshotStatus.Available, part.Status));
        await Assert.ThrowsAsync<FaultException>(() => world.Snapshots.DeleteAsync(world.User, parts[0].Id, None));

        var copy = await world.Get<GroupService>().CopyAsync(world.User, null, snapshot.Id, "copy", null, None);
        await world.SettleAsync();
        var members = (await world.Get<GroupService>().GetAsync(world.User, copy.Group.Id, None)).Members;
        Assert.Equal([1, 2], members.Select(volume => (int)world.Devices.At(volume.Id, 0)![0]).Order());

        await snapshots.DeleteAsync(world.User, snapshot.Id, None);
        for (var round = 0; round < 20 && await world.Store.GetAsync(GroupSnapshot.Table, snapshot.Id, None) is not null; round++) await world.Worker.RunSoonAsync(snapshot.Id, None);
        Assert.Empty(await GroupSnapshotService.PartsAsync(world.Store, snapshot.Id, None));
        Assert.Empty(world.Devices.Snapshots);
    }

    [Fact]
    public async Task A_group_goes_with_its_last_volume_and_is_not_emptied_by_accident()
    {
        await using var world = await BlockStorageWorld.StartAsync();
        var groups = world.Get<GroupService>();
        var group = await MakeGroupAsync(world);
        var volume = await MakeVolumeAsync(world, group.Id);
        await Assert.ThrowsAsync<FaultException>(() => groups.DeleteAsync(world.User, group.Id, withVolumes: false, None));
        await Assert.ThrowsAsync<FaultException>(() => world.Volumes.DeleteAsync(world.User, volume.Id, cascade: false, force: false, None));
        await groups.DeleteAsync(world.User, group.Id, withVolumes: true, None);
        await world.SettleAsync();
        await Assert.ThrowsAsync<FaultException>(() => groups.GetAsync(world.User, group.Id, None));
        Assert.Equal(0, (await world.Quotas.GetAsync(world.User, "project-a", None))["groups"].Used);
        Assert.Empty(world.Devices.Volumes);
    }

    [Fact]
    public async Task Volumes_enter_and_leave_a_group_and_only_those_of_its_types()
    {
        await using var world = await BlockStorageWorld.StartAsync();
        var groups = world.Get<GroupService>();
        var group = await MakeGroupAsync(world);
        var volume = (await world.CreateAsync()).Volume;
        Assert.Single((await groups.UpdateAsync(world.User, group.Id, "renamed", null, [volume.Id], [], None)).Members);
        await Assert.ThrowsAsync<FaultException>(() => groups.UpdateAsync(world.User, group.Id, null, null, [volume.Id], [], None));
        Assert.Empty((await groups.UpdateAsync(world.User, group.Id, null, null, [], [volume.Id], None)).Members);
        await world.Types.CreateAsync(world.Admin, "fast", null, isPublic: true, new Dictionary<string, string>(), None);
        var other = (await world.CreateAsync(new VolumeWish { Name = "f", SizeBytes = BlockStorageWorld.Gib, VolumeType = "fast" })).Volume;
        await Assert.ThrowsAsync<FaultException>(() => groups.UpdateAsync(world.User, group.Id, null, null, [other.Id], [], None));
        await Assert.ThrowsAsync<FaultException>(() => groups.GetAsync(world.Other, group.Id, None));
    }
}
