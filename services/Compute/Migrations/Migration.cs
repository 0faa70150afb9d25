using System.Globalization;
using Nephos.Kernel.State;

namespace Nephos.Compute.Migrations;

internal enum MigrationKind { Resize, Migration, Evacuation }

internal enum MigrationEnd { Confirmed, Reverted }

/// <summary>A move of an instance to another node or another size. Written in the commit that asks for it; how far it is says the
/// instance, until somebody ends it.</summary>
internal sealed record Migration
{
    public required long Number { get; init; }

    public required string Uuid { get; init; }

    public required string InstanceId { get; init; }

    public required string ProjectId { get; init; }

    /// <summary>Who asked.</summary>
    public required string UserId { get; init; }

    public required MigrationKind Kind { get; init; }

    /// <summary>Names of nodes.</summary>
    public string? Source { get; init; }

    public string? Destination { get; init; }

    public required string OldFlavorId { get; init; }

    public required string NewFlavorId { get; init; }

    /// <summary>Of the instance after the move; a later move has a higher one.</summary>
    public required long Generation { get; init; }

    public MigrationEnd? End { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? UpdatedAt { get; init; }

    public static readonly TableSchema<Migration> Table =
        new TableSchema<Migration>("compute/migrations", migration => KeyOf(migration.Number), ComputeJson.Default.Migration)
            .Index("instance", migration => migration.InstanceId);

    public static string KeyOf(long number) => number.ToString("D19", CultureInfo.InvariantCulture);
}

/// <summary>The last number given to a migration.</summary>
internal sealed record MigrationCounter(string Name, long Last)
{
    public static readonly TableSchema<MigrationCounter> Table = new("compute/migration-counter", counter => counter.Name, ComputeJson.Default.MigrationCounter);
}
