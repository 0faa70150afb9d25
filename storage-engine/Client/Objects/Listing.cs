namespace Nephos.Client.Objects;

/// <summary>A page of a bucket in key order (by UTF-8 bytes). Its cost follows the results, not the keys passed over.</summary>
public sealed record ListObjects
{
    public required BucketName Bucket { get; init; }

    public string Prefix { get; init; } = "";

    /// <summary>Any text; keys that share what comes before its first occurrence after the prefix become one entry.</summary>
    public string Delimiter { get; init; } = "";

    /// <summary>Exclusive start (upper bound when reversed). A marker equal to a common prefix skips all of that prefix.</summary>
    public string Marker { get; init; } = "";

    /// <summary>With <see cref="Versions"/>: continue inside the marker's key, after this version.</summary>
    public VersionId? VersionMarker { get; init; }

    /// <summary>Exclusive end (lower bound when reversed).</summary>
    public string EndMarker { get; init; } = "";

    /// <summary>Entries of the page, common prefixes included; 0 answers an empty page.</summary>
    public int Limit { get; init; } = 1000;

    public bool Reverse { get; init; }

    /// <summary>All versions and delete markers, newest first within a key; not together with <see cref="Reverse"/>.</summary>
    public bool Versions { get; init; }
}

/// <summary>Either an object or a common prefix (which ends with the delimiter).</summary>
public readonly record struct ListEntry(string Name, ObjectSummary? Object)
{
    public bool IsPrefix => Object is null;
}

/// <param name="NextMarker">The last entry's key or prefix: the marker of the next page.</param>
/// <param name="NextVersionMarker">With versions: the last entry's version.</param>
public sealed record ObjectPage(IReadOnlyList<ListEntry> Entries, bool IsTruncated, string NextMarker, VersionId? NextVersionMarker);
