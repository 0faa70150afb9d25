using System.Text;
using System.Text.Json;
using CsCheck;
using Nephos.Hypervisor.Instances;
using Nephos.Hypervisor.Qemu;
using Nephos.Testing.Hypervisor;
using Xunit;

namespace Nephos.Services.Tests.Hypervisor;

public sealed class QemuPiecesTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("nephos-pieces-test").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_name_says_whose_process_it_is_and_for_which_wish() =>
        Gen.Select(Gen.Guid, Gen.Long[0, long.MaxValue], Gen.Long[0, long.MaxValue], Gen.Long[0, long.MaxValue]).Sample((id, epoch, power, reboot) =>
        {
            var mark = new LaunchMark(epoch, power, reboot);
            Assert.True(QemuCommandLine.TryParseName(QemuCommandLine.Name(id, mark), out var parsedId, out var parsed));
            Assert.Equal((id, mark), (parsedId, parsed));
        });

    [Theory]
    [InlineData("")]
    [InlineData("vm1")]
    [InlineData("nephos:x:e1:p1:r1")]
    [InlineData("nephos:00000001-0000-0000-0102-030405060708:e1:p1")]
    [InlineData("nephos:00000001-0000-0000-0102-030405060708:e1:p1:rx")]
    public void Other_names_are_not_ours(string name) => Assert.False(QemuCommandLine.TryParseName(name, out _, out _));

    [Fact]
    public void Names_of_devices_and_nodes_are_short_enough_and_lead_back() => Gen.Guid.Sample(id =>
    {
        Assert.True(QemuDevices.VolumeNode(id).Length <= 31);
        Assert.True(QemuDevices.TryVolumeNode(QemuDevices.VolumeNode(id), out var node) && node == id);
        Assert.True(QemuDevices.TryVolume(QemuDevices.VolumeDevice(id), out var volume) && volume == id);
        Assert.True(QemuDevices.TryPort(QemuDevices.PortDevice(id), out var port) && port == id);
        Assert.True(QemuDevices.TryNetdev(QemuDevices.Netdev(id), out var card) && card == id);
        Assert.False(QemuDevices.TryPort(QemuDevices.VolumeDevice(id), out _));
    });

    [Fact]
    public void Boot_disks_come_first_and_others_by_their_names()
    {
        VolumeEndpoint Of(int index, int boot, string hint) =>
            new(Specs.Volume(1, index) with { BootIndex = boot, DeviceHint = hint }, "s", "e");
        var ordered = QemuCommandLine.InBootOrder([Of(0, -1, "/dev/vdaa"), Of(1, -1, "/dev/vdc"), Of(2, 1, ""), Of(3, 0, "/dev/vda"), Of(4, -1, "/dev/vdb")]);
        Assert.Equal([3, 2, 4, 1, 0], ordered.Select(endpoint => (int)endpoint.Volume.AttachmentId.ToByteArray()[6]));
    }

    [Fact]
    public void The_command_line_holds_the_cpu_and_names_the_wish()
    {
        var spec = Specs.Running();
        var plan = new LaunchPlan(spec, [new VolumeEndpoint(spec.Volumes[0], "/run/s,ock", "export")], ConfigDrive: [1], Restore: true);
        var line = QemuCommandLine.Build(plan, new("/run/x", "/state,dir"), "pc-i440fx-7.2", AccelerationKind.Tcg, 64, _ => 5);
        Assert.Contains("-S", line);
        Assert.Contains($"guest={QemuCommandLine.Name(spec.Id, spec.Mark)},process=nephos-vm", line);
        Assert.Contains("tcg,tb-size=64", line);
        Assert.Equal("defer", line[line.IndexOf("-incoming") + 1]);
        // A comma in a path must not begin another option.
        Assert.Contains(line, argument => argument.Contains("filename=/state,,dir/config.iso", StringComparison.Ordinal));
        Assert.Contains(line, argument => argument.Contains("\"path\":\"/run/s,ock\"", StringComparison.Ordinal));
        Assert.Contains(line, argument => argument.Contains("\"werror\":\"stop\"", StringComparison.Ordinal));
    }

    [Fact]
    public void Slots_are_kept_given_back_and_run_out()
    {
        var slots = new SlotMap(Path.Combine(_folder, "slots.json"));
        Assert.Equal(5, slots.Take("a"));
        Assert.Equal(6, slots.Take("b"));
        Assert.Equal(5, new SlotMap(Path.Combine(_folder, "slots.json")).Take("a"));
        slots.Release("a");
        Assert.Equal(5, slots.Take("c"));
        slots.KeepOnly(new HashSet<string> { "c" });
        Assert.Equal(6, slots.Take("d"));
        for (var slot = 7; slot <= 30; slot++)
        {
            slots.Take($"more{slot}");
        }
        Assert.Throws<PermanentHypervisorException>(() => slots.Take("one too many"));
    }

    [Fact]
    public void User_networking_gives_the_ports_own_address_and_disturbs_no_other()
    {
        var netdev = QemuDevices.UserNetdev(Specs.Port(1, 0));
        Assert.Equal("10.0.1.0/24", netdev["net"]!.GetValue<string>());
        Assert.Equal("10.0.1.10", netdev["dhcpstart"]!.GetValue<string>());
        Assert.Equal("10.0.1.1", netdev["host"]!.GetValue<string>());
        Assert.Equal("10.0.1.254", netdev["dns"]!.GetValue<string>());
    }

    [Fact]
    public void User_networking_forwards_ssh_at_a_loopback_address_of_the_port()
    {
        var port = Specs.Port(1, 0) with { Id = new Guid("01234567-89ab-7def-8123-456789abfdff") };
        Assert.Equal("127.172.253.2:2222", QemuDevices.SshForward(port.Id).ToString());
        Assert.Equal("tcp:127.172.253.2:2222-:22", QemuDevices.UserNetdev(port)["hostfwd"]![0]!["str"]!.GetValue<string>());
    }

    [Fact]
    public void A_console_that_grew_is_moved_aside_and_still_read()
    {
        var path = Path.Combine(_folder, "console.log");
        File.WriteAllText(path, "old 1\nold 2\n");
        ConsoleLog.Rotate(path, bytesMax: 100);
        Assert.Equal(12, ConsoleLog.Length(path));
        ConsoleLog.Rotate(path, bytesMax: 5);
        Assert.Equal(0, ConsoleLog.Length(path));
        File.AppendAllText(path, "new\n");
        Assert.Equal("old 2\nnew\n", Encoding.UTF8.GetString(ConsoleLog.Read(path, lineCount: 2)));
        Assert.Empty(ConsoleLog.Read(Path.Combine(_folder, "nothing"), lineCount: 2));
    }

    [Fact]
    public void A_spec_is_stored_whole_and_a_torn_one_is_as_good_as_none()
    {
        var store = new InstanceStore(_folder);
        var spec = Specs.Running(ports: 2, volumes: 2) with { Leaving = [Specs.Volume(9, 9)] };
        store.Save(spec);
        var loaded = store.TryLoad(spec.Id)!;
        static string Text(InstanceSpec one) => JsonSerializer.Serialize(one, InstanceJson.Default.InstanceSpec);
        Assert.Equal(Text(spec), Text(loaded));
        Assert.Equal(spec.Metadata.UserData, loaded.Metadata.UserData);
        Assert.Equal(spec.Mark, loaded.Mark);
        var file = Path.Combine(store.Folder(spec.Id), "spec.json");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        File.WriteAllBytes(file, File.ReadAllBytes(file)[..50]);
        Assert.Null(store.TryLoad(spec.Id));
    }
}
