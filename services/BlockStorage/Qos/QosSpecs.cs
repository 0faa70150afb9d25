using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Qos;

/// <summary>Limits that volume types can be associated with.</summary>
internal sealed record QosSpecs
{
    public static readonly TableSchema<QosSpecs> Table = new TableSchema<QosSpecs>("block-storage/qos-specs", specs => specs.Id, BlockStorageJson.Default.QosSpecs)
        .Unique("name", specs => specs.Name);

    public required string Id { get; init; }
    public required string Name { get; init; }

    /// <summary>front-end, back-end or both. The head of a volume is both to us, and keeps the limits in each case.</summary>
    public string Consumer { get; init; } = "back-end";
    public IReadOnlyDictionary<string, string> Specs { get; init; } = new Dictionary<string, string>();
    public required DateTimeOffset CreatedAt { get; init; }
}
