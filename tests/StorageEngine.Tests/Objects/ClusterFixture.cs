using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Client.Objects;
using Nephos.Client.Transport;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects;
using Nephos.Node.Objects.Repair;

namespace Nephos.StorageEngine.Tests.Objects;

/// <summary>Several engines in this process that know each other by unix sockets and one configuration only, as processes would.</summary>
internal sealed class ClusterFixture : IAsyncDisposable
{
    public const int NodeCount = 3;
    private const int DevicesPerNode = 2;
    private readonly TemporaryDirectory _directory = new();
    private readonly FileConfigurationMaster _master;
    private readonly Dictionary<string, ObjectEngine> _engines = [];

    public static readonly BucketName Bucket = new("account", "bucket");

    public ClusterFixture() => _master = new FileConfigurationMaster(Path.Combine(_directory.Path, "configuration"));

    public ObjectEngine this[string node] => _engines[node];

    public IEnumerable<KeyValuePair<string, ObjectEngine>> Engines => _engines;

    /// <summary>The engine without devices.</summary>
    public ObjectEngine Front => _engines["front"];

    public static string Node(int number) => $"node-{number}";

    public async Task<ClusterFixture> OpenAsync()
    {
        await Task.WhenAll(Enumerable.Range(0, NodeCount).Select(n => StartAsync(Node(n))).Append(StartAsync("front")));
        var created = await Front.Namespace.CreateBucketAsync(new BucketRecord { Name = Bucket }, CancellationToken.None);
        Xunit.Assert.Equal(EngineStatus.Ok, created.Status);
        return this;
    }

    public async Task StartAsync(string node)
    {
        var engine = await ObjectEngine.OpenAsync(OptionsOf(node), _master, TimeProvider.System, NullLoggerFactory.Instance, CancellationToken.None);
        lock (_engines)
        {
            _engines[node] = engine;
        }
    }

    public async Task StopAsync(string node)
    {
        ObjectEngine engine;
        lock (_engines)
        {
            engine = _engines[node];
            _engines.Remove(node);
        }

        await engine.DisposeAsync();
    }

    public static async Task PutAsync(IObjectEngine engine, string key, byte[] content)
    {
        await using var writer = engine.Payloads.OpenWriter(new PayloadOptions { Bucket = Bucket, Key = key });
        await writer.WriteAsync(content, CancellationToken.None);
        var outcome = await engine.Namespace.PutObjectAsync(
            new PutObject
            {
                Bucket = Bucket,
                Object = new ObjectRecord
                {
                    Key = key,
                    SizeBytes = content.Length,
                    ETag = key,
                    UserMetadata = RecordMetadata.Empty.Add("b", "2").Add("Z", "1").Add("ä", "3"),
                    Payload = await writer.CompleteAsync(CancellationToken.None),
                },
            },
            CancellationToken.None);
        Xunit.Assert.Equal(EngineStatus.Ok, outcome.Status);
    }

    public static async Task<byte[]?> GetAsync(IObjectEngine engine, string key)
    {
        var found = await engine.Namespace.GetObjectAsync(Bucket, key, default, CancellationToken.None);
        if (!found.IsOk)
        {
            return null;
        }

        Xunit.Assert.Equal(["Z", "b", "ä"], found.Value!.UserMetadata.Keys);
        await using var reader = engine.Payloads.OpenReader(found.Value.Payload, 0, found.Value.SizeBytes);
        var content = new MemoryStream();
        for (var piece = await reader.ReadAsync(CancellationToken.None); !piece.IsEmpty; piece = await reader.ReadAsync(CancellationToken.None))
        {
            content.Write(piece.Span);
        }

        return content.ToArray();
    }

    /// <summary>Waits for background work to reach a state; the engine itself gives no event for it.</summary>
    public static async Task WaitUntilAsync(IObjectEngine engine, Func<ObjectEngineStatus, bool> reached, string what)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(90));
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!reached(engine.GetStatus()))
        {
            try
            {
                await timer.WaitForNextTickAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                var status = engine.GetStatus();
                throw new TimeoutException($"Not reached: {what}. {status}; shards {string.Join("; ", status.Shards)}; devices {string.Join("; ", status.Devices)}");
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _engines.Keys.ToList())
        {
            await StopAsync(node);
        }

        _directory.Dispose();
    }

    private ObjectEngineOptions OptionsOf(string node)
    {
        var number = node == "front" ? -1 : int.Parse(node[5..], System.Globalization.CultureInfo.InvariantCulture);
        return new ObjectEngineOptions
        {
            Cluster = new ObjectClusterOptions
            {
                Name = node,
                Transport = new SocketTransport(new byte[] { 1 }, TimeProvider.System),
                Listen = number < 0 ? null : StorageAddress.Unix(Path.Combine(_directory.Path, node)),
                NodesAtFirst = NodeCount,
            },
            Devices = number < 0
                ? []
                : [.. Enumerable.Range(number * DevicesPerNode, DevicesPerNode).Select(
                    d => new ObjectDeviceLocation(d, Path.Combine(_directory.Path, $"device-{d}"), node, 1) { Node = node })],
            ConfigurationDirectory = "",
            PartitionPower = 5,
            Shards = 2,
            ReplaceAfter = TimeSpan.FromSeconds(3),
            Device = new ObjectDeviceOptions
            {
                Volumes = new VolumeStoreOptions { VolumeBytes = 4 << 20 },
                Journal = new JournalOptions { SegmentBytes = 9 << 20 },
                HeadroomBytes = 64 << 20,
            },
            Payloads = new PayloadStoreOptions { ExtentBytes = 2 << 20 },
            Upkeep = new UpkeepOptions
            {
                DeviceCheckPeriod = TimeSpan.FromMilliseconds(100),
                LedgerPeriod = TimeSpan.FromMilliseconds(200),
                RingPeriod = TimeSpan.FromMilliseconds(200),
                ReleasedPeriod = TimeSpan.FromMilliseconds(200),
                ReleasedDelay = TimeSpan.FromMilliseconds(100),
                SuspectPeriod = TimeSpan.FromMilliseconds(300),
            },
        };
    }
}
