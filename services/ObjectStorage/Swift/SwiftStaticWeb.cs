using System.Globalization;
using System.Net;
using System.Text;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Buckets;
using Nephos.ObjectStorage.Objects;

namespace Nephos.ObjectStorage.Swift;

/// <summary>A container as a web site: an index page, listings as pages, error pages. For callers without a token, or that ask for it.</summary>
internal static class SwiftStaticWeb
{
    public const string Index = "web-index";
    public const string Listings = "web-listings";
    public const string ListingsCss = "web-listings-css";
    public const string ListingsLabel = "web-listings-label";
    public const string Error = "web-error";

    /// <summary>Whether the request is a browser's rather than a program's.</summary>
    public static bool Applies(SwiftCall call) =>
        call.Path.Container.Length > 0 && !call.IsSigned && call.Http.Request.Method is "GET" or "HEAD" &&
        (call.Operation is null || IsTrue(call.Header("X-Web-Mode")));

    public static async Task GetAsync(SwiftCall call, Func<SwiftCall, Task> otherwise)
    {
        var found = await call.Engine.Namespace.GetBucketAsync(call.Bucket, call.Cancelled);
        if (!found.IsOk || !IsSite(found.Value!))
        {
            await otherwise(call);
            return;
        }
        var site = found.Value!;
        try
        {
            if (call.Path.Object.Length > 0 && !call.Path.Object.EndsWith('/'))
            {
                await FileAsync(call, site);
            }
            else
            {
                await FolderAsync(call, site);
            }
        }
        catch (SwiftFault fault) when (fault.Status is 401 or 403 or 404 && !call.Http.Response.HasStarted)
        {
            await ErrorAsync(call, site, fault);
        }
    }

    private static async Task FileAsync(SwiftCall call, BucketRecord site)
    {
        try
        {
            await SwiftDownloads.GetAsync(call);
        }
        catch (SwiftFault fault) when (fault.Status == 404)
        {
            var below = (await call.Engine.Namespace.ListObjectsAsync(
                new ListObjects { Bucket = call.Bucket, Prefix = call.Path.Object + "/", Limit = 1 }, call.Cancelled)).OrThrow(call.Bucket);
            if (below.Entries.Count == 0)
            {
                throw;
            }
            SwiftAccess.RequireRead(call, site, listing: false);
            await RedirectAsync(call);
        }
    }

    private static async Task FolderAsync(SwiftCall call, BucketRecord site)
    {
        SwiftAccess.RequireRead(call, site, listing: false);
        if (call.Path.Object.Length == 0 && !call.HasTrailingSlash)
        {
            await RedirectAsync(call);
            return;
        }
        if (Setting(site, Index) is { } index)
        {
            var page = call.At(call.Path with { Object = call.Path.Object + index });
            var there = await call.Engine.Namespace.GetObjectAsync(page.Bucket, page.Path.Object, VersionSelector.Current, call.Cancelled);
            if (there is { IsOk: true, Value.IsDeleteMarker: false })
            {
                await SwiftDownloads.GetAsync(page);
                return;
            }
        }
        if (!IsTrue(Setting(site, Listings)))
        {
            throw SwiftFault.NotFound();
        }
        SwiftAccess.RequireRead(call, site, listing: true);
        var listed = (await call.Engine.Namespace.ListObjectsAsync(
            new ListObjects { Bucket = call.Bucket, Prefix = call.Path.Object, Delimiter = "/", Limit = SwiftListing.MaxLimit }, call.Cancelled)).OrThrow(call.Bucket);
        if (listed.Entries.Count == 0 && call.Path.Object.Length > 0)
        {
            throw SwiftFault.NotFound();
        }
        await call.TextAsync(200, Page(call, site, listed.Entries), "text/html; charset=UTF-8");
    }

    /// <summary>To the same place with a slash, so that relative links in the page work.</summary>
    private static Task RedirectAsync(SwiftCall call)
    {
        call.Reply("Location", SwiftFace.Prefix + SwiftPath.Encode(
            string.Join('/', new[] { call.Path.Account, call.Path.Container, call.Path.Object }.Where(part => part.Length > 0))) + "/");
        return call.EmptyAsync(301);
    }

    private static async Task ErrorAsync(SwiftCall call, BucketRecord site, SwiftFault fault)
    {
        if (Setting(site, Error) is { } suffix)
        {
            var key = fault.Status.ToString(CultureInfo.InvariantCulture) + suffix;
            var page = await call.Engine.Namespace.GetObjectAsync(call.Bucket, key, VersionSelector.Current, call.Cancelled);
            if (page is { IsOk: true, Value: { IsDeleteMarker: false } record } && SwiftAcl.GrantsReferrer(site.Metadata.GetValueOrDefault(SwiftAcl.ReadKey, ""), call.Header("Referer")))
            {
                var content = await SwiftLargeObjects.ResolveAsync(call.At(call.Path with { Object = key }), record);
                var response = call.Http.Response;
                response.StatusCode = fault.Status;
                call.Reply("Content-Type", record.ContentType);
                response.ContentLength = content.LengthBytes;
                if (!call.IsHead)
                {
                    await content.WriteAsync(call.Engine, response.Body, 0, content.LengthBytes, call.Cancelled);
                }
                return;
            }
        }
        throw fault;
    }

    private static string Page(SwiftCall call, BucketRecord site, IReadOnlyList<ListEntry> entries)
    {
        var label = Setting(site, ListingsLabel) ?? $"{call.Path.Account}/{call.Path.Container}/{call.Path.Object}";
        var title = WebUtility.HtmlEncode($"Listing of {label}");
        var html = new StringBuilder("<!DOCTYPE html>\n<html>\n <head>\n").Append(CultureInfo.InvariantCulture, $"  <title>{title}</title>\n");
        if (Setting(site, ListingsCss) is { } css)
        {
            var depth = string.Concat(Enumerable.Repeat("../", call.Path.Object.Count(c => c == '/')));
            var link = css.StartsWith('/') || css.Contains("://", StringComparison.Ordinal) ? css : depth + css;
            html.Append(CultureInfo.InvariantCulture, $"  <link rel=\"stylesheet\" type=\"text/css\" href=\"{WebUtility.HtmlEncode(link)}\" />\n");
        }
        html.Append(CultureInfo.InvariantCulture, $" </head>\n <body>\n  <h1 id=\"title\">{title}</h1>\n  <table id=\"listing\">\n   <tr id=\"heading\"><th class=\"colname\">Name</th><th class=\"colsize\">Size</th><th class=\"coldate\">Date</th></tr>\n");
        if (call.Path.Object.Length > 0)
        {
            html.Append("   <tr id=\"parent\" class=\"item\"><td class=\"colname\"><a href=\"../\">../</a></td><td class=\"colsize\">&nbsp;</td><td class=\"coldate\">&nbsp;</td></tr>\n");
        }
        foreach (var entry in entries)
        {
            var name = entry.Name[call.Path.Object.Length..];
            if (name.Length == 0)
            {
                continue;
            }
            // A leading "./" keeps a name with a colon from being read as a scheme.
            var href = "./" + SwiftPath.Encode(name);
            html.Append(CultureInfo.InvariantCulture, $"   <tr class=\"item {(entry.IsPrefix ? "subdir" : "type")}\"><td class=\"colname\"><a href=\"{WebUtility.HtmlEncode(href)}\">{WebUtility.HtmlEncode(name)}</a></td>");
            html.Append(entry.Object is { } found
                ? string.Create(CultureInfo.InvariantCulture, $"<td class=\"colsize\">{SwiftLargeObjects.ListedSize(found)}</td><td class=\"coldate\">{found.Modified.UtcDateTime:yyyy-MM-dd HH:mm:ss}</td></tr>\n")
                : "<td class=\"colsize\">&nbsp;</td><td class=\"coldate\">&nbsp;</td></tr>\n");
        }
        return html.Append("  </table>\n </body>\n</html>\n").ToString();
    }

    private static bool IsSite(BucketRecord bucket) =>
        Setting(bucket, Index) is not null || Setting(bucket, Listings) is not null || Setting(bucket, Error) is not null;

    private static string? Setting(BucketRecord bucket, string name) =>
        bucket.Metadata.GetValueOrDefault(BucketMetadata.UserPrefix + name) is { Length: > 0 } value ? value : null;

    private static bool IsTrue(string? value) => value?.ToLowerInvariant() is "true" or "1" or "yes" or "on" or "t" or "y";
}
