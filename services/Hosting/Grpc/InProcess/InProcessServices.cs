using System.Reflection;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Nephos.Hosting.Authentication;

namespace Nephos.Hosting.Grpc.InProcess;

/// <summary>The unary gRPC methods that this process serves, for callers in the same process. Thread-safe.</summary>
/// <remarks>
/// They are behind the same interceptor as for callers elsewhere, so that tokens, faults and request ids are treated alike; only
/// serialization, HTTP/2 and the socket are left out. Before the process listens none is found: services may not be ready, and
/// a connection is refused as it would be from elsewhere.
/// </remarks>
/// <param name="provider">Asked only when a call is made: what serves calls makes calls itself.</param>
/// <param name="lifetime">Of this process.</param>
internal sealed class InProcessServices(IServiceProvider provider, IHostApplicationLifetime lifetime)
{
    /// <summary>The namespace of our contracts; health and reflection are for callers from outside.</summary>
    private const string Contracts = "Nephos.Protos.";

    private readonly Lock _gate = new();
    private IReadOnlyCollection<EndpointDataSource> _mapped = [];
    private volatile IReadOnlyDictionary<string, Delegate>? _handlers;
    private HashSet<string> _anonymous = [];

    /// <summary>Takes what was mapped; called once, before the process starts.</summary>
    public void Take(IEnumerable<EndpointDataSource> mapped) => _mapped = [.. mapped];

    /// <summary>How the method is called; null when it is not served here, not unary, or not served yet.</summary>
    public UnaryServerMethod<TRequest, TResponse>? Find<TRequest, TResponse>(string method)
        where TRequest : class
        where TResponse : class =>
        lifetime.ApplicationStarted.IsCancellationRequested ? (_handlers ?? Bind()).GetValueOrDefault(method) as UnaryServerMethod<TRequest, TResponse> : null;

    public InProcessCallContext ContextOf(string method, CallOptions options, CancellationToken cancellationToken) =>
        new(method, _anonymous.Contains(method), options, cancellationToken);

    private IReadOnlyDictionary<string, Delegate> Bind()
    {
        lock (_gate)
        {
            if (_handlers is { } bound)
            {
                return bound;
            }
            var methods = _mapped.SelectMany(source => source.Endpoints)
                .Select(endpoint => (endpoint.Metadata, Grpc: endpoint.Metadata.GetMetadata<GrpcMethodMetadata>()))
                .Where(found => found.Grpc is not null).ToList();
            _anonymous = methods.Where(found => found.Metadata.GetMetadata<AllowAnonymousOperationAttribute>() is not null)
                .Select(found => found.Grpc!.Method.FullName).ToHashSet(StringComparer.Ordinal);
            var binder = new Binder(provider.GetRequiredService<OperationInterceptor>());
            foreach (var type in methods.Select(found => found.Grpc!.ServiceType).Distinct())
            {
                Bind(type, binder);
            }
            return _handlers = binder.Handlers;
        }
    }

    // The generated base class of a service names the method that binds an instance of it.
    private void Bind(Type type, Binder binder)
    {
        for (var generated = type.BaseType; generated is not null; generated = generated.BaseType)
        {
            if (generated.GetCustomAttribute<BindServiceMethodAttribute>() is { } bind && bind.BindType.Namespace!.StartsWith(Contracts, StringComparison.Ordinal))
            {
                bind.BindType.GetMethod(bind.BindMethodName, [typeof(ServiceBinderBase), generated])!
                    .Invoke(null, [binder, provider.GetService(type) ?? ActivatorUtilities.CreateInstance(provider, type)]);
                return;
            }
        }
    }

    private sealed class Binder(OperationInterceptor interceptor) : ServiceBinderBase
    {
        public Dictionary<string, Delegate> Handlers { get; } = new(StringComparer.Ordinal);

        public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse>? handler) =>
            Handlers[method.FullName] =
                new UnaryServerMethod<TRequest, TResponse>((request, context) => interceptor.UnaryServerHandler(request, context, handler!));

        public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ServerStreamingServerMethod<TRequest, TResponse>? handler)
        {
        }

        public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ClientStreamingServerMethod<TRequest, TResponse>? handler)
        {
        }

        public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, DuplexStreamingServerMethod<TRequest, TResponse>? handler)
        {
        }
    }
}
