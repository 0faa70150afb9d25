using Grpc.Core;

namespace Nephos.Hosting.Grpc.InProcess;

/// <summary>The server's side of a call that stays in the process: what the caller gave, and a token that ends with the call.</summary>
/// <param name="method">Full name of the method.</param>
/// <param name="allowsAnonymous">Whether it may be called without a token.</param>
/// <param name="options">Of the caller.</param>
/// <param name="cancellationToken">Ends at the deadline, or when the caller gives up.</param>
internal sealed class InProcessCallContext(string method, bool allowsAnonymous, CallOptions options, CancellationToken cancellationToken) : ServerCallContext
{
    private readonly Dictionary<object, object> _state = [];
    private readonly TaskCompletionSource<Metadata> _responseHeaders = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public bool AllowsAnonymous => allowsAnonymous;

    /// <summary>What the server sent ahead of its answer, or nothing once it answered.</summary>
    public Task<Metadata> ResponseHeaders => _responseHeaders.Task;

    protected override string MethodCore => method;

    protected override string HostCore => "localhost";

    protected override string PeerCore => "in-process";

    protected override DateTime DeadlineCore => options.Deadline ?? DateTime.MaxValue;

    protected override Metadata RequestHeadersCore => options.Headers ?? Metadata.Empty;

    protected override CancellationToken CancellationTokenCore => cancellationToken;

    protected override Metadata ResponseTrailersCore { get; } = [];

    protected override Status StatusCore { get; set; }

    protected override WriteOptions? WriteOptionsCore { get; set; }

    protected override AuthContext AuthContextCore { get; } = new(null, []);

    protected override IDictionary<object, object> UserStateCore => _state;

    public void EndHeaders() => _responseHeaders.TrySetResult(Metadata.Empty);

    protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options) => throw new NotSupportedException();

    protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders) => _responseHeaders.TrySetResult(responseHeaders)
        ? Task.CompletedTask
        : throw new InvalidOperationException("Headers were sent already.");
}
