using Nephos.Compute.Flavors;
using Nephos.Compute.Instances;
using Nephos.Compute.Nodes;
using Xunit;

namespace Nephos.Services.Tests.Compute;

/// <summary>The one function that says what clients see of an instance, as a table.</summary>
public sealed class InstanceViewTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 23, 12, 0, 0, TimeSpan.Zero);
    private static readonly Flavor Small = new() { Id = "1", Name = "small", Vcpus = 1, MemoryMib = 512 };

    private static readonly Instance Wanted = new()
    {
        Id = "a0000000-0000-4000-8000-000000000000", ProjectId = "p", UserId = "u", Name = "vm", HostName = "vm", Flavor = Small, ReservationId = "r-1",
        CreatedAt = Now, UpdatedAt = Now, Deadline = Now.AddMinutes(10), Claim = new Claim("node", 1, 512, 0), Epoch = 1, LaunchedAt = Now,
        Disks = [new Disk("d", DiskSource.Image, "i", Hidden: true, 0, 0, DeleteOnTermination: true, "/dev/vda", null, null, Now)],
    };

    private static readonly InstanceParts Made = new()
    {
        InstanceId = Wanted.Id,
        Disks = [new PartDisk("d", 0, "v", Hidden: true, Made: true, Available: true, 0, "attachment", "token", "node", 0, "/dev/vda", null)],
    };

    private static Observation Seen(Power power) => new()
    {
        InstanceId = Wanted.Id, NodeId = "node", Epoch = 1, Power = power, PowerGeneration = 1, FirstRunningAt = Now, Phase = Phase.Settled,
    };

    public static TheoryData<string, object?, object?, bool, string, string?> Table()
    {
        var late = Wanted with { LaunchedAt = null, Deadline = Now.AddSeconds(-1) };
        var running = Seen(Power.Running);
        return new TheoryData<string, object?, object?, bool, string, string?>
        {
            { "not placed", Wanted with { LaunchedAt = null, Claim = null }, null, false, "Build", "scheduling" },
            { "without its disk", Wanted with { LaunchedAt = null, RootNonce = 0, Disks = [Wanted.Disks[0] with { Id = "other" }] }, null, true, "Build", "block_device_mapping" },
            { "everything made", Wanted with { LaunchedAt = null }, null, true, "Build", "spawning" },
            { "not started in time", late, null, true, "Error", null },
            { "started after all", late, running, true, "Active", null },
            { "no place", Wanted with { LaunchedAt = null, Claim = null, Fault = new Fault(500, "No valid host", "", Now) }, null, false, "Error", null },
            { "runs", Wanted, running, true, "Active", null },
            { "host silent", Wanted, running, false, "Unknown", null },
            { "to be stopped", Wanted with { Desired = DesiredState.Stopped }, running, true, "Active", "powering-off" },
            { "stopped", Wanted with { Desired = DesiredState.Stopped }, Seen(Power.Shutdown), true, "Shutoff", null },
            { "to be started", Wanted with { PowerGeneration = 2, Previous = DesiredState.Stopped }, Seen(Power.Shutdown), true, "Shutoff", "powering-on" },
            { "crashed host came back", Wanted, Seen(Power.Shutdown) with { PowerGeneration = 0 }, true, "Shutoff", "powering-on" },
            { "guest switched itself off", Wanted, Seen(Power.Shutdown) with { StoppedByGuest = true }, true, "Shutoff", null },
            { "to be paused", Wanted with { Desired = DesiredState.Paused }, running, true, "Active", "pausing" },
            { "paused", Wanted with { Desired = DesiredState.Paused }, Seen(Power.Paused), true, "Paused", null },
            { "to be unpaused", Wanted, Seen(Power.Paused), true, "Paused", "unpausing" },
            { "to be suspended", Wanted with { Desired = DesiredState.Suspended }, running, true, "Active", "suspending" },
            { "suspended", Wanted with { Desired = DesiredState.Suspended }, Seen(Power.Suspended), true, "Suspended", null },
            { "to be resumed", Wanted with { PowerGeneration = 2 }, Seen(Power.Suspended), true, "Suspended", "resuming" },
            { "soft reboot", Wanted with { RebootNonce = 1 }, running, true, "Reboot", "rebooting" },
            { "hard reboot", Wanted with { RebootNonce = 1, RebootKind = RebootKind.Hard }, running, true, "HardReboot", "rebooting_hard" },
            { "rebooted", Wanted with { RebootNonce = 1 }, running with { RebootNonceDone = 1 }, true, "Active", null },
            { "rebuild without the new disk", Wanted with { RootNonce = 1, PowerGeneration = 2, RootPowerGeneration = 2 }, running, true, "Rebuild", "rebuild_spawning" },
            { "host crashed after a rebuild", Wanted with { RootNonce = 1 }, Seen(Power.Shutdown) with { PowerGeneration = 0 }, true, "Shutoff", "powering-on" },
            { "resize", Wanted with { Resize = Resizing(), RebootNonce = 1 }, running, true, "Resize", "resize_finish" },
            { "resized", Wanted with { Resize = Resizing(), RebootNonce = 1 }, running with { RebootNonceDone = 1 }, true, "VerifyResize", null },
            { "resize to another node", Wanted with { Resize = Resizing(), Epoch = 2 }, null, true, "Resize", "resize_finish" },
            { "resize reverts", Wanted with { Resize = Resizing() with { Step = ResizeStep.Reverting }, RebootNonce = 1 }, running, true, "RevertResize", "resize_reverting" },
            { "resize reverted", Wanted with { Resize = Resizing() with { Step = ResizeStep.Reverting } }, running, true, "Active", null },
            { "to be shelved", Wanted with { Desired = DesiredState.Shelved }, running, true, "Active", "shelving_offloading" },
            { "shelved", Wanted with { Desired = DesiredState.Shelved, Claim = null }, null, false, "ShelvedOffloaded", null },
            { "to be unshelved", Wanted with { Previous = DesiredState.Shelved, Epoch = 2 }, null, true, "ShelvedOffloaded", "spawning" },
            { "permanent error of the node", Wanted, running with { Permanent = true, Error = "no such disk" }, true, "Error", null },
            { "permanent error of a node of before", Wanted with { Epoch = 2, Resize = Resizing() }, running with { Permanent = true }, true, "Resize", "resize_finish" },
            { "to be deleted", Wanted with { Desired = DesiredState.Deleted }, running, true, "Active", "deleting" },
            { "to be deleted while it is built", Wanted with { Desired = DesiredState.Deleted, LaunchedAt = null }, null, true, "Build", "deleting" },
            { "to be deleted with a silent host", Wanted with { Desired = DesiredState.Deleted }, running, false, "Active", "deleting" },
            { "deleted", Wanted with { Desired = DesiredState.Deleted, DeletedAt = Now }, null, false, "Deleted", null },
        };
    }

    [Theory]
    [MemberData(nameof(Table))]
    public void What_clients_see_follows_from_what_is_wanted_and_seen(string when, object? wanted, object? seen, bool nodeUp, string status, string? task)
    {
        var view = InstanceView.Of((Instance)wanted!, Made, (Observation?)seen, nodeUp, Now);

        Assert.True(view.Status.ToString() == status && view.TaskState == task, $"{when}: {view.Status} {view.TaskState ?? "no task"}");
        Assert.Equal(view.Status == InstanceStatus.Error, view.Fault is not null);
    }

    [Fact]
    public void Every_status_and_state_has_a_word()
    {
        Assert.All(Enum.GetValues<InstanceStatus>(), status => Assert.NotEmpty(Wordings.Of(status)));
        Assert.All(Enum.GetValues<VmState>(), state => Assert.NotEmpty(Wordings.Of(state)));
    }

    private static Resize Resizing() => new(ResizeStep.Resizing, Small, new Claim("node", 1, 512, 0), DesiredState.Running, Now);
}
