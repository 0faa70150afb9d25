using Nephos.Client.Objects;
using Nephos.ObjectStorage.Objects;
using Nephos.ObjectStorage.Sync;

namespace Nephos.ObjectStorage.Swift;

/// <summary>Object versioning (<c>X-Versions-Enabled</c>): the same versions that S3 shows, kept by the namespace itself.</summary>
internal static class SwiftVersioning
{
    private const string Parameter = "?version-id=";

    /// <exception cref="SwiftFault">400 when the value is no boolean or the container already keeps versions in another one.</exception>
    public static BucketRecord Apply(SwiftCall call, BucketRecord record)
    {
        if (call.Header("X-Versions-Enabled") is not { } header)
        {
            return record;
        }
        var enabled = header.ToLowerInvariant() switch
        {
            "true" or "1" or "yes" or "on" or "t" or "y" => true,
            "false" or "0" or "no" or "off" or "f" or "n" or "" => false,
            _ => throw SwiftFault.BadRequest("X-Versions-Enabled must be true or false"),
        };
        if (enabled && (record.Metadata.ContainsKey(SwiftContainers.VersionsKey) || record.Metadata.ContainsKey(SwiftContainers.HistoryKey)))
        {
            throw SwiftFault.BadRequest("Cannot enable object versioning on a container with X-Versions-Location or X-History-Location");
        }
        if (enabled && SyncTarget.IsSet(record))
        {
            throw SwiftFault.BadRequest("Cannot enable object versioning on a container with X-Container-Sync-To");
        }
        if (!enabled && S3.S3Lock.IsEnabled(record))
        {
            throw SwiftFault.Conflict();
        }
        return record with
        {
            Versioning = enabled ? BucketVersioning.Enabled : record.Versioning == BucketVersioning.Off ? BucketVersioning.Off : BucketVersioning.Suspended,
        };
    }

    public static VersionSelector SelectorOf(SwiftCall call) => Parse(call.Query("version-id"));

    /// <summary>The version that a copy source names after its path.</summary>
    public static VersionSelector SelectorOf(string source) =>
        source.IndexOf(Parameter, StringComparison.Ordinal) is >= 0 and var at ? Parse(source[(at + Parameter.Length)..]) : VersionSelector.Current;

    public static string WithoutVersion(string source) =>
        source.IndexOf(Parameter, StringComparison.Ordinal) is >= 0 and var at ? source[..at] : source;

    public static string IdOf(ObjectSummary record) => record.IsNullVersion ? "null" : record.Version.ToString();

    public static void WriteVersion(SwiftCall call, BucketRecord container, ObjectRecord record)
    {
        if (container.Versioning != BucketVersioning.Off)
        {
            call.Reply("X-Object-Version-Id", IdOf(record));
        }
    }

    public static async Task DeleteVersionAsync(SwiftCall call)
    {
        var found = await call.Engine.Namespace.GetObjectAsync(call.Bucket, call.Path.Object, SelectorOf(call), call.Cancelled);
        if (!found.IsOk)
        {
            throw SwiftFault.NotFound();
        }
        // What S3 locked stays, whoever asks; a lock put on meanwhile changes the generation.
        var conditions = found.Value!.IsDeleteMarker ? WriteConditions.None
            : S3.S3Lock.IsRemovable(found.Value, call.Now) ? new WriteConditions { Generation = found.Value.Generation }
            : throw SwiftFault.Forbidden();
        var outcome = await call.Engine.Namespace.DeleteObjectAsync(
            new DeleteObject { Bucket = call.Bucket, Key = call.Path.Object, Version = SelectorOf(call), Conditions = conditions, Owner = call.Operation?.UserId ?? "", Now = call.Now }, call.Cancelled);
        if (outcome.Status is EngineStatus.NoSuchVersion or EngineStatus.NoSuchKey || outcome is { IsOk: true, Value.Existed: false })
        {
            throw SwiftFault.NotFound();
        }
        outcome.OrThrow(call.Bucket, call.Path.Object);
        call.Reply("X-Object-Version-Id", call.Query("version-id")!);
        await call.EmptyAsync(204);
    }

    private static VersionSelector Parse(string? text) => text switch
    {
        null => VersionSelector.Current,
        "null" => VersionSelector.Null,
        _ => VersionId.TryParse(text, out var version) ? VersionSelector.Of(version) : throw SwiftFault.BadRequest("Invalid version parameter"),
    };
}
