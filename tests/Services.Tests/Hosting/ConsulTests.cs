using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Nephos.Hosting.Discovery;
using Nephos.Kernel.Errors;
using Nephos.Testing;
using Xunit;

namespace Nephos.Services.Tests.Hosting;

/// <summary>Discovery against a small server that answers as Consul's HTTP API is documented to; no Consul runs.</summary>
public sealed class ConsulTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-consul-");
    private readonly FakeConsul _consul = new();

    public Task InitializeAsync() => _consul.StartAsync();

    public async Task DisposeAsync()
    {
        await _consul.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_process_registers_its_roles_with_a_check_and_takes_them_back_when_it_ends()
    {
        await File.WriteAllTextAsync(Path.Combine(_folder.FullName, "token"), "secret\n");
        var process = await EchoProcess.ServeAsync(
            _folder.FullName, "first", Consul, ("Consul:TokenFile", Path.Combine(_folder.FullName, "token")), ("Consul:CheckInterval", "00:00:02"));
        await UntilAsync(() => _consul.Services.Count == 1);

        var service = _consul.Services.Values.Single();
        Assert.Equal(("nephos-compute", "127.0.0.1", process.Port + 1), ((string)service["Name"]!, (string)service["Address"]!, (int)service["Port"]!));
        Assert.Equal(($"http://127.0.0.1:{process.Port}/healthcheck", "2s"), ((string)service["Check"]!["HTTP"]!, (string)service["Check"]!["Interval"]!));
        Assert.Equal("secret", _consul.Token);

        await process.DisposeAsync();
        Assert.Empty(_consul.Services);
    }

    [Fact]
    public async Task Calls_find_the_processes_of_a_role_as_they_come_and_go()
    {
        await using var caller = await EchoProcess.CallAsync(_folder.FullName, Consul);
        Assert.Contains("No process is known", (await Assert.ThrowsAsync<FaultException>(caller.AskAsync)).Message, StringComparison.Ordinal);

        await using var first = await EchoProcess.ServeAsync(_folder.FullName, "first", Consul);
        await UntilAsync(async () => await NodeAsync(caller) == "first");
        var second = await EchoProcess.ServeAsync(_folder.FullName, "second", Consul);
        await UntilAsync(async () => await NodeAsync(caller) == "second");
        await second.DisposeAsync();
        await UntilAsync(async () => await NodeAsync(caller) == "first" && await NodeAsync(caller) == "first");

        // What was known stays in use while the agent fails.
        _consul.IsFailing = true;
        Assert.Equal("first", await caller.AskAsync());
    }

    [Fact]
    public async Task A_query_waits_for_a_change_and_starts_again_when_the_agent_lost_its_state()
    {
        using var http = new HttpClient { BaseAddress = new Uri(_consul.Address) };
        var agent = new ConsulAgent(http);
        _consul.Add("nephos-image", "10.0.0.1", 8081);
        var (found, index) = await agent.FindHealthyAsync("nephos-image", 0, CancellationToken.None);
        Assert.Equal(("10.0.0.1", 8081), (found[0].Service.Address, found[0].Service.Port));

        var waiting = agent.FindHealthyAsync("nephos-image", index, CancellationToken.None);
        Assert.False(waiting.IsCompleted);
        // An instance without an address of its own is at its node's.
        _consul.Add("nephos-image", "", 9081);
        (found, var next) = await waiting;

        Assert.Equal(2, found.Count);
        Assert.Contains(found, instance => instance is { Service.Address: "", Node.Address: "10.9.9.9" });
        Assert.True(next > index);
        _consul.Forget();
        (_, var afterLoss) = await agent.FindHealthyAsync("nephos-image", next, CancellationToken.None);
        Assert.Equal(0UL, afterLoss);
    }

    private (string, string) Consul => ("Consul:Address", _consul.Address);

    private static async Task<string> NodeAsync(EchoProcess caller)
    {
        try
        {
            return await caller.AskAsync();
        }
        catch (FaultException fault)
        {
            return fault.Message;
        }
    }

    private static Task UntilAsync(Func<bool> holds) => UntilAsync(() => Task.FromResult(holds()));

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (!await holds())
        {
            await Task.Delay(TimeSpan.FromMilliseconds(10), patience.Token);
        }
    }

    /// <summary>agent/service/register, agent/service/deregister and health/service with its blocking queries. Every check passes.</summary>
    private sealed class FakeConsul : IAsyncDisposable
    {
        private readonly Lock _gate = new();
        private readonly Dictionary<string, JsonObject> _services = new(StringComparer.Ordinal);
        private readonly int _port = FreePorts.Take();
        private WebApplication _app = null!;
        private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private long _index = 10;

        public volatile bool IsFailing;

        public string Address => $"http://127.0.0.1:{_port}";

        public string Token { get; private set; } = "";

        public IReadOnlyDictionary<string, JsonObject> Services
        {
            get
            {
                lock (_gate)
                {
                    return new Dictionary<string, JsonObject>(_services);
                }
            }
        }

        public async Task StartAsync()
        {
            var builder = WebApplication.CreateEmptyBuilder(new());
            builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.ListenLocalhost(_port));
            _app = builder.Build();
            _app.Run(AnswerAsync);
            await _app.StartAsync();
        }

        public void Add(string name, string address, int port) => Change(() => _services[$"{name}-{port}"] = new JsonObject
        {
            ["ID"] = $"{name}-{port}", ["Name"] = name, ["Address"] = address, ["Port"] = port,
        });

        public void Forget() => Change(() =>
        {
            _services.Clear();
            _index = 1;
        });

        public async ValueTask DisposeAsync()
        {
            Change(() => { });
            using var now = new CancellationTokenSource(TimeSpan.Zero);
            await _app.StopAsync(now.Token);
            await _app.DisposeAsync();
        }

        private async Task AnswerAsync(HttpContext http)
        {
            if (IsFailing)
            {
                http.Response.StatusCode = 500;
                return;
            }
            Token = http.Request.Headers["X-Consul-Token"].ToString();
            switch (http.Request.Path.Value!.Split('/', 5), http.Request.Method)
            {
                case (["", "v1", "agent", "service", "register"], "PUT"):
                    var service = (await JsonNode.ParseAsync(http.Request.Body))!.AsObject();
                    Change(() => _services[(string)service["ID"]!] = service);
                    break;
                case (["", "v1", "agent", "service", var deregister], "PUT") when deregister.StartsWith("deregister/", StringComparison.Ordinal):
                    Change(() => _services.Remove(deregister["deregister/".Length..]));
                    break;
                case (["", "v1", "health", "service", var name], "GET") when http.Request.Query["passing"] == "true":
                    await AnswerHealthAsync(http, name);
                    break;
                default:
                    http.Response.StatusCode = 404;
                    break;
            }
        }

        private async Task AnswerHealthAsync(HttpContext http, string name)
        {
            var asked = long.Parse(http.Request.Query["index"].ToString(), System.Globalization.CultureInfo.InvariantCulture);
            Task changed;
            lock (_gate)
            {
                changed = asked > 0 && asked == _index ? _changed.Task : Task.CompletedTask;
            }
            await changed.WaitAsync(http.RequestAborted);
            JsonArray found;
            lock (_gate)
            {
                http.Response.Headers["X-Consul-Index"] = $"{_index}";
                found = [.. _services.Values.Where(service => (string)service["Name"]! == name).Select(service => new JsonObject
                {
                    ["Node"] = new JsonObject { ["Node"] = "agent", ["Address"] = "10.9.9.9" },
                    ["Service"] = new JsonObject
                    {
                        ["ID"] = (string)service["ID"]!, ["Service"] = name, ["Address"] = (string)service["Address"]!, ["Port"] = (int)service["Port"]!,
                        ["Meta"] = service["Meta"]?.DeepClone(),
                    },
                    ["Checks"] = new JsonArray(),
                })];
            }
            http.Response.ContentType = "application/json";
            await http.Response.WriteAsync(found.ToJsonString());
        }

        private void Change(Action change)
        {
            TaskCompletionSource changed;
            lock (_gate)
            {
                _index++;
                change();
                changed = _changed;
                _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
            changed.TrySetResult();
        }
    }
}
