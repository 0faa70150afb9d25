using System.Security.Cryptography;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Objects;

namespace Nephos.ObjectStorage.Swift;

/// <summary>Objects that stand for another object: dynamic ones follow its name, static ones also pin its ETag.</summary>
internal static class SwiftSymlinks
{
    public const string TargetKey = "symlink.target";

    /// <summary>Links followed in a row.</summary>
    public const int MaxLinks = 2;

    private const string AccountKey = "symlink.account";
    private const string EtagKey = "symlink.etag";
    private const string NotePrefix = "link ";
    private static readonly string EmptyEtag = Convert.ToHexStringLower(MD5.HashData([]));

    public static bool IsRequested(SwiftCall call) => call.Header("X-Symlink-Target") is not null;

    /// <summary>What a listing shows of a link: the path of its target.</summary>
    public static string? ListedTarget(ObjectSummary summary) =>
        summary.Note.StartsWith(NotePrefix, StringComparison.Ordinal) ? summary.Note[NotePrefix.Length..] : null;

    public static async Task PutAsync(SwiftCall call, BucketRecord container)
    {
        if (call.Http.Request.ContentLength is not 0)
        {
            throw SwiftFault.BadRequest("Symlink requests require a zero byte body");
        }
        var header = SwiftPath.Decode(call.Header("X-Symlink-Target")!);
        var slash = header.IndexOf('/', StringComparison.Ordinal);
        if (slash <= 0 || slash == header.Length - 1)
        {
            throw new SwiftFault(412, "X-Symlink-Target header must be of the form <container name>/<object name>", plain: true);
        }
        var account = call.Header("X-Symlink-Target-Account") is { Length: > 0 } given ? SwiftPath.Decode(given) : null;
        if (account?.Contains('/', StringComparison.Ordinal) == true)
        {
            throw new SwiftFault(412, "Account name cannot contain slashes", plain: true);
        }
        if (header == $"{call.Path.Container}/{call.Path.Object}" && (account is null || account == call.Path.Account))
        {
            throw SwiftFault.BadRequest("Symlink cannot target itself");
        }
        var record = SwiftObjects.NewRecord(call);
        var path = SwiftFace.Prefix + SwiftPath.Encode($"{account ?? call.Path.Account}/{header}");
        record = record with
        {
            ETag = EmptyEtag,
            ContentType = call.Header("Content-Type") is { Length: > 0 } type ? type : "application/symlink",
            SystemMetadata = record.SystemMetadata.SetItem(TargetKey, header),
            Note = NotePrefix + path,
        };
        if (account is not null)
        {
            record = record with { SystemMetadata = record.SystemMetadata.SetItem(AccountKey, account) };
        }
        if (call.Header("X-Symlink-Target-Etag") is { Length: > 0 } etag)
        {
            var pinned = record with { SystemMetadata = record.SystemMetadata.SetItem(EtagKey, etag.Trim('"').ToLowerInvariant()) };
            if (call.SyncTime is null)
            {
                // A pinned target must be there and be the one that is meant, now; what another cluster copies may come before its target.
                await FollowAsync(call, pinned);
            }
            record = pinned;
        }
        var stored = await SwiftObjects.CommitAsync(call, container, record);
        call.Reply("ETag", stored.ETag);
        call.Reply("Last-Modified", SwiftTime.HttpDate(stored.Modified));
        SwiftVersioning.WriteVersion(call, container, stored);
        await call.EmptyAsync(201);
    }

    public static void WriteHeaders(SwiftCall call, ObjectRecord link)
    {
        foreach (var (name, value) in HeadersOf(link))
        {
            call.Reply(name, value);
        }
    }

    /// <summary>What makes the object a link; nothing for other objects.</summary>
    public static IEnumerable<(string Name, string Value)> HeadersOf(ObjectRecord link)
    {
        if (link.SystemMetadata.TryGetValue(TargetKey, out var target))
        {
            yield return ("X-Symlink-Target", SwiftPath.Encode(target));
        }
        if (link.SystemMetadata.TryGetValue(AccountKey, out var account))
        {
            yield return ("X-Symlink-Target-Account", SwiftPath.Encode(account));
        }
        if (link.SystemMetadata.TryGetValue(EtagKey, out var etag))
        {
            yield return ("X-Symlink-Target-Etag", etag);
        }
    }

    /// <summary>The object at the end of a chain of links, and the call as if it had named that object; the record itself when it is no link.</summary>
    /// <exception cref="SwiftFault">409 for a chain that is too long or a pinned target that changed; 401 or 403 where the caller may not read.</exception>
    public static async ValueTask<(SwiftCall Call, ObjectRecord Record)> FollowAsync(SwiftCall call, ObjectRecord record)
    {
        for (var links = 0; record.SystemMetadata.TryGetValue(TargetKey, out var target); links++)
        {
            if (links == MaxLinks)
            {
                throw new SwiftFault(409, $"Too many levels of symbolic links, maximum allowed is {MaxLinks}", plain: true);
            }
            var slash = target.IndexOf('/', StringComparison.Ordinal);
            var signed = call.IsSigned;
            var account = record.SystemMetadata.GetValueOrDefault(AccountKey, call.Path.Account);
            call = call.At(new SwiftPath(account, target[..slash], target[(slash + 1)..]));
            if (!account.StartsWith(SwiftPath.AccountPrefix, StringComparison.Ordinal))
            {
                throw SwiftFault.NotFound();
            }
            var container = await SwiftContainers.FindAsync(call, call.Bucket);
            // A signed URL was made for the link by someone who may read what it points to in the same account.
            call.IsSigned = signed && account == call.Path.Account;
            SwiftAccess.RequireRead(call, container, listing: false);
            var etag = record.SystemMetadata.GetValueOrDefault(EtagKey);
            record = await SwiftObjects.FindAsync(call, call.Bucket, call.Path.Object);
            if (etag is not null && etag != record.SystemMetadata.GetValueOrDefault(SwiftLargeObjects.EtagKey, record.ETag))
            {
                throw new SwiftFault(409, $"Object Etag does not match X-Symlink-Target-Etag header '{etag}'", plain: true);
            }
        }
        return (call, record);
    }
}
