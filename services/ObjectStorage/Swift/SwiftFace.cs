using System.Globalization;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;
using Nephos.Client.Objects;
using Nephos.Hosting;
using Nephos.Hosting.Authentication;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.ObjectStorage.Objects;
using Nephos.Protos.Errors.V1;

namespace Nephos.ObjectStorage.Swift;

/// <summary>The Swift API, version 1: parses the path, finds out who asks, calls the handler, and answers errors as Swift does.</summary>
internal sealed partial class SwiftFace(IObjectEngine engine, Authenticator authenticator, TimeProvider time, ILogger<SwiftFace> logger)
{
    public const string Prefix = "/object/v1/";

    public void Map(IEndpointRouteBuilder endpoints)
    {
        endpoints.Map(Prefix + "{**path}", HandleAsync);
        foreach (var info in new[] { "/info", "/object/info" })
        {
            endpoints.MapMethods(info, ["GET", "HEAD"], http => AnswerAsync(http, call => call.TextAsync(200, SwiftInfo.Document().ToJsonString(), "application/json; charset=UTF-8")));
        }
        endpoints.MapMethods("/object/healthcheck", ["GET", "HEAD"], http => AnswerAsync(http, call => call.TextAsync(200, "OK", "text/plain")));
    }

    private Task HandleAsync(HttpContext http) => AnswerAsync(http, async call =>
    {
        if (!call.Path.Account.StartsWith(SwiftPath.AccountPrefix, StringComparison.Ordinal))
        {
            throw SwiftFault.NotFound();
        }
        call.IsSigned = await SwiftTempUrl.AuthorizeAsync(call);
        var handler = HandlerOf(call) ?? throw SwiftFault.MethodNotAllowed();
        await (SwiftStaticWeb.Applies(call) ? SwiftStaticWeb.GetAsync(call, handler) : handler(call));
    });

    private static Func<SwiftCall, Task>? HandlerOf(SwiftCall call)
    {
        var method = call.Http.Request.Method.ToUpperInvariant();
        switch (method)
        {
            case "POST" when SwiftFormPost.IsForm(call):
                return SwiftFormPost.PostAsync;
            case "POST" or "DELETE" when SwiftBulk.IsDelete(call):
                return SwiftBulk.DeleteAsync;
            case "PUT" when SwiftBulk.IsExtract(call):
                return SwiftBulk.ExtractAsync;
        }
        return call.Path switch
        {
            { Object.Length: > 0 } => method switch
            {
                "GET" or "HEAD" => SwiftDownloads.GetAsync,
                "PUT" => SwiftObjects.PutAsync,
                "POST" => SwiftObjects.PostAsync,
                "DELETE" => SwiftObjects.DeleteAsync,
                "COPY" => SwiftObjects.CopyAsync,
                _ => null,
            },
            { Container.Length: > 0 } => method switch
            {
                "GET" or "HEAD" => SwiftContainers.GetAsync,
                "PUT" => SwiftContainers.PutAsync,
                "POST" => SwiftContainers.PostAsync,
                "DELETE" => SwiftContainers.DeleteAsync,
                _ => null,
            },
            _ => method switch
            {
                "GET" or "HEAD" => SwiftAccounts.GetAsync,
                "POST" => SwiftAccounts.PostAsync,
                _ => null,
            },
        };
    }

    private async Task AnswerAsync(HttpContext http, Func<SwiftCall, Task> handler)
    {
        var id = $"tx{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(11))[..21]}-{time.GetUtcNow().ToUnixTimeSeconds().ToString("x10", CultureInfo.InvariantCulture)}";
        http.Response.Headers["X-Trans-Id"] = id;
        http.Response.Headers["X-Openstack-Request-Id"] = id;
        SwiftCall? call = null;
        try
        {
            call = new SwiftCall(http, PathOf(http), await OperationAsync(http), engine, SwiftTime.Round(time.GetUtcNow()));
            await handler(call);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            http.Abort();
        }
        catch (Exception exception)
        {
            var fault = exception switch
            {
                SwiftFault swift => swift,
                ObjectEngineException failure => SwiftObjects.FaultOf(EngineFaults.Of(failure)),
                FaultException known => SwiftObjects.FaultOf(known),
                StateUnavailableException state => SwiftObjects.FaultOf(state.ToStateFault()),
                BadHttpRequestException bad => new SwiftFault(bad.StatusCode, bad.Message),
                _ => new SwiftFault(500, "The server has either erred or is incapable of performing the requested operation."),
            };
            if (fault.Status >= 500)
            {
                LogFailed(http.Request.Method, http.Request.Path, id, exception);
            }
            await RefuseAsync(http, call, fault);
        }
    }

    private async Task RefuseAsync(HttpContext http, SwiftCall? call, SwiftFault fault)
    {
        if (http.Response.HasStarted)
        {
            http.Abort();
            return;
        }
        if (fault.Status == 401)
        {
            http.Response.Headers.Append("WWW-Authenticate", $"Swift realm=\"{call?.Path.Account ?? "unknown"}\"");
            http.Response.Headers.Append("WWW-Authenticate", $"Keystone uri=\"{http.Request.Scheme}://{http.Request.Host}/identity\"");
        }
        http.Response.Headers.Remove("ETag");
        http.Response.Headers.Remove("Last-Modified");
        await new SwiftCall(http, default, null, engine, time.GetUtcNow()).TextAsync(fault.Status, fault.Body);
    }

    private async ValueTask<OperationContext?> OperationAsync(HttpContext http)
    {
        var token = http.Request.Headers["X-Auth-Token"].ToString();
        token = token.Length > 0 ? token : http.Request.Headers["X-Storage-Token"].ToString();
        if (token.Length == 0)
        {
            return null;
        }
        try
        {
            return await authenticator.AuthenticateAsync(token, http.Request.Headers["X-Service-Token"], RequestIds.New(), http.RequestAborted);
        }
        catch (FaultException fault) when (fault.Reason == ErrorReason.Unauthenticated)
        {
            throw SwiftFault.Unauthorized();
        }
    }

    private static SwiftPath PathOf(HttpContext http)
    {
        // The raw target: routing has already decoded the path, and names may hold anything.
        var target = http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        var query = target.IndexOf('?', StringComparison.Ordinal);
        var path = query < 0 ? target : target[..query];
        var start = path.IndexOf(Prefix, StringComparison.Ordinal);
        return start < 0 ? default : SwiftPath.Parse(path[(start + Prefix.Length)..]);
    }

    [LoggerMessage(LogLevel.Error, "{Method} {Path} ({TransactionId}) failed")]
    private partial void LogFailed(string method, string path, string transactionId, Exception exception);
}
