using System.Collections.Immutable;
using System.Globalization;

namespace Nephos.Client.Objects;

/// <summary>Names one version of one object; newer versions have greater sequences.</summary>
public readonly record struct VersionId(ulong Sequence, uint Nonce)
{
    public override string ToString() => $"{Sequence:x16}{Nonce:x8}";

    public static bool TryParse(string text, out VersionId version)
    {
        version = default;
        if (text is not { Length: 24 }
            || !ulong.TryParse(text.AsSpan(0, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var sequence)
            || !uint.TryParse(text.AsSpan(16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var nonce))
        {
            return false;
        }

        version = new VersionId(sequence, nonce);
        return true;
    }
}

/// <summary>Which version an operation means.</summary>
/// <param name="Version">A version by id; null for the current one.</param>
/// <param name="NullVersion">The version written while versioning was off or suspended (S3's version id "null").</param>
public readonly record struct VersionSelector(VersionId? Version, bool NullVersion)
{
    public static VersionSelector Current => default;

    public static VersionSelector Null => new(null, NullVersion: true);

    public static VersionSelector Of(VersionId version) => new(version, NullVersion: false);

    public bool IsCurrent => Version is null && !NullVersion;
}

/// <summary>What a listing shows of an object: one row of the index.</summary>
public record ObjectSummary
{
    public required string Key { get; init; }

    public VersionId Version { get; init; }

    /// <summary>Written while versioning was not enabled.</summary>
    public bool IsNullVersion { get; init; }

    /// <summary>The newest version of its key.</summary>
    public bool IsLatest { get; init; }

    public bool IsDeleteMarker { get; init; }

    public long SizeBytes { get; init; }

    /// <summary>Without quotes, exactly as given at the write.</summary>
    public string ETag { get; init; } = "";

    public string ContentType { get; init; } = "";

    public DateTimeOffset Modified { get; init; }

    public string Owner { get; init; } = "";

    public string StorageClass { get; init; } = "";

    /// <summary>A short text of the face that listings need (for example the target of a link); at most 512 bytes are sensible.</summary>
    public string Note { get; init; } = "";

    /// <summary>Deleted by the engine at this time or soon after.</summary>
    public DateTimeOffset? Expires { get; init; }

    /// <summary>Grows with each change of this version's record, metadata updates included.</summary>
    public ulong Generation { get; init; }
}

/// <summary>One version of an object, whole.</summary>
public sealed record ObjectRecord : ObjectSummary
{
    /// <summary>What the faces keep for themselves: headers, ACLs, tags, checksums, locks. Names are ordinal.</summary>
    public ImmutableSortedDictionary<string, string> SystemMetadata { get; init; } = RecordMetadata.Empty;

    /// <summary>The user's metadata without any header prefix, so that both faces show the same.</summary>
    public ImmutableSortedDictionary<string, string> UserMetadata { get; init; } = RecordMetadata.Empty;

    public Payload Payload { get; init; } = Payload.Empty;

    /// <summary>The parts of a completed upload, in order; empty for others.</summary>
    public ImmutableArray<PartSummary> Parts { get; init; } = [];
}

/// <summary>One part inside a completed object.</summary>
/// <param name="Checksums">The face's text, for example checksums of the part.</param>
public readonly record struct PartSummary(int Number, long SizeBytes, string ETag, string Checksums);

/// <summary>Checked against the current version inside the commit, so exact under concurrency. All that are set must hold.</summary>
/// <remarks>A delete marker counts as no object.</remarks>
public sealed record WriteConditions
{
    public static WriteConditions None { get; } = new();

    /// <summary>If-None-Match: *.</summary>
    public bool MustNotExist { get; init; }

    /// <summary>If-Match: *.</summary>
    public bool MustExist { get; init; }

    /// <summary>If-Match: the current ETag is one of these; empty is no condition.</summary>
    public ImmutableArray<string> ETagIn { get; init; } = [];

    /// <summary>If-None-Match: the current ETag is none of these; empty is no condition.</summary>
    public ImmutableArray<string> ETagNotIn { get; init; } = [];

    /// <summary>The record has not changed since it was read.</summary>
    public ulong? Generation { get; init; }

    public long? SizeBytes { get; init; }

    /// <summary>The current version is at most this new.</summary>
    public DateTimeOffset? UnmodifiedSince { get; init; }

    /// <summary>The current version is older than this (Swift: a write with an older timestamp loses).</summary>
    public DateTimeOffset? OlderThan { get; init; }
}

/// <summary>Writes an object. The payload belongs to the namespace from here on, whatever the answer.</summary>
public sealed record PutObject
{
    public required BucketName Bucket { get; init; }

    /// <summary>
    /// Key, size, ETag, type, times, metadata, payload and parts are taken from here; version, generation and the flags are
    /// decided by the namespace.
    /// </summary>
    public required ObjectRecord Object { get; init; }

    public WriteConditions Conditions { get; init; } = WriteConditions.None;
}

/// <summary>Changes what is known about a version, not its bytes.</summary>
public sealed record UpdateObject
{
    public required BucketName Bucket { get; init; }

    public required string Key { get; init; }

    public VersionSelector Version { get; init; }

    /// <summary>Replaces metadata, type, note, expiry, modified time, owner and storage class; read the record, change it, send it.</summary>
    public required ObjectRecord Object { get; init; }

    /// <summary>The generation that was read.</summary>
    public required ulong Generation { get; init; }
}

public sealed record DeleteObject
{
    public required BucketName Bucket { get; init; }

    public required string Key { get; init; }

    /// <summary>Current: deletes, or adds a delete marker where versions are kept. Otherwise: removes that version for good.</summary>
    public VersionSelector Version { get; init; }

    public WriteConditions Conditions { get; init; } = WriteConditions.None;

    /// <summary>The owner written into a delete marker.</summary>
    public string Owner { get; init; } = "";

    public required DateTimeOffset Now { get; init; }
}

/// <summary>What a delete did.</summary>
/// <param name="Version">The version removed, or the delete marker added; default when nothing was there.</param>
/// <param name="IsNullVersion">That version is the null version.</param>
/// <param name="IsDeleteMarker">A delete marker was added or removed.</param>
/// <param name="Existed">Something was there to delete.</param>
public readonly record struct DeleteOutcome(VersionId Version, bool IsNullVersion, bool IsDeleteMarker, bool Existed);
