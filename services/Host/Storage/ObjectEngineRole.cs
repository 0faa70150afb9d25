using System.ComponentModel.DataAnnotations;
using Nephos.Client.Objects;
using Nephos.Client.Transport;
using Nephos.Hosting;
using Nephos.Hosting.StatusPages;
using Nephos.Node.Objects;

namespace Nephos.Host.Storage;

/// <summary>
/// The object engine of a process: with devices and shards where the role <c>objectstore</c> is, and only a way to theirs where the object
/// service runs without it. A process with both roles is the whole store, unless it is told where to listen for others.
/// </summary>
internal static class ObjectEngineRole
{
    private const string StoreRole = "objectstore", FrontRole = "object";

    public static void AddObjectStore(this WebApplicationBuilder builder) => AddEngine(builder);

    public static void AddObjectFront(this WebApplicationBuilder builder)
    {
        if (!builder.HasRole(StoreRole))
        {
            AddEngine(builder);
        }

        builder.Services.AddSingleton<ObjectRingGrpcService>();
    }

    public static void MapObjectStore(this WebApplication app)
    {
        // Its calls come over the storage transport.
    }

    public static void MapObjectFront(this WebApplication app) => app.MapGrpcService<ObjectRingGrpcService>();

    private static void AddEngine(WebApplicationBuilder builder)
    {
        var (hasDevices, isFront) = (builder.HasRole(StoreRole), builder.HasRole(FrontRole));
        builder.Services.AddNephosOptions<ObjectDevicesOptions>(ObjectDevicesOptions.Section);
        builder.Services.AddSingleton<IConfigurationMaster, StateConfigurationMaster>();
        builder.Services.AddObjectEngine(provider =>
        {
            var (nephos, options) = (provider.GetRequiredService<NephosOptions>(), provider.GetRequiredService<ObjectDevicesOptions>());
            return hasDevices && isFront && options.Listen.Length == 0
                ? ObjectEngineOptions.Under(options.DirectoryIn(nephos), options.Devices) with { ShardObjectsMax = options.ShardObjectsMax }
                : InCluster(nephos, options, hasDevices);
        });
        builder.Services.AddSingleton<IStatusFacts, ObjectEngineFacts>();
        builder.Services.AddHostedService<ObjectMetrics>();
    }

    private static ObjectEngineOptions InCluster(NephosOptions nephos, ObjectDevicesOptions options, bool hasDevices) => new()
    {
        Cluster = new ObjectClusterOptions
        {
            Name = hasDevices ? nephos.NodeName : $"{nephos.NodeName}-front",
            Transport = new SocketTransport(StorageKey.ReadOrCreate(nephos.SecretsDirectory), TimeProvider.System),
            Listen = hasDevices ? options.AddressIn(nephos) : null,
            NodesAtFirst = options.NodesAtFirst,
        },
        Devices = hasDevices
            ? [
                .. Enumerable.Range(options.FirstDevice, options.Devices).Select(n => new ObjectDeviceLocation(
                    n, Path.Combine(options.DirectoryIn(nephos), $"device-{n}"), options.Zone.Length > 0 ? options.Zone : nephos.NodeName, 1) { Node = nephos.NodeName }),
            ]
            : [],
        ConfigurationDirectory = options.DirectoryIn(nephos),
        ShardObjectsMax = options.ShardObjectsMax,
    };
}

/// <summary>Where objects are kept. Configuration section <c>ObjectDevices</c>.</summary>
internal sealed class ObjectDevicesOptions
{
    public const string Section = "ObjectDevices";

    /// <summary>Holds one directory per device; <c>objects</c> in the state directory when empty.</summary>
    public string Directory { get; set; } = "";

    /// <summary>Devices of this process. When it is the whole store at least three, each a zone of its own.</summary>
    [Range(1, 64)]
    public int Devices { get; set; } = 4;

    /// <summary>The number of its first device; the others follow. No two processes of a store have a number in common.</summary>
    [Range(0, 1_000_000)]
    public int FirstDevice { get; set; }

    /// <summary>The failure domain of all its devices; the node's name when empty.</summary>
    public string Zone { get; set; } = "";

    /// <summary>
    /// Where other processes of the store reach this one: <c>unix:PATH</c> or <c>tcp:HOST:PORT</c>. When empty, a process that is not the
    /// whole store listens on <c>run/objects.sock</c> in its state directory.
    /// </summary>
    [RegularExpression("^(unix:/.+|tcp:.+:[0-9]{1,5})$", ErrorMessage = "must be unix:/PATH or tcp:HOST:PORT")]
    public string Listen { get; set; } = "";

    /// <summary>A new store of several processes waits for so many with devices before it places anything.</summary>
    [Range(1, 1000)]
    public int NodesAtFirst { get; set; } = 3;

    /// <summary>A shard of the namespace with more objects splits; neighbours with less than a quarter of it together merge.</summary>
    [Range(1, long.MaxValue)]
    public long ShardObjectsMax { get; set; } = 1_000_000;

    public string DirectoryIn(NephosOptions nephos) => Directory.Length > 0 ? Directory : Path.Combine(nephos.StateDirectory, "objects");

    public StorageAddress AddressIn(NephosOptions nephos)
    {
        if (Listen.Length > 0)
        {
            return StorageAddress.Parse(Listen);
        }

        var run = Path.Combine(nephos.StateDirectory, "run");
        System.IO.Directory.CreateDirectory(run);
        return StorageAddress.Unix(Path.Combine(run, "objects.sock"));
    }
}

/// <summary>The health of the engine on the status page.</summary>
internal sealed class ObjectEngineFacts(IObjectEngine engine) : IStatusFacts
{
    public IEnumerable<KeyValuePair<string, string>> Facts
    {
        get
        {
            var status = engine.GetStatus();
            yield return KeyValuePair.Create("objects.at_risk", $"{status.BlobsAtRisk}");
            yield return KeyValuePair.Create("objects.safe_in", status.SafeIn is { } safe ? $"{safe.TotalSeconds:0} s" : "not known");
            yield return KeyValuePair.Create("objects.without_spare", $"{status.BlobsWithoutSpare}");
            yield return KeyValuePair.Create("objects.checked", status.LastFullCheck is { } at ? $"{at:u}" : "not since something was lost");
            foreach (var shard in status.Shards)
            {
                yield return KeyValuePair.Create(
                    $"objects.shard.{shard.Shard}", $"{shard.State}, epoch {shard.Epoch}, {shard.ReplicasInSync} of {shard.Replicas} in sync, {shard.Objects} objects {shard.Reason}".TrimEnd());
            }

            if (status.ShardChange.Length > 0)
            {
                yield return KeyValuePair.Create("objects.shard_change", status.ShardChange);
            }

            yield return KeyValuePair.Create("objects.missing", $"{status.BlobsMissing}");
            yield return KeyValuePair.Create("objects.repaired", $"{status.BlobsRepaired}");
            yield return KeyValuePair.Create("objects.to_remove", $"{status.BlobsToRemove}");
            foreach (var device in status.Devices)
            {
                yield return KeyValuePair.Create($"objects.device.{device.Id}", $"{device.State} {device.UsedBytes / (1 << 20)} MiB {device.Reason}".TrimEnd());
            }
        }
    }
}
