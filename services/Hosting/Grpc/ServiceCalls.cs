using Grpc.Core;
using Nephos.Hosting.Authentication;
using Nephos.Kernel.Operations;

namespace Nephos.Hosting.Grpc;

/// <summary>Call options for calls to other services: whose token, which request id, which deadline.</summary>
public sealed class ServiceCalls(IServiceTokenSource serviceTokens, TimeProvider time)
{
    public static readonly TimeSpan DefaultDeadline = TimeSpan.FromSeconds(30);

    /// <summary>On behalf of a user, vouched for by this process. Without a user's token it is a call of this process itself.</summary>
    public async ValueTask<CallOptions> ForAsync(OperationContext operation, CancellationToken cancellationToken, TimeSpan? deadline = null)
    {
        var serviceToken = await serviceTokens.GetAsync(cancellationToken);
        var headers = operation.Token.Length == 0
            ? Headers(serviceToken, operation.RequestId)
            : Headers(operation.Token, operation.RequestId);
        headers.Add(OperationInterceptor.ServiceTokenHeader, serviceToken);
        return new CallOptions(headers, Deadline(deadline), cancellationToken);
    }

    /// <summary>
    /// On behalf of a user with no more than the user's own rights: for looking up what a request names, so that naming a foreign
    /// object does not reach it. A call that no user made is made as this process itself.
    /// </summary>
    public async ValueTask<CallOptions> WithUserRightsAsync(OperationContext operation, CancellationToken cancellationToken, TimeSpan? deadline = null) =>
        operation.IsService || operation.Token.Length == 0
            ? await ForAsync(operation, cancellationToken, deadline)
            : new CallOptions(Headers(operation.Token, operation.RequestId), Deadline(deadline), cancellationToken);

    /// <summary>As this process itself, with the service role.</summary>
    /// <param name="deadline">Null for the default; <see cref="Timeout.InfiniteTimeSpan"/> for watches.</param>
    public async ValueTask<CallOptions> AsServiceAsync(CancellationToken cancellationToken, TimeSpan? deadline = null) =>
        new(Headers(await serviceTokens.GetAsync(cancellationToken), RequestIds.New()), Deadline(deadline), cancellationToken);

    private static Metadata Headers(string token, string requestId) => new()
    {
        { OperationInterceptor.TokenHeader, OperationInterceptor.Bearer + token },
        { OperationInterceptor.RequestIdHeader, requestId },
    };

    private DateTime? Deadline(TimeSpan? deadline) => deadline == Timeout.InfiniteTimeSpan
        ? null
        : time.GetUtcNow().UtcDateTime + (deadline ?? DefaultDeadline);
}
