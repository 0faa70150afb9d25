using System.Text.Json.Nodes;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.S3;

namespace Nephos.ObjectStorage.Swift;

/// <summary>What /info says this face can do.</summary>
internal static class SwiftInfo
{
    public static JsonObject Document(IObjectEngine engine, ObjectStorageOptions options) => new()
    {
        ["swift"] = new JsonObject
        {
            ["version"] = "2.30.1",
            ["policies"] = new JsonArray([.. engine.Policies.Select(PolicyOf)]),
            ["account_autocreate"] = true,
            ["allow_account_management"] = false,
            ["max_file_size"] = SwiftObjects.MaxObjectBytes,
            ["max_meta_name_length"] = SwiftMetadata.MaxNameBytes,
            ["max_meta_value_length"] = SwiftMetadata.MaxValueBytes,
            ["max_meta_count"] = SwiftMetadata.MaxItems,
            ["max_meta_overall_size"] = SwiftMetadata.MaxTotalBytes,
            ["max_account_name_length"] = SwiftPath.MaxAccountBytes,
            ["max_container_name_length"] = SwiftPath.MaxContainerBytes,
            ["max_object_name_length"] = SwiftPath.MaxObjectBytes,
            ["container_listing_limit"] = SwiftListing.MaxLimit,
            ["account_listing_limit"] = SwiftListing.MaxLimit,
        },
        ["account_quotas"] = new JsonObject(),
        ["container_quotas"] = new JsonObject(),
        ["slo"] = new JsonObject
        {
            ["max_manifest_segments"] = SwiftLargeObjects.MaxSegments,
            ["max_manifest_size"] = SwiftLargeObjects.MaxManifestBytes,
            ["min_segment_size"] = 1,
        },
        ["dlo"] = new JsonObject { ["max_segments"] = SwiftListing.MaxLimit },
        ["tempurl"] = new JsonObject
        {
            ["methods"] = new JsonArray("GET", "HEAD", "PUT", "POST", "DELETE"),
            ["allowed_digests"] = new JsonArray("sha1", "sha256", "sha512"),
        },
        ["versioned_writes"] = new JsonObject { ["allowed_flags"] = new JsonArray("x-versions-location", "x-history-location") },
        ["object_versioning"] = new JsonObject(),
        ["symlink"] = new JsonObject { ["symloop_max"] = SwiftSymlinks.MaxLinks, ["static_links"] = true },
        ["bulk_delete"] = new JsonObject { ["max_deletes_per_request"] = SwiftBulk.MaxDeletes, ["max_failed_deletes"] = SwiftBulk.MaxFailures },
        ["bulk_upload"] = new JsonObject
        {
            ["max_containers_per_extraction"] = SwiftBulk.MaxContainers,
            ["max_failed_extractions"] = SwiftBulk.MaxFailures,
        },
        ["formpost"] = new JsonObject { ["allowed_digests"] = new JsonArray("sha1", "sha256", "sha512") },
        ["staticweb"] = new JsonObject(),
        ["copy"] = new JsonObject(),
        ["crossdomain"] = new JsonObject(),
        ["container_sync"] = new JsonObject { ["realms"] = RealmsOf(options.ContainerSync) },
        ["ratelimit"] = RatesOf(options.RateLimits),
        ["s3api"] = new JsonObject
        {
            ["max_bucket_listing"] = 1000,
            ["max_parts_listing"] = 1000,
            ["max_upload_part_num"] = ObjectLimits.PartNumberMax,
            ["max_multi_delete_objects"] = S3Deletes.MaxDeletes,
            ["min_segment_size"] = S3Multipart.MinPartBytes,
            ["allow_multipart_uploads"] = true,
        },
    };

    private static JsonObject PolicyOf(StoragePolicy policy)
    {
        var shown = new JsonObject { ["name"] = policy.Name, ["aliases"] = policy.Name };
        if (policy.IsDefault)
        {
            shown["default"] = true;
        }
        return shown;
    }

    private static JsonObject RealmsOf(ContainerSyncOptions options)
    {
        var realms = new JsonObject();
        foreach (var (realm, settings) in options.Realms)
        {
            var clusters = new JsonObject();
            foreach (var cluster in settings.Clusters.Keys)
            {
                var isCurrent = options.Current.Equals($"//{realm}/{cluster}", StringComparison.OrdinalIgnoreCase);
                clusters[cluster.ToUpperInvariant()] = isCurrent ? new JsonObject { ["current"] = true } : new JsonObject();
            }
            realms[realm.ToUpperInvariant()] = new JsonObject { ["clusters"] = clusters };
        }
        return realms;
    }

    private static JsonObject RatesOf(RateLimitOptions options)
    {
        return new JsonObject
        {
            ["account_ratelimit"] = options.AccountPerSecond,
            ["max_sleep_time_seconds"] = options.WaitMax.TotalSeconds,
            ["container_ratelimits"] = Steps(options.ContainerWrites),
            ["container_listing_ratelimits"] = Steps(options.ContainerListings),
        };

        static JsonArray Steps(RateLimitStep[] steps) => new([.. steps.OrderBy(step => step.Objects).Select(step => (JsonNode)new JsonArray(step.Objects, step.PerSecond))]);
    }
}
