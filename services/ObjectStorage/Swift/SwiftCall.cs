using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Nephos.Client.Objects;
using Nephos.Kernel.Operations;

namespace Nephos.ObjectStorage.Swift;

/// <summary>One request to the Swift face.</summary>
internal sealed class SwiftCall(HttpContext http, SwiftPath path, OperationContext? operation, IObjectEngine engine, DateTimeOffset now)
{
    public HttpContext Http { get; } = http;

    public SwiftPath Path { get; } = path;

    /// <summary>Null for a caller without a token: only ACLs and signed URLs can let it in.</summary>
    public OperationContext? Operation { get; } = operation;

    public IObjectEngine Engine { get; } = engine;

    /// <summary>One time for all that the request writes.</summary>
    public DateTimeOffset Now { get; } = now;

    /// <summary>Set when a signed URL allows exactly this request.</summary>
    public bool IsSigned { get; set; }

    /// <summary>Set when another cluster copies an object here: the time it has there, which counts as the time of this write.</summary>
    public DateTimeOffset? SyncTime { get; set; }

    /// <summary>The path ended in a slash, which a site tells apart.</summary>
    public bool HasTrailingSlash => (Http.Request.Path.Value ?? "").EndsWith('/');

    public CancellationToken Cancelled => Http.RequestAborted;

    public BucketName Bucket => new(Path.Project, Path.Container);

    public bool IsHead => HttpMethods.IsHead(Http.Request.Method);

    /// <summary>The same request, about another object.</summary>
    public SwiftCall At(SwiftPath path) => new(Http, path, Operation, Engine, Now);

    public string? Header(string name) => Http.Request.Headers.TryGetValue(name, out var values) && values.Count > 0 ? values[0] : null;

    public string? Query(string name) => Http.Request.Query.TryGetValue(name, out var values) && values.Count > 0 ? values[^1] : null;

    public void Reply(string name, string value) => Http.Response.Headers[name] = value;

    /// <summary>Answers without a body; Swift sends a type all the same.</summary>
    public Task EmptyAsync(int status, string contentType = "text/html; charset=UTF-8")
    {
        Http.Response.StatusCode = status;
        Reply("Content-Type", contentType);
        if (status is not (204 or 304))
        {
            Http.Response.ContentLength = 0;
        }
        return Task.CompletedTask;
    }

    public Task TextAsync(int status, string body, string contentType = "text/html; charset=UTF-8") =>
        BytesAsync(status, Encoding.UTF8.GetBytes(body), contentType);

    public async Task BytesAsync(int status, ReadOnlyMemory<byte> body, string contentType)
    {
        Http.Response.StatusCode = status;
        Reply("Content-Type", contentType);
        Http.Response.ContentLength = body.Length;
        if (!IsHead && body.Length > 0)
        {
            await Http.Response.Body.WriteAsync(body, Cancelled);
        }
    }
}

/// <summary>Swift's times: seconds since 1970 with five decimals, and HTTP dates rounded up.</summary>
internal static class SwiftTime
{
    /// <summary>Bytes that the round-trip format needs.</summary>
    public const int IsoBufferBytes = 27;

    private const int IsoLength = 26;
    private const long TicksPerStep = TimeSpan.TicksPerMillisecond / 100;

    /// <summary>To the ten microseconds that the five decimals hold.</summary>
    public static DateTimeOffset Round(DateTimeOffset time) => new(time.UtcTicks - (time.UtcTicks % TicksPerStep), TimeSpan.Zero);

    public static string Timestamp(DateTimeOffset time)
    {
        var ticks = time.UtcTicks - DateTimeOffset.UnixEpoch.UtcTicks;
        return string.Create(CultureInfo.InvariantCulture, $"{ticks / TimeSpan.TicksPerSecond:0000000000}.{ticks % TimeSpan.TicksPerSecond / TicksPerStep:00000}");
    }

    /// <summary>Rounded up, so that a copy is never seen as older than it is.</summary>
    public static string HttpDate(DateTimeOffset time)
    {
        var part = time.UtcTicks % TimeSpan.TicksPerSecond;
        return time.AddTicks(part == 0 ? 0 : TimeSpan.TicksPerSecond - part).UtcDateTime.ToString("R", CultureInfo.InvariantCulture);
    }

    /// <summary>As listings write it, to the microsecond.</summary>
    public static string Iso(DateTimeOffset time) => RoundTrip(time).ToString("O", CultureInfo.InvariantCulture)[..IsoLength];

    /// <summary>The same without a string for each.</summary>
    public static ReadOnlySpan<byte> Iso(DateTimeOffset time, Span<byte> buffer)
    {
        RoundTrip(time).TryFormat(buffer, out _, "O", CultureInfo.InvariantCulture);
        return buffer[..IsoLength];
    }

    /// <summary>Of no kind, so that the format ends with the fraction: seven digits.</summary>
    private static DateTime RoundTrip(DateTimeOffset time) => DateTime.SpecifyKind(time.UtcDateTime, DateTimeKind.Unspecified);
}
