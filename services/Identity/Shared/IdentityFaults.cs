using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Identity.Shared;

/// <summary>Failures in the identity service's own words.</summary>
internal static class IdentityFaults
{
    /// <summary>A rule of the directory forbids it, whoever asks.</summary>
    public static FaultException Refused(string message) => new(ErrorReason.IdentityRefused, message);

    public static FaultException Duplicate(string kind, string name) => Faults.AlreadyExists(kind, name);

    /// <summary>Runs a create or a rename; a name that is taken is a conflict.</summary>
    public static async Task<T> GuardNameAsync<T>(string kind, string name, Task<T> change)
    {
        try
        {
            return await change;
        }
        catch (UniqueViolationException exception)
        {
            throw new FaultException(
                ErrorReason.AlreadyExists, $"Conflict occurred attempting to store {kind} - Duplicate entry found with name {name}.",
                new Dictionary<string, string> { ["kind"] = kind, ["name"] = name }, exception);
        }
    }
}
