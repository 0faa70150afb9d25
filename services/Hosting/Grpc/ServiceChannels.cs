using System.Collections.Concurrent;
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Hosting.Discovery;
using Nephos.Hosting.Grpc.InProcess;
using Nephos.Kernel.Errors;

namespace Nephos.Hosting.Grpc;

/// <summary>One channel per address, found by the name of the service. Thread-safe.</summary>
public sealed class ServiceChannels : IDisposable
{
    /// <summary>Bounds a control-plane message; data travels in streams of smaller ones.</summary>
    public const int MaxMessageBytes = 16 * 1024 * 1024;

    private static readonly TimeSpan ConnectPatience = TimeSpan.FromSeconds(1);

    private static readonly FaultClientInterceptor Interceptor = new();

    private readonly IServiceDirectory _directory;
    private readonly TimeProvider _time;
    private readonly ClusterTls? _tls;
    private readonly ConcurrentDictionary<Uri, ServiceAddress> _addresses = new();
    private readonly CallInvoker[] _here;

    internal ServiceChannels(NephosOptions options, IServiceDirectory directory, InProcessServices inProcess, TimeProvider time)
    {
        _directory = directory;
        _time = time;
        _tls = options.LoadClusterTls();
        _here = [new InProcessCallInvoker(inProcess, At(options.OwnGrpcAddress).Invoker, time)];
    }

    public CallInvoker Invoker(string service) => new ServiceCallInvoker(() => InTurn(service)).Intercept(Interceptor);

    /// <summary>Connects to the services that run elsewhere; a process listens once it has started.</summary>
    /// <returns>The first of which no process answers, or null.</returns>
    public async Task<string?> FindUnreachableAsync(IEnumerable<string> services, CancellationToken cancellationToken)
    {
        foreach (var service in services.Distinct(StringComparer.Ordinal))
        {
            if (_directory.AddressesOf(service) is not { } addresses)
            {
                continue;
            }
            var isReachable = false;
            foreach (var address in addresses)
            {
                isReachable = isReachable || await IsListeningAsync(address, cancellationToken);
            }
            if (!isReachable)
            {
                return addresses.Count == 0 ? $"no process is known that serves {service}" : $"{service} at {string.Join(", ", addresses)} does not answer";
            }
        }
        return null;
    }

    public void Dispose()
    {
        foreach (var address in _addresses.Values)
        {
            address.Dispose();
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

    /// <exception cref="FaultException">Unavailable: nobody is known to serve it.</exception>
    private IReadOnlyList<CallInvoker> InTurn(string service) => _directory.AddressesOf(service) switch
    {
        null => _here,
        [] => throw Faults.Unavailable($"No process is known that serves {service}."),
        [var one] => At(one).Alone,
        var several => [.. AddressTurns.Next(several, address => At(address).WasRefusedLately).Select(address => At(address).Invoker)],
    };

    private ServiceAddress At(Uri address) => _addresses.GetOrAdd(address, static (at, channels) => new ServiceAddress(at, channels._tls, channels._time), this);
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
