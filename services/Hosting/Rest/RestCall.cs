using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;

namespace Nephos.Hosting.Rest;

/// <summary>One REST call as a handler sees it.</summary>
public sealed class RestCall
{
    /// <summary>Bounds a JSON request body.</summary>
    public const int MaxJsonBytes = 4 * 1024 * 1024;

    private const int MaxJsonDepth = 64;

    private readonly OperationContext? _operation;

    internal RestCall(HttpContext http, RestDialect dialect, Microversion version, OperationContext? operation, string requestId)
    {
        Http = http;
        Dialect = dialect;
        Version = version;
        RequestId = requestId;
        _operation = operation;
    }

    public HttpContext Http { get; }

    public RestDialect Dialect { get; }

    /// <summary>The negotiated microversion; 0.0 in a dialect without any.</summary>
    public Microversion Version { get; }

    public string RequestId { get; }

    public CancellationToken Cancelled => Http.RequestAborted;

    /// <exception cref="FaultException">Unauthenticated: an anonymous route was called without a token.</exception>
    public OperationContext Operation => _operation ?? throw Faults.Unauthenticated("The request you have made requires authentication.");

    /// <summary>Scheme, host and prefix as the client sees them, without a slash at the end; honours Forwarded and X-Forwarded-*.</summary>
    public string BaseUrl => PublicRoot(Http) + Dialect.Prefix;

    public T Service<T>()
        where T : notnull => Http.RequestServices.GetRequiredService<T>();

    public string Route(string name) => Http.GetRouteValue(name) as string ?? "";

    /// <summary>The last value of a query parameter, or null.</summary>
    public string? Query(string name) => Http.Request.Query.TryGetValue(name, out var values) && values.Count > 0 ? values[^1] : null;

    public IReadOnlyList<string> QueryAll(string name) =>
        Http.Request.Query.TryGetValue(name, out var values) ? [.. values.OfType<string>()] : [];

    public string? Header(string name) => Http.Request.Headers.TryGetValue(name, out var values) && values.Count > 0 ? values[0] : null;

    /// <summary>The request body as a JSON object.</summary>
    /// <exception cref="FaultException">InvalidArgument: not JSON, or not an object; TooLarge.</exception>
    public async Task<JsonObject> ReadJsonAsync() =>
        await ReadJsonNodeAsync() as JsonObject ?? throw Faults.Invalid("body", "must be a JSON object");

    /// <summary>The request body as any JSON value.</summary>
    /// <exception cref="FaultException">InvalidArgument: not JSON; TooLarge.</exception>
    public async Task<JsonNode?> ReadJsonNodeAsync()
    {
        if (Http.Request.ContentLength > MaxJsonBytes)
        {
            throw Faults.TooLarge("The request body", MaxJsonBytes);
        }
        using var body = new MemoryStream();
        var buffer = new byte[16 * 1024];
        int read;
        while ((read = await Http.Request.Body.ReadAsync(buffer, Cancelled)) > 0)
        {
            if (body.Length + read > MaxJsonBytes)
            {
                throw Faults.TooLarge("The request body", MaxJsonBytes);
            }
            body.Write(buffer, 0, read);
        }
        try
        {
            return StrictJson.Parse(body.GetBuffer().AsSpan(0, (int)body.Length), MaxJsonDepth);
        }
        catch (JsonException exception)
        {
            throw new FaultException(ErrorReason.InvalidArgument,
                $"The request body is not valid JSON: {exception.Message}",
                new Dictionary<string, string> { ["field"] = "body" }, exception);
        }
    }

    internal static string PublicRoot(HttpContext http)
    {
        var request = http.Request;
        var scheme = request.Scheme;
        var host = request.Host.Value ?? "localhost";
        if (request.Headers.TryGetValue("Forwarded", out var forwarded) && forwarded.Count > 0)
        {
            foreach (var pair in (forwarded[0] ?? "").Split(',')[0].Split(';'))
            {
                var parts = pair.Split('=', 2);
                if (parts.Length == 2)
                {
                    var value = parts[1].Trim().Trim('"');
                    scheme = parts[0].Trim().Equals("proto", StringComparison.OrdinalIgnoreCase) ? value : scheme;
                    host = parts[0].Trim().Equals("host", StringComparison.OrdinalIgnoreCase) ? value : host;
                }
            }
        }
        else
        {
            scheme = First(request, "X-Forwarded-Proto") ?? scheme;
            host = First(request, "X-Forwarded-Host") ?? host;
        }
        return $"{(scheme == "https" ? "https" : "http")}://{host}{First(request, "X-Forwarded-Prefix")?.TrimEnd('/')}";
    }

    private static string? First(HttpRequest request, string header) =>
        request.Headers.TryGetValue(header, out var values) && values.Count > 0 ? values[0]?.Split(',')[0].Trim() : null;
}
