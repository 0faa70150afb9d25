using System.Security.Cryptography;
using System.Xml.Linq;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Nephos.Client.Objects;
using Nephos.Hosting;
using Nephos.Kernel.Errors;
using Nephos.ObjectStorage.Swift;

namespace Nephos.ObjectStorage.S3;

/// <summary>The S3 API on a port of its own: path style and virtual-host style.</summary>
internal sealed partial class S3Face(
    IObjectEngine engine, S3Authenticator authenticator, NephosOptions options, ObjectStorageOptions objectOptions, TimeProvider time, ILogger<S3Face> logger)
{
    /// <summary>Subresources that exist in S3 and not here; answering them like a plain call would be a lie.</summary>
    private static readonly string[] Unsupported =
    [
        "accelerate", "analytics", "cors", "encryption", "intelligent-tiering", "inventory", "legal-hold", "lifecycle", "logging", "metrics",
        "notification", "object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock", "replication", "requestPayment", "restore",
        "retention", "select", "tagging", "torrent", "website", "attributes",
    ];

    public async Task HandleAsync(HttpContext http)
    {
        var requestId = Convert.ToHexString(RandomNumberGenerator.GetBytes(8));
        http.Response.Headers["x-amz-request-id"] = requestId;
        try
        {
            var target = S3Target.Parse(
                http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget, http.Request.Host.Host, objectOptions.S3Domains);
            var (operation, claim, signingKey) = await authenticator.AuthenticateAsync(http.Request, target, http.RequestAborted);
            var call = new S3Call(http, target, operation, claim, signingKey, engine, SwiftTime.Round(time.GetUtcNow()), options.Region);
            await HandlerOf(call)(call);
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

    private static Func<S3Call, Task> HandlerOf(S3Call call)
    {
        var target = call.Target;
        foreach (var name in Unsupported)
        {
            if (target.Has(name))
            {
                throw S3Fault.NotImplemented($"The subresource {name}");
            }
        }
        var method = call.Http.Request.Method.ToUpperInvariant();
        return (target, method) switch
        {
            ({ Bucket.Length: 0 }, "GET") => S3Buckets.ListAsync,
            ({ Key.Length: 0 }, "PUT") when target.Has("versioning") => S3Buckets.PutVersioningAsync,
            ({ Key.Length: 0 }, "PUT") when target.Has("acl") => throw S3Fault.NotImplemented("Changing an ACL"),
            ({ Key.Length: 0, Bucket.Length: > 0 }, "PUT") => S3Buckets.CreateAsync,
            ({ Key.Length: 0, Bucket.Length: > 0 }, "HEAD") => S3Buckets.HeadAsync,
            ({ Key.Length: 0, Bucket.Length: > 0 }, "DELETE") => S3Buckets.DeleteAsync,
            ({ Key.Length: 0, Bucket.Length: > 0 }, "POST") when target.Has("delete") => S3Objects.DeleteManyAsync,
            ({ Key.Length: 0, Bucket.Length: > 0 }, "GET") => target.Has("location") ? S3Buckets.LocationAsync
                : target.Has("versioning") ? S3Buckets.GetVersioningAsync
                : target.Has("acl") ? S3Buckets.GetAclAsync
                : target.Has("uploads") ? S3Multipart.ListUploadsAsync
                : target.Has("versions") ? S3Buckets.ListVersionsAsync
                : S3Buckets.ListObjectsAsync,
            ({ Key.Length: > 0 }, "POST") when target.Has("uploads") => S3Multipart.StartAsync,
            ({ Key.Length: > 0 }, "POST") when target.Has("uploadId") => S3Multipart.CompleteAsync,
            ({ Key.Length: > 0 }, "PUT") when target.Has("uploadId") => S3Multipart.PutPartAsync,
            ({ Key.Length: > 0 }, "PUT") when target.Has("acl") => throw S3Fault.NotImplemented("Changing an ACL"),
            ({ Key.Length: > 0 }, "PUT") => S3Objects.PutAsync,
            ({ Key.Length: > 0 }, "GET") when target.Has("uploadId") => S3Multipart.ListPartsAsync,
            ({ Key.Length: > 0 }, "GET") when target.Has("acl") => S3Buckets.GetAclAsync,
            ({ Key.Length: > 0 }, "GET" or "HEAD") => S3Objects.GetAsync,
            ({ Key.Length: > 0 }, "DELETE") when target.Has("uploadId") => S3Multipart.AbortAsync,
            ({ Key.Length: > 0 }, "DELETE") => S3Objects.DeleteAsync,
            _ => throw S3Fault.MethodNotAllowed(),
        };
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
