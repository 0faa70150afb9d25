using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Encryption;

/// <summary>What the blocks of a volume are encrypted with. Volumes made of each other's content share it; it goes with the last of them and of their backups.</summary>
internal sealed record VolumeKey
{
    public static readonly TableSchema<VolumeKey> Table = new("block-storage/volume-keys", key => key.Id, BlockStorageJson.Default.VolumeKey);

    public required string Id { get; init; }

    /// <summary>As the key provider wrapped it.</summary>
    public required byte[] Wrapped { get; init; }
    public required string Cipher { get; init; }
    public required int KeyBits { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
}
