using System.Collections.Immutable;

namespace Nephos.Client.Objects;

/// <summary>What became of the object that a key names.</summary>
public enum ChangeKind : byte
{
    /// <summary>There is one, and its content, its metadata or its version is another one now.</summary>
    Written,

    /// <summary>There is none any more.</summary>
    Removed,
}

/// <summary>One change of a bucket's current objects, kept in the same commit as the change itself.</summary>
public sealed record ObjectChange
{
    /// <summary>One more than that of the change before in the same bucket.</summary>
    public required ulong Number { get; init; }

    public required ChangeKind Kind { get; init; }

    public required string Key { get; init; }

    public DateTimeOffset At { get; init; }

    /// <summary>Of the object as it is since, when it was written; so are size and ETag.</summary>
    public VersionId Version { get; init; }

    public bool IsNullVersion { get; init; }

    public long SizeBytes { get; init; }

    public string ETag { get; init; } = "";
}

/// <summary>The changes of a bucket behind one of them, in the order in which they happened.</summary>
public sealed record ListChanges
{
    public required BucketName Bucket { get; init; }

    /// <summary>The number of the last change that is known already.</summary>
    public ulong After { get; init; }

    public int Limit { get; init; } = 1000;
}

/// <param name="Bucket">The bucket's number; another bucket of the same name has another.</param>
/// <param name="Kept">How many changes the bucket keeps; with 0 it keeps none.</param>
/// <param name="First">The oldest change that is kept. Whoever knows nothing of the one before it has missed some.</param>
/// <param name="Last">The newest; less than <paramref name="First"/> when none is kept.</param>
/// <param name="Changes">Without a gap from the one asked for; empty when that one is not kept.</param>
public sealed record ChangePage(ulong Bucket, int Kept, ulong First, ulong Last, ImmutableArray<ObjectChange> Changes);
