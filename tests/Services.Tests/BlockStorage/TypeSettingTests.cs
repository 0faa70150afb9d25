using Nephos.BlockStorage.Attachments;
using Nephos.BlockStorage.Messages;
using Nephos.BlockStorage.Operators;
using Nephos.BlockStorage.Qos;
using Nephos.BlockStorage.Quotas;
using Nephos.BlockStorage.Volumes;
using Nephos.Client.Volumes;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.BlockStorage;

/// <summary>QoS specs, retyping, capabilities, defaults, quotas by type, encryption records, services.</summary>
public sealed class TypeSettingTests
{
    private static readonly CancellationToken None = BlockStorageWorld.None;
    private static readonly Dictionary<string, string> NoSpecs = [];

    [Theory]
    [InlineData("total_iops_sec", "500", 3, 500)]
    [InlineData("total_iops_sec_per_gb", "100", 3, 300)]
    [InlineData("read_iops_sec", "500", 3, 0)]
    [InlineData("total_iops_sec_per_gb", "9223372036854775807", 3, long.MaxValue)]
    [InlineData("total_iops_sec", "many", 3, 0)]
    public void Limits_are_read_from_specs(string key, string value, long sizeGib, long iops) =>
        Assert.Equal(new IoLimits(iops, 0), SpecLimits.Of(new Dictionary<string, string> { [key] = value }, sizeGib).Total);

    [Fact]
    public void Reads_and_writes_have_limits_of_their_own_and_bursts()
    {
        var specs = new Dictionary<string, string>
        {
            ["read_iops_sec"] = "10", ["read_iops_sec_max"] = "20", ["write_bytes_sec_per_gb"] = "100", ["write_bytes_sec_max"] = "900", ["total_iops_sec"] = "15",
        };
        Assert.Equal(new VolumeLimits(new IoLimits(15, 0), new IoLimits(10, 0, IopsBurst: 20), new IoLimits(0, 300, BytesBurst: 900)), SpecLimits.Of(specs, 3));
    }

    [Fact]
    public void Of_several_limits_the_lower_holds_and_none_is_no_limit()
    {
        Assert.Equal(new IoLimits(5, 7, 3), new IoLimits(5, 0, 3).And(new IoLimits(9, 7)));
        var specs = new Dictionary<string, string> { ["total_iops_sec"] = "1000", ["total_iops_sec_per_gb"] = "10", ["total_iops_sec_per_gb_min"] = "200" };
        Assert.Equal(200, SpecLimits.Of(specs, 3).Total.Iops);
        Assert.Equal(1000, SpecLimits.Of(specs, 500).Total.Iops);
    }

    [Fact]
    public async Task The_limits_of_an_attached_volume_follow_its_specs_and_its_type()
    {
        await using var world = await BlockStorageWorld.StartAsync();
        var qos = world.Get<QosService>();
        var type = await world.Types.CreateAsync(world.Admin, "fast", null, isPublic: true, NoSpecs, None);
        var specs = await qos.CreateAsync(world.Admin, "q", "front-end", new Dictionary<string, string> { ["total_iops_sec"] = "500" }, None);
        await qos.AssociateAsync(world.Admin, specs.Id, type.Id, None);
        var volume = (await world.CreateAsync(new VolumeWish { Name = "v", SizeBytes = BlockStorageWorld.Gib, VolumeType = "fast" })).Volume;
        var attachment = await world.Attachments.CreateAsync(world.User, new AttachmentWish { VolumeId = volume.Id, Node = "n" }, None);
        Assert.Equal(500, (await world.Attachments.OpenAsync(world.Service, attachment.Id, attachment.Token, "n", 0, None)).Limits.Total.Iops);
        await qos.SetAsync(world.Admin, specs.Id, null, new Dictionary<string, string?> { ["total_iops_sec"] = "100" }, None);
        await qos.CatchUpAsync(None);
        Assert.Equal(100, qos.LimitsOf(volume).Total.Iops);
        await Assert.ThrowsAsync<FaultException>(() => qos.DeleteAsync(world.Admin, specs.Id, force: false, None));
        await qos.DeleteAsync(world.Admin, specs.Id, force: true, None);
        await qos.CatchUpAsync(None);
        Assert.Equal(0, qos.LimitsOf(volume).Total.Iops);
        await Assert.ThrowsAsync<FaultException>(() => qos.ListAsync(world.User, None));
    }

    [Fact]
    public async Task Retyping_moves_what_is_counted_and_keeps_the_content()
    {
        await using var world = await BlockStorageWorld.StartAsync();
        await world.Types.CreateAsync(world.Admin, "fast", null, isPublic: true, NoSpecs, None);
        await world.Quotas.SetAsync(world.Admin, "project-a", new Dictionary<string, long> { ["volumes_fast"] = 1 }, None);
        var (one, two) = ((await world.CreateAsync()).Volume, (await world.CreateAsync()).Volume);
        var view = await world.Volumes.RetypeAsync(world.User, one.Id, "fast", None);
        Assert.Equal(("fast", VolumeStatus.Available, one.DeviceId), (view.VolumeTypeName, view.Status, view.Volume.DeviceId));
        var quota = await world.Quotas.GetAsync(world.User, "project-a", None);
        Assert.Equal((2L, 1L, 1L), (quota["volumes"].Used, quota["volumes_fast"].Used, quota["volumes_standard"].Used));
        var full = await Assert.ThrowsAsync<FaultException>(() => world.Volumes.RetypeAsync(world.User, two.Id, "fast", None));
        Assert.Equal(ErrorReason.QuotaExceeded, full.Reason);
        await Assert.ThrowsAsync<FaultException>(() => world.Volumes.RetypeAsync(world.User, one.Id, "fast", None));
    }

    [Fact]
    public async Task A_type_that_asks_for_what_there_is_not_makes_a_volume_in_error_and_a_message()
    {
        await using var world = await BlockStorageWorld.StartAsync();
        await world.Types.CreateAsync(world.Admin, "odd", null, isPublic: true, new Dictionary<string, string> { ["vendor_name"] = "nobody" }, None);
        var volume = await world.CreateAsync(new VolumeWish { Name = "v", SizeBytes = BlockStorageWorld.Gib, VolumeType = "odd" });
        await world.SettleAsync();
        Assert.Equal(VolumeStatus.Error, (await world.GetAsync(volume.Volume.Id)).Status);
        var message = Assert.Single(await world.Get<MessageLog>().ListAsync(world.User, allProjects: false, None));
        Assert.Equal(volume.Volume.Id, message.ResourceId);
        Assert.Empty(await world.Get<MessageLog>().ListAsync(world.Other, allProjects: false, None));
        world.Time.Advance(TimeSpan.FromDays(31));
        Assert.Equal(1, await world.Get<MessageLog>().ForgetAsync(None));
    }

    [Fact]
    public async Task A_project_has_its_own_default_type_and_the_class_its_own_limits()
    {
        await using var world = await BlockStorageWorld.StartAsync();
        await world.Types.CreateAsync(world.Admin, "fast", null, isPublic: true, NoSpecs, None);
        await world.Types.SetDefaultAsync(world.Admin, "project-a", "fast", None);
        Assert.Equal("fast", (await world.CreateAsync()).VolumeTypeName);
        Assert.Equal("standard", (await world.CreateAsync(operation: world.Other)).VolumeTypeName);
        await world.Quotas.SetClassAsync(world.Admin, QuotaService.DefaultClass, new Dictionary<string, long> { ["volumes"] = 1, ["per_volume_gigabytes"] = 2 }, None);
        await Assert.ThrowsAsync<FaultException>(() => world.CreateAsync());
        var large = await Assert.ThrowsAsync<FaultException>(() => world.CreateAsync(new VolumeWish { SizeBytes = 3 * BlockStorageWorld.Gib }, world.Admin));
        Assert.Contains("per_volume_gigabytes", large.Metadata["resource"], StringComparison.Ordinal);
        await Assert.ThrowsAsync<FaultException>(() => world.Quotas.SetClassAsync(world.Admin, "default", new Dictionary<string, long> { ["volumes_none"] = 1 }, None));
    }

    [Fact]
    public async Task A_device_that_is_switched_off_gets_no_new_volumes()
    {
        await using var world = await BlockStorageWorld.StartAsync();
        var operators = world.Get<OperatorService>();
        var host = OperatorService.HostOf(FakeDevices.Id);
        await operators.SwitchAsync(world.Admin, OperatorService.VolumeBinary, host, disabled: true, "maintenance", None);
        var volume = await world.CreateAsync();
        Assert.Equal(VolumeStatus.Creating, volume.Status);
        await operators.SwitchAsync(world.Admin, OperatorService.VolumeBinary, host, disabled: false, null, None);
        await world.SettleAsync();
        Assert.Equal(VolumeStatus.Available, (await world.GetAsync(volume.Volume.Id)).Status);
        var unknown = await Assert.ThrowsAsync<FaultException>(() => operators.SwitchAsync(world.Admin, "nothing", host, disabled: true, null, None));
        Assert.Equal(ErrorReason.NotFound, unknown.Reason);
    }
}
