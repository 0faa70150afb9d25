using Nephos.Client.Objects;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.ObjectStorage.Objects;

/// <summary>What a caller is told when the engine refuses.</summary>
internal static class EngineFaults
{
    /// <exception cref="FaultException">When the outcome is not Ok.</exception>
    public static T OrThrow<T>(this Outcome<T> outcome, BucketName bucket, string key = "") =>
        outcome.IsOk ? outcome.Value! : throw Of(outcome.Status, bucket, key);

    public static void OrThrow(this EngineStatus status, BucketName bucket, string key = "")
    {
        if (status != EngineStatus.Ok)
        {
            throw Of(status, bucket, key);
        }
    }

    public static FaultException Of(ObjectEngineException exception) => exception.Failure switch
    {
        EngineFailure.Unavailable => Faults.Unavailable(exception.Message, exception),
        EngineFailure.Full => new FaultException(ErrorReason.StorageFull, exception.Message, cause: exception),
        EngineFailure.DataLoss => new FaultException(ErrorReason.DataLoss, exception.Message, cause: exception),
        EngineFailure.Released => Faults.Aborted("The object was replaced or deleted while it was read; read it again."),
        EngineFailure.TooLarge => new FaultException(ErrorReason.InvalidArgument, exception.Message, cause: exception),
        _ => new FaultException(ErrorReason.Unspecified, exception.Message, cause: exception),
    };

    private static FaultException Of(EngineStatus status, BucketName bucket, string key) => status switch
    {
        EngineStatus.NoSuchAccount => Faults.NotFound("Account", bucket.Account),
        EngineStatus.NoSuchBucket => Faults.NotFound("Bucket", bucket.Name),
        EngineStatus.NoSuchKey or EngineStatus.NoSuchVersion => Faults.NotFound("Object", $"{bucket.Name}/{key}"),
        EngineStatus.NoSuchUpload => Faults.NotFound("Upload of", $"{bucket.Name}/{key}"),
        EngineStatus.BucketExists => Faults.AlreadyExists("Bucket", bucket.Name),
        EngineStatus.BucketNotEmpty => Faults.Conflict($"Bucket {bucket.Name} still holds objects; delete them first."),
        EngineStatus.AccountNotEmpty => Faults.Conflict($"Account {bucket.Account} still has buckets; delete them first."),
        EngineStatus.PreconditionFailed => Faults.Conflict($"A condition on {bucket.Name}/{key} does not hold."),
        EngineStatus.Conflict => Faults.Aborted($"{bucket.Name}/{key} changed meanwhile; read it again and retry."),
        EngineStatus.QuotaExceeded => new FaultException(ErrorReason.QuotaExceeded, $"The quota of {bucket} does not allow this write."),
        EngineStatus.InvalidPart => Faults.Invalid("parts", "a part is missing or has another ETag"),
        EngineStatus.InvalidPartOrder => Faults.Invalid("parts", "must be in ascending order"),
        _ => new FaultException(ErrorReason.Unspecified, $"Unexpected outcome {status}."),
    };
}
