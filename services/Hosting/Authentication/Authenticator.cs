using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Hosting.Authentication;

/// <summary>Makes the operation context of a call out of its token and, when another service vouches for it, the service's token.</summary>
public sealed class Authenticator(ITokenVerifier verifier)
{
    /// <summary>Longer tokens are refused unread.</summary>
    private const int MaxTokenChars = 8192;

    /// <exception cref="FaultException">Unauthenticated.</exception>
    public async ValueTask<OperationContext> AuthenticateAsync(
        string? token, string? serviceToken, string requestId, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(token) || token.Length > MaxTokenChars)
        {
            throw Faults.Unauthenticated("The request you have made requires authentication.");
        }
        var operation = await verifier.VerifyAsync(token, requestId, cancellationToken)
            ?? throw Faults.Unauthenticated("The request you have made requires authentication.");
        if (!operation.IsService && serviceToken is { Length: > 0 and <= MaxTokenChars } &&
            await verifier.VerifyAsync(serviceToken, requestId, cancellationToken) is { IsService: true })
        {
            return operation with { IsService = true };
        }
        return operation;
    }
}
