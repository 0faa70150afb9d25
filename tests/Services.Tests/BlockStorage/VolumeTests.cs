using Nephos.BlockStorage;
using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Images;
using Nephos.BlockStorage.Quotas;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.Volumes;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;
using Xunit;
using static Nephos.Services.Tests.BlockStorage.BlockStorageWorld;

namespace Nephos.Services.Tests.BlockStorage;

public sealed class VolumeTests
{
    private static readonly Dictionary<string, string> NoProperties = [];
    [Fact]
    public async Task A_blank_volume_is_available_when_the_call_is_answered()
    {
        await using var world = await StartAsync();
        var view = await world.CreateAsync(new VolumeWish { Name = "data", SizeBytes = 3 * Gib, Metadata = [new("a", "b")] });
        Assert.Equal((VolumeStatus.Available, 3L, "standard", "project-a"), (view.Status, view.Volume.SizeGib, view.VolumeTypeName, view.Volume.ProjectId));
        Assert.Equal(3 * Gib, world.Devices.SizeOf(view.Volume.Id));
        Assert.Equal("b", view.Volume.Metadata["a"]);
        Assert.False(view.Volume.Bootable);
    }

    [Fact]
    public async Task A_volume_of_an_image_stands_on_one_layer_that_is_filled_once()
    {
        await using var world = await StartAsync();
        var image = world.Images.Add("project-a", Gib - 100, new BlockChunk(0, new byte[] { 1, 2, 3, 4 }.Concat(new byte[4092]).ToArray()), new BlockChunk(8192, new byte[5000]));
        var first = await world.CreateAsync(new VolumeWish { ImageId = image });
        var second = await world.CreateAsync(new VolumeWish { ImageId = image, SizeBytes = 5 * Gib });
        Assert.Equal((VolumeStatus.Available, VolumeStatus.Available), (first.Status, second.Status));
        Assert.Equal((1L, 5L), (first.Volume.SizeGib, second.Volume.SizeGib));
        Assert.Equal(1, world.Images.Reads);
        Assert.Equal([1, 2, 3, 4], world.Devices.At(second.Volume.Id, 0)![..4]);
        // The end of the disk is filled up to whole blocks.
        Assert.Equal(8192, world.Devices.At(second.Volume.Id, 8192)!.Length);
        Assert.True(first.Volume.Bootable);
        Assert.Equal(("linux", "virtio", image), (first.Volume.ImageMetadata["image_name"], first.Volume.ImageMetadata["hw_disk_bus"], first.Volume.ImageMetadata["image_id"]));
        Assert.DoesNotContain(image, world.Devices.Volumes);
    }

    [Fact]
    public async Task The_layer_of_an_image_that_is_gone_is_given_up_and_its_volumes_stay()
    {
        await using var world = await StartAsync();
        var image = world.Images.Add("project-a", Gib, new BlockChunk(0, new byte[4096]));
        var volume = await world.CreateAsync(new VolumeWish { ImageId = image });
        Assert.Equal(0, await world.Get<ImageLayers>().RemoveUnneededAsync(None));
        world.Images.Remove(image);
        Assert.Equal(1, await world.Get<ImageLayers>().RemoveUnneededAsync(None));
        Assert.Empty(world.Devices.Snapshots);
        Assert.Equal(VolumeStatus.Available, (await world.GetAsync(volume.Volume.Id)).Status);
    }

    [Fact]
    public async Task A_clone_has_the_content_of_its_source_and_leaves_no_snapshot_behind()
    {
        await using var world = await StartAsync();
        var source = await world.CreateAsync();
        world.Devices.Put(source.Volume.Id, 0, [7]);
        var clone = await world.CreateAsync(new VolumeWish { VolumeId = source.Volume.Id });
        world.Devices.Put(source.Volume.Id, 0, [8]);
        Assert.Equal((VolumeStatus.Available, Gib), (clone.Status, clone.Volume.SizeBytes));
        Assert.Equal([7], world.Devices.At(clone.Volume.Id, 0));
        Assert.Empty(world.Devices.Snapshots);
    }

    [Fact]
    public async Task A_volume_of_a_snapshot_and_a_revert_bring_the_old_content_back()
    {
        await using var world = await StartAsync();
        var volume = await world.CreateAsync();
        world.Devices.Put(volume.Volume.Id, 0, [1]);
        var snapshot = await world.Snapshots.CreateAsync(world.User, new SnapshotWish { VolumeId = volume.Volume.Id, Name = "s" }, wait: true, None);
        Assert.Equal(SnapshotStatus.Available, snapshot.Status);
        world.Devices.Put(volume.Volume.Id, 0, [2]);
        var copy = await world.CreateAsync(new VolumeWish { SnapshotId = snapshot.Id, SizeBytes = 2 * Gib });
        Assert.Equal([1], world.Devices.At(copy.Volume.Id, 0));
        Assert.Equal(2, copy.Volume.SizeGib);
        var reverted = await world.Volumes.RevertAsync(world.User, volume.Volume.Id, snapshot.Id, None);
        Assert.Equal(VolumeStatus.Available, reverted.Status);
        Assert.Equal([1], world.Devices.At(volume.Volume.Id, 0));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-Gib)]
    [InlineData(Gib + 1)]
    [InlineData(long.MaxValue)]
    public async Task Sizes_that_are_not_whole_gibibytes_in_bounds_are_refused(long size)
    {
        await using var world = await StartAsync();
        Assert.Equal(ErrorReason.InvalidArgument, (await Refused(world.CreateAsync(new VolumeWish { SizeBytes = size }))).Reason);
        Assert.Empty(await world.Volumes.ListAsync(world.User, new VolumeFilter(), None));
    }

    [Fact]
    public async Task What_a_caller_names_must_exist_and_be_visible()
    {
        await using var world = await StartAsync();
        var foreign = await world.CreateAsync(operation: world.Other);
        var foreignImage = world.Images.Add("project-b", Gib);
        foreach (var wish in new VolumeWish[]
        {
            new() { SizeBytes = Gib, ImageId = Ids.NewUuid() }, new() { SizeBytes = Gib, ImageId = foreignImage }, new() { SizeBytes = Gib, SnapshotId = "no-id" },
            new() { SizeBytes = Gib, VolumeId = foreign.Volume.Id }, new() { SizeBytes = Gib, VolumeType = "nothing" },
        })
        {
            Assert.Equal(ErrorReason.NotFound, (await Refused(world.CreateAsync(wish))).Reason);
        }
        Assert.Equal(ErrorReason.InvalidArgument, (await Refused(world.CreateAsync(new VolumeWish { SizeBytes = Gib, AvailabilityZone = "moon" }))).Reason);
        Assert.Equal(ErrorReason.InvalidArgument, (await Refused(world.CreateAsync(new VolumeWish { SizeBytes = Gib, Name = new string('x', 256) }))).Reason);
        Assert.Equal(ErrorReason.NotFound, (await Refused(world.Volumes.GetAsync(world.User, foreign.Volume.Id, None))).Reason);
        Assert.Equal(ErrorReason.NotFound, (await Refused(world.Volumes.DeleteAsync(world.User, foreign.Volume.Id, false, false, None))).Reason);
        Assert.Equal(ErrorReason.NotFound, (await Refused(world.Volumes.ExtendAsync(world.User, foreign.Volume.Id, 9 * Gib, false, None))).Reason);
        Assert.Equal(ErrorReason.NotFound, (await Refused(world.Attachments.CreateAsync(world.User, new() { VolumeId = foreign.Volume.Id }, None))).Reason);
        Assert.Equal(ErrorReason.NotFound, (await Refused(world.Snapshots.CreateAsync(world.User, new() { VolumeId = foreign.Volume.Id }, true, None))).Reason);
    }

    [Fact]
    public async Task A_source_larger_than_the_volume_is_refused()
    {
        await using var world = await StartAsync();
        var big = await world.CreateAsync(new VolumeWish { SizeBytes = 3 * Gib });
        Assert.Equal(ErrorReason.InvalidArgument, (await Refused(world.CreateAsync(new VolumeWish { VolumeId = big.Volume.Id, SizeBytes = Gib }))).Reason);
        var image = world.Images.Add("project-a", 2 * Gib);
        Assert.Equal(ErrorReason.InvalidArgument, (await Refused(world.CreateAsync(new VolumeWish { ImageId = image, SizeBytes = Gib }))).Reason);
    }

    [Fact]
    public async Task The_quota_is_kept_exactly_also_when_many_ask_at_once()
    {
        await using var world = await StartAsync(new BlockStorageOptions { QuotaVolumes = 3, QuotaGigabytes = 100 });
        var tries = await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            try
            {
                await world.CreateAsync();
                return true;
            }
            catch (FaultException fault)
            {
                Assert.Equal(ErrorReason.QuotaExceeded, fault.Reason);
                return false;
            }
        }));
        Assert.Equal(3, tries.Count(made => made));
        var quota = await world.Quotas.GetAsync(world.User, "project-a", None);
        Assert.Equal((3L, 3L), (quota[QuotaResources.Volumes].Used, quota[QuotaResources.Gigabytes].Used));
        await world.CreateAsync(operation: world.Other);
        var mine = await world.Volumes.ListAsync(world.User, new VolumeFilter(), None);
        await world.Volumes.DeleteAsync(world.User, mine[0].Volume.Id, false, false, None);
        await world.SettleAsync();
        Assert.Equal(2, (await world.Quotas.GetAsync(world.User, "project-a", None))[QuotaResources.Volumes].Used);
    }

    [Fact]
    public async Task Gigabytes_are_counted_for_volumes_snapshots_and_growth()
    {
        await using var world = await StartAsync(new BlockStorageOptions { QuotaGigabytes = 10 });
        var volume = await world.CreateAsync(new VolumeWish { SizeBytes = 4 * Gib });
        await world.Snapshots.CreateAsync(world.User, new SnapshotWish { VolumeId = volume.Volume.Id }, true, None);
        Assert.Equal(ErrorReason.QuotaExceeded, (await Refused(world.Volumes.ExtendAsync(world.User, volume.Volume.Id, 7 * Gib, false, None))).Reason);
        var grown = await world.Volumes.ExtendAsync(world.User, volume.Volume.Id, 6 * Gib, false, None);
        Assert.Equal((VolumeStatus.Available, 6 * Gib), (grown.Status, world.Devices.SizeOf(volume.Volume.Id)));
        Assert.Equal(10, (await world.Quotas.GetAsync(world.User, "project-a", None))[QuotaResources.Gigabytes].Used);
        Assert.Equal(ErrorReason.InvalidArgument, (await Refused(world.Volumes.ExtendAsync(world.User, volume.Volume.Id, 6 * Gib, false, None))).Reason);
    }

    [Fact]
    public async Task Hidden_volumes_are_of_instances_and_of_nobody_else()
    {
        await using var world = await StartAsync(new BlockStorageOptions { QuotaVolumes = 0 });
        var wish = new VolumeWish { SizeBytes = Gib, Hidden = true, OwnerInstanceId = "instance-1", ProjectId = "project-a" };
        Assert.Equal(ErrorReason.Forbidden, (await Refused(world.CreateAsync(wish))).Reason);
        var hidden = await world.CreateAsync(wish, world.Service);
        Assert.Equal("project-a", hidden.Volume.ProjectId);
        Assert.Empty(await world.Volumes.ListAsync(world.User, new VolumeFilter(), None));
        Assert.Equal(ErrorReason.NotFound, (await Refused(world.Volumes.GetAsync(world.User, hidden.Volume.Id, None))).Reason);
        var owned = await world.Volumes.ListAsync(
            world.Service, new VolumeFilter { AllProjects = true, IncludeHidden = true, OwnerInstanceId = "instance-1" }, None);
        Assert.Equal([hidden.Volume.Id], owned.Select(view => view.Volume.Id));
        await world.Attachments.CreateAsync(world.Service, new() { VolumeId = hidden.Volume.Id, InstanceId = "instance-1", Node = "n" }, None);
        await world.Volumes.DeleteAsync(world.Service, hidden.Volume.Id, false, false, None);
        await world.SettleAsync();
        Assert.Empty(world.Devices.Volumes);
    }

    [Fact]
    public async Task The_same_idempotency_key_answers_the_same_volume()
    {
        await using var world = await StartAsync();
        var wish = new VolumeWish { SizeBytes = Gib, IdempotencyKey = "k" };
        var made = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => world.CreateAsync(wish)));
        Assert.Single(made.Select(view => view.Volume.Id).Distinct());
        Assert.NotEqual(made[0].Volume.Id, (await world.CreateAsync(wish, world.Other)).Volume.Id);
        Assert.Equal(1, (await world.Quotas.GetAsync(world.User, "project-a", None))[QuotaResources.Volumes].Used);
    }

    [Fact]
    public async Task Deleting_a_volume_with_snapshots_or_attachments_is_refused_unless_asked_for()
    {
        await using var world = await StartAsync();
        var volume = await world.CreateAsync();
        var id = volume.Volume.Id;
        await world.Snapshots.CreateAsync(world.User, new SnapshotWish { VolumeId = id }, true, None);
        Assert.Equal(ErrorReason.Conflict, (await Refused(world.Volumes.DeleteAsync(world.User, id, cascade: false, force: false, None))).Reason);
        await world.Attachments.CreateAsync(world.User, new() { VolumeId = id, InstanceId = "i" }, None);
        Assert.Equal(ErrorReason.Conflict, (await Refused(world.Volumes.DeleteAsync(world.User, id, cascade: true, force: false, None))).Reason);
        Assert.Equal(ErrorReason.Forbidden, (await Refused(world.Volumes.DeleteAsync(world.User, id, cascade: true, force: true, None))).Reason);
        await world.Volumes.DeleteAsync(world.Admin, id, cascade: true, force: true, None);
        await world.SettleAsync();
        Assert.Empty(world.Devices.Volumes);
        Assert.Empty(world.Devices.Snapshots);
        Assert.Empty(await world.Attachments.ListAsync(world.Admin, null, null, null, allProjects: true, None));
        var quota = await world.Quotas.GetAsync(world.User, "project-a", None);
        Assert.Equal((0L, 0L, 0L), (quota[QuotaResources.Volumes].Used, quota[QuotaResources.Gigabytes].Used, quota[QuotaResources.Snapshots].Used));
    }

    [Fact]
    public async Task An_upload_writes_the_content_as_it_was_and_lets_the_volume_go()
    {
        await using var world = await StartAsync();
        var volume = await world.CreateAsync();
        world.Devices.Put(volume.Volume.Id, 4096, [3, 3]);
        var (image, _) = await world.Volumes.UploadAsync(world.User, volume.Volume.Id, new VolumeUpload("", "img", "raw", "bare"), NoProperties, "private", false, false, None);
        await world.SettleAsync();
        Assert.Equal((Gib, 4096L), (world.Images.Uploads[image].Size, world.Images.Uploads[image].Chunks.Single().Offset));
        Assert.Equal(VolumeStatus.Available, (await world.GetAsync(volume.Volume.Id)).Status);
        Assert.Empty(world.Devices.Snapshots);
    }

    [Fact]
    public async Task The_same_image_again_is_the_same_upload()
    {
        await using var world = await StartAsync();
        var volume = await world.CreateAsync();
        var wanted = new VolumeUpload(Kernel.Ids.NewUuid(), "img", "qcow2", "bare");
        var (image, _) = await world.Volumes.UploadAsync(world.User, volume.Volume.Id, wanted, NoProperties, "private", false, false, None);
        await world.Volumes.UploadAsync(world.User, volume.Volume.Id, wanted, NoProperties, "private", false, false, None);
        await world.SettleAsync();
        await world.Volumes.UploadAsync(world.User, volume.Volume.Id, wanted, NoProperties, "private", false, false, None);
        Assert.Equal(wanted.ImageId, image);
        Assert.Equal(image, Assert.Single(world.Images.Uploads).Key);
        Assert.Equal(VolumeStatus.Available, (await world.GetAsync(volume.Volume.Id)).Status);
    }

    [Fact]
    public async Task A_volume_whose_image_is_there_already_gives_the_next_image_without_a_refusal()
    {
        await using var world = await StartAsync();
        var disk = await world.CreateAsync();
        world.Devices.Before = call =>
        {
            if (call == "delete-snapshot") throw Faults.Unavailable("not now");
        };
        var (first, _) = await UploadAsync();
        await world.SettleAsync();
        Assert.Contains(first, world.Images.Uploads.Keys);
        Assert.Equal(VolumeStatus.Uploading, (await world.GetAsync(disk.Volume.Id)).Status);

        world.Devices.Before = null;
        var (second, _) = await UploadAsync();
        await world.SettleAsync();
        Assert.Contains(second, world.Images.Uploads.Keys);

        Task<(string ImageId, VolumeView View)> UploadAsync() => world.Volumes.UploadAsync(
            world.User, disk.Volume.Id, new VolumeUpload("", "img", "raw", "bare"), NoProperties, "private", false, false, None);
    }

    [Fact]
    public async Task A_volume_whose_image_cannot_be_made_or_filled_is_free_again_and_no_image_is_left()
    {
        await using var world = await StartAsync();
        var volume = await world.CreateAsync();
        var wanted = new VolumeUpload("", "img", "raw", "bare");
        world.Images.CreateFault = () => throw new FaultException(ErrorReason.QuotaExceeded, "no more images");
        await Refused(world.Volumes.UploadAsync(world.User, volume.Volume.Id, wanted, NoProperties, "private", false, false, None));
        Assert.Equal(VolumeStatus.Available, (await world.GetAsync(volume.Volume.Id)).Status);

        world.Images.CreateFault = null;
        world.Images.UploadFault = () => throw new FaultException(ErrorReason.QuotaExceeded, "no more bytes");
        var (image, _) = await world.Volumes.UploadAsync(world.User, volume.Volume.Id, wanted, NoProperties, "private", false, false, None);
        await world.SettleAsync();
        Assert.Equal(VolumeStatus.Available, (await world.GetAsync(volume.Volume.Id)).Status);
        Assert.False(await world.Images.ExistsAsync(image, None));
        Assert.Empty(world.Devices.Snapshots);
    }

    [Fact]
    public async Task A_volume_whose_image_was_deleted_meanwhile_is_free_at_once()
    {
        await using var world = await StartAsync();
        var volume = await world.CreateAsync();
        world.Images.UploadFault = () => throw Faults.Unavailable("not now");
        var (image, _) = await world.Volumes.UploadAsync(
            world.User, volume.Volume.Id, new VolumeUpload("", "img", "raw", "bare"), NoProperties, "private", false, false, None);
        world.Images.Remove(image);
        await world.SettleAsync();
        Assert.Equal(VolumeStatus.Available, (await world.GetAsync(volume.Volume.Id)).Status);
        Assert.Empty(world.Devices.Snapshots);
    }

    [Fact]
    public async Task A_volume_that_is_deleted_while_it_is_uploaded_fills_its_image_first()
    {
        await using var world = await StartAsync();
        var volume = await world.CreateAsync();
        world.Images.UploadFault = () => throw Faults.Unavailable("not now");
        var (image, _) = await world.Volumes.UploadAsync(
            world.User, volume.Volume.Id, new VolumeUpload("", "img", "raw", "bare"), NoProperties, "private", false, false, None);
        await world.Volumes.DeleteAsync(world.Admin, volume.Volume.Id, cascade: false, force: true, None);
        world.Images.UploadFault = null;
        await world.SettleAsync();
        Assert.Contains(image, world.Images.Uploads.Keys);
        Assert.Empty(world.Devices.Volumes);
        Assert.Empty(world.Devices.Snapshots);
    }

    [Fact]
    public async Task Every_step_may_fail_before_or_after_it_was_done_and_a_later_pass_goes_on()
    {
        // The number of the call that fails goes up until a run has no failure left.
        foreach (var afterwards in new[] { false, true })
        {
            for (var failing = 0; failing < 30; failing++)
            {
                await using var world = await StartAsync();
                var image = world.Images.Add("project-a", Gib, new BlockChunk(0, new byte[4096]), new BlockChunk(1 << 20, new byte[4096]));
                var count = 0;
                var failed = false;
                Action<string> fault = _ =>
                {
                    if (count++ != failing) return;
                    failed = true;
                    throw Faults.Unavailable("cut");
                };
                if (afterwards) world.Devices.After = fault;
                else world.Devices.Before = fault;
                var root = await world.CreateAsync(new VolumeWish { ImageId = image });
                await world.SettleAsync();
                var clone = await world.CreateAsync(new VolumeWish { VolumeId = root.Volume.Id, SizeBytes = 2 * Gib });
                await world.SettleAsync();
                var snapshot = await world.Snapshots.CreateAsync(world.User, new SnapshotWish { VolumeId = clone.Volume.Id }, true, None);
                await world.SettleAsync();
                await world.Volumes.ExtendAsync(world.User, clone.Volume.Id, 3 * Gib, false, None);
                await world.SettleAsync();
                await world.Volumes.RevertAsync(world.User, clone.Volume.Id, snapshot.Id, None);
                await world.SettleAsync();
                Assert.Equal(VolumeStatus.Available, (await world.GetAsync(clone.Volume.Id)).Status);
                Assert.Equal(3 * Gib, world.Devices.SizeOf(clone.Volume.Id));
                await world.Volumes.DeleteAsync(world.User, clone.Volume.Id, cascade: true, force: false, None);
                await world.Volumes.DeleteAsync(world.User, root.Volume.Id, cascade: true, force: false, None);
                await world.SettleAsync();
                Assert.Empty(world.Devices.Volumes);
                Assert.Equal([image], world.Devices.Snapshots);
                Assert.Equal(0, (await world.Quotas.GetAsync(world.User, "project-a", None))[QuotaResources.Gigabytes].Used);
                if (!failed) break;
                Assert.True(failing < 29, "There is no end to the calls.");
            }
        }
    }

    [Fact]
    public async Task What_can_never_be_made_ends_in_error_with_the_reason_and_can_be_deleted()
    {
        await using var world = await StartAsync();
        world.Devices.Before = name =>
        {
            if (name == "create") throw new FaultException(ErrorReason.StorageFull, "The block device is full.");
        };
        var volume = await world.CreateAsync();
        Assert.Equal((VolumeStatus.Error, "The block device is full."), (volume.Status, volume.Reason));
        world.Devices.Before = null;
        await world.Volumes.DeleteAsync(world.User, volume.Volume.Id, false, false, None);
        await world.SettleAsync();
        Assert.Equal(ErrorReason.NotFound, (await Refused(world.GetAsync(volume.Volume.Id))).Reason);
    }

    [Fact]
    public async Task Readers_may_look_and_not_touch()
    {
        await using var world = await StartAsync();
        var volume = await world.CreateAsync();
        var reader = world.User with { Roles = System.Collections.Frozen.FrozenSet.ToFrozenSet(["reader"]) };
        Assert.Equal(volume.Volume.Id, (await world.Volumes.GetAsync(reader, volume.Volume.Id, None)).Volume.Id);
        Assert.Equal(ErrorReason.Forbidden, (await Refused(world.CreateAsync(operation: reader))).Reason);
        Assert.Equal(ErrorReason.Forbidden, (await Refused(world.Volumes.DeleteAsync(reader, volume.Volume.Id, false, false, None))).Reason);
        Assert.Equal(ErrorReason.Forbidden, (await Refused(world.Attachments.CreateAsync(reader, new() { VolumeId = volume.Volume.Id }, None))).Reason);
    }

    internal static async Task<FaultException> Refused(Task task) => await Assert.ThrowsAsync<FaultException>(() => task);
}
