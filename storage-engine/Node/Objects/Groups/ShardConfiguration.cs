using System.Collections.Immutable;
using System.IO.Hashing;
using System.Text;
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

    public GroupConfiguration ToGroup() => new(Group, Epoch, Writer, [.. Members.Select(m => new ReplicaId(m.Replica))]);

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, ConfigurationJson.Default.ShardConfiguration);

    public static ShardConfiguration Parse(ReadOnlySpan<byte> bytes) =>
        JsonSerializer.Deserialize(bytes, ConfigurationJson.Default.ShardConfiguration)
        ?? throw new InvalidDataException("The configuration of a shard is empty.");
}

/// <summary>Which shard holds which accounts: ranges of the hash of the account's name, in order, the first from 0.</summary>
internal sealed record ShardMap(ulong Version, ImmutableArray<ShardRange> Ranges)
{
    public static ShardMap Even(int count) => new(
        1, [.. Enumerable.Range(0, count).Select(n => new ShardRange(n == 0 ? 0 : (ulong)(((UInt128)n << 64) / (uint)count), n))]);

    public int ShardOfAccount(string account) => ShardOf(XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(account)));

    public int ShardOf(ulong hash)
    {
        var shard = Ranges[0].Shard;
        foreach (var range in Ranges)
        {
            if (range.FirstHash > hash)
            {
                break;
            }

            shard = range.Shard;
        }

        return shard;
    }

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, ConfigurationJson.Default.ShardMap);

    public static ShardMap Parse(ReadOnlySpan<byte> bytes) =>
        JsonSerializer.Deserialize(bytes, ConfigurationJson.Default.ShardMap)
        ?? throw new InvalidDataException("The shard map is empty.");
}

internal sealed record ShardRange(ulong FirstHash, int Shard);

[JsonSerializable(typeof(ShardConfiguration))]
[JsonSerializable(typeof(ShardMap))]
internal sealed partial class ConfigurationJson : JsonSerializerContext;
