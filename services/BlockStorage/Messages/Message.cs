using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Messages;

/// <summary>Why something that a user asked for did not come to pass, in words for the user.</summary>
internal sealed record Message
{
    public static readonly TableSchema<Message> Table = new TableSchema<Message>("block-storage/messages", message => message.Id, BlockStorageJson.Default.Message)
        .Index("project", message => message.ProjectId);

    public required string Id { get; init; }
    public required string ProjectId { get; init; }

    /// <summary>VOLUME, VOLUME_SNAPSHOT or VOLUME_BACKUP.</summary>
    public required string ResourceType { get; init; }
    public required string ResourceId { get; init; }

    /// <summary>For programs: kind of resource, what was tried, and why it failed, as numbers.</summary>
    public required string EventId { get; init; }
    public required string Text { get; init; }
    public required string RequestId { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset KeptUntil { get; init; }
}

/// <summary>What was tried, with the number that clients know it by.</summary>
internal sealed record MessageAction(string Number, string Text);
