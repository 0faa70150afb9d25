using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Nephos.Hosting.Authentication;
using Nephos.Hosting.Grpc.InProcess;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Hosting.Grpc;

/// <summary>The server side of every gRPC call: request id, token, operation context, and faults as google.rpc.Status.</summary>
internal sealed partial class OperationInterceptor(Authenticator authenticator, ILogger<OperationInterceptor> logger) : Interceptor
{
    internal const string TokenHeader = "authorization";
    internal const string ServiceTokenHeader = "x-service-token";
    internal const string RequestIdHeader = "x-request-id";
    internal const string Bearer = "Bearer ";
    internal const string OperationKey = "nephos.operation";

    private const int MaxRequestIdChars = 64;

    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await EnterAsync(context);
            return await continuation(request, context);
        }
        catch (Exception exception)
        {
            throw Translate(exception, context);
        }
    }

    public override async Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, ServerCallContext context, ClientStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await EnterAsync(context);
            return await continuation(requestStream, context);
        }
        catch (Exception exception)
        {
            throw Translate(exception, context);
        }
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await EnterAsync(context);
            await continuation(request, responseStream, context);
        }
        catch (Exception exception)
        {
            throw Translate(exception, context);
        }
    }

    public override async Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await EnterAsync(context);
            await continuation(requestStream, responseStream, context);
        }
        catch (Exception exception)
        {
            throw Translate(exception, context);
        }
    }

    private async ValueTask EnterAsync(ServerCallContext context)
    {
        if (AllowsAnonymous(context) || IsInfrastructure(context.Method))
        {
            return;
        }
        var authorization = context.RequestHeaders.GetValue(TokenHeader);
        var token = authorization is not null && authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase)
            ? authorization[Bearer.Length..]
            : null;
        var requestId = context.RequestHeaders.GetValue(RequestIdHeader) is { Length: > 0 and <= MaxRequestIdChars } given
            ? given
            : RequestIds.New();
        var operation = await authenticator.AuthenticateAsync(
            token, context.RequestHeaders.GetValue(ServiceTokenHeader), requestId, context.CancellationToken);
        if (operation is { AccessRules.Count: > 0, IsService: false })
        {
            // Access rules speak of REST paths; a service that made the call for the user has checked them.
            throw Faults.Forbidden("the access rules of the application credential allow no gRPC calls");
        }
        context.UserState[OperationKey] = operation;
    }

    private static bool AllowsAnonymous(ServerCallContext context) => context is InProcessCallContext here
        ? here.AllowsAnonymous
        : context.GetHttpContext().GetEndpoint()?.Metadata.GetMetadata<AllowAnonymousOperationAttribute>() is not null;

    private static bool IsInfrastructure(string method) =>
        method.StartsWith("/grpc.health.", StringComparison.Ordinal) || method.StartsWith("/grpc.reflection.", StringComparison.Ordinal);

    private Exception Translate(Exception exception, ServerCallContext context)
    {
        switch (exception)
        {
            case FaultException fault:
                if (fault.Reason is ErrorReason.Unspecified)
                {
                    LogFailed(context.Method, fault);
                }
                return fault.ToRpcException();
            case RpcException:
                return exception;
            case StateConflictException or UniqueViolationException or StateUnavailableException or StateCompactedException:
                return exception.ToStateFault().ToRpcException();
            case OperationCanceledException when context.CancellationToken.IsCancellationRequested:
                return new RpcException(new Status(StatusCode.Cancelled, "The call was cancelled."));
            case IOException when context.CancellationToken.IsCancellationRequested:
                return new RpcException(new Status(StatusCode.Cancelled, "The client went away."));
            default:
                LogFailed(context.Method, exception);
                return new RpcException(new Status(StatusCode.Internal, "An internal error occurred; the log of the service has the details."));
        }
    }

    [LoggerMessage(LogLevel.Error, "{Method} failed")]
    private partial void LogFailed(string method, Exception exception);
}

public static class ServerCallContextExtensions
{
    /// <summary>Who makes this gRPC call.</summary>
    /// <exception cref="FaultException">Unauthenticated, on a method that allows anonymous callers and has one.</exception>
    public static OperationContext GetOperation(this ServerCallContext context) =>
        context.UserState.TryGetValue(OperationInterceptor.OperationKey, out var operation)
            ? (OperationContext)operation
            : throw Faults.Unauthenticated("This call needs a token.");
}
