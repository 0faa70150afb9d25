using System.Threading.Channels;
using Grpc.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Nephos.Hosting;
using Nephos.Hosting.Authentication;
using Nephos.Hosting.Grpc;
using Nephos.Hypervisor.Network;
using Nephos.Hypervisor.Network.Plans;
using Xunit;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Services.Tests.HypervisorNetwork;

public sealed class NodeNetworkAgentTests
{
    private const string NetworkId = "00000000-0000-0000-0000-000000000001";
    private static readonly Guid PortId = Guid.Parse("00000000-0000-0000-0000-000000000002");

    [Fact]
    public async Task A_port_is_waited_for_until_a_snapshot_has_it_with_the_epoch()
    {
        await using var node = await Node.StartAsync();
        Assert.Contains("has not yet said", node.Agent.LastError(PortId), StringComparison.Ordinal);
        var waiting = node.Agent.WaitForPortAsync(PortId, epoch: 2, CancellationToken.None);

        node.Send(1, port: false);
        var first = await node.NextReportAsync();
        Assert.Empty(first.Ports);
        Assert.Contains("not bound to node", node.Agent.LastError(PortId), StringComparison.Ordinal);

        node.Send(2, port: true, epoch: 1);
        await node.NextReportAsync();
        Assert.False(waiting.IsCompleted);

        node.Send(3, port: true, epoch: 2);
        var last = await node.NextReportAsync();
        Assert.Equal(2ul, (await waiting).Epoch);
        Assert.Equal((3ul, Wire.NodeItemState.Active), (last.AppliedRevision, last.Ports.Single().State));
        Assert.Equal("", node.Agent.LastError(PortId));
    }

    [Fact]
    public async Task Without_the_service_the_last_snapshot_stays_in_force_and_the_next_stream_is_reported_on()
    {
        await using var node = await Node.StartAsync();
        node.Send(1, port: true);
        await node.NextReportAsync();

        node.BreakStream();
        await node.NextStreamAsync();
        Assert.NotNull(node.Agent.Find(PortId));

        // The same again: the service may have forgotten what it was told.
        node.Send(1, port: true);
        Assert.Equal(1ul, (await node.NextReportAsync()).AppliedRevision);
    }

    [Fact]
    public async Task A_report_that_was_not_taken_is_sent_again()
    {
        await using var node = await Node.StartAsync();
        node.Service.RefuseReports = 1;
        node.Send(1, port: true);
        await node.Service.Refused.Task;

        Assert.Equal(1ul, (await node.NextReportAsync()).AppliedRevision);
    }

    private sealed class Node : IAsyncDisposable
    {
        private readonly CancellationTokenSource _end = new(TimeSpan.FromSeconds(30));
        private readonly FakeTimeProvider _time = new();
        private readonly Task _clock;
        private Channel<Wire.NodeNetworkState> _stream = null!;

        private Node()
        {
            Service = new FakeService();
            Agent = new NodeNetworkAgent(
                new SimulatedNetworkDriver(new NodeNetworkSettings(new DataPlaneNames("sim"), null, new Dictionary<string, string>())), Service,
                new ServiceCalls(new NoTokens(), _time), new NodeNetworkOptions(), new NephosOptions { NodeName = "node-1", StateDirectory = "/nowhere" }, _time,
                NullLogger<NodeNetworkAgent>.Instance);
            _clock = AdvanceAsync();
        }

        public NodeNetworkAgent Agent { get; }

        public FakeService Service { get; }

        public static async Task<Node> StartAsync()
        {
            var node = new Node();
            await node.Agent.StartAsync(CancellationToken.None);
            await node.NextStreamAsync();
            return node;
        }

        public async Task NextStreamAsync() => _stream = await Service.Streams.Reader.ReadAsync(_end.Token);

        public void BreakStream() => _stream.Writer.Complete(new RpcException(new Status(StatusCode.Unavailable, "gone")));

        public void Send(ulong revision, bool port, ulong epoch = 1)
        {
            var state = new Wire.NodeNetworkState
            {
                Revision = revision,
                Networks = { new Wire.NodeNetwork { Id = NetworkId, Kind = Wire.NodeNetworkKind.Vxlan, Vni = 5, Mtu = 1450 } },
            };
            if (port)
            {
                state.Ports.Add(new Wire.NodePort { Id = PortId.ToString(), NetworkId = NetworkId, MacAddress = "fa:16:3e:00:00:01", Epoch = epoch, AdminStateUp = true });
            }

            Assert.True(_stream.Writer.TryWrite(state));
        }

        public async Task<Wire.ReportNodeNetworkRequest> NextReportAsync() => await Service.Reports.Reader.ReadAsync(_end.Token);

        public async ValueTask DisposeAsync()
        {
            await Agent.StopAsync(CancellationToken.None);
            Agent.Dispose();
            await _end.CancelAsync();
            await _clock.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _end.Dispose();
        }

        // Retries and reconnects wait on the clock; it runs as fast as the test does.
        private async Task AdvanceAsync()
        {
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
            while (await timer.WaitForNextTickAsync(_end.Token))
            {
                _time.Advance(TimeSpan.FromMilliseconds(100));
            }
        }
    }

    private sealed class FakeService : Wire.NodeNetworks.NodeNetworksClient
    {
        public Channel<Channel<Wire.NodeNetworkState>> Streams { get; } = Channel.CreateUnbounded<Channel<Wire.NodeNetworkState>>();

        public Channel<Wire.ReportNodeNetworkRequest> Reports { get; } = Channel.CreateUnbounded<Wire.ReportNodeNetworkRequest>();

        public TaskCompletionSource Refused { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public int RefuseReports { get; set; }

        public override AsyncServerStreamingCall<Wire.NodeNetworkState> WatchNodeNetwork(Wire.WatchNodeNetworkRequest request, CallOptions options)
        {
            var stream = Channel.CreateUnbounded<Wire.NodeNetworkState>();
            Streams.Writer.TryWrite(stream);
            return new AsyncServerStreamingCall<Wire.NodeNetworkState>(new Reader(stream.Reader), Task.FromResult(new Metadata()), () => Status.DefaultSuccess, () => [], () => { });
        }

        public override AsyncUnaryCall<Wire.ReportNodeNetworkResponse> ReportNodeNetworkAsync(Wire.ReportNodeNetworkRequest request, CallOptions options)
        {
            if (RefuseReports-- > 0)
            {
                Refused.TrySetResult();
                throw new RpcException(new Status(StatusCode.Unavailable, "not now"));
            }

            Reports.Writer.TryWrite(request);
            return new AsyncUnaryCall<Wire.ReportNodeNetworkResponse>(Task.FromResult(new Wire.ReportNodeNetworkResponse()), Task.FromResult(new Metadata()),
                () => Status.DefaultSuccess, () => [], () => { });
        }

        private sealed class Reader(ChannelReader<Wire.NodeNetworkState> states) : IAsyncStreamReader<Wire.NodeNetworkState>
        {
            public Wire.NodeNetworkState Current { get; private set; } = null!;

            public async Task<bool> MoveNext(CancellationToken cancellationToken)
            {
                if (!await states.WaitToReadAsync(cancellationToken) || !states.TryRead(out var state))
                {
                    return false;
                }

                Current = state;
                return true;
            }
        }
    }

    private sealed class NoTokens : IServiceTokenSource
    {
        public ValueTask<string> GetAsync(CancellationToken cancellationToken) => new("");
    }
}
