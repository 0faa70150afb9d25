using System.Security.Cryptography;
using System.Text;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Exports;

/// <summary>The right to read a snapshot or a backup by NBD, for a time.</summary>
internal sealed record Export
{
    public static readonly TableSchema<Export> Table = new TableSchema<Export>("block-storage/exports", export => export.Id, BlockStorageJson.Default.Export)
        .Index("project", export => export.ProjectId)
        .Unique("idempotency", export => export.IdempotencyKey is { } key ? $"{export.ProjectId}/{key}" : null);

    public required string Id { get; init; }
    public required string ProjectId { get; init; }
    public string? SnapshotId { get; init; }
    public string? BackupId { get; init; }
    public required long SizeBytes { get; init; }

    /// <summary>32 random bytes in hexadecimal.</summary>
    public required string Token { get; init; }
    public string? IdempotencyKey { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset ExpiresAt { get; init; }

    /// <summary>What a client asks for; whoever knows it may read, with a certificate where one is wanted.</summary>
    public string Name => $"{Id}.{Token}";

    public bool HasName(string name) => CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(name), Encoding.UTF8.GetBytes(Name));
}
