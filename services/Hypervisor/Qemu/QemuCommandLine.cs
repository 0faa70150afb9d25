using System.Globalization;
using Nephos.Hypervisor.Instances;

namespace Nephos.Hypervisor.Qemu;

/// <summary>The command line of one machine. Pure.</summary>
internal static class QemuCommandLine
{
    /// <summary>Files of a machine: sockets and the pid file go with the process, the rest stays.</summary>
    internal sealed record Paths(string Runtime, string State)
    {
        public string Pid => Path.Combine(Runtime, "pid");
        public string Qmp => Path.Combine(Runtime, "qmp");
        /// <summary>A second monitor: the first one serves one client, the agent.</summary>
        public string RescueQmp => Path.Combine(Runtime, "qmp2");
        public string Serial => Path.Combine(Runtime, "serial");
        public string Vnc => Path.Combine(Runtime, "vnc");
        public string MemorySocket => Path.Combine(Runtime, "memory");
        public string Console => Path.Combine(State, "console.log");
        public string ConfigDrive => Path.Combine(State, "config.iso");
        public string Saved => Path.Combine(State, "memory.saved");
        public string Slots => Path.Combine(State, "slots.json");
    }

    /// <summary>What a process is called: it says by itself whose it is and for which wish it was started.</summary>
    public static string Name(Guid instanceId, LaunchMark mark) =>
        string.Create(CultureInfo.InvariantCulture, $"{NamePrefix(instanceId)}e{mark.Epoch}:p{mark.PowerGeneration}:r{mark.RebootNonce}");

    public static string NamePrefix(Guid instanceId) => $"nephos:{instanceId:D}:";

    public static bool TryParseName(string name, out Guid instanceId, out LaunchMark mark)
    {
        mark = default;
        instanceId = default;
        var parts = name.Split(':');
        if (parts is not ["nephos", var id, ['e', .. var epoch], ['p', .. var power], ['r', .. var reboot]]
            || !Guid.TryParseExact(id, "D", out instanceId)
            || !long.TryParse(epoch, CultureInfo.InvariantCulture, out var e)
            || !long.TryParse(power, CultureInfo.InvariantCulture, out var p)
            || !long.TryParse(reboot, CultureInfo.InvariantCulture, out var r))
        {
            return false;
        }
        mark = new LaunchMark(e, p, r);
        return true;
    }

    public static List<string> Build(
        LaunchPlan plan, Paths paths, string machineType, AccelerationKind acceleration, int translationCacheMib, Func<VolumeSpec, int> slotOf)
    {
        var spec = plan.Spec;
        var kvm = acceleration == AccelerationKind.Kvm;
        List<string> line =
        [
            "-name", $"guest={Name(spec.Id, spec.Mark)},process=nephos-vm",
            "-uuid", spec.Id.ToString(),
            "-S", "-no-shutdown", "-nodefaults", "-no-user-config", "-display", "none",
            "-sandbox", "on,obsolete=deny,resourcecontrol=deny",
            "-daemonize", "-pidfile", paths.Pid,
            "-machine", machineType,
            "-accel", kvm ? "kvm" : $"tcg,tb-size={translationCacheMib.ToString(CultureInfo.InvariantCulture)}",
            "-cpu", kvm ? "host" : "max",
            "-smp", spec.Vcpus.ToString(CultureInfo.InvariantCulture),
            "-m", spec.MemoryMib.ToString(CultureInfo.InvariantCulture),
            "-rtc", "base=utc",
            "-smbios", $"type=1,manufacturer=Nephos,product=OpenStack Nova,uuid={spec.Id}",
            "-chardev", $"socket,id=qmp,path={paths.Qmp},server=on,wait=off", "-mon", "chardev=qmp,mode=control",
            "-chardev", $"socket,id=qmp2,path={paths.RescueQmp},server=on,wait=off", "-mon", "chardev=qmp2,mode=control",
            "-chardev", $"socket,id=serial,path={paths.Serial},server=on,wait=off,logfile={Escape(paths.Console)},logappend=on",
            "-serial", "chardev:serial",
            "-vnc", $"unix:{paths.Vnc}",
        ];
        if (plan.Restore)
        {
            line.AddRange(["-incoming", "defer"]);
        }
        switch (spec.Hints.Video)
        {
            case VideoModel.Vga:
                line.AddRange(["-device", "VGA,addr=0x2"]);
                break;
            case VideoModel.Virtio:
                line.AddRange(["-device", "virtio-vga,addr=0x2"]);
                break;
            default:
                break;
        }
        if (spec.Hints.Rng)
        {
            line.AddRange(["-device", "virtio-rng-pci,addr=0x3"]);
        }
        if (spec.Hints.DiskBus == DiskBus.Scsi)
        {
            line.AddRange(["-device", "virtio-scsi-pci,id=scsi0,addr=0x4"]);
        }
        var bootOrder = 0;
        foreach (var endpoint in InBootOrder(plan.Volumes))
        {
            line.AddRange(["-blockdev", QemuDevices.BlockNode(endpoint).ToJsonString()]);
            var disk = QemuDevices.Disk(
                endpoint.Volume, spec.Hints.DiskBus, slotOf(endpoint.Volume), endpoint.Volume.BootIndex >= 0 ? ++bootOrder : 0);
            line.AddRange(["-device", disk.ToJsonString()]);
        }
        if (plan.ConfigDrive is not null)
        {
            line.AddRange(
            [
                "-blockdev", $"driver=file,node-name=config,filename={Escape(paths.ConfigDrive)},read-only=on,auto-read-only=off",
                "-device", "ide-cd,drive=config,id=config-drive,bus=ide.1,unit=1",
            ]);
        }
        return line;
    }

    /// <summary>Boot disks first, by their index; then as the devices are called; then as listed.</summary>
    public static IEnumerable<VolumeEndpoint> InBootOrder(IEnumerable<VolumeEndpoint> volumes) => volumes
        .OrderBy(endpoint => endpoint.Volume.BootIndex < 0 ? int.MaxValue : endpoint.Volume.BootIndex)
        .ThenBy(endpoint => endpoint.Volume.DeviceHint.Length).ThenBy(endpoint => endpoint.Volume.DeviceHint, StringComparer.Ordinal);

    /// <summary>A comma separates options; doubled it stands for itself.</summary>
    private static string Escape(string path) => path.Replace(",", ",,", StringComparison.Ordinal);
}
