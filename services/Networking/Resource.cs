namespace Nephos.Networking;

/// <summary>What every object of the service has.</summary>
internal abstract record Resource
{
    /// <summary>A UUID.</summary>
    public required string Id { get; init; }

    /// <summary>The project that owns it; empty for the ports that the service keeps for itself.</summary>
    public required string ProjectId { get; init; }

    public string Name { get; init; } = "";

    public string Description { get; init; } = "";

    /// <summary>In order, each once.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>Grows with every change.</summary>
    public long Revision { get; init; } = 1;

    /// <summary>The caller's key of the request that made it; null when there was none.</summary>
    public string? IdempotencyKey { get; init; }
}

/// <summary>A value that a request may leave out.</summary>
internal readonly record struct Optional<T>(bool IsSet, T Value)
{
    public static implicit operator Optional<T>(T value) => new(true, value);

    public T Or(T otherwise) => IsSet ? Value : otherwise;
}
