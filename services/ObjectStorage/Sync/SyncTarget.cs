using System.Security.Cryptography;
using System.Text;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Swift;

namespace Nephos.ObjectStorage.Sync;

/// <summary>Where a container is copied to: <c>//REALM/CLUSTER/ACCOUNT/CONTAINER</c>.</summary>
internal sealed record SyncTarget(string Realm, string Cluster, string Account, string Container)
{
    /// <summary>Settings of the container: the target as given, and the secret that both containers share.</summary>
    public const string ToKey = "swift.sync-to";

    public const string SecretKey = "swift.sync-key";

    public static bool IsSet(BucketRecord container) => container.Metadata.ContainsKey(ToKey) && container.Metadata.ContainsKey(SecretKey);

    /// <exception cref="SwiftFault">400 when it is not of that form or names a realm or cluster that is not configured.</exception>
    public static SyncTarget Parse(string text, ContainerSyncOptions options)
    {
        if (!text.StartsWith("//", StringComparison.Ordinal))
        {
            throw SwiftFault.BadRequest("Full URLs are not allowed for X-Container-Sync-To values. Only realm values of the format //realm/cluster/account/container are allowed.\n");
        }
        if (text[2..].Split('/') is not [{ Length: > 0 } realm, { Length: > 0 } cluster, { Length: > 0 } account, { Length: > 0 } container])
        {
            throw SwiftFault.BadRequest($"Invalid X-Container-Sync-To format {Printable(text)}");
        }
        var target = new SyncTarget(realm, cluster, SwiftPath.Decode(account), SwiftPath.Decode(container));
        if (SyncRealms.Find(options, realm) is not { } known)
        {
            throw SwiftFault.BadRequest($"No realm key for {Printable(realm)}");
        }
        return SyncRealms.ClusterOf(known, cluster) is not null ? target : throw SwiftFault.BadRequest($"No cluster endpoint for {Printable(realm)} {Printable(cluster)}");
    }

    private static string Printable(string text) => new([.. text.Take(256).Select(c => c is > ' ' and <= '~' and not '<' and not '&' ? c : '?')]);
}

/// <summary>The realms of the configuration, and what their keys sign.</summary>
internal static class SyncRealms
{
    public static ContainerSyncRealm? Find(ContainerSyncOptions options, string name) =>
        options.Realms.FirstOrDefault(item => item.Key.Equals(name, StringComparison.OrdinalIgnoreCase) && item.Value.Key.Length > 0).Value;

    public static Uri? ClusterOf(ContainerSyncRealm realm, string name) =>
        realm.Clusters.FirstOrDefault(item => item.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;

    /// <param name="path">As it goes over the wire, without a query.</param>
    /// <param name="timestamp">Of the request's X-Timestamp header; 0 without one.</param>
    public static string Sign(string method, string path, string timestamp, string nonce, string realmKey, string containerKey) =>
        Convert.ToHexStringLower(HMACSHA1.HashData(Encoding.UTF8.GetBytes(realmKey), Encoding.UTF8.GetBytes($"{method}\n{path}\n{timestamp}\n{nonce}\n{containerKey}")));
}
