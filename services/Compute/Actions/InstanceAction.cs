using System.Globalization;
using Nephos.Kernel.State;

namespace Nephos.Compute.Actions;

/// <summary>Who asked what of an instance, and how it went.</summary>
internal sealed record InstanceAction
{
    public required string Key { get; init; }

    public required string InstanceId { get; init; }

    public required string Action { get; init; }

    public required string RequestId { get; init; }

    public required string UserId { get; init; }

    public required string ProjectId { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    public DateTimeOffset? UpdatedAt { get; init; }

    public string? Message { get; init; }

    public IReadOnlyList<ActionEvent> Events { get; init; } = [];

    public static readonly TableSchema<InstanceAction> Table = new("compute/actions", action => action.Key, ComputeJson.Default.InstanceAction);

    /// <summary>Newest first within an instance.</summary>
    public static string KeyOf(string instanceId, DateTimeOffset startedAt, string requestId) =>
        string.Create(CultureInfo.InvariantCulture, $"{instanceId}/{long.MaxValue - startedAt.UtcTicks:D19}/{requestId}");
}

/// <param name="Result">Success, Error or null while it goes on.</param>
internal sealed record ActionEvent(
    string Name, DateTimeOffset StartedAt, DateTimeOffset? FinishedAt, string? Result, string? Details, string? NodeName);
