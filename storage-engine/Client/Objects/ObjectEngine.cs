using System.Collections.Immutable;

namespace Nephos.Client.Objects;

/// <summary>The object storage engine as its users see it: immutable payloads, and a namespace that names them.</summary>
/// <remarks>
/// An upload is: write a payload, then commit a record that refers to it. A download is: get the record, then read its
/// payload. Thread-safe. All methods throw <see cref="ObjectEngineException"/> when the engine cannot do its work;
/// what a caller can expect to happen (no such key, a condition that fails) is an <see cref="EngineStatus"/> instead.
/// </remarks>
public interface IObjectEngine
{
    IPayloadStore Payloads { get; }

    IObjectNamespace Namespace { get; }

    /// <summary>The ways to keep payload that buckets can choose from; exactly one is the default.</summary>
    ImmutableArray<StoragePolicy> Policies => [StoragePolicy.Replicated];

    /// <summary>What is healthy and what is at risk, from memory; cheap enough to poll.</summary>
    ObjectEngineStatus GetStatus();
}

/// <summary>How payload is kept. Clients name it when they make a bucket; a bucket keeps its policy.</summary>
/// <param name="Name">Letters, digits and hyphens.</param>
public sealed record StoragePolicy(string Name, bool IsDefault)
{
    /// <summary>Whole copies, as many as the ring says.</summary>
    public static StoragePolicy Replicated { get; } = new("Policy-0", IsDefault: true);
}

/// <summary>Why the engine could not do its work. A face maps each to its own fault.</summary>
public enum EngineFailure
{
    /// <summary>Too few devices or index replicas can be reached; the outcome of a write is unknown. Retry later.</summary>
    Unavailable,

    /// <summary>The devices that remain have no room. Reads and deletes still work (HTTP 507).</summary>
    Full,

    /// <summary>No copy of the payload with the right checksum could be found.</summary>
    DataLoss,

    /// <summary>The blob is gone: the object was replaced or deleted long ago. Get the record again.</summary>
    Released,

    /// <summary>A bound of the engine was exceeded (see <see cref="ObjectLimits"/>).</summary>
    TooLarge,
}

/// <summary>The engine could not do its work; the message names the object and the rule.</summary>
public sealed class ObjectEngineException(EngineFailure failure, string message, Exception? cause = null)
    : Exception(message, cause)
{
    public EngineFailure Failure { get; } = failure;

    /// <summary>Nothing was done: the same request may be made again, perhaps elsewhere.</summary>
    public bool WasNotBegun { get; init; }

    /// <summary>The shard that was asked is replaced by others: nothing was done, and who asks again looks at the map first.</summary>
    public bool WasMoved { get; init; }
}

/// <summary>Bounds that every caller can rely on; requests beyond them are refused with <see cref="EngineFailure.TooLarge"/>.</summary>
public static class ObjectLimits
{
    /// <summary>UTF-8 bytes of an object's key (S3 and Swift both allow 1 024).</summary>
    public const int KeyBytesMax = 1024;

    /// <summary>UTF-8 bytes of an account or bucket name.</summary>
    public const int NameBytesMax = 256;

    /// <summary>UTF-8 bytes of all metadata names and values of one record, system and user together.</summary>
    public const int MetadataBytesMax = 1 << 20;

    /// <summary>Rows of one listing page.</summary>
    public const int ListLimitMax = 10_000;
    public const int ChangesKeptMax = 100_000;

    /// <summary>Part numbers are 1 to this.</summary>
    public const int PartNumberMax = 10_000;

    /// <summary>Extents of one payload. Extents grow along a payload, so that 10 000 parts of 512 MiB (5 TiB) fit.</summary>
    public const int ExtentCountMax = 150_000;
}
