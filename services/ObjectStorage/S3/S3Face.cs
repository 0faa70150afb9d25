using System.Security.Cryptography;
using System.Xml.Linq;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Nephos.Client.Objects;
using Nephos.Hosting;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.ObjectStorage.Objects;
using Nephos.ObjectStorage.Swift;

namespace Nephos.ObjectStorage.S3;

/// <summary>The S3 API on a port of its own: path style and virtual-host style.</summary>
internal sealed partial class S3Face(
    IObjectEngine engine, S3Authenticator authenticator, RateLimits rates, NephosOptions options, ObjectStorageOptions objectOptions, TimeProvider time, ILogger<S3Face> logger)
{
    /// <summary>
    /// Whether a request is for this face: all on its own port. On the other ports (the TLS port for one) those that are signed the
    /// AWS way, and those to a host named for S3 or to a bucket below it.
    /// </summary>
    public bool Takes(HttpContext http)
    {
        var request = http.Request;
        return http.Connection.LocalPort == options.S3Port ||
            request.Headers.Authorization.ToString().StartsWith(SignatureV4.Algorithm, StringComparison.Ordinal) ||
            request.QueryString.Value!.Contains("X-Amz-Algorithm=", StringComparison.Ordinal) ||
            (request.Host.Host is { Length: > 0 } host && objectOptions.S3Domains.Any(domain => IsNamedForS3(domain) &&
                (host.Equals(domain, StringComparison.OrdinalIgnoreCase) || host.EndsWith("." + domain, StringComparison.OrdinalIgnoreCase))));

        static bool IsNamedForS3(string domain) => domain.StartsWith("s3.", StringComparison.OrdinalIgnoreCase) || domain.StartsWith("s3-", StringComparison.OrdinalIgnoreCase);
    }

    public async Task HandleAsync(HttpContext http)
    {
        var requestId = Convert.ToHexString(RandomNumberGenerator.GetBytes(8));
        http.Response.Headers["x-amz-request-id"] = requestId;
        try
        {
            var target = S3Target.Parse(
                http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget, http.Request.Host.Host, objectOptions.S3Domains);
            if (S3PostForm.IsForm(http.Request, target))
            {
                await S3PostForm.PostAsync(new S3Call(http, target, null, engine, SwiftTime.Round(time.GetUtcNow()), options.Region), authenticator);
                return;
            }
            var isPreflight = HttpMethods.IsOptions(http.Request.Method);
            var signer = isPreflight ? await OfPreflightAsync(http, target) : await authenticator.AuthenticateAsync(http.Request, target, http.RequestAborted);
            var call = new S3Call(http, target, signer, engine, SwiftTime.Round(time.GetUtcNow()), options.Region);
            await call.ResolveBucketAsync();
            if (isPreflight)
            {
                await S3Cors.PreflightAsync(call);
                return;
            }
            S3Cors.Apply(call);
            S3Access.RequireOwner(call, "x-amz-expected-bucket-owner");
            var route = S3Routes.Of(call);
            if (route.Action is { } action)
            {
                await S3Access.RequireAsync(call, action);
            }
            await LimitAsync(call);
            await route.HandleAsync(call);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            http.Abort();
        }
        catch (Exception exception)
        {
            var fault = exception switch
            {
                S3Fault s3 => s3,
                SwiftFault swift => swift.Status == 404 ? S3Fault.NoSuchKey() : S3Fault.InvalidRequest(swift.Message),
                ObjectEngineException failure => S3Fault.Of(failure),
                FaultException known => S3Fault.Of(known),
                StateUnavailableException state => S3Fault.Of(state.ToStateFault()),
                BadHttpRequestException bad => new S3Fault(bad.StatusCode, "BadRequest", bad.Message),
                _ => new S3Fault(500, "InternalError", "We encountered an internal error. Please try again."),
            };
            if (fault.Status >= 500)
            {
                LogFailed(http.Request.Method, http.Request.Path, requestId, exception);
            }
            await RefuseAsync(http, fault, requestId);
        }
    }

    /// <summary>Waits for the request's turn where rates are limited, by the same count as the Swift face.</summary>
    private async ValueTask LimitAsync(S3Call call)
    {
        if (rates.IsOff || call.Target.Bucket.Length == 0)
        {
            return;
        }
        var method = call.Http.Request.Method;
        RatedOperation? operation = call.Key.Length > 0
            ? method is "PUT" or "DELETE" or "POST" ? RatedOperation.ObjectWrite : null
            : call.Target.Query.Count > 0 && method != "GET" ? null
            : method is "PUT" or "DELETE" ? RatedOperation.ContainerChange : method is "GET" ? RatedOperation.Listing : null;
        if (operation is { } rated &&
            !await rates.EnterAsync(rated, call.Bucket.Account, call.Bucket.Name, call.FoundBucket?.Usage.Objects ?? 0, call.Cancelled))
        {
            throw new S3Fault(503, "SlowDown", "Please reduce your request rate.");
        }
    }

    /// <summary>
    /// A browser's preflight to a presigned URL names the key in it, which tells whose bucket is meant. The signature is of the request that
    /// follows, so nothing is allowed by it here.
    /// </summary>
    private async ValueTask<S3Signer?> OfPreflightAsync(HttpContext http, S3Target target)
    {
        try
        {
            return target.Has("X-Amz-Algorithm") && SignatureV4.Read(http.Request, target, time.GetUtcNow()) is { } claim
                ? await authenticator.FindSignerAsync(claim, http.RequestAborted)
                : null;
        }
        catch (S3Fault)
        {
            return null;
        }
    }

    private static async Task RefuseAsync(HttpContext http, S3Fault fault, string requestId)
    {
        if (http.Response.HasStarted)
        {
            http.Abort();
            return;
        }
        if (fault.Status == StatusCodes.Status304NotModified)
        {
            http.Response.StatusCode = fault.Status;
            return;
        }
        await S3Call.WriteXmlAsync(http, fault.Status, new XElement("Error",
            new XElement("Code", fault.Code),
            new XElement("Message", fault.Message),
            new XElement("Resource", string.Concat((http.Request.Path.Value ?? "").Where(System.Xml.XmlConvert.IsXmlChar))),
            new XElement("RequestId", requestId)));
    }

    [LoggerMessage(LogLevel.Error, "{Method} {Path} ({RequestId}) failed")]
    private partial void LogFailed(string method, string path, string requestId, Exception exception);
}
