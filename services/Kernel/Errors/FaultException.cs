using Nephos.Protos.Errors.V1;

namespace Nephos.Kernel.Errors;

/// <summary>An expected failure with a published reason. Anything else that is thrown is a bug and is reported as internal.</summary>
/// <param name="reason">The published reason; its rule decides the gRPC code and the HTTP status.</param>
/// <param name="message">For people: names the object and the rule broken, never a secret.</param>
/// <param name="metadata">For programs: small string pairs, sent as ErrorInfo metadata.</param>
public sealed class FaultException(
    ErrorReason reason, string message, IReadOnlyDictionary<string, string>? metadata = null, Exception? cause = null)
    : Exception(message, cause)
{
    public ErrorReason Reason { get; } = reason;

    public IReadOnlyDictionary<string, string> Metadata { get; } = metadata ?? new Dictionary<string, string>();

    public ErrorRule Rule => ErrorRules.Of(Reason);
}
