using System.Collections.Immutable;

namespace Nephos.Client.Objects;

/// <summary>A bucket (S3) or container (Swift): a name inside an account, which is a project's id.</summary>
public readonly record struct BucketName(string Account, string Name)
{
    public override string ToString() => $"{Account}/{Name}";
}

/// <summary>How a bucket treats older versions.</summary>
public enum BucketVersioning
{
    /// <summary>A replaced object is gone.</summary>
    Off,

    /// <summary>A replaced object stays as a version; a delete adds a delete marker.</summary>
    Enabled,

    /// <summary>Existing versions stay; new writes replace the null version.</summary>
    Suspended,
}

/// <summary>Largest contents allowed; enforced exactly, in the same commit. Null is no limit.</summary>
public readonly record struct Quota(long? BytesMax, long? ObjectsMax);

/// <summary>Exact contents, counted in the same commit as the change.</summary>
/// <param name="Objects">Current objects; a key whose newest version is a delete marker does not count.</param>
/// <param name="Bytes">Bytes of the current objects.</param>
/// <param name="NoncurrentVersions">Older versions and delete markers.</param>
/// <param name="NoncurrentBytes">Bytes of the older versions.</param>
public readonly record struct Usage(long Objects, long Bytes, long NoncurrentVersions, long NoncurrentBytes);

/// <summary>The settings of a bucket.</summary>
public sealed record BucketRecord
{
    public required BucketName Name { get; init; }

    /// <summary>Never reused, also when the name is.</summary>
    public ulong Uid { get; init; }

    public DateTimeOffset Created { get; init; }

    /// <summary>The last change of the settings (not of the contents).</summary>
    public DateTimeOffset Modified { get; init; }

    public string Owner { get; init; } = "";

    public BucketVersioning Versioning { get; init; }

    public Quota Quota { get; init; }

    /// <summary>Settings that only the faces understand: ACLs, policies, CORS, tags, headers. Names are ordinal.</summary>
    public ImmutableSortedDictionary<string, string> Metadata { get; init; } = RecordMetadata.Empty;

    /// <summary>So many of the last changes of its objects can be read, up to <see cref="ObjectLimits.ChangesKeptMax"/>; 0 keeps none and costs nothing.</summary>
    public int ChangesKept { get; init; }

    /// <summary>Grows with each change of the settings.</summary>
    public ulong Generation { get; init; }

    public Usage Usage { get; init; }
}

/// <summary>An account (project): its settings and exact totals over all its buckets.</summary>
public sealed record AccountRecord
{
    public required string Name { get; init; }

    public DateTimeOffset Created { get; init; }

    public DateTimeOffset Modified { get; init; }

    public Quota Quota { get; init; }

    public ImmutableSortedDictionary<string, string> Metadata { get; init; } = RecordMetadata.Empty;

    public ulong Generation { get; init; }

    public long Buckets { get; init; }

    public Usage Usage { get; init; }
}

/// <summary>Metadata maps compare names by their bytes.</summary>
public static class RecordMetadata
{
    public static ImmutableSortedDictionary<string, string> Empty { get; } =
        ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal);
}

/// <summary>A page of an account's buckets, by name. Markers are exclusive.</summary>
public sealed record ListBuckets
{
    public required string Account { get; init; }
    public string Prefix { get; init; } = "";
    public string Delimiter { get; init; } = "";
    public string Marker { get; init; } = "";
    public string EndMarker { get; init; } = "";
    public int Limit { get; init; } = ObjectLimits.ListLimitMax;
    public bool Reverse { get; init; }
}

/// <summary>Either a bucket or, with a delimiter, the common prefix of several.</summary>
public readonly record struct BucketEntry(string Name, BucketRecord? Bucket)
{
    public bool IsPrefix => Bucket is null;
}

public sealed record BucketPage(IReadOnlyList<BucketEntry> Entries, bool IsTruncated, string NextMarker);
