using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Objects;
using Nephos.ObjectStorage.Swift;

namespace Nephos.ObjectStorage.Sync;

/// <summary>Puts and deletes objects in the container of another cluster, as of the times they have here.</summary>
internal sealed partial class SyncSender(IObjectEngine engine, ObjectStorageOptions objectOptions, TimeProvider time, ILogger<SyncSender> logger) : IDisposable
{
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromMinutes(1);
    private const long SlowestBytesPerSecond = 100_000;

    private readonly ContainerSyncOptions _options = objectOptions.ContainerSync;
    private readonly HttpClient _http = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        ConnectTimeout = TimeSpan.FromSeconds(10),
        RequestHeaderEncodingSelector = static (_, _) => Encoding.UTF8,
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
    })
    { Timeout = Timeout.InfiniteTimeSpan };

    public void Dispose() => _http.Dispose();

    /// <returns>True when the other container has this or something newer.</returns>
    public Task<bool> PutAsync(SyncTarget target, string secret, ObjectRecord record, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Put, target, secret, record.Key, record.Modified, record.Payload.LengthBytes,
        request =>
        {
            var body = new PayloadContent(engine, record.Payload);
            request.Content = body;
            body.Headers.TryAddWithoutValidation("Content-Type", record.ContentType);
            foreach (var (header, key) in SwiftObjects.KeptHeaders)
            {
                if (record.SystemMetadata.TryGetValue(key, out var value) && !request.Headers.TryAddWithoutValidation(header, value))
                {
                    body.Headers.TryAddWithoutValidation(header, value);
                }
            }
            foreach (var (name, value) in record.UserMetadata)
            {
                request.Headers.TryAddWithoutValidation("X-Object-Meta-" + name, value);
            }
            if (record.Parts.IsEmpty)
            {
                // The ETag of an object of parts is not the MD5 of its bytes.
                request.Headers.TryAddWithoutValidation("ETag", record.ETag);
            }
            if (record.Expires is { } expires)
            {
                request.Headers.TryAddWithoutValidation("X-Delete-At", expires.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
            }
            if (record.SystemMetadata.TryGetValue(SwiftObjects.ManifestKey, out var manifest))
            {
                request.Headers.TryAddWithoutValidation("X-Object-Manifest", SwiftPath.Encode(manifest));
            }
            if (SwiftLargeObjects.IsStatic(record))
            {
                request.Headers.TryAddWithoutValidation("X-Static-Large-Object", "True");
            }
            foreach (var (name, value) in SwiftSymlinks.HeadersOf(record))
            {
                request.Headers.TryAddWithoutValidation(name, value);
            }
        },
        cancellationToken);

    /// <param name="modified">The time of the version that is gone here; a newer one stays there.</param>
    public Task<bool> DeleteAsync(SyncTarget target, string secret, string key, DateTimeOffset modified, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Delete, target, secret, key, modified, 0, static _ => { }, cancellationToken);

    private async Task<bool> SendAsync(
        HttpMethod method, SyncTarget target, string secret, string key, DateTimeOffset modified, long bytes, Action<HttpRequestMessage> fill, CancellationToken cancellationToken)
    {
        if (SyncRealms.Find(_options, target.Realm) is not { } realm || SyncRealms.ClusterOf(realm, target.Cluster) is not { } cluster)
        {
            return false;
        }
        var path = $"{cluster.AbsolutePath.TrimEnd('/')}/{Uri.EscapeDataString(target.Account)}/{Uri.EscapeDataString(target.Container)}/{SwiftPath.Encode(key)}";
        using var request = new HttpRequestMessage(
            method, new Uri(cluster.GetLeftPart(UriPartial.Authority) + path, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        var timestamp = SwiftTime.Timestamp(modified);
        var nonce = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        request.Headers.TryAddWithoutValidation("X-Timestamp", timestamp);
        request.Headers.TryAddWithoutValidation("X-Container-Sync-Auth", $"{target.Realm} {nonce} {SyncRealms.Sign(method.Method, path, timestamp, nonce, realm.Key, secret)}");
        fill(request);
        using var limit = new CancellationTokenSource(AnswerTimeout + TimeSpan.FromSeconds(bytes / SlowestBytesPerSecond), time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
            // Conflict: it has something newer.
            if (response.IsSuccessStatusCode || response.StatusCode is HttpStatusCode.Conflict || (method == HttpMethod.Delete && response.StatusCode is HttpStatusCode.NotFound))
            {
                return true;
            }
            LogRefused(method.Method, target.Realm, target.Cluster, target.Account, target.Container, (int)response.StatusCode);
            return false;
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException || (failure is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            LogNotSent(method.Method, target.Realm, target.Cluster, target.Account, target.Container, failure);
            return false;
        }
    }

    [LoggerMessage(LogLevel.Warning, "{Method} of an object to //{Realm}/{Cluster}/{Account}/{Container} was answered {Status}; it will be tried again")]
    private partial void LogRefused(string method, string realm, string cluster, string account, string container, int status);

    [LoggerMessage(LogLevel.Warning, "{Method} of an object to //{Realm}/{Cluster}/{Account}/{Container} did not get through; it will be tried again")]
    private partial void LogNotSent(string method, string realm, string cluster, string account, string container, Exception failure);

    private sealed class PayloadContent(IObjectEngine engine, Payload payload) : HttpContent
    {
        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken) =>
            new Content([new ContentPiece(payload, 0, payload.LengthBytes)]).WriteAsync(engine, stream, 0, payload.LengthBytes, cancellationToken);

        protected override bool TryComputeLength(out long length)
        {
            length = payload.LengthBytes;
            return true;
        }
    }
}
