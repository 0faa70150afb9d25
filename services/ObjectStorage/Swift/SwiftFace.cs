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
using Nephos.ObjectStorage.Sync;
using Nephos.Protos.Errors.V1;

namespace Nephos.ObjectStorage.Swift;

/// <summary>The Swift API, version 1: parses the path, finds out who asks, calls the handler, and answers errors as Swift does.</summary>
internal sealed partial class SwiftFace(
    IObjectEngine engine, Authenticator authenticator, SwiftAuth auth, RateLimits rates, ObjectStorageOptions options, TimeProvider time, ILogger<SwiftFace> logger)
{
    public const string Prefix = "/object/v1/";

    public void Map(IEndpointRouteBuilder endpoints)
    {
        endpoints.Map(Prefix + "{**path}", HandleAsync);
        foreach (var info in new[] { "/info", "/object/info" })
        {
            endpoints.MapMethods(info, ["GET", "HEAD"], http => AnswerAsync(http, call => call.TextAsync(200, SwiftInfo.Document(engine, options).ToJsonString(), "application/json; charset=UTF-8")));
        }
        foreach (var policy in new[] { "/crossdomain.xml", "/object/crossdomain.xml" })
        {
            endpoints.MapMethods(policy, ["GET"], http => AnswerAsync(http, call => call.TextAsync(200, CrossDomainPolicy(), "application/xml")));
        }
        foreach (var path in SwiftAuth.Paths)
        {
            endpoints.MapMethods(path, ["GET"], http => AnswerAsync(http, auth.AnswerAsync));
        }
        endpoints.MapMethods("/object/healthcheck", ["GET", "HEAD"], http => AnswerAsync(http, call => call.TextAsync(200, "OK", "text/plain")));
    }

    /// <summary>Answers a request below <see cref="Prefix"/>.</summary>
    public Task HandleAsync(HttpContext http) => AnswerAsync(http, async call =>
    {
        if (!call.Path.Account.StartsWith(SwiftPath.AccountPrefix, StringComparison.Ordinal))
        {
            throw SwiftFault.NotFound();
        }
        if (HttpMethods.IsOptions(http.Request.Method))
        {
            await SwiftCors.PreflightAsync(call);
            return;
        }
        await SwiftCors.ApplyAsync(call);
        call.IsSigned = await SwiftTempUrl.AuthorizeAsync(call);
        await SyncReceiver.AuthorizeAsync(call, options.ContainerSync);
        SyncReceiver.CheckTarget(call, options.ContainerSync);
        await LimitAsync(call);
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

    /// <summary>Waits for the request's turn where rates are limited. Copies and changes of metadata of containers are not.</summary>
    private async ValueTask LimitAsync(SwiftCall call)
    {
        if (rates.IsOff || call.Path.Container.Length == 0)
        {
            return;
        }
        var method = call.Http.Request.Method;
        RatedOperation? operation = call.Path.Object.Length > 0
            ? method is "PUT" or "DELETE" or "POST" or "COPY" ? RatedOperation.ObjectWrite : null
            : method is "PUT" or "DELETE" ? RatedOperation.ContainerChange : method is "GET" ? RatedOperation.Listing : null;
        if (operation is not { } rated)
        {
            return;
        }
        var objects = rated == RatedOperation.ContainerChange ? 0 : (await engine.Namespace.GetBucketAsync(call.Bucket, call.Cancelled)).Value?.Usage.Objects ?? 0;
        if (!await rates.EnterAsync(rated, call.Path.Project, call.Path.Container, objects, call.Cancelled))
        {
            throw new SwiftFault(498, "Slow down", plain: true);
        }
    }

    private string CrossDomainPolicy() =>
        "<?xml version=\"1.0\"?>\n<!DOCTYPE cross-domain-policy SYSTEM \"http://www.adobe.com/xml/dtds/cross-domain-policy.dtd\" >\n" +
        $"<cross-domain-policy>\n{options.CrossDomainPolicy}\n</cross-domain-policy>";

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
        var start = path.StartsWith('/') ? 0 : path.IndexOf('/', path.IndexOf("://", StringComparison.Ordinal) + 3);
        if (start < 0 || !path.AsSpan(start).StartsWith(Prefix, StringComparison.Ordinal))
        {
            // Routing saw the prefix in a path that is written in another way; such a path names nothing.
            return http.Request.Path.StartsWithSegments(Prefix.TrimEnd('/')) ? throw SwiftFault.NotFound() : default(SwiftPath);
        }
        return SwiftPath.Parse(path[(start + Prefix.Length)..]);
    }

    [LoggerMessage(LogLevel.Error, "{Method} {Path} ({TransactionId}) failed")]
    private partial void LogFailed(string method, string path, string transactionId, Exception exception);
}
