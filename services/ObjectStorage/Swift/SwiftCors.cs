using Microsoft.AspNetCore.Http;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Buckets;

namespace Nephos.ObjectStorage.Swift;

/// <summary>
/// Scripts of other origins, as the container's metadata allows them: <c>Access-Control-Allow-Origin</c> (origins, or *),
/// <c>-Max-Age</c> and <c>-Expose-Headers</c>.
/// </summary>
internal static class SwiftCors
{
    private const string AllowOrigin = "access-control-allow-origin";
    private const string MaxAge = "access-control-max-age";
    private const string ExposeHeaders = "access-control-expose-headers";
    private const string ContainerMethods = "HEAD, GET, PUT, POST, OPTIONS, DELETE";
    private const string ObjectMethods = "HEAD, GET, PUT, POST, COPY, OPTIONS, DELETE";

    private static readonly string[] AlwaysExposed =
    [
        "cache-control", "content-language", "content-type", "expires", "last-modified", "pragma",
        "etag", "x-timestamp", "x-trans-id", "x-openstack-request-id",
    ];

    /// <summary>Answers OPTIONS; browsers send no token with it.</summary>
    public static async Task PreflightAsync(SwiftCall call)
    {
        var methods = call.Path.Object.Length > 0 ? ObjectMethods : ContainerMethods;
        call.Reply("Allow", methods);
        if (call.Header("Origin") is not { Length: > 0 } origin || call.Path.Container.Length == 0)
        {
            await call.EmptyAsync(200);
            return;
        }
        var container = (await call.Engine.Namespace.GetBucketAsync(call.Bucket, call.Cancelled)).Value;
        var wanted = call.Header("Access-Control-Request-Method");
        if (!Allows(container, origin) || wanted is null || !methods.Split(", ").Contains(wanted))
        {
            await call.EmptyAsync(401);
            return;
        }
        WriteOrigin(call, container!, origin);
        call.Reply("Access-Control-Allow-Methods", methods);
        if (Setting(container!, MaxAge) is { } age)
        {
            call.Reply("Access-Control-Max-Age", age);
        }
        var headers = (call.Header("Access-Control-Request-Headers") ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (headers.Length > 0)
        {
            call.Reply("Access-Control-Allow-Headers", string.Join(", ", headers.Distinct(StringComparer.OrdinalIgnoreCase)));
            call.Http.Response.Headers.Append("Vary", "Access-Control-Request-Headers");
        }
        await call.EmptyAsync(200);
    }

    /// <summary>Lets the script that asked see the answer, whatever it will be; decided just before the answer starts, when its headers are known.</summary>
    public static async ValueTask ApplyAsync(SwiftCall call)
    {
        if (call.Header("Origin") is not { Length: > 0 } origin || call.Path.Container.Length == 0)
        {
            return;
        }
        var container = (await call.Engine.Namespace.GetBucketAsync(call.Bucket, call.Cancelled)).Value;
        if (!Allows(container, origin))
        {
            return;
        }
        call.Http.Response.OnStarting(() =>
        {
            WriteOrigin(call, container!, origin);
            var metadata = call.Http.Response.Headers.Keys.Where(name =>
                name.StartsWith("X-Container-Meta", StringComparison.OrdinalIgnoreCase) || name.StartsWith("X-Object-Meta", StringComparison.OrdinalIgnoreCase));
            var named = (Setting(container!, ExposeHeaders) ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries);
            call.Reply("Access-Control-Expose-Headers", string.Join(", ", AlwaysExposed.Concat(metadata).Concat(named).Select(name => name.Trim(',').ToLowerInvariant()).Distinct()));
            return Task.CompletedTask;
        });
    }

    private static bool Allows(BucketRecord? container, string origin) =>
        container is not null && (Setting(container, AllowOrigin) ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries).Any(allowed => allowed == "*" || allowed == origin);

    private static void WriteOrigin(SwiftCall call, BucketRecord container, string origin)
    {
        if (Setting(container, AllowOrigin)!.Trim() == "*")
        {
            call.Reply("Access-Control-Allow-Origin", "*");
            return;
        }
        call.Reply("Access-Control-Allow-Origin", origin);
        call.Http.Response.Headers.Append("Vary", "Origin");
    }

    private static string? Setting(BucketRecord container, string name) => container.Metadata.GetValueOrDefault(BucketMetadata.UserPrefix + name);
}
