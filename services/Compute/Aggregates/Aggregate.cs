using System.Globalization;
using Nephos.Kernel.State;

namespace Nephos.Compute.Aggregates;

/// <summary>A group of nodes. One whose metadata names an availability zone is that zone.</summary>
internal sealed record Aggregate
{
    public const string ZoneKey = "availability_zone";

    public required long Number { get; init; }

    public required string Uuid { get; init; }

    public required string Name { get; init; }

    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();

    /// <summary>Names of nodes.</summary>
    public IReadOnlyList<string> Hosts { get; init; } = [];

    public required DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? UpdatedAt { get; init; }

    public string? Zone => Metadata.GetValueOrDefault(ZoneKey);

    public static readonly TableSchema<Aggregate> Table =
        new TableSchema<Aggregate>("compute/aggregates", aggregate => KeyOf(aggregate.Number), ComputeJson.Default.Aggregate)
            .Unique("name", aggregate => aggregate.Name);

    public static string KeyOf(long number) => number.ToString("D19", CultureInfo.InvariantCulture);
}
