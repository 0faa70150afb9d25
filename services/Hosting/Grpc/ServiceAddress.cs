using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;

namespace Nephos.Hosting.Grpc;

/// <summary>The channel to one process, and whether it was there lately.</summary>
internal sealed class ServiceAddress : IDisposable
{
    /// <summary>A process that refused a connection is passed over for so long when there are others.</summary>
    private static readonly TimeSpan RefusalCounts = TimeSpan.FromSeconds(2);

    private readonly TimeProvider _time;
    private readonly GrpcChannel _channel;
    private long _refusedAt;

    public ServiceAddress(Uri address, ClusterTls? tls, TimeProvider time)
    {
        _time = time;
        var handler = new SocketsHttpHandler
        {
            EnableMultipleHttp2Connections = true,
            PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
            KeepAlivePingDelay = TimeSpan.FromSeconds(30),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
            InitialHttp2StreamWindowSize = 1024 * 1024,
            ActivityHeadersPropagator = null,
            ConnectCallback = ConnectAsync,
        };
        if (tls is not null)
        {
            handler.SslOptions = tls.ClientOptions;
        }
        _channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions
        {
            Credentials = address.Scheme == Uri.UriSchemeHttps ? ChannelCredentials.SecureSsl : ChannelCredentials.Insecure,
            MaxReceiveMessageSize = ServiceChannels.MaxMessageBytes,
            MaxSendMessageSize = ServiceChannels.MaxMessageBytes,
            DisposeHttpClient = true,
            HttpHandler = handler,
        });
        Invoker = _channel.CreateCallInvoker();
        Alone = [Invoker];
    }

    public CallInvoker Invoker { get; }

    /// <summary>The one process of a service that has no other.</summary>
    public IReadOnlyList<CallInvoker> Alone { get; }

    public bool WasRefusedLately => Volatile.Read(ref _refusedAt) is > 0 and var at && _time.GetElapsedTime(at) < RefusalCounts;

    public void Dispose() => _channel.Dispose();

    /// <remarks>
    /// With a connector of our own the channel connects when a call needs it. Its own connector remembers a refused connection for seconds
    /// and fails every call meanwhile, so one early call of a starting process made the next ones fail after everything was up.
    /// </remarks>
    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
            Volatile.Write(ref _refusedAt, 0);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (Exception exception)
        {
            socket.Dispose();
            if (exception is SocketException)
            {
                Volatile.Write(ref _refusedAt, Math.Max(1, _time.GetTimestamp()));
            }
            throw;
        }
    }
}
