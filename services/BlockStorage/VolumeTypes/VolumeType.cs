using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.VolumeTypes;

/// <summary>A kind of volume that the operator offers.</summary>
internal sealed record VolumeType
{
    /// <summary>The extra specs that limit the volumes of a type.</summary>
    public const string IopsSpec = "nephos:iops", BytesSpec = "nephos:bytes_per_second";

    /// <summary>The extra spec, and its value, of a type whose volumes may be attached to several instances.</summary>
    public const string MultiattachSpec = "multiattach", SpecTrue = "<is> True";

    public static readonly TableSchema<VolumeType> Table =
        new TableSchema<VolumeType>("block-storage/volume-types", type => type.Id, BlockStorageJson.Default.VolumeType).Unique("name", type => type.Name);

    public required string Id { get; init; }
    public required string Name { get; init; }
    public string? Description { get; init; }
    public bool IsPublic { get; init; } = true;

    /// <summary>Who may use a type that is not public.</summary>
    public IReadOnlyList<string> Projects { get; init; } = [];
    public IReadOnlyDictionary<string, string> ExtraSpecs { get; init; } = new Dictionary<string, string>();

    /// <summary>The QoS specs that hold for its volumes.</summary>
    public string? QosSpecsId { get; init; }
    public TypeEncryption? Encryption { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? UpdatedAt { get; init; }

    public bool IsOfferedTo(OperationContext operation) =>
        IsPublic || operation.SeesAll || (operation.ProjectId is { } project && Projects.Contains(project));

    public bool IsMultiattach => ExtraSpecs.TryGetValue(MultiattachSpec, out var value) && string.Equals(value, SpecTrue, StringComparison.OrdinalIgnoreCase);

    public long LimitOf(string spec) => ExtraSpecs.TryGetValue(spec, out var text) && long.TryParse(text, out var value) ? value : 0;
}

/// <summary>Volumes of the type are encrypted, by their heads. The provider is kept for tools; cipher and key size count.</summary>
internal sealed record TypeEncryption
{
    public required string Id { get; init; }
    public required string Provider { get; init; }
    public string? Cipher { get; init; }
    public int? KeySize { get; init; }

    /// <summary>front-end or back-end.</summary>
    public required string ControlLocation { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? UpdatedAt { get; init; }
}

/// <summary>The type of volumes of a project that ask for none.</summary>
internal sealed record DefaultType(string ProjectId, string VolumeTypeId)
{
    public static readonly TableSchema<DefaultType> Table = new("block-storage/default-types", type => type.ProjectId, BlockStorageJson.Default.DefaultType);
}
