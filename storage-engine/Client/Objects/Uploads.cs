using System.Collections.Immutable;

namespace Nephos.Client.Objects;

/// <summary>Names one multipart upload: 128 random bits as 32 hexadecimal digits.</summary>
public readonly record struct UploadId(string Value)
{
    public override string ToString() => Value;
}

/// <summary>A multipart upload in progress: the record its object will get, without bytes.</summary>
public sealed record UploadRecord
{
    public required UploadId Id { get; init; }

    /// <summary>Key, type, owner, class and metadata of the object to be.</summary>
    public required ObjectRecord Object { get; init; }

    public DateTimeOffset Initiated { get; init; }

    public string Initiator { get; init; } = "";

    /// <summary>Set once completed: the record is kept for a week so that a repeated completion gets the same answer.</summary>
    public ObjectRecord? Completed { get; init; }
}

public sealed record PartRecord
{
    public required int Number { get; init; }

    public required string ETag { get; init; }

    public required long SizeBytes { get; init; }

    public required DateTimeOffset Modified { get; init; }

    /// <summary>The face's text, for example checksums of the part.</summary>
    public string Checksums { get; init; } = "";

    public required Payload Payload { get; init; }
}

public sealed record StartUpload
{
    public required BucketName Bucket { get; init; }
    public required ObjectRecord Object { get; init; }
    public required DateTimeOffset Now { get; init; }
    public string Initiator { get; init; } = "";
}

/// <summary>Makes one object of the named parts in the given order; parts not named are dropped.</summary>
public sealed record CompleteUpload
{
    public required BucketName Bucket { get; init; }

    public required string Key { get; init; }

    public required UploadId Upload { get; init; }

    /// <summary>Part number and the ETag it must still have, ascending.</summary>
    public required ImmutableArray<(int Number, string ETag)> Parts { get; init; }

    /// <summary>ETag, modified time and metadata of the object; size, payload and parts come from the parts.</summary>
    public required ObjectRecord Object { get; init; }

    public WriteConditions Conditions { get; init; } = WriteConditions.None;
}

/// <summary>A page of uploads in progress, by key and then by upload id.</summary>
public sealed record ListUploads
{
    public required BucketName Bucket { get; init; }
    public string Prefix { get; init; } = "";
    public string Delimiter { get; init; } = "";
    public string KeyMarker { get; init; } = "";

    /// <summary>Continue inside the marker's key after this upload; empty skips the key.</summary>
    public string UploadMarker { get; init; } = "";

    public int Limit { get; init; } = 1000;
}

public readonly record struct UploadEntry(string Name, UploadRecord? Upload)
{
    public bool IsPrefix => Upload is null;
}

public sealed record UploadPage(IReadOnlyList<UploadEntry> Entries, bool IsTruncated, string NextKeyMarker, string NextUploadMarker);

public sealed record PartPage(IReadOnlyList<PartRecord> Parts, bool IsTruncated);
