using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Transfers;

/// <summary>The offer of a volume to whoever has the key.</summary>
internal sealed record Transfer
{
    public static readonly TableSchema<Transfer> Table = new("block-storage/transfers", transfer => transfer.Id, BlockStorageJson.Default.Transfer);

    public required string Id { get; init; }
    public required string VolumeId { get; init; }

    /// <summary>Whose the volume was when it was offered.</summary>
    public required string ProjectId { get; init; }
    public string Name { get; init; } = "";

    /// <summary>SHA-256 of salt and key, in hexadecimal. The key itself is nowhere.</summary>
    public required string KeyHash { get; init; }
    public required string Salt { get; init; }

    /// <summary>The snapshots of the volume stay where they are.</summary>
    public bool WithoutSnapshots { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public string? AcceptedBy { get; init; }
}
