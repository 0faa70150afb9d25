using Nephos.Hypervisor.Instances;

namespace Nephos.Testing.Hypervisor;

/// <summary>Specs to begin from.</summary>
internal static class Specs
{
    public static InstanceSpec Running(int number = 1, int ports = 1, int volumes = 1) => new(
        Id(number), $"instance-{number}", Epoch: 1, Generation: 1, DesiredState.Running, PowerGeneration: 1, RebootNonce: 0, RebootType.Soft, Vcpus: 1,
        MemoryMib: 128, [.. Enumerable.Range(0, ports).Select(index => Port(number, index))],
        [.. Enumerable.Range(0, volumes).Select(index => Volume(number, index))],
        new MachineHints(DiskBus.Virtio, VifModel.Virtio, Rng: true, VideoModel.None), ConfigDrive: false, Metadata());

    public static Guid Id(int number, int kind = 0, int index = 0) => new(number, (short)kind, (short)index, 1, 2, 3, 4, 5, 6, 7, 8);

    public static PortSpec Port(int number, int index) => new(
        Id(number, 1, index), Id(99), $"fa:16:3e:00:{number & 0xff:x2}:{index:x2}", 1450, index,
        [new FixedIp(Id(98), $"10.0.{number & 0xff}.{10 + index}", $"10.0.{number & 0xff}.0/24", $"10.0.{number & 0xff}.1", ["9.9.9.9"],
            [new HostRoute("192.168.0.0/16", $"10.0.{number & 0xff}.254")], Dhcp: true)], Tag: "");

    public static VolumeSpec Volume(int number, int index) =>
        new(Id(number, 2, index), Id(number, 3, index), "token", BootIndex: index, "", ReadOnly: false, Tag: "");

    public static GuestMetadata Metadata() => new(
        "web.example", "p1", "u1", "nova", new Dictionary<string, string> { ["role"] = "web" },
        [new GuestKey("mine", "ssh", "ssh-ed25519 AAAA me@home")], "#!/bin/sh\necho hi\n"u8.ToArray(), [], 0, "r-1", "image-1", "m1.tiny",
        ["default"], [new GuestFile("/etc/motd", "hello"u8.ToArray())]);

    /// <summary>The next wish about the same instance.</summary>
    public static InstanceSpec Next(this InstanceSpec spec, DesiredState? desired = null) => spec with
    {
        Generation = spec.Generation + 1,
        Desired = desired ?? spec.Desired,
        PowerGeneration = desired is null ? spec.PowerGeneration : spec.PowerGeneration + 1,
    };
}
