using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Hosting;
using Nephos.Hosting.Authentication;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;
using Nephos.Testing;
using Xunit;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Services.Tests.Hosting;

/// <summary>Calls between services: within one process without a connection, and the same from another process.</summary>
public sealed class ServiceCallTests : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-calls-");
    private readonly Keys _keys = new();
    private WebApplication _app = null!;
    private WebApplication _elsewhere = null!;
    private string _early = "";

    /// <summary>Whether the caller is another process.</summary>
    public static TheoryData<bool> Callers => [false, true];

    public async Task InitializeAsync()
    {
        var port = FreePorts.Take(1, NephosOptions.S3PortOffset);
        _app = Build("here", port, new Role("compute", builder => AddCalls(builder).AddSingleton(_keys), app => app.MapGrpcService<Keys>()));
        _elsewhere = Build(
            "elsewhere", FreePorts.Take(1, NephosOptions.S3PortOffset), new Role("caller", builder => AddCalls(builder), _ => { }),
            ("Nephos:Services:compute", $"http://127.0.0.1:{port + 1}"));
        _early = (await Assert.ThrowsAsync<FaultException>(async () => await Client(fromElsewhere: false).GetKeypairAsync(Key("early"), As("alice")))).Message;
        await _app.StartAsync();
        await _elsewhere.StartAsync();
    }

    public async Task DisposeAsync()
    {
        await _elsewhere.StopAsync();
        await _elsewhere.DisposeAsync();
        await _app.StopAsync();
        await _app.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Theory]
    [MemberData(nameof(Callers))]
    public async Task A_call_carries_who_makes_it_and_what_the_caller_adds(bool fromElsewhere)
    {
        var deadline = TimeProvider.System.GetUtcNow().UtcDateTime.AddSeconds(60);
        var answer = await Client(fromElsewhere).GetKeypairAsync(Key("key"), [.. As("alice"), new Metadata.Entry("X-Extra", "more")], deadline);

        Assert.Equal("key", answer.Name);
        Assert.Equal(("alice", "req-1"), (_keys.Operation!.UserId, _keys.Operation.RequestId));
        Assert.Equal(("more", "/nephos.compute.v1.Keypairs/GetKeypair"), (_keys.Extra, _keys.Method));
        Assert.InRange(_keys.Deadline, deadline.AddSeconds(-10), deadline.AddSeconds(10));
    }

    [Fact]
    public async Task A_call_within_the_process_needs_no_connection_once_it_listens()
    {
        await Client(fromElsewhere: false).GetKeypairAsync(Key("key"), As("alice"));
        Assert.Equal("in-process", _keys.Peer);

        await Client(fromElsewhere: true).GetKeypairAsync(Key("key"), As("alice"));
        Assert.NotEqual("in-process", _keys.Peer);
        Assert.Contains("refused", _early, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [MemberData(nameof(Callers))]
    public async Task A_call_without_a_token_is_unauthenticated_unless_the_method_allows_it(bool fromElsewhere)
    {
        var refused = await Assert.ThrowsAsync<FaultException>(async () => await Client(fromElsewhere).GetKeypairAsync(Key("key")));

        Assert.Equal(ErrorReason.Unauthenticated, refused.Reason);
        await Client(fromElsewhere).DeleteKeypairAsync(new Wire.DeleteKeypairRequest { Name = "key" });
    }

    [Theory]
    [MemberData(nameof(Callers))]
    public async Task A_fault_arrives_with_its_reason_and_details(bool fromElsewhere)
    {
        var fault = await Assert.ThrowsAsync<FaultException>(async () => await Client(fromElsewhere).GetKeypairAsync(Key("missing"), As("alice")));

        Assert.Equal((ErrorReason.NotFound, "missing"), (fault.Reason, fault.Metadata["id"]));
    }

    [Theory]
    [MemberData(nameof(Callers))]
    public async Task A_bug_of_the_service_is_an_internal_error_without_its_details(bool fromElsewhere)
    {
        var fault = await Assert.ThrowsAsync<FaultException>(async () => await Client(fromElsewhere).GetKeypairAsync(Key("bug"), As("alice")));

        Assert.DoesNotContain("secret", fault.Message, StringComparison.Ordinal);
        Assert.Contains("internal error", fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Callers))]
    public async Task Headers_trailers_and_the_status_of_an_answer_reach_the_caller(bool fromElsewhere)
    {
        using var call = Client(fromElsewhere).GetKeypairAsync(Key("headers"), As("alice"));
        await call;
        Assert.Equal("ahead", (await call.ResponseHeadersAsync).GetValue("x-ahead"));
        Assert.Equal("behind", call.GetTrailers().GetValue("x-behind"));
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);

        using var refused = Client(fromElsewhere).GetKeypairAsync(Key("status"), As("alice"));
        Assert.Contains("told by status", (await Assert.ThrowsAsync<FaultException>(async () => await refused)).Message, StringComparison.Ordinal);
        Assert.Equal(StatusCode.FailedPrecondition, refused.GetStatus().StatusCode);
    }

    [Fact]
    public async Task Neither_side_sees_what_the_other_changes_in_a_message()
    {
        var request = Key("kept");
        var answer = await Client(fromElsewhere: false).GetKeypairAsync(request, As("alice"));
        request.Name = "changed by the caller";
        _keys.Answer!.Name = "changed by the service";

        Assert.Equal("kept", _keys.Request!.Name);
        Assert.Equal("kept", answer.Name);
    }

    [Theory]
    [MemberData(nameof(Callers))]
    public async Task A_call_ends_at_its_deadline_though_the_service_does_not_answer(bool fromElsewhere)
    {
        await Client(fromElsewhere).GetKeypairAsync(Key("warm"), As("alice"));
        var late = await Assert.ThrowsAsync<FaultException>(async () => await Client(fromElsewhere).GetKeypairAsync(
            Key("wait"), As("alice"), deadline: TimeProvider.System.GetUtcNow().UtcDateTime.AddSeconds(2)));

        Assert.Equal(ErrorReason.Unavailable, late.Reason);
        Assert.Equal(StatusCode.DeadlineExceeded, Assert.IsType<RpcException>(late.InnerException).StatusCode);
        await _keys.GivenUp.Task.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Theory]
    [MemberData(nameof(Callers))]
    public async Task A_call_whose_deadline_has_passed_does_not_reach_the_service(bool fromElsewhere)
    {
        var late = await Assert.ThrowsAsync<FaultException>(async () => await Client(fromElsewhere).GetKeypairAsync(
            Key("any"), As("alice"), deadline: TimeProvider.System.GetUtcNow().UtcDateTime.AddSeconds(-1)));

        Assert.Equal(StatusCode.DeadlineExceeded, Assert.IsType<RpcException>(late.InnerException).StatusCode);
        Assert.Null(_keys.Request);
    }

    [Theory]
    [MemberData(nameof(Callers))]
    public async Task A_call_that_is_given_up_is_cancelled_at_the_service(bool fromElsewhere)
    {
        using var stop = new CancellationTokenSource();
        var call = Client(fromElsewhere).GetKeypairAsync(Key("wait"), As("alice"), cancellationToken: stop.Token);
        await _keys.Waiting.Task.WaitAsync(TimeSpan.FromSeconds(30));
        await stop.CancelAsync();

        Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(async () => await call)).StatusCode);
        await _keys.GivenUp.Task.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Theory]
    [MemberData(nameof(Callers))]
    public async Task Disposing_a_call_gives_it_up(bool fromElsewhere)
    {
        var call = Client(fromElsewhere).GetKeypairAsync(Key("wait"), As("alice"));
        await _keys.Waiting.Task.WaitAsync(TimeSpan.FromSeconds(30));
        call.Dispose();

        Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(async () => await call)).StatusCode);
        await _keys.GivenUp.Task.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Theory]
    [MemberData(nameof(Callers))]
    public async Task A_stream_goes_over_a_connection(bool fromElsewhere)
    {
        using var call = Client(fromElsewhere).WatchKeypairs(new Wire.WatchKeypairsRequest(), As("alice"));

        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.True(call.ResponseStream.Current.Synchronized);
        Assert.NotEqual("in-process", _keys.Peer);
    }

    private static Wire.GetKeypairRequest Key(string name) => new() { Name = name };

    private static Metadata As(string caller) => new() { { "authorization", $"Bearer {caller}" }, { "x-request-id", "req-1" } };

    private static IServiceCollection AddCalls(WebApplicationBuilder builder) =>
        builder.Services.AddSingleton<ITokenVerifier, EchoProcess.NamesAsTokens>().AddNephosClient<Wire.Keypairs.KeypairsClient>("compute");

    private Wire.Keypairs.KeypairsClient Client(bool fromElsewhere) =>
        (fromElsewhere ? _elsewhere : _app).Services.GetRequiredService<Wire.Keypairs.KeypairsClient>();

    private WebApplication Build(string name, int port, Role role, params (string Name, string Value)[] settings) => NephosApplication.Build([role],
    [
        new("Nephos:StateDirectory", Path.Combine(_folder.FullName, name)), new("Nephos:PortBase", $"{port}"), new("State:Engine", "Memory"),
        new("Logging:LogLevel:Default", "None"), .. settings.Select(setting => KeyValuePair.Create(setting.Name, (string?)setting.Value)),
    ]);

    private sealed class Keys : Wire.Keypairs.KeypairsBase
    {
        public TaskCompletionSource Waiting { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource GivenUp { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public string? Peer { get; private set; }

        public string? Method { get; private set; }

        public string? Extra { get; private set; }

        public DateTime Deadline { get; private set; }

        public OperationContext? Operation { get; private set; }

        public Wire.GetKeypairRequest? Request { get; private set; }

        public Wire.Keypair? Answer { get; private set; }

        public override async Task<Wire.Keypair> GetKeypair(Wire.GetKeypairRequest request, ServerCallContext context)
        {
            (Operation, Request) = (context.GetOperation(), request);
            (Peer, Method, Extra, Deadline) = (context.Peer, context.Method, context.RequestHeaders.GetValue("x-extra"), context.Deadline);
            switch (request.Name)
            {
                case "missing":
                    throw Faults.NotFound("Keypair", request.Name);
                case "bug":
                    throw new InvalidOperationException("a secret of the service");
                case "headers":
                    await context.WriteResponseHeadersAsync(new Metadata { { "x-ahead", "ahead" } });
                    context.ResponseTrailers.Add("x-behind", "behind");
                    break;
                case "status":
                    context.Status = new Status(StatusCode.FailedPrecondition, "told by status");
                    break;
                case "wait":
                    await using (context.CancellationToken.Register(GivenUp.SetResult))
                    {
                        Waiting.SetResult();
                        // A service that does not look at the end of the call.
                        await Task.Delay(Timeout.InfiniteTimeSpan, CancellationToken.None);
                    }
                    break;
            }
            return Answer = new Wire.Keypair { Name = request.Name };
        }

        [AllowAnonymousOperation]
        public override Task<Wire.DeleteKeypairResponse> DeleteKeypair(Wire.DeleteKeypairRequest request, ServerCallContext context) =>
            Task.FromResult(new Wire.DeleteKeypairResponse());

        public override async Task WatchKeypairs(
            Wire.WatchKeypairsRequest request, IServerStreamWriter<Wire.KeypairEvent> responseStream, ServerCallContext context)
        {
            Peer = context.Peer;
            await responseStream.WriteAsync(new Wire.KeypairEvent { Synchronized = true }, context.CancellationToken);
        }
    }
}
