using System.Net;
using System.Text.Json.Nodes;
using Xunit;

namespace Nephos.Probe.Tests.Cloud;

/// <summary>One server that somebody works with: a step at a time, chosen by chance, until the process is killed. What was acknowledged
/// must come true whatever happens to the process; what was not may have happened or not, but nothing may stay between two states.</summary>
internal sealed class ServerLife(CloudClient cloud, CloudFixture things, int number, Random random)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    private string? _id;
    private string? _volume;
    private string? _port;
    private string _status = "";
    private string _flavor = "";

    // The step that was sent last, what it was about, and whether the answer said that it will happen.
    private (string Name, string? Subject, bool Acknowledged) _step = ("nothing", null, false);

    private string Name => $"life-{number}";

    private string Server => $"/compute/v2.1/servers/{_id}";

    private string Volumes => $"/volume/v3/{cloud.ProjectId}/volumes";

    public int Acknowledged { get; private set; }

    public override string ToString() =>
        $"server {number} ({_id ?? "none"}), {(_step.Acknowledged ? "acknowledged" : "unanswered")} {_step.Name} of {_step.Subject}";

    /// <summary>Does steps until the process gives no answer any more, which it may from <paramref name="killed"/> on.</summary>
    public async Task LiveAsync(CancellationToken killed)
    {
        try
        {
            do
            {
                await StepAsync(killed);
            }
            while (_step.Acknowledged && await IsSettledAsync(killed));
        }
        catch (OperationCanceledException) when (killed.IsCancellationRequested)
        {
            // Looked at after the restart.
        }
    }

    /// <summary>After a restart: waits until nothing is under way, and checks what became of the last step.</summary>
    public async Task CheckAsync()
    {
        // Creates that were not answered may have happened: the things are known by their names.
        _id ??= (string?)(await cloud.ListAsync($"/compute/v2.1/servers?name=^{Name}$", "servers")).FirstOrDefault()?["id"];
        _volume ??= (string?)(await cloud.ListAsync($"{Volumes}?name={Name}", "volumes")).FirstOrDefault()?["id"];
        _port ??= (string?)(await cloud.ListAsync($"/network/v2.0/ports?name={Name}", "ports")).FirstOrDefault()?["id"];
        Assert.True(await IsSettledAsync(CancellationToken.None), $"{this}: no answer");
    }

    /// <summary>Deletes what there is.</summary>
    public async Task EndAsync()
    {
        if (_id is not null)
        {
            await SendAsync("delete", _id, HttpMethod.Delete, Server);
            Assert.True(await IsSettledAsync(CancellationToken.None), $"{this}: no answer");
        }
        if (_volume is not null)
        {
            await cloud.MustAsync(HttpMethod.Delete, $"{Volumes}/{_volume}");
        }
        if (_port is not null)
        {
            await cloud.MustAsync(HttpMethod.Delete, $"/network/v2.0/ports/{_port}");
        }
    }

    private Task StepAsync(CancellationToken killed) => _id is null
        ? SendAsync("create", Name, HttpMethod.Post, "/compute/v2.1/servers", new
        {
            server = new { name = Name, imageRef = things.Image, flavorRef = things.SmallFlavor, networks = new[] { new { uuid = things.Network } } },
        }, answer => _id = (string)answer["server"]!["id"]!)
        : _status switch
        {
            "VERIFY_RESIZE" => ActAsync(random.Next(2) == 0 ? "confirmResize" : "revertResize"),
            "SHUTOFF" => ActAsync("os-start"),
            "SHELVED_OFFLOADED" => ActAsync("unshelve"),
            _ => random.Next(9) switch
            {
                0 => SendAsync("delete", _id, HttpMethod.Delete, Server),
                1 => VolumeAsync(killed),
                2 => PortAsync(),
                3 => ActAsync("resize", new { flavorRef = _flavor == things.SmallFlavor ? things.LargeFlavor : things.SmallFlavor }),
                4 => ActAsync("reboot", new { type = "HARD" }),
                5 => SendAsync("snapshot", null, HttpMethod.Post, $"{Server}/action", new { createImage = new { name = Name } },
                    answer => _step.Subject = (string)answer["image_id"]!, "compute 2.45"),
                6 => ActAsync("shelve"),
                7 => ActAsync("os-stop"),
                _ => ActAsync("rebuild", new { imageRef = things.Image }),
            },
        };

    private Task ActAsync(string action, object? arguments = null) =>
        SendAsync(action, _id, HttpMethod.Post, $"{Server}/action", new Dictionary<string, object?> { [action] = arguments });

    private async Task VolumeAsync(CancellationToken killed)
    {
        if (_volume is null)
        {
            await SendAsync("create volume", Name, HttpMethod.Post, Volumes, new { volume = new { size = 1, name = Name } }, answer => _volume = (string)answer["volume"]!["id"]!);
        }
        else if (await VolumeStatusAsync() == "in-use")
        {
            await SendAsync("detach volume", _volume, HttpMethod.Delete, $"{Server}/os-volume_attachments/{_volume}");
        }
        else
        {
            await UntilAsync("the volume is available", async () => await VolumeStatusAsync() == "available", killed);
            await SendAsync("attach volume", _volume, HttpMethod.Post, $"{Server}/os-volume_attachments", new { volumeAttachment = new { volumeId = _volume } });
        }
    }

    private async Task PortAsync()
    {
        if (_port is null)
        {
            await SendAsync("create port", Name, HttpMethod.Post, "/network/v2.0/ports", new { port = new { network_id = things.Network, name = Name } },
                answer => _port = (string)answer["port"]!["id"]!);
        }
        else if (await PortDeviceAsync() == _id)
        {
            await SendAsync("detach port", _port, HttpMethod.Delete, $"{Server}/os-interface/{_port}");
        }
        else
        {
            await SendAsync("attach port", _port, HttpMethod.Post, $"{Server}/os-interface", new { interfaceAttachment = new { port_id = _port } });
        }
    }

    private async Task SendAsync(
        string name, string? subject, HttpMethod method, string path, object? body = null, Action<JsonObject>? use = null, string? microversion = null)
    {
        _step = (name, subject, false);
        var answer = await cloud.SendAsync(method, path, body, microversion);
        // What a killed process had taken and not answered is done by now; the port only has not heard of it yet.
        var isDone = answer.IsOk || (name == "detach port" && answer.Status == HttpStatusCode.NotFound);
        // The guests of the simulated node die with the process: one that was seen running is found stopped, and on its way back.
        var isFoundDead = answer.Status == HttpStatusCode.Conflict && answer.ToString().Contains("while it is in", StringComparison.Ordinal);
        // A process that is being killed may still say that a part of it does not answer.
        Assert.True(isDone || isFoundDead || answer.Status is null or HttpStatusCode.ServiceUnavailable, $"{this}: {answer}");
        if (isDone)
        {
            use?.Invoke(answer.Json);
            _step.Acknowledged = true;
            Acknowledged++;
        }
    }

    /// <summary>Waits until nothing of the server is under way and what was promised is there.</summary>
    /// <returns>False when the process gives no answer any more.</returns>
    private async Task<bool> IsSettledAsync(CancellationToken killed)
    {
        if (_id is not null)
        {
            await UntilAsync("nothing is under way", SettledAsync, killed);
            if (_status == "gone")
            {
                Assert.True(_step.Name == "delete", $"{this}: the server is gone");
                _id = null;
            }
        }
        if (_volume is not null)
        {
            await UntilAsync("the volume is attached or not", async () => await VolumeStatusAsync() is "in-use" or "available", killed);
        }
        // Also of a snapshot that was not answered: its image is there with its content, or it is not there.
        await UntilAsync("every image has its content", async () =>
            (await cloud.GetAsync($"/image/v2/images?name={Name}")).Json["images"]?.AsArray().All(image => (string)image!["status"]! == "active") == true, killed);
        if (_step.Acknowledged)
        {
            await KeptAsync(killed);
        }
        return true;
    }

    private async Task<bool> SettledAsync()
    {
        var answer = await cloud.GetAsync(Server);
        if (answer.Status == HttpStatusCode.NotFound)
        {
            _status = "gone";
            return true;
        }
        if (!answer.IsOk)
        {
            return false;
        }
        var server = answer.Json["server"]!;
        (_status, _flavor) = ((string)server["status"]!, (string)server["flavor"]!["id"]!);
        Assert.True(_status != "ERROR", $"{this}: {server["fault"]?.ToJsonString()}");
        return server["OS-EXT-STS:task_state"] is null && _status is not ("BUILD" or "UNKNOWN");
    }

    /// <summary>The promise of the last step is kept.</summary>
    private async Task KeptAsync(CancellationToken killed)
    {
        var status = _step.Name switch
        {
            "delete" => "gone",
            "resize" => "VERIFY_RESIZE",
            "shelve" => "SHELVED_OFFLOADED",
            "os-stop" => "SHUTOFF",
            "create" or "reboot" or "rebuild" or "os-start" or "unshelve" or "confirmResize" or "revertResize" => "ACTIVE",
            _ => _status,
        };
        Assert.True(status == _status, $"{this}: it is {_status}");
        switch (_step.Name)
        {
            case "snapshot":
                await UntilAsync("the image is active", async () =>
                    (string?)(await cloud.GetAsync($"/image/v2/images/{_step.Subject}")).Json["status"] == "active", killed);
                break;
            case "attach volume":
                await UntilAsync("the volume is in use", async () => await VolumeStatusAsync() == "in-use", killed);
                break;
            case "detach volume":
                await UntilAsync("the volume is available", async () => await VolumeStatusAsync() == "available", killed);
                break;
            case "attach port":
                await UntilAsync("the port is the server's", async () => await PortDeviceAsync() == _id, killed);
                break;
            case "detach port":
                await UntilAsync("the port is nobody's", async () => await PortDeviceAsync() == "", killed);
                break;
        }
    }

    private async Task<string?> VolumeStatusAsync() => (string?)(await cloud.GetAsync($"{Volumes}/{_volume}")).Json["volume"]?["status"];

    private async Task<string?> PortDeviceAsync() => (string?)(await cloud.GetAsync($"/network/v2.0/ports/{_port}")).Json["port"]?["device_id"];

    private async Task UntilAsync(string what, Func<Task<bool>> isTrue, CancellationToken killed)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (!await isTrue())
        {
            killed.ThrowIfCancellationRequested();
            Assert.False(limit.IsCancellationRequested, $"{this}, {_status}: not within {Patience.TotalSeconds:0} s: {what}");
            await Task.Delay(Pause, killed);
        }
    }
}
