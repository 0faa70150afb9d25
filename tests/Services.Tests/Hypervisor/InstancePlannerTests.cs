using Nephos.Hypervisor.Instances;
using Nephos.Testing.Hypervisor;
using Xunit;

namespace Nephos.Services.Tests.Hypervisor;

/// <summary>The table of decisions that are easy to get wrong.</summary>
public sealed class InstancePlannerTests
{
    private static readonly InstanceSpec Spec = Specs.Running(ports: 0, volumes: 1);
    private static readonly Guid Volume = Spec.Volumes[0].AttachmentId;

    private static readonly (DesiredState Desired, RunState State, StepKind Expected)[] Present =
    [
        (DesiredState.Running, RunState.Held, StepKind.Continue),
        (DesiredState.Running, RunState.Running, StepKind.Settled),
        (DesiredState.Running, RunState.Paused, StepKind.Continue),
        (DesiredState.Running, RunState.DiskFailed, StepKind.Continue),
        (DesiredState.Running, RunState.Restoring, StepKind.Restore),
        (DesiredState.Running, RunState.Moving, StepKind.Wait),
        (DesiredState.Running, RunState.Shutdown, StepKind.Settled),
        (DesiredState.Running, RunState.Crashed, StepKind.Settled),
        (DesiredState.Paused, RunState.Held, StepKind.Settled),
        (DesiredState.Paused, RunState.Running, StepKind.Pause),
        (DesiredState.Paused, RunState.DiskFailed, StepKind.Settled),
        (DesiredState.Stopped, RunState.Running, StepKind.PressPowerButton),
        (DesiredState.Stopped, RunState.Paused, StepKind.Kill),
        (DesiredState.Stopped, RunState.Held, StepKind.Kill),
        (DesiredState.Stopped, RunState.Shutdown, StepKind.Kill),
        (DesiredState.Stopped, RunState.Crashed, StepKind.Kill),
        (DesiredState.Suspended, RunState.Running, StepKind.Save),
        (DesiredState.Suspended, RunState.Paused, StepKind.Save),
        (DesiredState.Suspended, RunState.Moving, StepKind.Wait),
        (DesiredState.Suspended, RunState.Held, StepKind.Kill),
        (DesiredState.Suspended, RunState.Shutdown, StepKind.Kill),
        (DesiredState.Deleted, RunState.Running, StepKind.Kill),
        (DesiredState.Deleted, RunState.Moving, StepKind.Kill),
    ];

    [Fact]
    public void Each_wish_about_a_machine_in_each_state_has_its_step() => Assert.All(
        Present, row => Assert.Equal(row.Expected, Next(Spec with { Desired = row.Desired }, View(row.State)).Kind));

    [Fact]
    public void A_failed_disk_is_tried_again_after_a_while_not_at_once()
    {
        var soon = InstancePlanner.Next(Spec, View(RunState.DiskFailed), Local() with { Now = TimeSpan.FromSeconds(11), ContinuedAt = TimeSpan.FromSeconds(10) });
        Assert.Equal((StepKind.Wait, TimeSpan.FromSeconds(4)), (soon.Kind, soon.Delay));
        var later = InstancePlanner.Next(Spec, View(RunState.DiskFailed), Local() with { Now = TimeSpan.FromSeconds(15), ContinuedAt = TimeSpan.FromSeconds(10) });
        Assert.Equal(StepKind.Continue, later.Kind);
    }

    [Fact]
    public void A_process_of_a_newer_placement_is_not_touched()
    {
        foreach (var desired in Enum.GetValues<DesiredState>())
        {
            Assert.Equal(StepKind.Fail, Next(Spec with { Desired = desired }, View(RunState.Running) with { Mark = new LaunchMark(2, 1, 0) }).Kind);
        }
    }

    [Fact]
    public void A_guest_that_was_asked_is_given_its_time_then_ended()
    {
        var stop = Spec with { Desired = DesiredState.Stopped };
        var asked = Local() with { PowerButtonSince = TimeSpan.FromSeconds(10), PowerButtonLast = TimeSpan.FromSeconds(10) };
        Assert.Equal(StepKind.Wait, InstancePlanner.Next(stop, View(RunState.Running), asked with { Now = TimeSpan.FromSeconds(11) }).Kind);
        Assert.Equal(StepKind.PressPowerButton, InstancePlanner.Next(stop, View(RunState.Running), asked with { Now = TimeSpan.FromSeconds(14) }).Kind);
        Assert.Equal(StepKind.Kill, InstancePlanner.Next(stop, View(RunState.Running), asked with { Now = TimeSpan.FromSeconds(40) }).Kind);
    }

    [Fact]
    public void Restored_memory_is_thrown_away_before_the_CPU_runs() =>
        Assert.Equal(StepKind.DiscardSaved, Next(Spec, View(RunState.Paused) with { Saved = true }).Kind);

    [Fact]
    public void A_device_that_the_guest_keeps_does_not_hold_up_the_rest()
    {
        var other = Specs.Volume(1, 7).AttachmentId;
        var view = View(RunState.Held) with { Volumes = new Dictionary<Guid, bool> { [Volume] = true, [other] = true } };
        var kept = Local() with { DetachNotBefore = new Dictionary<Guid, TimeSpan> { [other] = TimeSpan.FromSeconds(5) } };
        Assert.Equal(StepKind.Continue, InstancePlanner.Next(Spec, view, kept).Kind);
        Assert.Equal(StepKind.Wait, InstancePlanner.Next(Spec, view with { State = RunState.Running }, kept).Kind);
        Assert.Equal(StepKind.DetachVolume, InstancePlanner.Next(Spec, view, kept with { Now = TimeSpan.FromSeconds(6) }).Kind);
    }

    [Fact]
    public void A_halted_node_ends_what_runs_and_starts_nothing()
    {
        var halted = Spec with { Halted = true };
        Assert.Equal(StepKind.PressPowerButton, Next(halted, View(RunState.Running)).Kind);
        Assert.Equal(StepKind.CloseVolume, Next(halted, MachineView.Absent(saved: false, files: true, 0)).Kind);
        Assert.Equal(StepKind.Settled, InstancePlanner.Next(halted, MachineView.Absent(false, true, 0), Local() with { OpenVolumes = [] }).Kind);
    }

    private static Step Next(InstanceSpec spec, MachineView view) => InstancePlanner.Next(spec, view, Local());

    private static MachineView View(RunState state) => new(
        Sighting.Present, Spec.Mark, state, new Dictionary<Guid, bool> { [Volume] = true }, new Dictionary<Guid, PortView>(), null, Saved: false,
        Files: true, 0, "");

    private static LocalView Local() =>
        new([Volume], TimeSpan.Zero, null, null, null, TimeSpan.FromSeconds(30), new Dictionary<Guid, TimeSpan>());
}
