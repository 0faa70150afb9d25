using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Attachments;

/// <summary>The right to open a volume: a token and, once opened, an epoch.</summary>
internal sealed record Attachment
{
    public static readonly TableSchema<Attachment> Table =
        new TableSchema<Attachment>("block-storage/attachments", attachment => attachment.Id, BlockStorageJson.Default.Attachment)
            .Index("volume", attachment => attachment.VolumeId)
            .Unique("idempotency", attachment => attachment.IdempotencyKey is { } key ? $"{attachment.VolumeId}/{key}" : null);

    public required string Id { get; init; }
    public required string VolumeId { get; init; }
    public required string ProjectId { get; init; }
    public string? InstanceId { get; init; }
    public string? Node { get; init; }
    public string? Device { get; init; }
    public bool ReadOnly { get; init; }

    /// <summary>32 random bytes in hexadecimal; with the id it is the name of the export.</summary>
    public required string Token { get; init; }
    public string? IdempotencyKey { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When a node opened it last.</summary>
    public DateTimeOffset? OpenedAt { get; init; }
    public long Epoch { get; init; }

    /// <summary>Shown as detaching until then.</summary>
    public DateTimeOffset? DetachingUntil { get; init; }

    public bool IsDetaching(DateTimeOffset now) => DetachingUntil > now;
}
