using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Nephos.Hosting.Rest;

public delegate Task<RestResult> RestHandler(RestCall call);

/// <summary>The routes of one dialect. Handlers are plain delegates, so that mapping hundreds of them costs nothing at start.</summary>
public sealed class RestRoutes
{
    private readonly IEndpointRouteBuilder _endpoints;
    private readonly RestDialect _dialect;

    internal RestRoutes(IEndpointRouteBuilder endpoints, RestDialect dialect)
    {
        _endpoints = endpoints;
        _dialect = dialect;
    }

    /// <summary>Answers GET, and HEAD with the same headers and no body.</summary>
    public RestRoute Get(string pattern, RestHandler handler) => Map([HttpMethods.Get, HttpMethods.Head], pattern, handler);

    public RestRoute Post(string pattern, RestHandler handler) => Map([HttpMethods.Post], pattern, handler);

    public RestRoute Put(string pattern, RestHandler handler) => Map([HttpMethods.Put], pattern, handler);

    public RestRoute Patch(string pattern, RestHandler handler) => Map([HttpMethods.Patch], pattern, handler);

    public RestRoute Delete(string pattern, RestHandler handler) => Map([HttpMethods.Delete], pattern, handler);

    public RestRoute Map(string method, string pattern, RestHandler handler) => Map([method], pattern, handler);

    private RestRoute Map(string[] methods, string pattern, RestHandler handler)
    {
        var route = new RestRoute();
        _endpoints
            .MapMethods(_dialect.Prefix + pattern, methods, async http =>
            {
                var result = await handler(http.Features.GetRequiredFeature<RestCallFeature>().Call);
                await result.WriteAsync(http);
            })
            .WithMetadata(route);
        return route;
    }
}

/// <summary>What is known of a route before its handler runs.</summary>
public sealed class RestRoute
{
    internal bool AllowsAnonymous { get; private set; }

    /// <summary>The route needs no token; one that is given is verified all the same.</summary>
    public RestRoute Anonymous()
    {
        AllowsAnonymous = true;
        return this;
    }
}

internal sealed record RestCallFeature(RestCall Call);

/// <summary>The dialects mounted in this process.</summary>
internal sealed class RestDialects
{
    private readonly List<RestDialect> _dialects = [];

    public void Add(RestDialect dialect) => _dialects.Add(dialect);

    public RestDialect? Find(PathString path) => _dialects.Find(dialect => path.StartsWithSegments(dialect.Prefix, StringComparison.Ordinal));
}

public static class RestExtensions
{
    /// <summary>Mounts a dialect; its routes are given relative to its prefix.</summary>
    public static RestRoutes MapRest(this WebApplication app, RestDialect dialect)
    {
        app.Services.GetRequiredService<RestDialects>().Add(dialect);
        return new RestRoutes(app, dialect);
    }
}
