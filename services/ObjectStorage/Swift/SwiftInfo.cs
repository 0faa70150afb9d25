using System.Text.Json.Nodes;

namespace Nephos.ObjectStorage.Swift;

/// <summary>What /info says this face can do.</summary>
internal static class SwiftInfo
{
    /// <summary>The one storage policy: three replicas.</summary>
    public const string Policy = "Policy-0";

    public static JsonObject Document() => new()
    {
        ["swift"] = new JsonObject
        {
            ["version"] = "2.30.1",
            ["policies"] = new JsonArray(new JsonObject { ["name"] = Policy, ["aliases"] = Policy, ["default"] = true }),
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
    };
}
