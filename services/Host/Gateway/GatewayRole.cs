using System.Net;
using Nephos.Hosting;
using Nephos.Hosting.Discovery;
using Yarp.ReverseProxy.Forwarder;

namespace Nephos.Host.Gateway;

/// <summary>
/// The front door of a cloud whose roles are processes of their own: one REST, one gRPC and one S3 port, each request handed to the role
/// that serves its path. It looks at nothing but the path: tokens are verified where they are used.
/// </summary>
internal static class GatewayRole
{
    /// <summary>Watches may be silent for as long as nothing happens.</summary>
    private static readonly TimeSpan SilenceMax = TimeSpan.FromHours(1);

    /// <summary>First segment of a REST path, and package of a gRPC method, by the role that serves them.</summary>
    private static readonly (string Role, string RestPrefix, string GrpcPrefix)[] Routes =
    [
        ("identity", "/identity", "/nephos.identity."),
        ("image", "/image", "/nephos.image."),
        ("network", "/network", "/nephos.network."),
        ("compute", "/compute", "/nephos.compute."),
        ("volume", "/volume", "/nephos.blockstorage."),
        ("object", "/object", "/nephos.objectstorage."),
        ("object", "/object", "/nephos.storage.v1.ObjectRing/"),
    ];

    public static void AddGateway(this WebApplicationBuilder builder) => builder.Services.AddHttpForwarder();

    public static void MapGateway(this WebApplication app)
    {
        var options = app.Services.GetRequiredService<NephosOptions>();
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            UseCookies = false,
            EnableMultipleHttp2Connections = true,
            ActivityHeadersPropagator = null,
        };
        if (options.LoadClusterTls() is { } tls)
        {
            handler.SslOptions = tls.ClientOptions;
        }
        var client = new HttpMessageInvoker(handler);
        app.Lifetime.ApplicationStopped.Register(client.Dispose);
        var forwarding = new Forwarding(
            app.Services.GetRequiredService<IServiceDirectory>(), app.Services.GetRequiredService<IHttpForwarder>(), client,
            app.Services.GetRequiredService<TimeProvider>());
        app.Use((http, next) => RoleOf(http, options) is var (role, face)
            ? forwarding.SendAsync(http, role, grpc => AddressOf(grpc, face), ConfigOf(face), Transformer.Instance)
            : next(http));
    }

    /// <summary>The role a request is for; null when it is for this process itself.</summary>
    private static (string Role, Face Face)? RoleOf(HttpContext http, NephosOptions options)
    {
        if (http.Connection.LocalPort == options.S3Port || IsSignedForS3(http.Request))
        {
            return ("object", Face.S3);
        }
        var path = http.Request.Path;
        foreach (var (role, rest, grpc) in Routes)
        {
            if (HttpProtocol.IsHttp2(http.Request.Protocol) && path.Value!.StartsWith(grpc, StringComparison.Ordinal))
            {
                return (role, Face.Grpc);
            }
            if (path.StartsWithSegments(rest))
            {
                return (role, Face.Rest);
            }
        }
        // What clients of Swift ask for at the root of the host.
        return path.Value is "/info" or "/crossdomain.xml" or "/auth/v1.0" ? ("object", Face.Rest) : null;
    }

    /// <summary>S3 over TLS has no port of its own; there it is known by the way requests are signed.</summary>
    private static bool IsSignedForS3(HttpRequest request) =>
        request.Headers.Authorization.ToString().StartsWith("AWS4-HMAC-SHA256", StringComparison.Ordinal) || request.Query.ContainsKey("X-Amz-Algorithm");

    /// <summary>Roles are known by their gRPC address; their other ports have a fixed distance from it.</summary>
    private static string AddressOf(Uri grpc, Face face) => new UriBuilder(grpc)
    {
        Port = face switch { Face.Grpc => grpc.Port, Face.Rest => grpc.Port - 1, _ => grpc.Port - 1 + NephosOptions.S3PortOffset },
    }.Uri.ToString();

    private static ForwarderRequestConfig ConfigOf(Face face) => new()
    {
        Version = face == Face.Grpc ? HttpVersion.Version20 : HttpVersion.Version11,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        ActivityTimeout = SilenceMax,
    };

    private enum Face
    {
        Rest,
        Grpc,
        S3,
    }

    /// <summary>Keeps the host that the client asked for, which signatures and links depend on, and says how it asked.</summary>
    private sealed class Transformer : HttpTransformer
    {
        public static readonly Transformer Instance = new();

        public override async ValueTask TransformRequestAsync(
            HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
        {
            await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken);
            proxyRequest.Headers.Host = httpContext.Request.Host.Value;
            proxyRequest.Headers.Remove("X-Forwarded-Proto");
            proxyRequest.Headers.TryAddWithoutValidation("X-Forwarded-Proto", httpContext.Request.Scheme);
        }
    }
}
