using Nephos.Client.Objects;

namespace Nephos.ObjectStorage.S3;

/// <summary>
/// Which account's bucket a name means. Buckets belong to projects, so two projects may each have one called <c>logs</c>. A caller's own
/// bucket comes first; then the bucket of the project that first made one of that name through S3, so that others can be let in by
/// ACL or policy under the plain name. <c>project:bucket</c> names any bucket exactly.
/// </summary>
internal static class S3Names
{
    /// <summary>Holds one record for each name, with the owner in its metadata. No project has this id.</summary>
    private const string Directory = "s3.names";

    private const string OwnerKey = "account";

    /// <returns>The bucket in the account that owns it; without a record when there is none.</returns>
    public static async ValueTask<(BucketName Name, BucketRecord? Record)> FindAsync(
        IObjectEngine engine, string? project, string name, CancellationToken cancellationToken)
    {
        var colon = name.IndexOf(':', StringComparison.Ordinal);
        if (colon >= 0)
        {
            var exact = new BucketName(name[..colon], name[(colon + 1)..]);
            return exact.Account == Directory ? (exact, null) : await GetAsync(engine, exact, cancellationToken);
        }
        if (project is not null && await GetAsync(engine, new BucketName(project, name), cancellationToken) is { Record: not null } own)
        {
            return own;
        }
        var entry = await GetAsync(engine, new BucketName(Directory, name), cancellationToken);
        return entry.Record?.Metadata.GetValueOrDefault(OwnerKey) is { } owner && owner != project
            ? await GetAsync(engine, new BucketName(owner, name), cancellationToken)
            : (new BucketName(project ?? Directory, name), null);
    }

    /// <summary>Makes the plain name mean this bucket to everyone, unless it already means another that exists.</summary>
    public static async ValueTask RegisterAsync(IObjectEngine engine, BucketRecord bucket, CancellationToken cancellationToken)
    {
        var name = new BucketName(Directory, bucket.Name.Name);
        var entry = await engine.Namespace.GetBucketAsync(name, cancellationToken);
        var wanted = (entry.IsOk ? entry.Value! : new BucketRecord { Name = name, Created = bucket.Created, Modified = bucket.Created }) with
        {
            Metadata = RecordMetadata.Empty.Add(OwnerKey, bucket.Name.Account),
        };
        if (!entry.IsOk)
        {
            // Who loses this race keeps the bucket without the plain name for others.
            await engine.Namespace.CreateBucketAsync(wanted, cancellationToken);
        }
        else if (entry.Value!.Metadata.GetValueOrDefault(OwnerKey) is not { } owner || owner == bucket.Name.Account ||
            !(await engine.Namespace.GetBucketAsync(new BucketName(owner, bucket.Name.Name), cancellationToken)).IsOk)
        {
            await engine.Namespace.UpdateBucketAsync(wanted, entry.Value.Generation, cancellationToken);
        }
    }

    private static async ValueTask<(BucketName Name, BucketRecord? Record)> GetAsync(IObjectEngine engine, BucketName name, CancellationToken cancellationToken)
    {
        if (name.Name.Length == 0 || name.Account.Length == 0 || name.Account == Directory && name.Name.Contains('/', StringComparison.Ordinal))
        {
            return (name, null);
        }
        var outcome = await engine.Namespace.GetBucketAsync(name, cancellationToken);
        return (name, outcome.IsOk ? outcome.Value : null);
    }
}
