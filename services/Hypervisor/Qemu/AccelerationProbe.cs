using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Nephos.Hypervisor.Instances;

namespace Nephos.Hypervisor.Qemu;

/// <summary>Decides between KVM and emulation by running something: on some machines the device opens, machines can be created, and
/// guests hang.</summary>
/// <remarks>The guest is one boot sector that writes a byte to QEMU's isa-debug-exit device, which ends the process with a code that only
/// this guest produces. The answer holds until the next boot of the node and is kept in a file.</remarks>
internal static partial class AccelerationProbe
{
    private const int ExitPort = 0xf4;
    private const byte ExitByte = 0x2a;
    private const int DiskBytes = 1 << 20;
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(2);

    /// <summary>A small disk, since one sector has no geometry to boot from.</summary>
    /// <remarks>The sector enters protected mode and returns through an interrupt frame before it writes the byte: a KVM without hardware
    /// behind it runs the firmware and fails there.</remarks>
    public static byte[] Disk()
    {
        var disk = new byte[DiskBytes];
        ReadOnlySpan<byte> code =
        [
            0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0,               // cli; ax, ds, ss = 0
            0xbc, 0x00, 0x7c,                                       // sp = 7c00
            0x0f, 0x01, 0x16, 0x58, 0x7c,                           // lgdt [7c58]
            0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0,         // cr0 |= protected mode
            0xea, 0x1c, 0x7c, 0x08, 0x00,                           // jump 08:7c1c, 32 bits from here
            0x66, 0xb8, 0x10, 0x00, 0x8e, 0xd8, 0x8e, 0xd0,         // ds, ss = 10
            0xbc, 0x00, 0x7c, 0x00, 0x00,                           // esp = 7c00
            0x9c, 0x6a, 0x08, 0x68, 0x32, 0x7c, 0x00, 0x00, 0xcf,   // push flags, 08, 7c32; iret
            0xb0, ExitByte, 0xba, ExitPort, 0x00, 0x00, 0x00, 0xee, // out ExitPort, ExitByte
            0xf4, 0xeb, 0xfd,                                       // hlt for ever
        ];
        code.CopyTo(disk);
        ReadOnlySpan<byte> segments =
        [
            0, 0, 0, 0, 0, 0, 0, 0,
            0xff, 0xff, 0, 0, 0, 0x9a, 0xcf, 0,                     // 08: all memory, code
            0xff, 0xff, 0, 0, 0, 0x92, 0xcf, 0,                     // 10: all memory, data
            0x17, 0, 0x40, 0x7c, 0, 0,                              // 7c58: limit and place of the table
        ];
        segments.CopyTo(disk.AsSpan(0x40));
        disk[510] = 0x55;
        disk[511] = 0xaa;
        return disk;
    }

    /// <summary>True when a guest ran under the given accelerator before the deadline.</summary>
    public static async Task<(bool Runs, string Reason)> RunSectorAsync(
        string qemu, string accelerator, string folder, TimeSpan deadline, CancellationToken cancellationToken)
    {
        var path = Path.Combine(folder, $"probe-{accelerator}.img");
        await File.WriteAllBytesAsync(path, Disk(), cancellationToken);
        try
        {
            using var process = Start(qemu,
            [
                "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "pc", "-accel", accelerator, "-m", "16",
                "-device", $"isa-debug-exit,iobase=0x{ExitPort:x},iosize=0x4",
                "-blockdev", $"driver=file,node-name=disk,filename={path}",
                "-device", "ide-hd,drive=disk,bootindex=1",
            ]);
            var errors = process.StandardError.ReadToEndAsync(cancellationToken);
            using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            timer.CancelAfter(deadline);
            try
            {
                await process.WaitForExitAsync(timer.Token);
            }
            catch (OperationCanceledException)
            {
                process.Kill();
                await process.WaitForExitAsync(CancellationToken.None);
                cancellationToken.ThrowIfCancellationRequested();
                return (false, $"a guest did not run within {deadline.TotalSeconds:0.#} s");
            }
            // The device ends the process with twice the byte plus one.
            return process.ExitCode == ((ExitByte << 1) | 1) ? (true, "a guest ran")
                : (false, $"QEMU ended with {process.ExitCode}: {FirstLine(await errors)}");
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <param name="wanted">"auto", "kvm" or "tcg".</param>
    public static async Task<HypervisorProbe> RunAsync(string qemu, string wanted, string folder, CancellationToken cancellationToken)
    {
        var version = await VersionAsync(qemu, cancellationToken);
        var (kind, reason) = wanted switch
        {
            "kvm" => (AccelerationKind.Kvm, "the options ask for it"),
            "tcg" => (AccelerationKind.Tcg, "the options ask for it"),
            _ => await ChooseAsync(qemu, folder, version, cancellationToken),
        };
        return new HypervisorProbe(kind, reason, "QEMU", version, CpuModel());
    }

    private static async Task<(AccelerationKind Kind, string Reason)> ChooseAsync(
        string qemu, string folder, int version, CancellationToken cancellationToken)
    {
        const string Device = "/dev/kvm";
        if (!File.Exists(Device))
        {
            return (AccelerationKind.Tcg, $"there is no {Device}");
        }
        try
        {
            using var device = File.Open(Device, FileMode.Open, FileAccess.ReadWrite);
        }
        catch (UnauthorizedAccessException)
        {
            return (AccelerationKind.Tcg, $"this user may not open {Device}");
        }
        catch (IOException exception)
        {
            return (AccelerationKind.Tcg, $"{Device} does not open: {exception.Message}");
        }
        // What was found holds for this boot of this kernel and this QEMU.
        var mark = $"{(await File.ReadAllTextAsync("/proc/sys/kernel/random/boot_id", cancellationToken)).Trim()} {Environment.OSVersion.Version} {version}";
        var path = Path.Combine(folder, "acceleration");
        if (File.Exists(path) && await File.ReadAllLinesAsync(path, cancellationToken) is [var known, var kept, var why] && known == mark
            && Enum.TryParse<AccelerationKind>(kept, out var kind))
        {
            return (kind, why);
        }
        var (runs, reason) = await RunSectorAsync(qemu, "kvm", folder, Deadline, cancellationToken);
        kind = runs ? AccelerationKind.Kvm : AccelerationKind.Tcg;
        reason = runs ? "a guest ran under KVM" : $"{Device} opens, but {reason}";
        await File.WriteAllLinesAsync(path + ".new", [mark, kind.ToString(), reason], cancellationToken);
        File.Move(path + ".new", path, overwrite: true);
        return (kind, reason);
    }

    /// <returns>7002022 for 7.2.22.</returns>
    /// <exception cref="PermanentHypervisorException">There is no QEMU.</exception>
    private static async Task<int> VersionAsync(string qemu, CancellationToken cancellationToken)
    {
        try
        {
            using var process = Start(qemu, ["--version"]);
            var text = await process.StandardOutput.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            var match = Version().Match(text);
            return match.Success ? (Number(match, 1) * 1_000_000) + (Number(match, 2) * 1000) + Number(match, 3)
                : throw new PermanentHypervisorException($"{qemu} --version says: {FirstLine(text)}");
        }
        catch (Win32Exception exception)
        {
            throw new PermanentHypervisorException($"{qemu} cannot be started: {exception.Message}; install qemu-system-x86", exception);
        }
    }

    private static Process Start(string qemu, IEnumerable<string> arguments) => Process.Start(new ProcessStartInfo(qemu, arguments)
    {
        RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true,
    }) ?? throw new PermanentHypervisorException($"{qemu} did not start");

    private static string CpuModel() => File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))
        ?.Split(':', 2).ElementAtOrDefault(1)?.Trim() ?? "unknown";

    private static string FirstLine(string text) => text.Split('\n', 2)[0].Trim();

    private static int Number(Match match, int group) => int.Parse(match.Groups[group].ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"version (\d+)\.(\d+)\.(\d+)")]
    private static partial Regex Version();
}
