using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using Nephos.Client.Objects;
using Nephos.Placement;

namespace Nephos.Node.Objects.Cluster;

/// <summary>A storage process and the devices it has, as the configuration keeps it.</summary>
internal sealed record NodeRecord(string Name, string Address, ImmutableArray<RingDevice> Devices);

/// <summary>All storage processes, by name. They add themselves when they start.</summary>
internal sealed record ClusterRecord(ImmutableArray<NodeRecord> Nodes)
{
    public const string Name = "objects/nodes";

    public static ClusterRecord Empty { get; } = new([]);

    public IEnumerable<RingDevice> Devices => Nodes.SelectMany(n => n.Devices);

    public ClusterRecord With(NodeRecord node) => new([.. Nodes.Where(n => n.Name != node.Name).Append(node).OrderBy(n => n.Name, StringComparer.Ordinal)]);

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, ClusterJson.Default.ClusterRecord);

    public static ClusterRecord Parse(ReadOnlySpan<byte> bytes) =>
        JsonSerializer.Deserialize(bytes, ClusterJson.Default.ClusterRecord) ?? throw new InvalidDataException("The list of storage processes is empty.");
}

/// <summary>What a process tells others about itself, every second.</summary>
/// <param name="Life">Another one after each start.</param>
/// <param name="OldestReadMs">Age of its oldest read under way; 0 when there is none.</param>
/// <param name="OldestUnreferencedMs">When its oldest blob without a record was begun (milliseconds since 1970); the largest number when there is none.</param>
internal sealed record PresenceRequest(string Name, Guid Life, ulong RingVersion, long OldestReadMs, long OldestUnreferencedMs);

/// <summary>What a storage process answers to that.</summary>
/// <param name="Shards">Those that it writes.</param>
/// <param name="AtRisk">Blobs on its ledger.</param>
/// <param name="ToRemove">Released blobs of the shards it writes.</param>
/// <param name="Repaired">Copies it made since its start.</param>
/// <param name="Keeper">What it knows of the whole store; null when another process keeps it.</param>
internal sealed record PresenceReply(
    Guid Life, ulong RingVersion, ImmutableArray<PresentDevice> Devices, ImmutableArray<IndexShardStatus> Shards, long AtRisk, long ToRemove, long Repaired,
    KeeperReport? Keeper);

/// <summary>The outcome of the last comparison of all references with all devices.</summary>
internal sealed record KeeperReport(long AtRisk, long WithoutSpare, long Missing, DateTimeOffset? LastFullCheck);

/// <param name="Life">Another one when the device was begun anew.</param>
internal sealed record PresentDevice(DeviceStatus Status, Guid Life);

[JsonSerializable(typeof(ClusterRecord))]
[JsonSerializable(typeof(PresenceRequest))]
[JsonSerializable(typeof(PresenceReply))]
internal sealed partial class ClusterJson : JsonSerializerContext;
