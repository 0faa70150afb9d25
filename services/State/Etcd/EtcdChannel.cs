using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Net.Client.Balancer;
using Grpc.Net.Client.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Nephos.State.Etcd;

/// <summary>The connection to a cluster: one member at a time, the next one when it is gone.</summary>
internal static class EtcdChannel
{
    // A page of the largest values; etcd itself limits requests, not answers.
    private const int MaxReceiveBytes = 256 * 1024 * 1024;

    // etcd closes connections that ping more often than every five seconds.
    private static readonly TimeSpan PingDelay = TimeSpan.FromSeconds(10), PingTimeout = TimeSpan.FromSeconds(5);

    public static GrpcChannel Create(StateStoreOptions options)
    {
        var endpoints = options.EtcdEndpoints.Select(endpoint => new Uri(endpoint)).ToList();
        var secure = endpoints.TrueForAll(endpoint => endpoint.Scheme == Uri.UriSchemeHttps);
        var handler = new SocketsHttpHandler
        {
            KeepAlivePingDelay = PingDelay,
            KeepAlivePingTimeout = PingTimeout,
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
            EnableMultipleHttp2Connections = true,
        };
        if (secure)
        {
            handler.SslOptions = EtcdTls.Options(options);
        }

        var resolver = new StaticResolverFactory(_ => endpoints.Select(endpoint => new BalancerAddress(endpoint.Host, endpoint.Port)));
        return GrpcChannel.ForAddress("static:///etcd", new GrpcChannelOptions
        {
            HttpHandler = handler,
            DisposeHttpClient = true,
            MaxReceiveMessageSize = MaxReceiveBytes,
            Credentials = secure ? ChannelCredentials.SecureSsl : ChannelCredentials.Insecure,
            ServiceConfig = new ServiceConfig { LoadBalancingConfigs = { new PickFirstConfig() } },
            ServiceProvider = new ServiceCollection().AddSingleton<ResolverFactory>(resolver).BuildServiceProvider(),
        });
    }
}
