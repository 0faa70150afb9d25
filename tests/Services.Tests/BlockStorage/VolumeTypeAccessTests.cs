using Nephos.BlockStorage.Volumes;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Xunit;
using static Nephos.Services.Tests.BlockStorage.BlockStorageWorld;

namespace Nephos.Services.Tests.BlockStorage;

public sealed class VolumeTypeAccessTests
{
    [Fact]
    public async Task A_private_type_is_there_for_the_projects_it_is_given_to_only()
    {
        await using var world = await StartAsync();
        var type = await world.Types.CreateAsync(world.Admin, "fast", null, isPublic: false, new Dictionary<string, string>(), None);
        var wish = new VolumeWish { SizeBytes = Gib, VolumeType = "fast" };
        Assert.Equal(ErrorReason.NotFound, (await Assert.ThrowsAsync<FaultException>(() => world.CreateAsync(wish, world.User))).Reason);
        await world.Types.SetAccessAsync(world.Admin, type.Id, "project-a", allowed: true, None);
        Assert.Equal(ErrorReason.AlreadyExists, (await Assert.ThrowsAsync<FaultException>(() => world.Types.SetAccessAsync(world.Admin, type.Id, "project-a", allowed: true, None))).Reason);
        Assert.Equal("fast", (await world.CreateAsync(wish, world.User)).VolumeTypeName);
        Assert.Equal(ErrorReason.NotFound, (await Assert.ThrowsAsync<FaultException>(() => world.CreateAsync(wish, world.Other))).Reason);
        await world.Types.SetAccessAsync(world.Admin, type.Id, "project-a", allowed: false, None);
        Assert.Equal(ErrorReason.NotFound, (await Assert.ThrowsAsync<FaultException>(() => world.Types.GetAsync(world.User, type.Id, None))).Reason);
        await Assert.ThrowsAsync<FaultException>(() => world.Types.SetAccessAsync(world.User, type.Id, "project-a", allowed: true, None));
    }

    [Fact]
    public async Task A_status_set_by_an_administrator_is_shown_until_it_is_reset_to_the_facts()
    {
        await using var world = await StartAsync();
        var volume = (await world.CreateAsync(new VolumeWish { SizeBytes = Gib })).Volume;
        await world.Volumes.ResetStatusAsync(world.Admin, volume.Id, "maintenance", None);
        Assert.Equal(VolumeStatus.Maintenance, (await world.GetAsync(volume.Id)).Status);
        await Assert.ThrowsAsync<FaultException>(() => world.Volumes.ReserveAsync(world.User, volume.Id, None));
        await Assert.ThrowsAsync<FaultException>(() => world.Volumes.ResetStatusAsync(world.User, volume.Id, "available", None));
        await Assert.ThrowsAsync<FaultException>(() => world.Volumes.ResetStatusAsync(world.Admin, volume.Id, "nonsense", None));
        await world.Volumes.ResetStatusAsync(world.Admin, volume.Id, "available", None);
        Assert.Equal(VolumeStatus.Available, (await world.GetAsync(volume.Id)).Status);
    }
}
