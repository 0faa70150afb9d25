using Nephos.Kernel.Operations;

namespace Nephos.Hosting.Authentication;

/// <summary>Turns a token into the operation context it stands for, in the process that needs it. Thread-safe.</summary>
public interface ITokenVerifier
{
    /// <returns>Null when the token is malformed, forged, expired or revoked.</returns>
    ValueTask<OperationContext?> VerifyAsync(string token, string requestId, CancellationToken cancellationToken);
}

/// <summary>The token this process shows when it calls other services for itself.</summary>
public interface IServiceTokenSource
{
    /// <summary>A token with the service role that stays valid for at least a minute.</summary>
    ValueTask<string> GetAsync(CancellationToken cancellationToken);
}

/// <summary>Marks a gRPC method, or a service, that may be called without a token.</summary>
[AttributeUsage(AttributeTargets.Method | AttributeTargets.Class)]
public sealed class AllowAnonymousOperationAttribute : Attribute;
