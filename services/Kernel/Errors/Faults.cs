using Nephos.Protos.Errors.V1;

namespace Nephos.Kernel.Errors;

/// <summary>Factories of the faults that every service needs; a service adds a class of its own for its reasons.</summary>
public static class Faults
{
    /// <summary>A field of a request breaks a rule.</summary>
    public static FaultException Invalid(string field, string rule) =>
        new(ErrorReason.InvalidArgument, $"Invalid input for {field}: {rule}", new Dictionary<string, string> { ["field"] = field });

    /// <summary>The object does not exist, or the caller may not know that it does.</summary>
    public static FaultException NotFound(string kind, string id) =>
        new(ErrorReason.NotFound, $"{kind} {id} could not be found.", new Dictionary<string, string> { ["kind"] = kind, ["id"] = id });

    public static FaultException AlreadyExists(string kind, string name) =>
        new(ErrorReason.AlreadyExists, $"{kind} {name} already exists.", new Dictionary<string, string> { ["kind"] = kind, ["name"] = name });

    public static FaultException Unauthenticated(string message) => new(ErrorReason.Unauthenticated, message);

    public static FaultException Forbidden(string action) =>
        new(ErrorReason.Forbidden, $"You are not authorized to perform the requested action: {action}.",
            new Dictionary<string, string> { ["action"] = action });

    /// <summary>The state of the object forbids the call; the message says which state is needed.</summary>
    public static FaultException Conflict(string message) => new(ErrorReason.Conflict, message);

    /// <summary>A race was lost too often; reading again and retrying is safe.</summary>
    public static FaultException Aborted(string message) => new(ErrorReason.Aborted, message);

    public static FaultException QuotaExceeded(string resource, long limit, long requested) =>
        new(ErrorReason.QuotaExceeded, $"Quota exceeded for {resource}: limit {limit}, requested {requested}.",
            new Dictionary<string, string> { ["resource"] = resource, ["limit"] = $"{limit}" });

    public static FaultException Unavailable(string message, Exception? cause = null) => new(ErrorReason.Unavailable, message, cause: cause);

    public static FaultException TooLarge(string what, long limitBytes) =>
        new(ErrorReason.TooLarge, $"{what} is larger than the limit of {limitBytes} bytes.");
}
