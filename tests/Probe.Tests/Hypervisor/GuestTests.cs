using System.Diagnostics;
using System.Text;
using Nephos.Hypervisor.Instances;
using Nephos.Testing.Hypervisor;
using Xunit;
using Xunit.Abstractions;

namespace Nephos.Probe.Tests.Hypervisor;

/// <summary>A real guest, booted from its disk by the BIOS, on emulated processors and without any rights.</summary>
public sealed class GuestTests(ITestOutputHelper output) : IAsyncLifetime
{
    private static readonly TimeSpan BootPatience = TimeSpan.FromMinutes(3);
    private readonly QemuNode _node = new(
        volume => volume.BootIndex == 0 ? GuestFactAttribute.Image : null,
        options => options.ShutdownTimeout = TimeSpan.FromMinutes(1));

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _node.DisposeAsync();

    [GuestFact]
    public async Task A_guest_boots_takes_its_identity_and_a_disk_and_switches_itself_off()
    {
        var key = Path.Combine(_node.Folder, "key");
        Run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key);
        var spec = Specs.Running(ports: 1, volumes: 1);
        spec = spec with
        {
            Metadata = spec.Metadata with
            {
                Keys = [new GuestKey("test", "ssh", File.ReadAllText(key + ".pub").Trim())],
                UserData = "#!/bin/sh\necho \"user data ran on $(hostname)\"\n"u8.ToArray(),
            },
        };
        _node.Agent.Apply(spec);
        var clock = Stopwatch.StartNew();
        var status = await _node.SettledAsync(spec);
        output.WriteLine($"CPU allowed to run after {clock.ElapsedMilliseconds} ms");
        var console = await ConsoleAsync(spec, "web login:");
        output.WriteLine($"login after {clock.ElapsedMilliseconds} ms");
        output.WriteLine(string.Join('\n', console.Split('\n').Where(line => line.StartsWith("guest:", StringComparison.Ordinal))));
        Assert.Contains("user data ran on web", console, StringComparison.Ordinal);
        Assert.Contains($"config drive: instance {spec.Id}, host name web, 1 keys", console, StringComparison.Ordinal);

        var forward = Assert.Single(status.Ports).Forward.Split(':');
        string Ssh(string command) => Run("ssh",
            "-i", key, "-p", forward[1], "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
            "-o", "BatchMode=yes", "-o", "ConnectTimeout=30", $"root@{forward[0]}", command);
        Assert.Contains("10.0.1.10/24", Ssh("ip -4 address show"), StringComparison.Ordinal);

        var extra = Specs.Volume(1, 5);
        spec = spec.Next() with { Volumes = [.. spec.Volumes, extra with { BootIndex = -1 }] };
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        Assert.Equal(extra.VolumeId.ToString()[..20], Ssh("for i in 1 2 3 4 5 6 7 8 9; do [ -b /dev/vdb ] && break; sleep 1; done; cat /sys/block/vdb/serial").Trim());
        Ssh("mkfs.ext4 -q /dev/vdb && mkdir -p /mnt/v && mount /dev/vdb /mnt/v && echo kept > /mnt/v/file && umount /mnt/v");

        // The agent is killed and comes back; the guest does not notice, not even its disks.
        await _node.RestartAsync();
        await _node.SettledAsync(spec);
        Assert.Equal("kept", Ssh("mount /dev/vdb /mnt/v && cat /mnt/v/file && umount /mnt/v").Trim());

        spec = spec.Next() with { Volumes = [spec.Volumes[0]] };
        _node.Agent.Apply(spec);
        Assert.Single((await _node.SettledAsync(spec)).Volumes);
        Assert.Equal("gone", Ssh("[ -b /dev/vdb ] && echo there || echo gone").Trim());

        Ssh("echo in memory > /run/note");
        spec = spec.Next(DesiredState.Suspended);
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        spec = spec.Next(DesiredState.Running);
        _node.Agent.Apply(spec);
        status = await _node.SettledAsync(spec);
        forward = Assert.Single(status.Ports).Forward.Split(':');
        Assert.Equal("in memory", Ssh("cat /run/note").Trim());

        spec = spec.Next(DesiredState.Stopped);
        clock.Restart();
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        output.WriteLine($"off after {clock.ElapsedMilliseconds} ms");
        Assert.Contains("guest: going down", Encoding.UTF8.GetString(await _node.Hypervisor.ReadConsoleAsync(spec.Id, 0, default)), StringComparison.Ordinal);
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(50));
    }

    private async Task<string> ConsoleAsync(InstanceSpec spec, string text)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            var console = Encoding.UTF8.GetString(await _node.Hypervisor.ReadConsoleAsync(spec.Id, 0, default));
            if (console.Contains(text, StringComparison.Ordinal))
            {
                return console;
            }
            if (clock.Elapsed > BootPatience)
            {
                throw new TimeoutException($"the console does not say '{text}': {console}");
            }
            await Task.Delay(50);
        }
    }

    private static string Run(string tool, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(tool, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var text = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? text.Result : throw new IOException($"{tool} ended with {process.ExitCode}: {errors}");
    }
}

/// <summary>A fact about a booted guest; skipped by name where the guest's image was not built.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class GuestFactAttribute : FactAttribute
{
    public GuestFactAttribute()
    {
        Skip = new QemuFactAttribute().Skip
            ?? (QemuFactAttribute.Find("ssh") is null ? "ssh not found: install openssh-client" : null)
            ?? (File.Exists(Image) ? null : $"no guest image: tools/build-guest-image {Image}");
    }

    public static string Image { get; } = Environment.GetEnvironmentVariable("NEPHOS_GUEST_IMAGE") is { Length: > 0 } path ? path
        : Path.Combine(Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache ? cache
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache"), "nephos", "guest.qcow2");
}
