using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Nephos.Hypervisor.Instances;

namespace Nephos.Hypervisor.Qemu;

/// <summary>Machines as QEMU processes that outlive the agent. What is true is asked of the process, never remembered.</summary>
internal sealed partial class QemuHypervisor(
    HypervisorOptions options, InstanceStore store, RuntimeFolder runtime, TimeProvider time, ILogger<QemuHypervisor> logger)
    : IHypervisor, IAsyncDisposable
{
    private static readonly TimeSpan UnplugPatience = TimeSpan.FromSeconds(3);

    private readonly ConcurrentDictionary<Guid, QemuMachine> _machines = new();
    private readonly SemaphoreSlim _probing = new(1);
    private HypervisorProbe? _probe;
    private Action<Guid> _changed = _ => { };

    public Action<Guid> Changed
    {
        set => _changed = value;
    }

    public async Task<HypervisorProbe> ProbeAsync(CancellationToken cancellationToken)
    {
        await _probing.WaitAsync(cancellationToken);
        try
        {
            Directory.CreateDirectory(options.StateDirectory);
            return _probe ??= await AccelerationProbe.RunAsync(options.QemuPath, options.Acceleration, options.StateDirectory, cancellationToken);
        }
        finally
        {
            _probing.Release();
        }
    }

    public Task<IReadOnlyList<Guid>> ListAsync(CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<Guid>>([.. QemuProcess.FindAll(runtime.Root).Select(found => found.InstanceId).Union(store.List())]);

    public async Task<MachineView> ViewAsync(Guid instanceId, CancellationToken cancellationToken)
    {
        var paths = PathsOf(instanceId);
        ConsoleLog.Rotate(paths.Console, options.ConsoleFileBytesMax);
        if (QemuProcess.Find(paths, instanceId) is null)
        {
            await DropAsync(instanceId);
            return MachineView.Absent(File.Exists(paths.Saved), Directory.Exists(paths.Runtime), ConsoleLog.Length(paths.Console));
        }
        try
        {
            return await MachineOf(instanceId).ViewAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is QmpException or IOException)
        {
            // The process may have ended while we looked.
            return QemuProcess.Find(paths, instanceId) is null
                ? MachineView.Absent(File.Exists(paths.Saved), files: true, ConsoleLog.Length(paths.Console))
                : MachineView.NotSeen($"the machine does not answer: {exception.Message}");
        }
    }

    public async Task LaunchAsync(LaunchPlan plan, CancellationToken cancellationToken)
    {
        var id = plan.Spec.Id;
        var paths = PathsOf(id);
        var probe = await ProbeAsync(cancellationToken);
        // A process whose pid file was lost would write to the same disks.
        foreach (var (_, pid) in QemuProcess.FindAll(runtime.Root).Where(found => found.InstanceId == id))
        {
            await QemuProcess.KillAsync(pid, id, time, cancellationToken);
        }
        runtime.Create();
        Directory.CreateDirectory(paths.State);
        Directory.CreateDirectory(paths.Runtime);
        if (plan.ConfigDrive is { } drive)
        {
            await File.WriteAllBytesAsync(paths.ConfigDrive, drive, cancellationToken);
        }
        var slots = new SlotMap(paths.Slots);
        if (!plan.Restore)
        {
            slots.KeepOnly(plan.Spec.Volumes.Select(volume => QemuDevices.VolumeDevice(volume.AttachmentId))
                .Concat(plan.Spec.Ports.Select(port => QemuDevices.PortDevice(port.Id))).ToHashSet());
        }
        var line = QemuCommandLine.Build(
            plan, paths, MachineType(probe.HypervisorVersion), probe.Acceleration, options.TranslationCacheMib,
            volume => Slot(slots, plan.Spec.Hints.DiskBus, volume.AttachmentId));
        using var process = Process.Start(new ProcessStartInfo(options.QemuPath, line)
        {
            WorkingDirectory = paths.Runtime, RedirectStandardError = true, RedirectStandardOutput = true, RedirectStandardInput = true,
        }) ?? throw new IOException($"{options.QemuPath} did not start");
        var errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
        try
        {
            await process.WaitForExitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
        if (process.ExitCode != 0)
        {
            throw new IOException($"QEMU did not start ({process.ExitCode}): {(await errors).Trim()}");
        }
        LogLaunched(logger, id, probe.Acceleration, plan.Restore);
    }

    public async Task AttachVolumeAsync(InstanceSpec spec, VolumeEndpoint volume, CancellationToken cancellationToken)
    {
        var machine = MachineOf(spec.Id);
        var client = await machine.ConnectAsync(cancellationToken);
        var id = volume.Volume.AttachmentId;
        if (spec.Hints.DiskBus == DiskBus.Ide)
        {
            throw new PermanentHypervisorException("an IDE disk cannot be attached while the instance runs; stop it first");
        }
        if (!(await machine.BlockNodesAsync(cancellationToken)).Contains(QemuDevices.VolumeNode(id)))
        {
            await client.RunAsync("blockdev-add", QemuDevices.BlockNode(volume), cancellationToken);
        }
        if (!(await machine.DevicesAsync(cancellationToken)).Contains(QemuDevices.VolumeDevice(id)))
        {
            var slot = Slot(new SlotMap(machine.Paths.Slots), spec.Hints.DiskBus, id);
            await client.RunAsync("device_add", QemuDevices.Disk(volume.Volume, spec.Hints.DiskBus, slot, bootOrder: 0), cancellationToken);
        }
    }

    public async Task GrowVolumeAsync(Guid instanceId, Guid attachmentId, long sizeBytes, CancellationToken cancellationToken) =>
        await QemuDisks.GrowAsync(
            await MachineOf(instanceId).ConnectAsync(cancellationToken), QemuDevices.VolumeNode(attachmentId), sizeBytes, cancellationToken);

    public async Task<bool> DetachVolumeAsync(Guid instanceId, Guid attachmentId, CancellationToken cancellationToken)
    {
        var machine = MachineOf(instanceId);
        var client = await machine.ConnectAsync(cancellationToken);
        if (!await machine.UnplugAsync(QemuDevices.VolumeDevice(attachmentId), UnplugPatience, cancellationToken))
        {
            return false;
        }
        if ((await machine.BlockNodesAsync(cancellationToken)).Contains(QemuDevices.VolumeNode(attachmentId)))
        {
            await client.RunAsync("blockdev-del", new JsonObject { ["node-name"] = QemuDevices.VolumeNode(attachmentId) }, cancellationToken);
        }
        new SlotMap(machine.Paths.Slots).Release(QemuDevices.VolumeDevice(attachmentId));
        return true;
    }

    public async Task AttachPortAsync(InstanceSpec spec, PortEndpoint port, CancellationToken cancellationToken)
    {
        var machine = MachineOf(spec.Id);
        var client = await machine.ConnectAsync(cancellationToken);
        var id = port.Port.Id;
        if (!(await machine.CardsAsync(cancellationToken)).ContainsKey(id))
        {
            if (port.OpenTap is { } open)
            {
                using var tap = open();
                await client.RunAsync("getfd", new JsonObject { ["fdname"] = QemuDevices.TapDescriptor(id) }, cancellationToken, tap);
                await client.RunAsync("netdev_add", QemuDevices.TapNetdev(id), cancellationToken);
            }
            else
            {
                await client.RunAsync("netdev_add", QemuDevices.UserNetdev(port.Port), cancellationToken);
            }
        }
        if (!(await machine.DevicesAsync(cancellationToken)).Contains(QemuDevices.PortDevice(id)))
        {
            var slot = new SlotMap(machine.Paths.Slots).Take(QemuDevices.PortDevice(id));
            await client.RunAsync("device_add", QemuDevices.Card(port.Port, spec.Hints.VifModel, slot), cancellationToken);
        }
    }

    public async Task<bool> DetachPortAsync(Guid instanceId, Guid portId, CancellationToken cancellationToken)
    {
        var machine = MachineOf(instanceId);
        var client = await machine.ConnectAsync(cancellationToken);
        if (!await machine.UnplugAsync(QemuDevices.PortDevice(portId), UnplugPatience, cancellationToken))
        {
            return false;
        }
        if ((await machine.CardsAsync(cancellationToken)).ContainsKey(portId))
        {
            await client.RunAsync("netdev_del", new JsonObject { ["id"] = QemuDevices.Netdev(portId) }, cancellationToken);
        }
        new SlotMap(machine.Paths.Slots).Release(QemuDevices.PortDevice(portId));
        return true;
    }

    public Task ContinueAsync(Guid instanceId, CancellationToken cancellationToken) => RunAsync(instanceId, "cont", cancellationToken);

    public Task PauseAsync(Guid instanceId, CancellationToken cancellationToken) => RunAsync(instanceId, "stop", cancellationToken);

    public Task PressPowerButtonAsync(Guid instanceId, CancellationToken cancellationToken) =>
        RunAsync(instanceId, "system_powerdown", cancellationToken);

    public async Task SaveAsync(Guid instanceId, CancellationToken cancellationToken)
    {
        var machine = MachineOf(instanceId);
        if (!File.Exists(machine.Paths.Saved))
        {
            await MemoryMover.SaveAsync(await machine.ConnectAsync(cancellationToken), machine.Paths, time, cancellationToken);
        }
        await KillAsync(instanceId, cancellationToken);
    }

    public async Task RestoreAsync(Guid instanceId, CancellationToken cancellationToken)
    {
        var machine = MachineOf(instanceId);
        await MemoryMover.RestoreAsync(await machine.ConnectAsync(cancellationToken), machine.Paths, time, cancellationToken);
    }

    public Task DiscardSavedAsync(Guid instanceId, CancellationToken cancellationToken)
    {
        File.Delete(PathsOf(instanceId).Saved);
        return Task.CompletedTask;
    }

    public async Task KillAsync(Guid instanceId, CancellationToken cancellationToken)
    {
        var paths = PathsOf(instanceId);
        // Not asked to quit: every write that the guest was told of is with the volume head, and a process whose head is away would wait for it.
        foreach (var (_, pid) in QemuProcess.FindAll(runtime.Root).Where(found => found.InstanceId == instanceId))
        {
            await QemuProcess.KillAsync(pid, instanceId, time, cancellationToken);
        }
        await DropAsync(instanceId);
        if (Directory.Exists(paths.Runtime))
        {
            Directory.Delete(paths.Runtime, recursive: true);
        }
    }

    public Task RemoveAsync(Guid instanceId, CancellationToken cancellationToken)
    {
        var paths = PathsOf(instanceId);
        foreach (var folder in new[] { paths.Runtime, paths.State }.Where(Directory.Exists))
        {
            Directory.Delete(folder, recursive: true);
        }
        return Task.CompletedTask;
    }

    public Task<byte[]> ReadConsoleAsync(Guid instanceId, int lineCount, CancellationToken cancellationToken) =>
        Task.FromResult(ConsoleLog.Read(PathsOf(instanceId).Console, lineCount));

    public async ValueTask DisposeAsync()
    {
        foreach (var id in _machines.Keys)
        {
            await DropAsync(id);
        }
        _probing.Dispose();
    }

    private QemuCommandLine.Paths PathsOf(Guid instanceId) => new(runtime.Machine(instanceId), store.Folder(instanceId));

    private QemuMachine MachineOf(Guid instanceId) =>
        _machines.GetOrAdd(instanceId, id => new QemuMachine(id, PathsOf(id), time, changed => _changed(changed)));

    private async Task DropAsync(Guid instanceId)
    {
        if (_machines.TryRemove(instanceId, out var machine))
        {
            await machine.DisposeAsync();
        }
    }

    private async Task RunAsync(Guid instanceId, string command, CancellationToken cancellationToken) =>
        await (await MachineOf(instanceId).ConnectAsync(cancellationToken)).RunAsync(command, null, cancellationToken);

    /// <summary>One machine type for as long as QEMU has it, so that guests and saved memory do not see an upgrade of the node.</summary>
    private static string MachineType(int version) =>
        version >= 7_002_000 ? "pc-i440fx-7.2" : $"pc-i440fx-{version / 1_000_000}.{version / 1000 % 1000}";

    private static int Slot(SlotMap slots, DiskBus bus, Guid attachmentId) => bus == DiskBus.Ide
        ? slots.Take(QemuDevices.VolumeDevice(attachmentId), first: 0, last: 2)
        : slots.Take(QemuDevices.VolumeDevice(attachmentId));

    [LoggerMessage(Level = LogLevel.Information, Message = "Instance {InstanceId} has a process ({Acceleration}, restored: {Restored})")]
    private static partial void LogLaunched(ILogger logger, Guid instanceId, AccelerationKind acceleration, bool restored);
}
