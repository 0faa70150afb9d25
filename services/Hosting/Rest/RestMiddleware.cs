using System.Text.Json.Nodes;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Nephos.Hosting.Authentication;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Hosting.Rest;

/// <summary>What every REST call has in common: request id, microversion, token, and errors in the dialect's envelope.</summary>
internal sealed partial class RestMiddleware(
    RequestDelegate next, RestDialects dialects, Authenticator authenticator, ILogger<RestMiddleware> logger)
{
    private const int MaxGlobalRequestIdChars = 128;

    public async Task InvokeAsync(HttpContext http)
    {
        var dialect = dialects.Find(http.Request.Path);
        if (dialect is null)
        {
            await next(http);
            return;
        }
        var requestId = RequestIds.New();
        http.Response.Headers["x-openstack-request-id"] = requestId;
        var globalId = http.Request.Headers["X-OpenStack-Request-ID"].ToString();
        using var scope = logger.BeginScope(new Dictionary<string, object>
        {
            ["RequestId"] = requestId,
            ["GlobalRequestId"] = globalId.Length <= MaxGlobalRequestIdChars ? globalId : "",
        });
        try
        {
            await HandleAsync(http, dialect, requestId);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            http.Abort();
        }
        catch (Exception exception)
        {
            await AnswerAsync(http, dialect, Fault(exception, http));
        }
    }

    private async Task HandleAsync(HttpContext http, RestDialect dialect, string requestId)
    {
        dialect.Decorate(http);
        var version = Negotiate(http, dialect);
        var path = http.Request.Path.Value![dialect.Prefix.Length..];
        if (path.Length > 1 && path[^1] == '/' && !dialect.AllowsTrailingSlash(path))
        {
            throw Faults.NotFound("Resource", http.Request.Path);
        }
        var endpoint = http.GetEndpoint();
        var route = endpoint?.Metadata.GetMetadata<RestRoute>();
        OperationContext? operation = null;
        var token = http.Request.Headers["X-Auth-Token"].ToString();
        if (route is not { AllowsAnonymous: true })
        {
            operation = await authenticator.AuthenticateAsync(
                token, http.Request.Headers["X-Service-Token"], requestId, http.RequestAborted);
        }
        else if (token.Length > 0)
        {
            operation = await AuthenticateOptionalAsync(token, http, requestId);
        }
        if (operation is { AccessRules.Count: > 0, IsService: false } && !IsAllowedByRules(operation, dialect, http.Request.Method, path))
        {
            throw Faults.Unauthenticated("The access rules of the application credential do not allow this request.");
        }
        if (route is null)
        {
            // The router's own endpoint for a known path and another method carries its Allow header.
            throw endpoint?.DisplayName?.Contains("405", StringComparison.Ordinal) == true
                ? new FaultException(ErrorReason.MethodNotAllowed, $"{http.Request.Method} is not allowed on {http.Request.Path}.")
                : Faults.NotFound("Resource", http.Request.Path);
        }
        http.Features.Set(new RestCallFeature(new RestCall(http, dialect, version, operation, requestId)));
        await next(http);
    }

    private static bool IsAllowedByRules(OperationContext operation, RestDialect dialect, string method, string path) =>
        operation.AccessRules.Any(rule => dialect.ServiceTypes.Any(type => rule.Allows(type, method, path)));

    private async ValueTask<OperationContext?> AuthenticateOptionalAsync(string token, HttpContext http, string requestId)
    {
        try
        {
            return await authenticator.AuthenticateAsync(token, http.Request.Headers["X-Service-Token"], requestId, http.RequestAborted);
        }
        catch (FaultException fault) when (fault.Reason == ErrorReason.Unauthenticated)
        {
            return null;
        }
    }

    private static Microversion Negotiate(HttpContext http, RestDialect dialect)
    {
        if (dialect.Microversions is not { } range)
        {
            return default;
        }
        var asked = Asked(http, range);
        if (asked is null)
        {
            return Echo(http, range, range.Minimum);
        }
        if (asked == "latest")
        {
            return Echo(http, range, range.Maximum);
        }
        if (!Microversion.TryParse(asked, out var version))
        {
            Echo(http, range, range.Minimum);
            throw Faults.Invalid(MicroversionRange.Header, $"'{(asked.Length > 32 ? asked[..32] : asked)}' is not of the form MAJOR.MINOR");
        }
        Echo(http, range, version);
        if (version < range.Minimum || version > range.Maximum)
        {
            throw new FaultException(ErrorReason.UnsupportedVersion,
                $"Version {version} is not supported by the API. Minimum is {range.Minimum} and maximum is {range.Maximum}.");
        }
        return version;
    }

    private static string? Asked(HttpContext http, MicroversionRange range)
    {
        foreach (var value in http.Request.Headers[MicroversionRange.Header])
        {
            foreach (var item in (value ?? "").Split(','))
            {
                var words = item.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
                if (words.Length == 2 && words[0] == range.ServiceType)
                {
                    return words[1];
                }
            }
        }
        return range.LegacyHeader is { } legacy && http.Request.Headers[legacy].ToString() is { Length: > 0 } number ? number.Trim() : null;
    }

    private static Microversion Echo(HttpContext http, MicroversionRange range, Microversion version)
    {
        http.Response.Headers[MicroversionRange.Header] = $"{range.ServiceType} {version}";
        http.Response.Headers.Append("Vary", MicroversionRange.Header);
        if (range.LegacyHeader is { } legacy)
        {
            http.Response.Headers[legacy] = version.ToString();
            http.Response.Headers.Append("Vary", legacy);
        }
        return version;
    }

    private FaultException Fault(Exception exception, HttpContext http)
    {
        switch (exception)
        {
            case FaultException fault:
                if (fault.Reason == ErrorReason.Unspecified)
                {
                    LogFailed(http.Request.Method, http.Request.Path, fault);
                }
                return fault;
            case RpcException rpc:
                return rpc.ToFault();
            case StateConflictException or UniqueViolationException or StateUnavailableException or StateCompactedException:
                return exception.ToStateFault();
            case BadHttpRequestException bad:
                return new FaultException(
                    bad.StatusCode == StatusCodes.Status413PayloadTooLarge ? ErrorReason.TooLarge : ErrorReason.InvalidArgument, bad.Message);
            default:
                LogFailed(http.Request.Method, http.Request.Path, exception);
                return new FaultException(ErrorReason.Unspecified,
                    "An internal error occurred; the log has the details under this request id.", cause: exception);
        }
    }

    private static async Task AnswerAsync(HttpContext http, RestDialect dialect, FaultException fault)
    {
        if (http.Response.HasStarted)
        {
            http.Abort();
            return;
        }
        var status = dialect.StatusOf(fault);
        if (status == StatusCodes.Status401Unauthorized)
        {
            http.Response.Headers.WWWAuthenticate = $"Keystone uri=\"{RestCall.PublicRoot(http)}/identity/v3\"";
        }
        await RestResult.Json(status, dialect.ErrorBody(fault, status)).WriteAsync(http);
    }

    [LoggerMessage(LogLevel.Error, "{Method} {Path} failed")]
    private partial void LogFailed(string method, string path, Exception exception);
}
