using System.Collections.Frozen;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Nephos.Hypervisor.Metadata;
using Nephos.Hypervisor.Network.Namespaces;

namespace Nephos.Hypervisor.Network.GuestMetadata;

/// <summary>Answers http://169.254.169.254 of the guests of this node. Who asks is known from the network's device and the source address, which
/// anti-spoofing vouches for; what a request says about itself counts for nothing.</summary>
internal sealed class MetadataServer : IHttpApplication<IFeatureCollection>, IAsyncDisposable
{
    private const int ConnectionsMax = 4096;

    private readonly IInstanceMetadataSource _source;
    private readonly MetadataListener _listener;
    private readonly KestrelServer _server;
    private volatile FrozenDictionary<(Guid Network, IPAddress Address), Guid> _ports = FrozenDictionary<(Guid, IPAddress), Guid>.Empty;
    private bool _started;

    public MetadataServer(IInstanceMetadataSource source, ILoggerFactory loggers)
    {
        _source = source;
        _listener = new MetadataListener(new SocketConnectionContextFactory(new SocketConnectionFactoryOptions(),
            loggers.CreateLogger<SocketConnectionContextFactory>()));
        var options = new KestrelServerOptions { AddServerHeader = false, ApplicationServices = new ServiceCollection().AddSingleton(loggers).BuildServiceProvider() };
        options.Limits.MaxConcurrentConnections = ConnectionsMax;
        options.Limits.MaxRequestBodySize = 0;
        options.Limits.MaxRequestHeadersTotalSize = 8 * 1024;
        options.Limits.MaxRequestLineSize = 4 * 1024;
        options.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        options.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(15);
        options.Listen(_listener.EndPoint, endpoint => endpoint.Protocols = HttpProtocols.Http1);
        _server = new KestrelServer(Options.Create(options), _listener, loggers);
    }

    /// <summary>Serves exactly these networks and ports from now on. Not thread safe.</summary>
    /// <param name="networks">Bridges of the data plane by network.</param>
    public void Serve(NetworkNamespace dataPlane, IReadOnlyDictionary<Guid, (string Bridge, int Index)> networks, IEnumerable<PortSpec> ports)
    {
        if (!_started)
        {
            _server.StartAsync(this, CancellationToken.None).GetAwaiter().GetResult();
            _started = true;
        }

        var byAddress = new Dictionary<(Guid, IPAddress), Guid>();
        foreach (var port in ports)
        {
            foreach (var fixedIp in port.FixedIps)
            {
                byAddress[(port.NetworkId, fixedIp.Address)] = port.Id;
            }
        }

        _ports = byAddress.ToFrozenDictionary();
        _listener.Serve(dataPlane, networks);
    }

    public void StopListening() => _listener.CloseAll();

    public IFeatureCollection CreateContext(IFeatureCollection contextFeatures) => contextFeatures;

    public async Task ProcessRequestAsync(IFeatureCollection context)
    {
        var request = context.GetRequiredFeature<IHttpRequestFeature>();
        var response = context.GetRequiredFeature<IHttpResponseFeature>();
        var reply = Answer(request, context.Get<GuestConnection>());
        response.StatusCode = reply.Status;
        response.Headers.ContentType = reply.ContentType;
        response.Headers.ContentLength = reply.Body.Length;
        if (request.Method != "HEAD")
        {
            await context.GetRequiredFeature<IHttpResponseBodyFeature>().Writer.WriteAsync(reply.Body);
        }
    }

    public void DisposeContext(IFeatureCollection context, Exception? exception)
    {
        // Nothing is kept per request.
    }

    public async ValueTask DisposeAsync()
    {
        if (_started)
        {
            using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            await _server.StopAsync(soon.Token);
        }

        _server.Dispose();
        await _listener.DisposeAsync();
    }

    private MetadataReply Answer(IHttpRequestFeature request, GuestConnection? guest)
    {
        if (request.Method is not ("GET" or "HEAD"))
        {
            return Text(405, "only GET");
        }

        // A proxy inside the guest that was talked into fetching metadata for somebody else.
        if (request.Headers.ContainsKey("X-Forwarded-For"))
        {
            return Text(403, "forwarded requests are refused");
        }

        return guest is not null && _ports.TryGetValue((guest.NetworkId, guest.Address), out var port)
            ? _source.Get(port, request.Path)
            : Text(404, "no port has this address");
    }

    private static MetadataReply Text(int status, string text) => new(status, "text/plain", Encoding.ASCII.GetBytes(text));
}
