using System.Collections.Concurrent;
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.Client;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Hosting.Grpc.InProcess;

namespace Nephos.Hosting.Grpc;

/// <summary>One channel per address, found by the name of the service. Thread-safe.</summary>
public sealed class ServiceChannels : IDisposable
{
    /// <summary>Bounds a control-plane message; data travels in streams of smaller ones.</summary>
    public const int MaxMessageBytes = 16 * 1024 * 1024;

    private static readonly TimeSpan ConnectPatience = TimeSpan.FromSeconds(1);

    private static readonly FaultClientInterceptor Interceptor = new();

    private readonly NephosOptions _options;
    private readonly ConcurrentDictionary<Uri, GrpcChannel> _channels = new();
    private readonly CallInvoker _here;

    internal ServiceChannels(NephosOptions options, InProcessServices inProcess, TimeProvider time)
    {
        _options = options;
        var own = new Uri($"http://{(options.ListenAddress is "0.0.0.0" or "*" or "::" ? "127.0.0.1" : options.ListenAddress)}:{options.GrpcPort}");
        _here = new InProcessCallInvoker(inProcess, At(own), time);
    }

    public CallInvoker Invoker(string service) =>
        (_options.Services.TryGetValue(service, out var address) ? At(address) : _here).Intercept(Interceptor);

    /// <summary>Connects to each of the services that run elsewhere; a process listens once it has started.</summary>
    /// <returns>The first that does not answer, or null.</returns>
    public async Task<string?> FindUnreachableAsync(IEnumerable<string> services, CancellationToken cancellationToken)
    {
        foreach (var service in services.Distinct(StringComparer.Ordinal))
        {
            if (_options.Services.TryGetValue(service, out var address) && !await IsListeningAsync(address, cancellationToken))
            {
                return $"{service} at {address} does not answer";
            }
        }
        return null;
    }

    public void Dispose()
    {
        foreach (var channel in _channels.Values)
        {
            channel.Dispose();
        }
    }

    private static async Task<bool> IsListeningAsync(Uri address, CancellationToken cancellationToken)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(address.Host, address.Port, cancellationToken).AsTask().WaitAsync(ConnectPatience, cancellationToken);
            return true;
        }
        catch (Exception exception) when (exception is SocketException or TimeoutException)
        {
            return false;
        }
    }

    private CallInvoker At(Uri address) => _channels.GetOrAdd(address, Open).CreateCallInvoker();

    private static GrpcChannel Open(Uri address) => GrpcChannel.ForAddress(address, new GrpcChannelOptions
    {
        Credentials = address.Scheme == Uri.UriSchemeHttps ? ChannelCredentials.SecureSsl : ChannelCredentials.Insecure,
        MaxReceiveMessageSize = MaxMessageBytes,
        MaxSendMessageSize = MaxMessageBytes,
        DisposeHttpClient = true,
        HttpHandler = new SocketsHttpHandler
        {
            EnableMultipleHttp2Connections = true,
            PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
            KeepAlivePingDelay = TimeSpan.FromSeconds(30),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
            InitialHttp2StreamWindowSize = 1024 * 1024,
            ActivityHeadersPropagator = null,
            ConnectCallback = ConnectAsync,
        },
    });

    /// <remarks>
    /// With a connector of our own the channel connects when a call needs it. Its own connector remembers a refused connection for seconds
    /// and fails every call meanwhile, so one early call of a starting process made the next ones fail after everything was up.
    /// </remarks>
    private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}

public static class ServiceClientExtensions
{
    /// <summary>Registers a generated client of a service; <paramref name="service"/> is the role that answers.</summary>
    public static IServiceCollection AddNephosClient<TClient>(this IServiceCollection services, string service)
        where TClient : ClientBase<TClient> =>
        services.AddSingleton(new ServiceDependency(service)).AddSingleton(provider =>
            (TClient)Activator.CreateInstance(typeof(TClient), provider.GetRequiredService<ServiceChannels>().Invoker(service))!);
}

/// <summary>A service that this process calls.</summary>
internal sealed record ServiceDependency(string Service);
