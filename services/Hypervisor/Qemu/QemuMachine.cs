using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using Nephos.Hypervisor.Instances;

namespace Nephos.Hypervisor.Qemu;

/// <summary>The connection to one running machine, made when first needed and made again when lost. Used by one actor.</summary>
internal sealed class QemuMachine(Guid instanceId, QemuCommandLine.Paths paths, TimeProvider time, Action<Guid> changed) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _deletions = new();
    private QmpClient? _client;
    private LaunchMark _mark;

    public QemuCommandLine.Paths Paths => paths;

    /// <summary>Connects when there is no connection.</summary>
    /// <exception cref="QmpException">Nobody answers, or somebody else's machine does.</exception>
    public async Task<QmpClient> ConnectAsync(CancellationToken cancellationToken)
    {
        if (_client is { IsAlive: true } alive)
        {
            return alive;
        }
        if (_client is not null)
        {
            await _client.DisposeAsync();
            _client = null;
        }
        var client = await QmpClient.ConnectAsync(paths.Qmp, time, OnEvent, cancellationToken);
        try
        {
            var name = (await client.RunAsync("query-name", null, cancellationToken)).GetProperty("name").GetString() ?? "";
            if (!QemuCommandLine.TryParseName(name, out var id, out _mark) || id != instanceId)
            {
                throw new QmpException(QmpFault.Refused, $"the machine behind {paths.Qmp} is {name}");
            }
        }
        catch
        {
            await client.DisposeAsync();
            throw;
        }
        return _client = client;
    }

    public async Task<MachineView> ViewAsync(CancellationToken cancellationToken)
    {
        var client = await ConnectAsync(cancellationToken);
        var state = State((await client.RunAsync("query-status", null, cancellationToken)).GetProperty("status").GetString() ?? "");
        var devices = await DevicesAsync(cancellationToken);
        var nodes = await BlockNodesAsync(cancellationToken);
        var cards = await CardsAsync(cancellationToken);
        var volumes = new Dictionary<Guid, bool>();
        var ports = new Dictionary<Guid, PortView>();
        foreach (var device in devices)
        {
            if (QemuDevices.TryVolume(device, out var volume))
            {
                volumes[volume] = true;
                nodes.Remove(QemuDevices.VolumeNode(volume));
            }
            else if (QemuDevices.TryPort(device, out var port))
            {
                ports[port] = new PortView(cards.ContainsKey(port), cards.GetValueOrDefault(port, ""));
            }
        }
        foreach (var (card, forward) in cards)
        {
            ports.TryAdd(card, new PortView(Complete: false, forward));
        }
        foreach (var node in nodes)
        {
            if (QemuDevices.TryVolumeNode(node, out var volume))
            {
                volumes.TryAdd(volume, false);
            }
        }
        return new MachineView(
            Sighting.Present, _mark, state, volumes, ports, File.GetLastWriteTimeUtc(paths.Pid), File.Exists(paths.Saved), Files: true,
            ConsoleLog.Length(paths.Console), "");
    }

    /// <summary>Ids of the devices that are plugged.</summary>
    public async Task<HashSet<string>> DevicesAsync(CancellationToken cancellationToken)
    {
        var client = await ConnectAsync(cancellationToken);
        var list = await client.RunAsync("qom-list", new JsonObject { ["path"] = "/machine/peripheral" }, cancellationToken);
        return [.. list.EnumerateArray().Where(entry => entry.GetProperty("type").GetString()!.StartsWith("child<", StringComparison.Ordinal))
            .Select(entry => entry.GetProperty("name").GetString()!)];
    }

    public async Task<HashSet<string>> BlockNodesAsync(CancellationToken cancellationToken)
    {
        var client = await ConnectAsync(cancellationToken);
        var list = await client.RunAsync("query-named-block-nodes", new JsonObject { ["flat"] = true }, cancellationToken);
        return [.. list.EnumerateArray().Select(entry => entry.GetProperty("node-name").GetString()!)];
    }

    /// <summary>The cards' back ends by port, with the address that user networking forwards from. Only the human monitor lists them.</summary>
    public async Task<Dictionary<Guid, string>> CardsAsync(CancellationToken cancellationToken)
    {
        var client = await ConnectAsync(cancellationToken);
        var cards = new Dictionary<Guid, string>();
        var user = false;
        foreach (var line in (await client.RunHumanAsync("info network", cancellationToken)).Split('\n'))
        {
            if (QemuDevices.TryNetdev(line.TrimStart(' ', '\\').Split(':')[0], out var port))
            {
                cards[port] = "";
                user |= line.Contains("type=user", StringComparison.Ordinal);
            }
        }
        if (user)
        {
            Guid current = default;
            foreach (var line in (await client.RunHumanAsync("info usernet", cancellationToken)).Split('\n'))
            {
                // "Hub -1 (NETDEV):" opens the list of a card, "TCP[HOST_FORWARD] fd address port ..." is a line of it.
                if (line.StartsWith("Hub", StringComparison.Ordinal))
                {
                    QemuDevices.TryNetdev(line.Split('(', ')').ElementAtOrDefault(1) ?? "", out current);
                }
                else if (line.Contains("TCP[HOST_FORWARD]", StringComparison.Ordinal) && cards.ContainsKey(current)
                    && line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, _, var address, var hostPort, ..])
                {
                    cards[current] = $"{address}:{hostPort}";
                }
            }
        }
        return cards;
    }

    /// <summary>Asks the guest to release a device and waits a while for it.</summary>
    /// <returns>True when the device is gone.</returns>
    public async Task<bool> UnplugAsync(string device, TimeSpan patience, CancellationToken cancellationToken)
    {
        var client = await ConnectAsync(cancellationToken);
        if (!(await DevicesAsync(cancellationToken)).Contains(device))
        {
            return true;
        }
        var deleted = _deletions.GetOrAdd(device, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        try
        {
            try
            {
                await client.RunAsync("device_del", new JsonObject { ["id"] = device }, cancellationToken);
            }
            catch (QmpException exception) when (exception.Fault == QmpFault.NotFound)
            {
                return true;
            }
            catch (QmpException exception) when (exception.Message.Contains("already in the process of unplug", StringComparison.Ordinal))
            {
                // Asked before; the guest may still answer.
            }
            await deleted.Task.WaitAsync(patience, time, cancellationToken);
            return true;
        }
        catch (TimeoutException)
        {
            return !(await DevicesAsync(cancellationToken)).Contains(device);
        }
        finally
        {
            _deletions.TryRemove(device, out _);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_client is not null)
        {
            await _client.DisposeAsync();
            _client = null;
        }
    }

    public static RunState State(string status) => status switch
    {
        "prelaunch" => RunState.Held,
        "running" or "suspended" => RunState.Running,
        "paused" or "postmigrate" => RunState.Paused,
        "shutdown" => RunState.Shutdown,
        "guest-panicked" or "internal-error" or "watchdog" => RunState.Crashed,
        "io-error" => RunState.DiskFailed,
        "inmigrate" => RunState.Restoring,
        _ => RunState.Moving,
    };

    private void OnEvent(JsonElement message)
    {
        if (message.ValueKind == JsonValueKind.Object && message.GetProperty("event").GetString() == "DEVICE_DELETED"
            && message.GetProperty("data").TryGetProperty("device", out var device)
            && _deletions.TryGetValue(device.GetString() ?? "", out var deletion))
        {
            deletion.TrySetResult();
        }
        changed(instanceId);
    }
}
