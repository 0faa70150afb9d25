namespace Nephos.Kernel.Reconciliation;

/// <summary>What one pass did.</summary>
/// <param name="Examined">Objects looked at.</param>
/// <param name="Changed">Objects acted upon.</param>
/// <param name="Backlog">Objects that still differ from what is wanted.</param>
public readonly record struct ReconcileResult(int Examined, int Changed, int Backlog);

/// <summary>How a reconciler is doing. The counts are those of the last pass that did not fail.</summary>
public sealed record ReconcilerStatus
{
    public required string Name { get; init; }

    public required TimeSpan Period { get; init; }

    public long Passes { get; init; }

    /// <summary>Null before the first pass.</summary>
    public DateTimeOffset? LastStartedAt { get; init; }

    public TimeSpan LastDuration { get; init; }

    public int Examined { get; init; }

    public int Changed { get; init; }

    public int Backlog { get; init; }

    /// <summary>The newest error there was, which <see cref="LastErrorAt"/> dates; kept when later passes succeed.</summary>
    public string? LastError { get; init; }

    public DateTimeOffset? LastErrorAt { get; init; }

    /// <summary>0 when the last pass succeeded.</summary>
    public int ConsecutiveFailures { get; init; }
}
