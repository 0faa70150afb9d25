using Google.Protobuf;
using Grpc.Core;

namespace Nephos.Hosting.Grpc.InProcess;

/// <summary>Makes unary calls to services of this process without a connection; streams and everything else go over one.</summary>
/// <remarks>
/// Messages are cloned, so that neither side sees what the other changes. Streams carry data in buffers that are used again as soon as
/// a message counts as written, which only holds where writing copies it.
/// </remarks>
/// <param name="services">What is served here.</param>
/// <param name="connection">For what is not, and for streams.</param>
/// <param name="time">For deadlines.</param>
internal sealed class InProcessCallInvoker(InProcessServices services, CallInvoker connection, TimeProvider time) : CallInvoker
{
    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        if (services.Find<TRequest, TResponse>(method.FullName) is not { } handler)
        {
            return connection.AsyncUnaryCall(method, host, options, request);
        }
        var end = new CallEnd(options, time);
        var context = services.ContextOf(method.FullName, options, end.Token);
        var response = RunAsync(handler, Clone(request), context, end);
        return new AsyncUnaryCall<TResponse>(response, context.ResponseHeaders, () => StatusOf(response), () => TrailersOf(response, context), end.Cancel);
    }

    public override TResponse BlockingUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
        connection.BlockingUnaryCall(method, host, options, request);

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
        connection.AsyncServerStreamingCall(method, host, options, request);

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options) => connection.AsyncClientStreamingCall(method, host, options);

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options) => connection.AsyncDuplexStreamingCall(method, host, options);

    /// <summary>Runs the server's part; the caller does not wait for one that overlooks the end of the call.</summary>
    /// <exception cref="RpcException">What the server answered, DeadlineExceeded or Cancelled.</exception>
    private static async Task<TResponse> RunAsync<TRequest, TResponse>(
        UnaryServerMethod<TRequest, TResponse> handler, TRequest request, InProcessCallContext context, CallEnd end)
        where TRequest : class
        where TResponse : class
    {
        using (end)
        {
            // As over a connection: the caller goes on at once, whatever the handler does before it first waits.
            await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            try
            {
                end.Token.ThrowIfCancellationRequested();
                var response = Clone(await handler(request, context).WaitAsync(end.Token));
                return context.Status.StatusCode == StatusCode.OK ? response : throw new RpcException(context.Status, context.ResponseTrailers);
            }
            catch (Exception exception)
                when (end.Token.IsCancellationRequested && exception is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled })
            {
                throw new RpcException(end.Status);
            }
            finally
            {
                context.EndHeaders();
            }
        }
    }

    private static T Clone<T>(T message) => message is IDeepCloneable<T> cloneable ? cloneable.Clone() : message;

    private static Status StatusOf<T>(Task<T> response) => response switch
    {
        { IsCompletedSuccessfully: true } => Status.DefaultSuccess,
        { Exception.InnerException: RpcException failed } => failed.Status,
        _ => throw new InvalidOperationException("The call has not ended."),
    };

    private static Metadata TrailersOf<T>(Task<T> response, InProcessCallContext context) => response switch
    {
        { IsCompletedSuccessfully: true } => context.ResponseTrailers,
        { Exception.InnerException: RpcException failed } => failed.Trailers,
        _ => throw new InvalidOperationException("The call has not ended."),
    };
}
