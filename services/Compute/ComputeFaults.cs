using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute;

/// <summary>The faults of the compute service, in the words that clients of the compute API know.</summary>
internal static class ComputeFaults
{
    public static FaultException InstanceNotFound(string id) =>
        new(ErrorReason.NotFound, $"Instance {id} could not be found.", new Dictionary<string, string> { ["kind"] = "Instance", ["id"] = id });

    public static FaultException Locked(string id) =>
        new(ErrorReason.InstanceLocked, $"Instance {id} is locked", new Dictionary<string, string> { ["id"] = id });

    public static FaultException InvalidState(string id, string action, string what, string value) =>
        new(ErrorReason.InstanceInvalidState, $"Cannot '{action}' instance {id} while it is in {what} {value}",
            new Dictionary<string, string> { ["id"] = id, [what] = value });

    /// <summary>Something named in the request does not exist: the request is wrong, not the address of the call.</summary>
    public static FaultException Refers(string field, string message) =>
        new(ErrorReason.InvalidArgument, message, new Dictionary<string, string> { ["field"] = field });

    public static FaultException OverQuota(string resource, long requested, long used, long limit) =>
        new(ErrorReason.QuotaExceeded, $"Quota exceeded for {resource}: Requested {requested}, but already used {used} of {limit} {resource}",
            new Dictionary<string, string> { ["resource"] = resource, ["limit"] = $"{limit}", ["used"] = $"{used}" });
}
