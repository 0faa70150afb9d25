using System.Globalization;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Buckets;
using Nephos.ObjectStorage.Objects;

namespace Nephos.ObjectStorage.Swift;

/// <summary>Accounts: totals, metadata, and the list of containers.</summary>
internal static class SwiftAccounts
{
    public const string QuotaName = "quota-bytes";
    private const int MaxAttempts = 8;

    public static async Task GetAsync(SwiftCall call)
    {
        if (!SwiftAccess.IsOwner(call) && !(call.Operation is { } operation && operation.ProjectId == call.Path.Project && operation.HasRole("reader")))
        {
            throw SwiftAccess.Denied(call);
        }
        var account = await FindAsync(call);
        var listing = SwiftListing.Parse(call);
        await WriteHeadersAsync(call, account);
        if (call.IsHead)
        {
            await call.EmptyAsync(204, listing.ContentType);
            return;
        }
        var outcome = await call.Engine.Namespace.ListBucketsAsync(
            new ListBuckets
            {
                Account = call.Path.Project,
                Prefix = listing.Prefix,
                Delimiter = listing.Delimiter,
                Marker = listing.Marker,
                EndMarker = listing.EndMarker,
                Limit = listing.Limit,
                Reverse = listing.Reverse,
            },
            call.Cancelled);
        var entries = outcome.Status == EngineStatus.NoSuchAccount ? [] : outcome.OrThrow(call.Bucket).Entries;
        await listing.WriteContainersAsync(call, call.Path.Account, entries);
    }

    /// <summary>Sets metadata; the account comes into being with it.</summary>
    public static async Task PostAsync(SwiftCall call)
    {
        SwiftAccess.RequireOwner(call);
        var changes = SwiftMetadata.FromHeaders(call.Http.Request.Headers, "Account");
        if (changes.TryGetValue(QuotaName, out var quota) && !SwiftAccess.IsReseller(call))
        {
            throw SwiftFault.Forbidden();
        }
        if (quota is not null && !(long.TryParse(quota, NumberStyles.None, CultureInfo.InvariantCulture, out _)))
        {
            throw SwiftFault.BadRequest("Invalid X-Account-Meta-Quota-Bytes: must be a whole number");
        }
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var current = await FindAsync(call);
            var metadata = SwiftMetadata.Merge(current.Metadata, changes);
            var outcome = await call.Engine.Namespace.UpdateAccountAsync(
                current with
                {
                    Metadata = metadata,
                    Modified = call.Now,
                    Quota = metadata.TryGetValue(BucketMetadata.UserPrefix + QuotaName, out var bytes)
                        ? new Quota(long.Parse(bytes, CultureInfo.InvariantCulture), null)
                        : default,
                },
                current.Generation,
                call.Cancelled);
            if (outcome.IsOk)
            {
                await call.EmptyAsync(204);
                return;
            }
        }
        throw SwiftFault.Conflict();
    }

    private static async ValueTask<AccountRecord> FindAsync(SwiftCall call)
    {
        var outcome = await call.Engine.Namespace.GetAccountAsync(call.Path.Project, call.Cancelled);
        return outcome.Status == EngineStatus.NoSuchAccount
            ? new AccountRecord { Name = call.Path.Project, Created = call.Now, Modified = call.Now }
            : outcome.OrThrow(call.Bucket);
    }

    private static async ValueTask WriteHeadersAsync(SwiftCall call, AccountRecord account)
    {
        WriteUsage("X-Account", account.Buckets, account.Usage.Objects, account.Usage.Bytes);
        foreach (var (policy, buckets, objects, bytes) in await StoragePolicies.UsageAsync(call.Engine, account, call.Cancelled))
        {
            WriteUsage($"X-Account-Storage-Policy-{policy}", buckets, objects, bytes);
        }
        call.Reply("X-Timestamp", SwiftTime.Timestamp(account.Created));
        call.Reply("Accept-Ranges", "bytes");
        SwiftMetadata.Write(call, "Account", SwiftMetadata.User(account.Metadata)
            .Where(item => !item.Key.StartsWith("temp-url-key", StringComparison.Ordinal) || SwiftAccess.IsOwner(call)));

        void WriteUsage(string prefix, long buckets, long objects, long bytes)
        {
            call.Reply(prefix + "-Container-Count", buckets.ToString(CultureInfo.InvariantCulture));
            call.Reply(prefix + "-Object-Count", objects.ToString(CultureInfo.InvariantCulture));
            call.Reply(prefix + "-Bytes-Used", bytes.ToString(CultureInfo.InvariantCulture));
        }
    }
}
