using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Operators;

/// <summary>What an administrator has said about a service on a host.</summary>
internal sealed record HostState
{
    public static readonly TableSchema<HostState> Table = new("block-storage/host-states", state => KeyOf(state.Binary, state.Host), BlockStorageJson.Default.HostState);

    public required string Binary { get; init; }
    public required string Host { get; init; }

    /// <summary>Gets no new volumes.</summary>
    public bool Disabled { get; init; }
    public string? DisabledReason { get; init; }

    /// <summary>Gets no new volumes either, and says so.</summary>
    public bool Frozen { get; init; }
    public DateTimeOffset? UpdatedAt { get; init; }

    public static string KeyOf(string binary, string host) => $"{binary}/{host}";
}

/// <summary>A part of block storage as operators see it.</summary>
internal sealed record OperatedService(string Binary, string Host, bool Up, HostState State);
