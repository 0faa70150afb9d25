using Nephos.Kernel.State;

namespace Nephos.Compute.Flavors;

/// <summary>A size that instances come in. Instances keep a copy of the one they were made with.</summary>
internal sealed record Flavor
{
    /// <summary>1 to 255 characters.</summary>
    public required string Id { get; init; }

    public required string Name { get; init; }

    public string? Description { get; init; }

    public required int Vcpus { get; init; }

    public required long MemoryMib { get; init; }

    /// <summary>0: as large as the image.</summary>
    public long RootGib { get; init; }

    public long EphemeralGib { get; init; }

    public long SwapMib { get; init; }

    public double RxtxFactor { get; init; } = 1;

    public bool Public { get; init; } = true;

    public IReadOnlyDictionary<string, string> ExtraSpecs { get; init; } = new Dictionary<string, string>();

    /// <summary>Who may use a flavor that is not public.</summary>
    public IReadOnlyList<string> ProjectIds { get; init; } = [];

    public DateTimeOffset CreatedAt { get; init; }

    public string? IdempotencyKey { get; init; }

    public bool UsableBy(string? projectId) => Public || (projectId is not null && ProjectIds.Contains(projectId));

    public static readonly TableSchema<Flavor> Table =
        new TableSchema<Flavor>("compute/flavors", flavor => flavor.Id, ComputeJson.Default.Flavor)
            .Unique("name", flavor => flavor.Name)
            .Unique("idempotency", flavor => flavor.IdempotencyKey);
}

/// <summary>Says that the first flavors were made, so that those an administrator deletes do not come back.</summary>
internal sealed record FlavorSeedMark(string Id, DateTimeOffset SeededAt)
{
    public static readonly TableSchema<FlavorSeedMark> Table = new("compute/flavor-seed", mark => mark.Id, ComputeJson.Default.FlavorSeedMark);
}
