using Nephos.Hypervisor.Instances;
using Nephos.Hypervisor.Qemu;
using Xunit;

namespace Nephos.Probe.Tests.Hypervisor;

public sealed class AccelerationProbeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("nephos-probe-test").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [QemuFact]
    public async Task The_sector_runs_under_emulation()
    {
        var (runs, reason) = await AccelerationProbe.RunSectorAsync("qemu-system-x86_64", "tcg", _folder, TimeSpan.FromSeconds(30), default);
        Assert.True(runs, reason);
    }

    [QemuFact]
    public async Task A_guest_that_does_not_end_in_time_counts_as_not_running()
    {
        var (runs, reason) = await AccelerationProbe.RunSectorAsync("qemu-system-x86_64", "tcg", _folder, TimeSpan.FromMilliseconds(1), default);
        Assert.False(runs);
        Assert.Contains("did not run within", reason, StringComparison.Ordinal);
    }

    [QemuFact]
    public async Task The_choice_is_kvm_only_when_a_guest_ran_under_it_and_is_remembered()
    {
        var chosen = await AccelerationProbe.RunAsync("qemu-system-x86_64", "auto", _folder, default);
        if (File.Exists("/dev/kvm"))
        {
            var (runs, _) = await AccelerationProbe.RunSectorAsync("qemu-system-x86_64", "kvm", _folder, TimeSpan.FromSeconds(2), default);
            Assert.Equal(runs ? AccelerationKind.Kvm : AccelerationKind.Tcg, chosen.Acceleration);
        }
        else
        {
            Assert.Equal(AccelerationKind.Tcg, chosen.Acceleration);
        }
        Assert.NotEmpty(chosen.AccelerationReason);
        Assert.True(chosen.HypervisorVersion > 2_000_000);
        Assert.Equal(chosen, await AccelerationProbe.RunAsync("qemu-system-x86_64", "auto", _folder, default));
    }

    [Fact]
    public async Task A_missing_program_is_named() => Assert.Contains("install qemu-system-x86", (await Assert.ThrowsAsync<PermanentHypervisorException>(
        () => AccelerationProbe.RunAsync("no-such-qemu", "auto", _folder, default))).Message, StringComparison.Ordinal);
}
