using Nephos.BlockStorage.Attachments;
using Nephos.BlockStorage.Volumes;
using Nephos.BlockStorage.VolumeTypes;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Xunit;
using static Nephos.Services.Tests.BlockStorage.BlockStorageWorld;
using static Nephos.Services.Tests.BlockStorage.VolumeTests;

namespace Nephos.Services.Tests.BlockStorage;

/// <summary>Volumes of a type that several instances may have at once.</summary>
public sealed class MultiattachTests
{
    private static async Task<string> CreateAsync(BlockStorageWorld world)
    {
        await world.Types.CreateAsync(
            world.Admin, "shared", null, isPublic: true, new Dictionary<string, string> { [VolumeType.MultiattachSpec] = VolumeType.SpecTrue }, None);
        var volume = (await world.CreateAsync(new VolumeWish { Name = "v", SizeBytes = Gib, VolumeType = "shared" })).Volume;
        Assert.True(volume.Multiattach);
        return volume.Id;
    }

    private static Task<Attachment> AttachAsync(BlockStorageWorld world, string volume, string instance) =>
        world.Attachments.CreateAsync(world.User, new AttachmentWish { VolumeId = volume, InstanceId = instance, Node = "node-1" }, None);

    private static Task<OpenedAttachment> OpenAsync(BlockStorageWorld world, Attachment attachment, long headEpoch, string node = "node-1") =>
        world.Attachments.OpenAsync(world.Service, attachment.Id, attachment.Token, node, headEpoch, None);

    [Fact]
    public async Task Several_instances_have_it_by_one_head_and_the_end_of_one_leaves_the_others()
    {
        await using var world = await StartAsync();
        var id = await CreateAsync(world);
        var (one, two) = (await AttachAsync(world, id, "i1"), await AttachAsync(world, id, "i2"));
        Assert.NotEqual(one.Token, two.Token);
        var epoch = (await OpenAsync(world, one, headEpoch: 0)).Volume.Epoch;
        Assert.Equal(epoch, (await OpenAsync(world, two, epoch)).Volume.Epoch);
        Assert.Equal(VolumeStatus.InUse, (await world.GetAsync(id)).Status);

        await world.Attachments.UpdateAsync(world.User, one.Id, null, null, null, detaching: true, None);
        Assert.Equal(VolumeStatus.InUse, (await world.GetAsync(id)).Status);
        await world.Attachments.DeleteAsync(world.User, one.Id, None);
        Assert.Equal((VolumeStatus.InUse, epoch), ((await world.GetAsync(id)).Status, (await world.GetAsync(id)).Volume.Epoch));
        // The last one is fenced, as ever.
        await world.Attachments.DeleteAsync(world.User, two.Id, None);
        Assert.Equal((VolumeStatus.Available, epoch + 1), ((await world.GetAsync(id)).Status, (await world.GetAsync(id)).Volume.Epoch));
        Assert.Equal(epoch + 1, world.Devices.EpochOf(id));
    }

    [Fact]
    public async Task A_node_that_has_lost_its_head_fences_it_and_the_others_join_the_new_one()
    {
        await using var world = await StartAsync();
        var id = await CreateAsync(world);
        var (one, two) = (await AttachAsync(world, id, "i1"), await AttachAsync(world, id, "i2"));
        var epoch = (await OpenAsync(world, one, headEpoch: 0)).Volume.Epoch;
        await OpenAsync(world, two, epoch);
        // The agent begins anew: it has no head, whoever comes first makes one.
        Assert.Equal(epoch + 1, (await OpenAsync(world, two, headEpoch: 0)).Volume.Epoch);
        Assert.Equal(epoch + 1, (await OpenAsync(world, one, epoch + 1)).Volume.Epoch);
        // A head of an old epoch is nothing to be joined.
        Assert.Equal(epoch + 2, (await OpenAsync(world, one, epoch)).Volume.Epoch);
        Assert.Equal(ErrorReason.Conflict, (await Refused(OpenAsync(world, await AttachElsewhereAsync(world, id), 0, "node-2"))).Reason);
    }

    private static Task<Attachment> AttachElsewhereAsync(BlockStorageWorld world, string id) =>
        world.Attachments.CreateAsync(world.User, new AttachmentWish { VolumeId = id, InstanceId = "i3", Node = "node-2" }, None);

    [Fact]
    public async Task An_instance_has_it_once_and_a_volume_of_another_type_has_one_instance()
    {
        await using var world = await StartAsync();
        var id = await CreateAsync(world);
        await AttachAsync(world, id, "i1");
        Assert.Equal(ErrorReason.Conflict, (await Refused(AttachAsync(world, id, "i1"))).Reason);
        await AttachAsync(world, id, "i2");
        var plain = (await world.CreateAsync()).Volume;
        Assert.False(plain.Multiattach);
        await AttachAsync(world, plain.Id, "i1");
        Assert.Equal(ErrorReason.Conflict, (await Refused(AttachAsync(world, plain.Id, "i2"))).Reason);
    }

    [Fact]
    public async Task A_volume_in_use_does_not_become_one_for_several_or_the_other_way_round()
    {
        await using var world = await StartAsync();
        var id = await CreateAsync(world);
        var attachment = await AttachAsync(world, id, "i1");
        await OpenAsync(world, attachment, headEpoch: 0);
        Assert.Equal(ErrorReason.InvalidArgument, (await Refused(world.Volumes.RetypeAsync(world.User, id, "standard", None))).Reason);
        await world.Attachments.DeleteAsync(world.User, attachment.Id, None);
        Assert.False((await world.Volumes.RetypeAsync(world.User, id, "standard", None)).Volume.Multiattach);
    }
}
