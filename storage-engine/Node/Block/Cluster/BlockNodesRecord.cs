using System.Collections.Immutable;
using System.Text.Json;

namespace Nephos.Node.Block.Cluster;

/// <summary>A storage process and the block devices it has, as the configuration keeps it.</summary>
internal sealed record BlockNodeRecord(string Name, string Address, string Zone, ImmutableArray<Guid> Devices);

/// <summary>All storage processes with block devices, by name. They add themselves when they start.</summary>
internal sealed record BlockNodesRecord(ImmutableArray<BlockNodeRecord> Nodes)
{
    public const string Name = "blocks/nodes";

    public static BlockNodesRecord Empty { get; } = new([]);

    /// <summary>With a process as it is now. A disk that was put into another machine is there and no more where it was.</summary>
    public BlockNodesRecord With(BlockNodeRecord node) => new(
    [
        .. Nodes.Where(other => other.Name != node.Name)
            .Select(other => other with { Devices = [.. other.Devices.Where(device => !node.Devices.Contains(device))] })
            .Append(node).OrderBy(other => other.Name, StringComparer.Ordinal),
    ]);

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, BlockNodesJson.Default.BlockNodesRecord);

    public static BlockNodesRecord Parse(ReadOnlySpan<byte> bytes) =>
        JsonSerializer.Deserialize(bytes, BlockNodesJson.Default.BlockNodesRecord) ?? throw new InvalidDataException("The list of storage processes is empty.");
}
