using Nephos.Client.Objects;
using Nephos.Client.Transport;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects.Repair;
using Nephos.Placement;

namespace Nephos.Node.Objects;

/// <summary>A device directory of this process and its place in the ring.</summary>
/// <param name="Number">Its number in the ring; never reused for another device.</param>
/// <param name="Zone">The failure domain it shares with others; replicas are spread over zones.</param>
/// <param name="Weight">Its share of the data, relative to the others.</param>
public sealed record ObjectDeviceLocation(int Number, string Path, string Zone, double Weight)
{
    public string Region { get; init; } = "local";

    /// <summary>The machine it is in.</summary>
    public string Node { get; init; } = "local";

    internal RingDevice ToRing() => new(Number, Region, Zone, Node, Weight);
}

/// <summary>How this process belongs to a store of several processes.</summary>
public sealed record ObjectClusterOptions
{
    /// <summary>Its name, which no other process has, also after a restart.</summary>
    public required string Name { get; init; }

    public required IStorageTransport Transport { get; init; }

    /// <summary>Where it listens; null when it has no devices and only uses the others.</summary>
    public StorageAddress? Listen { get; init; }

    /// <summary>Processes with devices that a new store waits for before it makes its ring.</summary>
    public int NodesAtFirst { get; init; } = 1;
}

public sealed record ObjectEngineOptions
{
    /// <summary>Null when this process is the whole store.</summary>
    public ObjectClusterOptions? Cluster { get; init; }

    /// <summary>Those of this process. Without a cluster at least as many as replicas.</summary>
    public required IReadOnlyList<ObjectDeviceLocation> Devices { get; init; }

    /// <summary>Where the configuration is kept when no other <see cref="IConfigurationMaster"/> is registered.</summary>
    public required string ConfigurationDirectory { get; init; }

    /// <summary>Copies of everything; a write is answered when a majority of them is durable.</summary>
    public int Replicas { get; init; } = 3;

    /// <summary>2 to this power partitions: at least 128 for each device at the size the installation may grow to.</summary>
    public int PartitionPower { get; init; } = 10;

    /// <summary>Shards of the namespace, for a new installation, and the fewest there will be. Each has its own writer.</summary>
    public int Shards { get; init; } = 4;

    /// <summary>A shard with more objects (older versions included) splits between two accounts; two neighbours with less than a quarter of it together merge.</summary>
    public long ShardObjectsMax { get; init; } = 1_000_000;

    /// <summary>The least time from one split or merge to the next.</summary>
    public TimeSpan ShardChangePause { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A device that is away for longer is replaced by others; a shorter absence only delays copies.</summary>
    public TimeSpan ReplaceAfter { get; init; } = TimeSpan.FromMinutes(10);

    public PayloadStoreOptions Payloads { get; init; } = new();

    public ObjectDeviceOptions Device { get; init; } = new();

    public UpkeepOptions Upkeep { get; init; } = new();

    /// <summary>Device directories <c>device-0</c>, <c>device-1</c>, … under one directory, each a zone of its own: three copies that survive the loss of any one.</summary>
    public static ObjectEngineOptions Under(string directory, int deviceCount = 4) => new()
    {
        Devices =
        [
            .. Enumerable.Range(0, deviceCount).Select(n => new ObjectDeviceLocation(
                n, Path.Combine(directory, $"device-{n}"), $"zone-{n}", 1)),
        ],
        ConfigurationDirectory = Path.Combine(directory, "configuration"),
    };

    /// <exception cref="ArgumentException">All problems, each with the option's name.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        if (Replicas is < 1 or > 8)
        {
            problems.Add($"{nameof(Replicas)} is 1 to 8, not {Replicas}");
        }

        if (Cluster is null && Devices.Count < Replicas)
        {
            problems.Add($"{nameof(Devices)} has {Devices.Count}, fewer than {Replicas} replicas");
        }

        if (Cluster is { Listen: null } && Devices.Count > 0)
        {
            problems.Add($"{nameof(Cluster)}.{nameof(ObjectClusterOptions.Listen)} is needed where there are {nameof(Devices)}");
        }

        if (Devices.Select(d => d.Number).Distinct().Count() != Devices.Count || Devices.Any(d => d.Number < 0))
        {
            problems.Add($"the numbers of {nameof(Devices)} are distinct and not negative");
        }

        if (Devices.Select(d => Path.GetFullPath(d.Path)).Distinct().Count() != Devices.Count)
        {
            problems.Add($"the paths of {nameof(Devices)} are distinct");
        }

        if (PartitionPower is < 0 or > Ring.PartitionPowerMax)
        {
            problems.Add($"{nameof(PartitionPower)} is 0 to {Ring.PartitionPowerMax}, not {PartitionPower}");
        }

        if (Shards is < 1 or > 1024)
        {
            problems.Add($"{nameof(Shards)} is 1 to 1024, not {Shards}");
        }

        if (ShardObjectsMax < 1)
        {
            problems.Add($"{nameof(ShardObjectsMax)} is at least 1");
        }

        if (Payloads.ExtentBytes < Frames.FrameBytes || Payloads.ExtentBytes % Frames.FrameBytes != 0)
        {
            problems.Add($"{nameof(Payloads)}.{nameof(Payloads.ExtentBytes)} is a multiple of {Frames.FrameBytes}");
        }

        if (Payloads.InlineBytesMax is < 0 or > 256 << 10)
        {
            problems.Add($"{nameof(Payloads)}.{nameof(Payloads.InlineBytesMax)} is 0 to {256 << 10}");
        }

        if (problems.Count > 0)
        {
            throw new ArgumentException($"Object engine: {string.Join("; ", problems)}.");
        }
    }
}
