using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http.Features;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Swift;

namespace Nephos.ObjectStorage.Sync;

/// <summary>Requests of another cluster that copies a container into one of ours: signed with the realm's and the container's key.</summary>
internal static class SyncReceiver
{
    private const string Header = "X-Container-Sync-Auth";

    /// <summary>
    /// Lets a signed request write, as of the time that the other cluster gives: what is here and newer stays. A request without the header is not
    /// touched.
    /// </summary>
    /// <exception cref="SwiftFault">401 when the signature is not valid.</exception>
    public static async ValueTask AuthorizeAsync(SwiftCall call, ContainerSyncOptions options)
    {
        if (call.Header(Header) is not { } header)
        {
            return;
        }
        var timestamp = call.Header("X-Timestamp") ?? "0";
        if (header.Split(' ', StringSplitOptions.RemoveEmptyEntries) is not [var realmName, var nonce, var signature] ||
            call.Path.Object.Length == 0 || call.Http.Request.Method is not ("GET" or "HEAD" or "PUT" or "DELETE") ||
            SyncRealms.Find(options, realmName) is not { } realm ||
            (await call.Engine.Namespace.GetBucketAsync(call.Bucket, call.Cancelled)).Value?.Metadata.GetValueOrDefault(SyncTarget.SecretKey) is not { Length: > 0 } secret ||
            !IsSignedBy(realm.Key) && !(realm.Key2.Length > 0 && IsSignedBy(realm.Key2)) ||
            (TimeOf(timestamp) is null && call.Http.Request.Method is "PUT" or "DELETE"))
        {
            throw new SwiftFault(401, "X-Container-Sync-Auth header not valid; contact cluster operator for support.", plain: true);
        }
        call.IsSigned = true;
        call.SyncTime = TimeOf(timestamp);

        bool IsSignedBy(string realmKey)
        {
            var target = call.Http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
            var query = target.IndexOf('?', StringComparison.Ordinal);
            var expected = SyncRealms.Sign(call.Http.Request.Method, query < 0 ? target : target[..query], timestamp, nonce, realmKey, secret);
            return CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(expected), Encoding.UTF8.GetBytes(signature));
        }
    }

    /// <summary>Refuses a container setting that names a realm or cluster that is not configured.</summary>
    public static void CheckTarget(SwiftCall call, ContainerSyncOptions options)
    {
        if (call.Path.Object.Length == 0 && call.Http.Request.Method is "PUT" or "POST" && call.Header("X-Container-Sync-To") is { Length: > 0 } target)
        {
            SyncTarget.Parse(target, options);
        }
    }

    /// <summary>Removes what is here unless it is newer than what the other cluster removed.</summary>
    public static async Task DeleteAsync(SwiftCall call, DateTimeOffset removed)
    {
        await SwiftObjects.FindAsync(call, call.Bucket, call.Path.Object);
        var outcome = await call.Engine.Namespace.DeleteObjectAsync(
            new DeleteObject { Bucket = call.Bucket, Key = call.Path.Object, Conditions = new WriteConditions { UnmodifiedSince = removed }, Now = call.Now },
            call.Cancelled);
        await call.EmptyAsync(outcome.Status switch
        {
            EngineStatus.Ok => 204,
            EngineStatus.PreconditionFailed => throw SwiftFault.Conflict(),
            _ => throw SwiftFault.NotFound(),
        });
    }

    /// <summary>Seconds with a fraction; what Swift adds behind an underscore orders writes of one moment, and is left out.</summary>
    public static DateTimeOffset? TimeOf(string text)
    {
        var end = text.IndexOf('_', StringComparison.Ordinal);
        return decimal.TryParse(end < 0 ? text : text[..end], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) && seconds is > 0 and < 100_000_000_000
            ? SwiftTime.Round(DateTimeOffset.UnixEpoch.AddTicks((long)(seconds * TimeSpan.TicksPerSecond)))
            : null;
    }
}
