using System.Collections.Frozen;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Compute;
using Nephos.Compute.Instances;
using Nephos.Compute.Nodes;
using Nephos.Compute.Seams;
using Nephos.Hosting;
using Nephos.Hosting.Authentication;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Services.Tests.Compute;

using Node = Nephos.Compute.Nodes.Node;

/// <summary>The compute role in its process, without sockets: real edges, real workers, a store in memory, and nodes, networks,
/// volumes and images that pretend.</summary>
internal sealed class ComputeCloud : IAsyncDisposable
{
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>When every node was started.</summary>
    private static readonly DateTimeOffset Booted = TimeProvider.System.GetUtcNow() - TimeSpan.FromDays(3) - TimeSpan.FromMinutes(65);

    private readonly WebApplication _app;
    private readonly InProcessServer _server = new();
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"nephos-compute-{Guid.NewGuid():N}");
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _nodes = [];

    private ComputeCloud(IEnumerable<KeyValuePair<string, string?>> settings)
    {
        Network = new FakeNetwork(Interference);
        Volumes = new FakeVolumes(Interference, Images);
        _app = NephosApplication.Build(
            [new Role("compute", Add, app => app.MapCompute())],
            [new("Nephos:StateDirectory", _folder), new("State:Engine", "Memory"), new("Logging:LogLevel:Default", "None"), .. settings]);
        NetworkId = Network.AddNetwork("private", ComputeWorld.Project);
        ImageId = Images.Add();
    }

    public Interference Interference { get; } = new();

    public FakeNetwork Network { get; }

    public FakeVolumes Volumes { get; }

    public FakeImages Images { get; } = new();

    public string NetworkId { get; }

    public string ImageId { get; }

    public IServiceProvider Services => _app.Services;

    public static async Task<ComputeCloud> StartAsync(params KeyValuePair<string, string?>[] settings)
    {
        var cloud = new ComputeCloud(settings);
        await cloud._app.StartAsync(None);
        return cloud;
    }

    /// <summary>Adds a node that does what it is told as soon as it is told.</summary>
    public async Task AddNodeAsync(string id = "node", int vcpus = 10_000, long memoryMib = 64L << 20)
    {
        var nodes = Services.GetRequiredService<NodeRegistry>();
        await nodes.IntroduceAsync(new Node { Id = id, HostName = id, Uuid = "", Vcpus = vcpus, MemoryMib = memoryMib, HypervisorType = "simulated", BootedAt = Booted }, None);
        await nodes.BeginLeaseAsync(id, "session", None);
        _nodes.Add(Task.Run(() => ObeyAsync(id)));
    }

    /// <summary>Calls the REST API.</summary>
    /// <param name="who">"user:project:role", or empty for nobody.</param>
    public Task<RestAnswer> CallAsync(string method, string path, JsonNode? body = null, string? version = null, string who = $"user:{ComputeWorld.Project}:member")
    {
        var headers = new List<KeyValuePair<string, string>>();
        if (who.Length > 0)
        {
            headers.Add(new("X-Auth-Token", who));
        }
        if (version is not null)
        {
            headers.Add(new("OpenStack-API-Version", $"compute {version}"));
        }
        return _server.SendAsync(method, "/compute" + path, body, headers);
    }

    public Task<RestAnswer> AdminAsync(string method, string path, JsonNode? body = null, string? version = null) =>
        CallAsync(method, path, body, version, $"admin:{ComputeWorld.Project}:admin");

    public JsonObject ServerBody(string name = "vm") => new()
    {
        ["server"] = new JsonObject
        {
            ["name"] = name,
            ["imageRef"] = ImageId,
            ["flavorRef"] = "42",
            ["networks"] = new JsonArray(new JsonObject { ["uuid"] = NetworkId }),
        },
    };

    /// <summary>Creates a server and waits until it is as it should be.</summary>
    public async Task<string> CreateServerAsync(string name = "vm", JsonObject? body = null)
    {
        var answer = await CallAsync("POST", "/v2.1/servers", body ?? ServerBody(name));
        Assert(answer, 202);
        var id = (string)answer.Json["server"]!["id"]!;
        await WaitAsync(id, "ACTIVE");
        return id;
    }

    /// <summary>Waits until a server has a status and nothing is under way.</summary>
    public async Task<JsonObject> WaitAsync(string id, string status)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        await foreach (var _ in Services.GetRequiredService<InstanceViews>().WatchAsync(deadline.Token))
        {
            var answer = await CallAsync("GET", $"/v2.1/servers/{id}");
            if (answer.Status == 404 && status == "DELETED")
            {
                return [];
            }
            if (answer.Status == 200 && answer.Json["server"] is JsonObject server && (string?)server["status"] == status && server["OS-EXT-STS:task_state"] is null)
            {
                return server;
            }
        }
        throw new TimeoutException($"Server {id} did not become {status}.");
    }

    /// <summary>Waits until the end of everything that was asked of a server is written down.</summary>
    public async Task WaitForActionsAsync(string id)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        await foreach (var instance in Services.GetRequiredService<InstanceViews>().WatchAsync(deadline.Token))
        {
            if (instance?.Id == id && instance.OpenActions.Count == 0)
            {
                return;
            }
        }
    }

    public static void Assert(RestAnswer answer, int status) =>
        Xunit.Assert.True(answer.Status == status, $"{answer.Status} instead of {status}: {answer.Text}");

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_nodes);
        await _app.StopAsync(None);
        await _app.DisposeAsync();
        _stop.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private void Add(WebApplicationBuilder builder)
    {
        builder.AddCompute();
        builder.Services.AddSingleton<INetworkApi>(Network);
        builder.Services.AddSingleton<IVolumeApi>(Volumes);
        builder.Services.AddSingleton<IImageApi>(Images);
        builder.Services.AddSingleton<ITokenVerifier, PlainTokens>();
        builder.Services.AddSingleton<IServer>(_server);
    }

    private async Task ObeyAsync(string nodeId)
    {
        try
        {
            var reports = Services.GetRequiredService<ReportWriter>();
            await foreach (var change in Services.GetRequiredService<TableCache<InstanceParts>>().WatchAsync(_stop.Token))
            {
                if (change.After?.OrderFor(nodeId) is { } order)
                {
                    await reports.WriteAsync(nodeId, [ComputeWorld.Obeyed(order)], _stop.Token);
                }
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    /// <summary>Tokens that say who they stand for.</summary>
    private sealed class PlainTokens : ITokenVerifier
    {
        public ValueTask<OperationContext?> VerifyAsync(string token, string requestId, CancellationToken cancellationToken)
        {
            var words = token.Split(':');
            return ValueTask.FromResult(words.Length != 3 ? null : new OperationContext
            {
                RequestId = requestId,
                UserId = words[0],
                ProjectId = words[1],
                Roles = (words[2] == "admin" ? new[] { "admin", "member" } : [words[2]]).ToFrozenSet(),
                Token = token,
            });
        }
    }
}
