using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Nephos.Client.Objects;
using Nephos.Node.Objects.Cluster;
using Nephos.Node.Objects.Devices;
using Nephos.Node.Objects.Groups;
using Nephos.Node.Objects.Namespace;
using Nephos.Node.Objects.Repair;

namespace Nephos.Node.Objects;

/// <summary>The object engine: the devices and shards of this process, and the ways to those of others.</summary>
public sealed class ObjectEngine : IObjectEngine, IAsyncDisposable
{
    private readonly DeviceSet _devices;
    private readonly ShardSet _shards;
    private readonly StorageCluster _cluster;
    private readonly Upkeep _upkeep;
    private readonly RiskLedger _ledger;
    private readonly RingKeeper _keeper;
    private readonly ServedCalls? _served;
    private readonly RepairForecast _forecast;
    private readonly PayloadStore _payloads;
    private readonly ShardKeeper _shardKeeper;

    private ObjectEngine(Parts parts)
    {
        (_devices, _shards, _cluster, _upkeep, _ledger, _keeper, _served) =
            (parts.Devices, parts.Shards, parts.Cluster, parts.Upkeep, parts.Ledger, parts.Keeper, parts.Served);
        (_payloads, Namespace, _forecast) = (parts.Payloads, parts.Names, parts.Forecast);
        _shardKeeper = new ShardKeeper(
            _shards, parts.Directory, new ShardBounds(parts.Options.ShardObjectsMax, parts.Options.Shards, parts.Options.ShardChangePause), () => GetStatus().Shards,
            parts.Host, parts.Loggers.CreateLogger<ShardKeeper>());
    }

    public IPayloadStore Payloads => _payloads;

    public ImmutableArray<StoragePolicy> Policies => _payloads.Policies;

    public IObjectNamespace Namespace { get; }

    /// <summary>Where payload is kept, and how to change that.</summary>
    public IObjectRing Ring => _keeper;

    internal DeviceSet Devices => _devices;

    internal ShardSet Shards => _shards;

    internal ShardKeeper ShardKeeper => _shardKeeper;

    /// <summary>Opens all devices (recovery included), takes over the shards and starts the background work.</summary>
    /// <remarks>
    /// Devices that cannot be opened are waited for in the background; without a majority of a shard's replicas, that shard answers
    /// Unavailable. A new store of several processes opens when all that it is to begin with are there.
    /// </remarks>
    public static async Task<ObjectEngine> OpenAsync(
        ObjectEngineOptions options, IConfigurationMaster master, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        options.Validate();
        var host = new ShardHost(time, options.Payloads.Entropy, options.Payloads.Background, options.Cluster is null);
        var pins = new BlobPins(time);
        var cluster = new StorageCluster(options.Cluster?.Name ?? "local", options.Cluster?.Transport, time, host.Entropy, pins);
        var configuration = new EngineConfiguration(options, master, time);
        var weights = await RingWeights.ReadAsync(master, cancellationToken);
        var ring = await configuration.OpenRingAsync(cluster, weights, cancellationToken);
        var map = await configuration.OpenShardMapAsync(cancellationToken);

        var slots = options.Devices.Select(d => new DeviceSlot(d.Number, d.Zone, d.Path, options.Device, time)).ToList();
        var devices = new DeviceSet(slots, ring, cluster, time, options.ReplaceAfter, loggers.CreateLogger<DeviceSet>());
        await devices.OpenAllAsync(options.Payloads.Background);
        var shards = new ShardSet(
            master, devices, n => new IndexShard(n, devices, master, cluster, host, loggers.CreateLogger<IndexShard>()), host, loggers.CreateLogger<ShardSet>());
        var ledger = new RiskLedger();
        var local = new LocalBlobNode(devices, ledger);
        IBlobNode node = cluster.IsAlone ? local : new ClusterBlobNode(local, devices, cluster);
        var payloads = new PayloadStore(node, pins, options.Payloads, time);
        var directory = new ShardDirectory(shards, cluster, master, time) { Names = new ShardedNamespace(shards, devices, payloads, pins, time) };
        var upkeep = new Upkeep(
            devices, shards, node, payloads, ledger, cluster, new ReferenceTable(directory), options.Upkeep, host, loggers.CreateLogger<Upkeep>());
        var forecast = new RepairForecast(time);
        var keeper = new RingKeeper(devices, upkeep, cluster, [.. options.Devices.Select(d => d.ToRing())], master, weights, forecast);
        var engine = new ObjectEngine(new Parts(
            devices, shards, cluster, upkeep, ledger, keeper, payloads, new ClusterNamespace(directory, pins),
            options.Cluster is { Listen: { } } served ? new ServedCalls(served, local, shards, cluster, directory, host) : null,
            forecast, directory, options, host, loggers));
        engine._served?.Listen(engine.Present);
        await shards.OpenAsync(map);
        upkeep.Start(engine.StepAsync, engine._shardKeeper.StepAsync);
        return engine;
    }

    private async Task StepAsync(CancellationToken cancellationToken)
    {
        await _keeper.StepAsync(cancellationToken);
        _forecast.Note(_upkeep.Repaired + _cluster.Peers.Sum(p => p.Presence?.Repaired ?? 0));
    }

    public ObjectEngineStatus GetStatus()
    {
        var here = Present();
        List<PresenceReply> all = [here, .. _cluster.Peers.Select(p => p.Presence).OfType<PresenceReply>()];
        var report = _keeper.Report;
        return new ObjectEngineStatus(
            [.. _devices.GetStatus()],
            [.. Written(all)],
            report?.WithoutSpare ?? 0,
            Math.Max(report?.AtRisk ?? 0, all.Sum(p => p.AtRisk)),
            report?.Missing ?? 0,
            all.Sum(p => p.ToRemove),
            all.Sum(p => p.Repaired),
            report?.LastFullCheck)
        {
            ShardChange = _shards.Map.Change is { } change
                ? $"{string.Join(" and ", change.Sources.Select(s => s.Shard))} to {string.Join(" and ", change.Targets.Select(t => t.Shard))}"
                : "",
            SafeIn = report?.LastFullCheck is null ? null : _forecast.Until(Math.Max(report.AtRisk, all.Sum(p => p.AtRisk))),
        };
    }

    public async ValueTask DisposeAsync()
    {
        await _upkeep.DisposeAsync();
        if (_served is not null)
        {
            // First: what others ask for is answered while the shards still can.
            await _served.DisposeAsync();
        }

        await _shards.EndAllAsync();
        await _shardKeeper.EndAsync();
        await _cluster.DisposeAsync();
        await _devices.DisposeAsync();
    }

    /// <summary>Each shard as its writer sees it; one without a writer is down.</summary>
    private IEnumerable<IndexShardStatus> Written(List<PresenceReply> all)
    {
        var written = all.SelectMany(p => p.Shards).GroupBy(s => s.Shard).ToDictionary(g => g.Key, g => g.MaxBy(s => s.Epoch)!);
        return _shards.Map.Ranges.Select(r => (written.GetValueOrDefault(r.Shard) ?? _shards.Find(r.Shard)?.GetStatus()
            ?? new IndexShardStatus(r.Shard, 0, 0, "Down", 0, 0, "it was just replaced")) with { FirstHash = r.FirstHash });
    }

    private PresenceReply Present() => new(
        _cluster.Life,
        _devices.Ring.Version,
        [.. _devices.GetLocal()],
        [.. _shards.All.Where(s => s.IsWriter).Select(s => s.GetStatus())],
        _ledger.Count,
        _upkeep.ToRemove,
        _upkeep.Repaired,
        _upkeep.IsKeeper ? _upkeep.Report : null);

    private sealed record Parts(
        DeviceSet Devices, ShardSet Shards, StorageCluster Cluster, Upkeep Upkeep, RiskLedger Ledger, RingKeeper Keeper,
        PayloadStore Payloads, IObjectNamespace Names, ServedCalls? Served, RepairForecast Forecast,
        ShardDirectory Directory, ObjectEngineOptions Options, ShardHost Host, ILoggerFactory Loggers);
}
