using Grpc.Core;

namespace Nephos.Hosting.Grpc;

/// <summary>Chooses a process for each call; a unary call goes to the next one when the first cannot be connected to, and so never got it.</summary>
/// <param name="inTurn">The processes in the order to try them, one at least.</param>
internal sealed class ServiceCallInvoker(Func<IReadOnlyList<CallInvoker>> inTurn) : CallInvoker
{
    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        var processes = inTurn();
        var call = processes[0].AsyncUnaryCall(method, host, options, request);
        if (processes.Count == 1)
        {
            return call;
        }
        var answer = AnswerAsync();
        return new AsyncUnaryCall<TResponse>(answer, HeadersAsync(), () => call.GetStatus(), () => call.GetTrailers(), () => call.Dispose());

        async Task<TResponse> AnswerAsync()
        {
            for (var next = 1; ; next++)
            {
                try
                {
                    return await call.ResponseAsync;
                }
                catch (RpcException exception) when (next < processes.Count && WasNotConnected(exception))
                {
                    call.Dispose();
                    call = processes[next].AsyncUnaryCall(method, host, options, request);
                }
            }
        }

        async Task<Metadata> HeadersAsync()
        {
            await answer;
            return await call.ResponseHeadersAsync;
        }
    }

    public override TResponse BlockingUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
        inTurn()[0].BlockingUnaryCall(method, host, options, request);

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
        inTurn()[0].AsyncServerStreamingCall(method, host, options, request);

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options) => inTurn()[0].AsyncClientStreamingCall(method, host, options);

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options) => inTurn()[0].AsyncDuplexStreamingCall(method, host, options);

    private static bool WasNotConnected(RpcException exception) =>
        exception.Status.DebugException is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError };
}
