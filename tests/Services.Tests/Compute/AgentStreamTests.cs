using System.Collections.Frozen;
using System.Threading.Channels;
using Grpc.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Compute;
using Nephos.Compute.Instances;
using Nephos.Compute.Nodes;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Xunit;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Services.Tests.Compute;

public sealed class AgentStreamTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task An_agent_is_told_everything_it_should_have_and_then_what_changes()
    {
        await using var world = await ComputeWorld.StartAsync();
        await using var agent = await Agent.ConnectAsync(world, "node");
        Assert.NotNull((await agent.NextAsync()).SnapshotBegin);
        Assert.NotNull((await agent.NextAsync()).SnapshotEnd);
        await world.SyncAsync();
        var id = (await world.CreateAsync()).Instance.Id;
        await world.PassAsync(id);

        agent.Notify(id);
        var told = (await agent.NextAsync()).Instance;
        Assert.Equal((id, 1L, Wire.DesiredState.Running), (told.InstanceId, told.Generation, told.DesiredState));
        agent.Notify(id);
        await world.Instances.DeleteAsync(ComputeWorld.User, id, None);
        await world.PassAsync(id);
        agent.Notify(id);
        var removed = (await agent.NextAsync()).Instance;
        Assert.Equal((2L, Wire.DesiredState.Deleted), (removed.Generation, removed.DesiredState));

        await world.SettleAsync(id);
        agent.Notify(id);
        Assert.Equal(id, (await agent.NextAsync()).Forgotten.InstanceId);
    }

    [Fact]
    public async Task An_agent_that_connects_again_gets_all_orders_between_the_marks()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var first = (await world.CreateRunningAsync()).Instance.Id;
        var second = (await world.CreateRunningAsync()).Instance.Id;

        await using var agent = await Agent.ConnectAsync(world, "node");

        Assert.NotNull((await agent.NextAsync()).SnapshotBegin);
        Assert.Equal(
            new[] { first, second }.Order(), new[] { (await agent.NextAsync()).Instance.InstanceId, (await agent.NextAsync()).Instance.InstanceId }.Order());
        Assert.NotNull((await agent.NextAsync()).SnapshotEnd);
    }

    [Fact]
    public async Task Reports_are_written_and_those_of_unknown_instances_are_not()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var id = (await world.CreateAsync()).Instance.Id;
        await world.PassAsync(id);
        await using var agent = await Agent.ConnectAsync(world, "node");
        var order = Assert.Single((await world.ReadAsync(id)).Parts!.Orders);

        await agent.SendAsync(new Wire.AgentMessage { Status = new Wire.StatusReport { InstanceId = Kernel.Ids.NewUuid(), PowerState = Wire.PowerState.Running } });
        await agent.SendAsync(new Wire.AgentMessage { Status = ComputeWorld.Obeyed(order) });
        await agent.WaitForAsync(async () => (await world.ReadAsync(id)).View.Status == InstanceStatus.Active);

        Assert.Single(await world.Store.ListAsync(Observation.Table, "", None));
    }

    [Fact]
    public async Task Heartbeats_are_answered_with_the_lease_and_keep_the_node_alive_and_silence_ends_it()
    {
        await using var world = await ComputeWorld.StartAsync();
        await using var agent = await Agent.ConnectAsync(world, "node");
        await agent.NextAsync();
        await agent.NextAsync();
        var nodes = world.Get<NodeRegistry>();
        await agent.WaitForAsync(() => Task.FromResult(nodes.IsUp("node")));
        for (var sequence = 1; sequence <= 4; sequence++)
        {
            world.Time.Advance(TimeSpan.FromSeconds(10));
            await agent.SendAsync(new Wire.AgentMessage { Heartbeat = new Wire.Heartbeat { Sequence = sequence } });
            var answer = (await agent.NextAsync()).HeartbeatAnswer;
            Assert.Equal((sequence, 15_000L), (answer.Sequence, answer.LeaseMilliseconds));
        }
        await world.SyncAsync();
        Assert.True(nodes.IsUp("node"));

        world.Time.Advance(TimeSpan.FromSeconds(60));
        await agent.WaitForAsync(() => Task.FromResult(!nodes.IsUp("node")));

        await agent.SendAsync(new Wire.AgentMessage { Heartbeat = new Wire.Heartbeat { Sequence = 5 } });
        Assert.Equal(5, (await agent.NextAsync()).HeartbeatAnswer.Sequence);
        await agent.WaitForAsync(() => Task.FromResult(nodes.IsUp("node")));
    }

    [Fact]
    public async Task A_second_stream_of_a_node_ends_the_first()
    {
        await using var world = await ComputeWorld.StartAsync();
        await using var first = await Agent.ConnectAsync(world, "node");
        await first.NextAsync();

        await using var second = await Agent.ConnectAsync(world, "node");
        await second.NextAsync();

        var ended = await Assert.ThrowsAsync<FaultException>(() => first.Ended);
        Assert.Contains("Another session", ended.Message, StringComparison.Ordinal);
        Assert.False(second.Ended.IsCompleted);
    }

    [Fact]
    public async Task The_console_comes_from_the_agent()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var id = (await world.CreateRunningAsync()).Instance.Id;
        await using var agent = await Agent.ConnectAsync(world, "node");
        for (var skipped = 0; skipped < 3; skipped++)
        {
            await agent.NextAsync();
        }

        var reading = world.Instances.GetConsoleAsync(ComputeWorld.User, id, 10, None);
        var request = (await agent.NextAsync()).ConsoleRequest;
        Assert.Equal((id, 10), (request.InstanceId, request.LineCount));
        await agent.SendAsync(new Wire.AgentMessage
        {
            ConsoleOutput = new Wire.ConsoleOutput { RequestId = request.RequestId, Output = Google.Protobuf.ByteString.CopyFromUtf8("login: ") },
        });

        Assert.Equal("login: ", await reading);
        await Assert.ThrowsAsync<FaultException>(() => world.Instances.GetConsoleAsync(ComputeWorld.Stranger, id, 10, None));
    }

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public async Task Only_services_that_say_hello_are_agents(bool isService, bool hello)
    {
        await using var world = await ComputeWorld.StartAsync();
        await using var agent = Agent.Open(world, isService);
        await agent.SendAsync(hello
            ? new Wire.AgentMessage { Hello = Agent.HelloOf("node") }
            : new Wire.AgentMessage { Heartbeat = new Wire.Heartbeat { Sequence = 1 } });

        await Assert.ThrowsAsync<FaultException>(() => agent.Ended);
        Assert.Empty(world.Get<NodeRegistry>().List());
    }

    /// <summary>The agent's side of one stream.</summary>
    private sealed class Agent : IAsyncDisposable
    {
        private readonly ComputeWorld _world;
        private readonly string _nodeId = "node";
        private readonly CancellationTokenSource _stop = new();
        private readonly Channel<Wire.AgentMessage> _sent = Channel.CreateUnbounded<Wire.AgentMessage>();
        private readonly Channel<Wire.ControlMessage> _received = Channel.CreateUnbounded<Wire.ControlMessage>();

        private Agent(ComputeWorld world, bool isService)
        {
            _world = world;
            var service = new HypervisorAgentsGrpcService(
                world.Get<NodeRegistry>(), world.Get<AgentSessions>(), world.Get<ReportWriter>(), world.Store,
                world.Get<TableCache<InstanceParts>>(), world.Get<ComputeOptions>(), world.Time, NullLogger<HypervisorAgentsGrpcService>.Instance);
            var operation = ComputeWorld.Operation("member", ComputeWorld.Project) with { IsService = isService };
            Ended = Task.Run(() => service.Sync(new Reader(_sent.Reader), new Writer(_received.Writer), new Context(operation, _stop.Token)));
        }

        public Task Ended { get; }

        public static Wire.Hello HelloOf(string nodeId) => new() { NodeId = nodeId, HostName = nodeId, Vcpus = 8, MemoryMib = 16384, HypervisorType = "simulated" };

        public static Agent Open(ComputeWorld world, bool isService) => new(world, isService);

        public static async Task<Agent> ConnectAsync(ComputeWorld world, string nodeId)
        {
            var agent = new Agent(world, isService: true);
            await agent.SendAsync(new Wire.AgentMessage { Hello = HelloOf(nodeId) });
            return agent;
        }

        public ValueTask SendAsync(Wire.AgentMessage message) => _sent.Writer.WriteAsync(message, None);

        public async Task<Wire.ControlMessage> NextAsync()
        {
            using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
            var message = _received.Reader.ReadAsync(deadline.Token).AsTask();
            if (await Task.WhenAny(message, Ended) == Ended)
            {
                await Ended;
            }
            return await message;
        }

        /// <summary>What the worker does when it sees new orders.</summary>
        public void Notify(string instanceId) => _world.Get<AgentSessions>().Notify(_nodeId, instanceId);

        public async Task WaitForAsync(Func<Task<bool>> condition)
        {
            using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
            while (!await condition())
            {
                deadline.Token.ThrowIfCancellationRequested();
                await _world.SyncAsync();
                await Task.Yield();
            }
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await Ended.ContinueWith(_ => { }, TaskScheduler.Default);
            _stop.Dispose();
        }
    }

    private sealed class Reader(ChannelReader<Wire.AgentMessage> channel) : IAsyncStreamReader<Wire.AgentMessage>
    {
        public Wire.AgentMessage Current { get; private set; } = new();

        public async Task<bool> MoveNext(CancellationToken cancellationToken)
        {
            Current = await channel.ReadAsync(cancellationToken);
            return true;
        }
    }

    private sealed class Writer(ChannelWriter<Wire.ControlMessage> channel) : IServerStreamWriter<Wire.ControlMessage>
    {
        public WriteOptions? WriteOptions { get; set; }

        public Task WriteAsync(Wire.ControlMessage message) => WriteAsync(message, None);

        public Task WriteAsync(Wire.ControlMessage message, CancellationToken cancellationToken) => channel.WriteAsync(message, cancellationToken).AsTask();
    }

    private sealed class Context(OperationContext operation, CancellationToken cancellationToken) : ServerCallContext
    {
        protected override string MethodCore => "/nephos.compute.v1.HypervisorAgents/Sync";

        protected override string HostCore => "";

        protected override string PeerCore => "";

        protected override DateTime DeadlineCore => DateTime.MaxValue;

        protected override Metadata RequestHeadersCore { get; } = [];

        protected override CancellationToken CancellationTokenCore => cancellationToken;

        protected override Metadata ResponseTrailersCore { get; } = [];

        protected override Status StatusCore { get; set; }

        protected override WriteOptions? WriteOptionsCore { get; set; }

        protected override AuthContext AuthContextCore { get; } = new(null, []);

        protected override IDictionary<object, object> UserStateCore { get; } = new Dictionary<object, object> { ["nephos.operation"] = operation };

        protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options) => throw new NotSupportedException();

        protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders) => Task.CompletedTask;
    }
}
