using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Nephos.Client.Objects;
using Nephos.Node.Objects.Devices;
using Nephos.Node.Objects.Groups;
using Nephos.Node.Objects.Namespace;
using Nephos.Node.Objects.Repair;
using Nephos.Placement;

namespace Nephos.Node.Objects;

/// <summary>The object engine over the device directories of this process.</summary>
public sealed class ObjectEngine : IObjectEngine, IAsyncDisposable
{
    private const string ShardMapName = "objects/shard-map";
    private readonly DeviceSet _devices;
    private readonly ImmutableArray<IndexShard> _shards;
    private readonly Upkeep _upkeep;
    private readonly RiskLedger _ledger;

    private ObjectEngine(
        DeviceSet devices, ImmutableArray<IndexShard> shards, Upkeep upkeep, RiskLedger ledger, PayloadStore payloads, IObjectNamespace names,
        IObjectRing ring)
    {
        (_devices, _shards, _upkeep, _ledger, Payloads, Namespace, Ring) = (devices, shards, upkeep, ledger, payloads, names, ring);
    }

    public IPayloadStore Payloads { get; }

    public IObjectNamespace Namespace { get; }

    /// <summary>Where payload is kept, and how to change that.</summary>
    public IObjectRing Ring { get; }

    internal DeviceSet Devices => _devices;

    internal ImmutableArray<IndexShard> Shards => _shards;

    /// <summary>Opens all devices (recovery included), takes over the shards and starts the background work.</summary>
    /// <remarks>Devices that cannot be opened are waited for in the background; without a majority of a shard's replicas, that shard answers Unavailable.</remarks>
    public static async Task<ObjectEngine> OpenAsync(
        ObjectEngineOptions options, IConfigurationMaster master, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        options.Validate();
        var wish = await RingKeeper.ReadAsync([.. options.Devices.Select(d => d.ToRing())], master, cancellationToken);
        var ring = await OpenRingAsync(options, wish.Devices, master, cancellationToken);
        var slots = options.Devices.Select(d => new DeviceSlot(d.Number, d.Zone, d.Path, options.Device, time)).ToList();
        var devices = new DeviceSet(slots, ring, time, options.ReplaceAfter, loggers.CreateLogger<DeviceSet>());
        await devices.OpenAllAsync(options.Payloads.Background);
        var map = await OpenShardMapAsync(options, master, cancellationToken);
        var host = new ShardHost(time, options.Payloads.Entropy, options.Payloads.Background);
        var writerName = host.Entropy.NewGuid().ToString("n");
        ImmutableArray<IndexShard> shards =
        [
            .. map.Ranges.Select(r => r.Shard).Distinct().Order().Select(
                n => new IndexShard(n, devices, master, writerName, host, loggers.CreateLogger<IndexShard>())),
        ];
        await Task.WhenAll(shards.Select(s => s.StartAsync(cancellationToken)));
        var pins = new BlobPins(time);
        var ledger = new RiskLedger();
        var node = new LocalBlobNode(devices, ledger);
        var payloads = new PayloadStore(node, pins, options.Payloads, time);
        var names = new ShardedNamespace(map, shards, payloads, pins, time);
        var upkeep = new Upkeep(devices, shards, node, payloads, ledger, pins, options.Upkeep, host, loggers.CreateLogger<Upkeep>());
        var keeper = new RingKeeper(devices, upkeep, master, wish);
        upkeep.Start(keeper.StepAsync);
        return new ObjectEngine(devices, shards, upkeep, ledger, payloads, names, keeper);
    }

    public ObjectEngineStatus GetStatus() => new(
        [.. _devices.GetStatus()],
        [.. _shards.Select(s => s.GetStatus())],
        _upkeep.Check.WithoutSpare,
        Math.Max(_upkeep.Check.AtRisk, _ledger.Count),
        _upkeep.Check.Missing,
        _upkeep.ToRemove,
        _upkeep.Repaired,
        _upkeep.LastFullCheck);

    public async ValueTask DisposeAsync()
    {
        await _upkeep.DisposeAsync();
        foreach (var shard in _shards)
        {
            await shard.DisposeAsync();
        }

        await _devices.DisposeAsync();
    }

    /// <summary>
    /// The stored ring, changed to the devices of the options and the weights that were set. Copies follow the ring in the background: nothing is removed from where it
    /// was before every device that should have it has it, and reads look everywhere.
    /// </summary>
    private static async Task<Ring> OpenRingAsync(
        ObjectEngineOptions options, IReadOnlyList<RingDevice> wanted, IConfigurationMaster master, CancellationToken cancellationToken)
    {
        var stored = await master.ReadAsync(RingKeeper.RingName, cancellationToken);
        if (stored is null)
        {
            var first = RingBuilder.Create(options.PartitionPower, options.Replicas, wanted);
            return await master.CompareAndSwapAsync(RingKeeper.RingName, 0, RingFormat.Write(first), cancellationToken) is not null
                ? first
                : throw new InvalidOperationException("Another process creates the ring at the same time.");
        }

        var ring = RingFormat.Read(stored.Value.Value.Span);
        var before = ring.Version;
        for (var change = RingBuilder.Rebalance(ring, wanted); ; change = RingBuilder.Rebalance(ring, wanted))
        {
            ring = change.Ring;
            if (change.IsBalanced)
            {
                break;
            }
        }

        if (ring.Version != before
            && await master.CompareAndSwapAsync(RingKeeper.RingName, stored.Value.Version, RingFormat.Write(ring), cancellationToken) is null)
        {
            throw new InvalidOperationException("Another process changes the ring at the same time.");
        }

        return ring;
    }

    private static async Task<ShardMap> OpenShardMapAsync(
        ObjectEngineOptions options, IConfigurationMaster master, CancellationToken cancellationToken)
    {
        if (await master.ReadAsync(ShardMapName, cancellationToken) is { } stored)
        {
            return ShardMap.Parse(stored.Value.Span);
        }

        var map = ShardMap.Even(options.Shards);
        return await master.CompareAndSwapAsync(ShardMapName, 0, map.ToBytes(), cancellationToken) is not null
            ? map
            : throw new InvalidOperationException("Another process creates the shard map at the same time.");
    }
}
