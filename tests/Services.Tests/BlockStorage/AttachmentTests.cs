using Nephos.BlockStorage.Attachments;
using Nephos.BlockStorage.Volumes;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Xunit;
using static Nephos.Services.Tests.BlockStorage.BlockStorageWorld;
using static Nephos.Services.Tests.BlockStorage.VolumeTests;

namespace Nephos.Services.Tests.BlockStorage;

public sealed class AttachmentTests
{
    [Fact]
    public async Task The_status_follows_an_attachment_from_its_making_to_its_end()
    {
        await using var world = await StartAsync();
        var id = (await world.CreateAsync()).Volume.Id;
        var attachment = await world.Attachments.CreateAsync(world.User, new() { VolumeId = id, InstanceId = "i", Node = "node-1", Device = "/dev/vdb" }, None);
        Assert.Equal(VolumeStatus.Attaching, (await world.GetAsync(id)).Status);
        Assert.Contains("node-1", (await world.GetAsync(id)).Reason, StringComparison.Ordinal);
        var opened = await world.Attachments.OpenAsync(world.Service, attachment.Id, attachment.Token, "node-1", 0, None);
        Assert.Equal((1L, FakeDevices.Id, $"{attachment.Id}.{attachment.Token}"), (opened.Volume.Epoch, opened.Volume.DeviceId, opened.ExportName));
        Assert.Equal(VolumeStatus.InUse, (await world.GetAsync(id)).Status);
        await world.Attachments.SetDetachingAsync(world.User, id, detaching: true, None);
        Assert.Equal(VolumeStatus.Detaching, (await world.GetAsync(id)).Status);
        await world.Attachments.DeleteAsync(world.User, attachment.Id, None);
        Assert.Equal(VolumeStatus.Available, (await world.GetAsync(id)).Status);
        Assert.Equal(2, world.Devices.EpochOf(id));
        await world.Attachments.DeleteAsync(world.User, attachment.Id, None);
    }

    [Fact]
    public async Task Each_open_raises_the_epoch_and_needs_the_token_and_the_node()
    {
        await using var world = await StartAsync();
        var id = (await world.CreateAsync()).Volume.Id;
        var attachment = await world.Attachments.CreateAsync(world.Service, new() { VolumeId = id, Node = "node-1" }, None);
        Assert.Equal(64, attachment.Token.Length);
        Assert.Equal(ErrorReason.NotFound, (await Refused(world.Attachments.OpenAsync(world.Service, attachment.Id, "wrong", "node-1", 0, None))).Reason);
        Assert.Equal(ErrorReason.NotFound, (await Refused(world.Attachments.OpenAsync(world.Service, "other", attachment.Token, "node-1", 0, None))).Reason);
        Assert.Equal(ErrorReason.Conflict, (await Refused(world.Attachments.OpenAsync(world.Service, attachment.Id, attachment.Token, "node-2", 0, None))).Reason);
        Assert.Equal(ErrorReason.Forbidden, (await Refused(world.Attachments.OpenAsync(world.User, attachment.Id, attachment.Token, "node-1", 0, None))).Reason);
        Assert.Equal(1, (await world.Attachments.OpenAsync(world.Service, attachment.Id, attachment.Token, "node-1", 0, None)).Volume.Epoch);
        Assert.Equal(2, (await world.Attachments.OpenAsync(world.Service, attachment.Id, attachment.Token, "node-1", 0, None)).Volume.Epoch);
        await world.Attachments.UpdateAsync(world.Service, attachment.Id, "node-2", null, null, null, None);
        Assert.Equal(VolumeStatus.Attaching, (await world.GetAsync(id)).Status);
        Assert.Equal(3, (await world.Attachments.OpenAsync(world.Service, attachment.Id, attachment.Token, "node-2", 0, None)).Volume.Epoch);
    }

    [Fact]
    public async Task Only_one_of_many_can_take_a_volume()
    {
        await using var world = await StartAsync();
        var id = (await world.CreateAsync()).Volume.Id;
        var results = await Task.WhenAll(Enumerable.Range(0, 6).Select(async i =>
        {
            try
            {
                return await world.Attachments.CreateAsync(world.User, new() { VolumeId = id, InstanceId = $"i{i}" }, None);
            }
            catch (FaultException fault)
            {
                Assert.Equal(ErrorReason.Conflict, fault.Reason);
                return null;
            }
        }));
        Assert.Single(results, attachment => attachment is not null);
    }

    [Fact]
    public async Task The_same_key_answers_the_same_attachment_with_its_token()
    {
        await using var world = await StartAsync();
        var id = (await world.CreateAsync()).Volume.Id;
        var wish = new AttachmentWish { VolumeId = id, InstanceId = "i", IdempotencyKey = "k" };
        var (first, second) = (await world.Attachments.CreateAsync(world.User, wish, None), await world.Attachments.CreateAsync(world.User, wish, None));
        Assert.Equal((first.Id, first.Token), (second.Id, second.Token));
    }

    [Fact]
    public async Task Detaching_succeeds_with_the_device_gone_and_is_sealed_when_it_is_back()
    {
        await using var world = await StartAsync();
        var id = (await world.CreateAsync()).Volume.Id;
        var attachment = await world.Attachments.CreateAsync(world.User, new() { VolumeId = id, Node = "dead" }, None);
        await world.Attachments.OpenAsync(world.Service, attachment.Id, attachment.Token, "dead", 0, None);
        world.Devices.Before = _ => throw Faults.Unavailable("The storage node does not answer.");
        await world.Attachments.DeleteAsync(world.User, attachment.Id, None);
        var next = await world.Attachments.CreateAsync(world.User, new() { VolumeId = id, Node = "alive" }, None);
        // Whoever opens next has a higher epoch than the dead node, sealed or not.
        Assert.Equal(3, (await world.Attachments.OpenAsync(world.Service, next.Id, next.Token, "alive", 0, None)).Volume.Epoch);
        Assert.Equal(0, world.Devices.EpochOf(id));
        world.Devices.Before = null;
        await world.SettleAsync();
        Assert.Equal(3, world.Devices.EpochOf(id));
        Assert.Equal(ErrorReason.NotFound, (await Refused(world.Attachments.OpenAsync(world.Service, attachment.Id, attachment.Token, "dead", 0, None))).Reason);
    }

    [Fact]
    public async Task Transitions_end_by_themselves_when_nobody_goes_on()
    {
        await using var world = await StartAsync();
        var id = (await world.CreateAsync()).Volume.Id;
        await world.Volumes.ReserveAsync(world.User, id, None);
        Assert.Equal(VolumeStatus.Attaching, (await world.GetAsync(id)).Status);
        Assert.Equal(ErrorReason.Conflict, (await Refused(world.Volumes.ReserveAsync(world.User, id, None))).Reason);
        world.Time.Advance(TimeSpan.FromMinutes(11));
        Assert.Equal(VolumeStatus.Available, (await world.GetAsync(id)).Status);
        await world.Volumes.ReserveAsync(world.User, id, None);
        var attachment = await world.Attachments.CreateAsync(world.User, new() { VolumeId = id, InstanceId = "i" }, None);
        await world.Attachments.CompleteAsync(world.User, attachment.Id, None);
        await world.Attachments.SetDetachingAsync(world.User, id, detaching: true, None);
        world.Time.Advance(TimeSpan.FromMinutes(6));
        Assert.Equal(VolumeStatus.InUse, (await world.GetAsync(id)).Status);
    }

    [Fact]
    public async Task A_read_only_volume_is_attached_read_only_and_a_type_brings_its_limits()
    {
        await using var world = await StartAsync();
        await world.Types.CreateAsync(world.Admin, "slow", null, true, new Dictionary<string, string> { ["nephos:iops"] = "50" }, None);
        var id = (await world.CreateAsync(new VolumeWish { SizeBytes = Gib, VolumeType = "slow" })).Volume.Id;
        await world.Volumes.UpdateAsync(world.User, id, volume => volume with { ReadOnlyFlag = true }, None);
        var attachment = await world.Attachments.CreateAsync(world.User, new() { VolumeId = id }, None);
        var opened = await world.Attachments.OpenAsync(world.Service, attachment.Id, attachment.Token, "n", 0, None);
        Assert.Equal((true, 50L, 0L), (opened.Attachment.ReadOnly, opened.Limits.Total.Iops, opened.Limits.Total.BytesPerSecond));
    }
}
