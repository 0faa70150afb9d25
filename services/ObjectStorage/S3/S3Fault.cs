using Nephos.Client.Objects;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.ObjectStorage.S3;

/// <summary>An error in S3's words.</summary>
internal sealed class S3Fault(int status, string code, string message) : Exception(message)
{
    public int Status { get; } = status;

    public string Code { get; } = code;

    public static S3Fault AccessDenied(string message = "Access Denied.") => new(403, "AccessDenied", message);

    public static S3Fault SignatureDoesNotMatch() => new(403, "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your key and signing method.");

    public static S3Fault InvalidArgument(string message) => new(400, "InvalidArgument", message);

    public static S3Fault InvalidRequest(string message) => new(400, "InvalidRequest", message);

    public static S3Fault MalformedXml() =>
        new(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema.");

    public static S3Fault BadDigest() => new(400, "BadDigest", "The checksum you specified did not match what we received.");

    public static S3Fault IncompleteBody() =>
        new(400, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header.");

    public static S3Fault NoSuchBucket() => new(404, "NoSuchBucket", "The specified bucket does not exist.");

    public static S3Fault NoSuchKey() => new(404, "NoSuchKey", "The specified key does not exist.");

    public static S3Fault NotImplemented(string what) => new(501, "NotImplemented", $"{what} is not implemented.");

    public static S3Fault MethodNotAllowed() =>
        new(405, "MethodNotAllowed", "The specified method is not allowed against this resource.");

    public static S3Fault PreconditionFailed() =>
        new(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.");

    public static S3Fault Of(EngineStatus status) => status switch
    {
        EngineStatus.NoSuchBucket or EngineStatus.NoSuchAccount => NoSuchBucket(),
        EngineStatus.NoSuchKey => NoSuchKey(),
        EngineStatus.NoSuchVersion => new S3Fault(404, "NoSuchVersion", "The specified version does not exist."),
        EngineStatus.NoSuchUpload => new S3Fault(404, "NoSuchUpload",
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."),
        EngineStatus.BucketExists => new S3Fault(409, "BucketAlreadyExists", "The requested bucket name is not available."),
        EngineStatus.BucketNotEmpty => new S3Fault(409, "BucketNotEmpty", "The bucket you tried to delete is not empty."),
        EngineStatus.PreconditionFailed => PreconditionFailed(),
        EngineStatus.Conflict => new S3Fault(409, "OperationAborted", "A conflicting operation is in progress against this resource. Try again."),
        EngineStatus.QuotaExceeded => new S3Fault(403, "QuotaExceeded", "The quota of the bucket does not allow this write."),
        EngineStatus.InvalidPart => new S3Fault(400, "InvalidPart",
            "One or more of the specified parts could not be found. The part may not have been uploaded, or its entity tag may not match."),
        EngineStatus.InvalidPartOrder => new S3Fault(400, "InvalidPartOrder", "The list of parts was not in ascending order."),
        _ => new S3Fault(500, "InternalError", "We encountered an internal error. Please try again."),
    };

    public static S3Fault Of(ObjectEngineException exception) => exception.Failure switch
    {
        EngineFailure.Full => new S3Fault(507, "InsufficientCapacity", exception.Message),
        EngineFailure.Unavailable => new S3Fault(503, "ServiceUnavailable", "Please reduce your request rate and try again."),
        EngineFailure.Released => new S3Fault(409, "OperationAborted", "The object was replaced while it was read. Try again."),
        EngineFailure.TooLarge => new S3Fault(400, "KeyTooLongError", exception.Message),
        _ => new S3Fault(500, "InternalError", exception.Message),
    };

    public static S3Fault Of(FaultException fault) => fault.Reason switch
    {
        ErrorReason.Unauthenticated or ErrorReason.Forbidden => AccessDenied(),
        ErrorReason.StorageFull => new S3Fault(507, "InsufficientCapacity", fault.Message),
        ErrorReason.Unavailable => new S3Fault(503, "ServiceUnavailable", fault.Message),
        ErrorReason.NotFound => new S3Fault(404, "NoSuchKey", fault.Message),
        _ => new S3Fault(500, "InternalError", "We encountered an internal error. Please try again."),
    };
}

internal static class S3Outcomes
{
    /// <exception cref="S3Fault">When the outcome is not Ok.</exception>
    public static T OrS3Fault<T>(this Outcome<T> outcome) => outcome.IsOk ? outcome.Value! : throw S3Fault.Of(outcome.Status);
}
