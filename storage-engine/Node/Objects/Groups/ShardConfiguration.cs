using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using Nephos.Replication.Groups;

namespace Nephos.Node.Objects.Groups;

/// <summary>A replica of a shard and the device that it is on.</summary>
internal sealed record ShardMember(int Device, Guid Replica);

/// <summary>What the configuration master keeps of one shard.</summary>
internal sealed record ShardConfiguration(int Shard, ulong Epoch, string Writer, ImmutableArray<ShardMember> Members)
{
    public Guid Group => GroupOf(Shard);

    public static Guid GroupOf(int shard) => new(shard, 0x4e69, 0x4f62, new byte[8]);

    /// <summary>The shard whose group this is; null when it is none's.</summary>
    public static int? ShardOf(Guid group) => BitConverter.ToInt32(group.ToByteArray()) is var shard && GroupOf(shard) == group ? shard : null;

    public GroupConfiguration ToGroup() => new(Group, Epoch, Writer, [.. Members.Select(m => new ReplicaId(m.Replica))]);

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, ConfigurationJson.Default.ShardConfiguration);

    public static ShardConfiguration Parse(ReadOnlySpan<byte> bytes) =>
        JsonSerializer.Deserialize(bytes, ConfigurationJson.Default.ShardConfiguration)
        ?? throw new InvalidDataException("The configuration of a shard is empty.");
}

[JsonSerializable(typeof(ShardConfiguration))]
[JsonSerializable(typeof(ShardMap))]
internal sealed partial class ConfigurationJson : JsonSerializerContext;
