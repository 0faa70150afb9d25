using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Kernel.State;

public static class StateFaults
{
    /// <summary>What a caller is told when a service did not give a state exception a more telling fault.</summary>
    public static FaultException ToStateFault(this Exception exception) => exception switch
    {
        UniqueViolationException violation => Faults.AlreadyExists($"A record with {violation.Index}", violation.Value),
        StateFullException => new FaultException(ErrorReason.StorageFull, exception.Message, cause: exception),
        StateUnavailableException => Faults.Unavailable("The state store does not answer; the outcome of a change is unknown.", exception),
        StateCompactedException => Faults.Aborted("The watch fell too far behind; list again."),
        _ => Faults.Aborted("Too many changes to the same objects at once; read again and retry."),
    };
}
