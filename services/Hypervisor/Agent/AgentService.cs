using System.Threading.Channels;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Nephos.Hosting;
using Nephos.Hosting.Grpc;
using Nephos.Hosting.StatusPages;
using Nephos.Hypervisor.Instances;
using Nephos.Hypervisor.Metadata;
using Nephos.Hypervisor.Qemu;
using Nephos.Kernel.Errors;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Hypervisor.Agent;

/// <summary>Keeps the stream to the control plane open and carries specs in and statuses out. Instances run whether it is open or not.</summary>
internal sealed partial class AgentService(
    InstanceAgent agent, IHypervisor hypervisor, IPortConnector ports, MetadataTree metadata, Wire.HypervisorAgents.HypervisorAgentsClient control,
    ServiceCalls calls, HypervisorOptions options, NephosOptions node, TimeProvider time, ILogger<AgentService> logger)
    : BackgroundService, IStatusFacts
{
    private const int OutgoingMessagesMax = 256;
    private const int MissedHeartbeatsMax = 4;
    private static readonly TimeSpan ReconnectMin = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan ReconnectMax = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan HaltPollPeriod = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan SweepPeriod = TimeSpan.FromSeconds(10);

    private volatile string _stream = "not connected yet";
    private volatile string _probed = "not probed yet";

    /// <summary>What the status page shows.</summary>
    public IEnumerable<KeyValuePair<string, string>> Facts =>
    [
        new("hypervisor.acceleration", _probed),
        new("hypervisor.network", $"{ports.Kind}: {ports.Reason}"),
        new("hypervisor.stream", _stream),
        new("hypervisor.instances", $"{agent.RunningCount} running of {agent.Specs.Count()}"),
        .. ports.Kind == PortWiring.User ? agent.Specs.SelectMany(Forwards) : [],
    ];

    private static IEnumerable<KeyValuePair<string, string>> Forwards(InstanceSpec spec) => spec.Ports.Select(port =>
        KeyValuePair.Create($"hypervisor.ssh.{spec.Id}", QemuDevices.SshForward(port.Id).ToString()));

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await RunAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The process stops, perhaps before it had begun; machines are left as they are.
        }
    }

    private async Task RunAsync(CancellationToken stoppingToken)
    {
        HaltRequest.Clear(options.StateDirectory);
        agent.SpecChanged = metadata.Set;
        await agent.StartAsync(stoppingToken);
        var probe = await hypervisor.ProbeAsync(stoppingToken);
        LogProbe(logger, probe.HypervisorType, probe.Acceleration, probe.AccelerationReason, ports.Kind, ports.Reason);
        _probed = $"{probe.Acceleration}: {probe.AccelerationReason}";
        var hello = NodeFacts.Hello(node.NodeName, node.PublicHost, options, probe, ports, time.GetUtcNow());
        var delay = ReconnectMin;
        using var halting = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        var halted = HaltWhenAskedAsync(halting, stoppingToken);
        while (!halting.IsCancellationRequested)
        {
            var began = time.GetTimestamp();
            try
            {
                await RunStreamAsync(hello, halting.Token);
            }
            catch (OperationCanceledException) when (halting.IsCancellationRequested)
            {
                break;
            }
            catch (Exception exception) when (exception is RpcException or FaultException or IOException or OperationCanceledException or TimeoutException)
            {
                _stream = exception.Message;
                LogStreamEnded(logger, exception.Message);
            }
            delay = time.GetElapsedTime(began) > ReconnectMax ? ReconnectMin : TimeSpan.FromTicks(Math.Min(delay.Ticks * 2, ReconnectMax.Ticks));
            await Task.Delay(delay, time, halting.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        await halted.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await agent.DisposeAsync();
    }

    /// <summary>Waits for the wish to take the node down. The stream ends first: what happens then is nobody's wish about an instance.</summary>
    private async Task HaltWhenAskedAsync(CancellationTokenSource stream, CancellationToken stopping)
    {
        while (!HaltRequest.TryTake(options.StateDirectory))
        {
            await Task.Delay(HaltPollPeriod, time, stopping);
        }
        _stream = "closed: the node is taken down";
        await stream.CancelAsync();
        LogHalting(logger, agent.RunningCount);
        await agent.HaltAsync(stopping);
        HaltRequest.Finish(options.StateDirectory);
    }

    private async Task RunStreamAsync(Wire.Hello hello, CancellationToken stopping)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        using var call = control.Sync(await calls.AsServiceAsync(ended.Token, Timeout.InfiniteTimeSpan));
        using var abort = ended.Token.Register(call.Dispose);
        var outgoing = Channel.CreateBounded<Wire.AgentMessage>(OutgoingMessagesMax);
        await outgoing.Writer.WriteAsync(new Wire.AgentMessage { Hello = hello }, ended.Token);
        var link = new Link();
        Task[] parts =
        [
            WriteAsync(call.RequestStream, outgoing.Reader, ended.Token),
            ReadAsync(call.ResponseStream, outgoing.Writer, link, ended.Token),
            ReportAsync(outgoing.Writer, ended.Token),
            BeatAsync(outgoing.Writer, link, ended.Token),
            SweepAsync(link, ended.Token),
        ];
        _stream = "connected";
        var first = await Task.WhenAny(parts);
        await ended.CancelAsync();
        await Task.WhenAll(parts).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await first;
    }

    private static async Task WriteAsync(
        IClientStreamWriter<Wire.AgentMessage> stream, ChannelReader<Wire.AgentMessage> outgoing, CancellationToken cancellationToken)
    {
        await foreach (var message in outgoing.ReadAllAsync(cancellationToken))
        {
            await stream.WriteAsync(message, cancellationToken);
        }
    }

    private async Task ReadAsync(
        IAsyncStreamReader<Wire.ControlMessage> stream, ChannelWriter<Wire.AgentMessage> outgoing, Link link, CancellationToken cancellationToken)
    {
        while (await stream.MoveNext(cancellationToken))
        {
            var message = stream.Current;
            switch (message.MessageCase)
            {
                case Wire.ControlMessage.MessageOneofCase.SnapshotBegin:
                    agent.BeginSnapshot();
                    break;
                case Wire.ControlMessage.MessageOneofCase.Instance:
                    Apply(message.Instance);
                    break;
                case Wire.ControlMessage.MessageOneofCase.SnapshotEnd:
                    agent.EndSnapshot(message.SnapshotEnd.Revision);
                    link.SnapshotComplete = true;
                    break;
                case Wire.ControlMessage.MessageOneofCase.Forgotten:
                    if (Guid.TryParse(message.Forgotten.InstanceId, out var forgotten))
                    {
                        await agent.ForgetAsync(forgotten, message.Forgotten.Revision);
                    }
                    break;
                case Wire.ControlMessage.MessageOneofCase.HeartbeatAnswer:
                    link.LastAnswer = message.HeartbeatAnswer.Sequence;
                    break;
                case Wire.ControlMessage.MessageOneofCase.ConsoleRequest:
                    _ = AnswerConsoleAsync(message.ConsoleRequest, outgoing, cancellationToken);
                    break;
                default:
                    // A newer control plane may say things we do not know.
                    break;
            }
        }
        throw new IOException("the control plane ended the stream");
    }

    private void Apply(Wire.InstanceSpec wire)
    {
        try
        {
            agent.Apply(wire.ToSpec());
        }
        catch (FaultException fault)
        {
            // The instance keeps what it had; not to lose it as a stranger it counts as named.
            LogBadSpec(logger, wire.InstanceId, fault.Message);
            if (Guid.TryParse(wire.InstanceId, out var id))
            {
                agent.Named(id);
            }
        }
    }

    private async Task AnswerConsoleAsync(Wire.ConsoleRequest request, ChannelWriter<Wire.AgentMessage> outgoing, CancellationToken cancellationToken)
    {
        var answer = new Wire.ConsoleOutput { RequestId = request.RequestId };
        try
        {
            answer.Output = Guid.TryParse(request.InstanceId, out var id)
                ? UnsafeByteOperations.UnsafeWrap(await hypervisor.ReadConsoleAsync(id, request.LineCount, cancellationToken))
                : throw new FormatException("instance_id must be a UUID");
        }
        catch (Exception exception) when (exception is IOException or FormatException or UnauthorizedAccessException)
        {
            answer.Error = exception.Message;
        }
        await outgoing.WriteAsync(new Wire.AgentMessage { ConsoleOutput = answer }, cancellationToken).AsTask()
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task ReportAsync(ChannelWriter<Wire.AgentMessage> outgoing, CancellationToken cancellationToken)
    {
        var statuses = agent.Statuses.ToDictionary(status => status.InstanceId);
        foreach (var spec in agent.Specs)
        {
            await outgoing.WriteAsync(
                statuses.TryGetValue(spec.Id, out var status) ? status.ToWire() : StatusMapping.NotSeenYet(spec), cancellationToken);
        }
        await outgoing.WriteAsync(
            new Wire.AgentMessage { FullReportDone = new Wire.FullReportDone { AppliedRevision = agent.AppliedRevision } }, cancellationToken);
        await foreach (var status in agent.ChangesAsync(cancellationToken))
        {
            await outgoing.WriteAsync(status.ToWire(), cancellationToken);
        }
    }

    private async Task BeatAsync(ChannelWriter<Wire.AgentMessage> outgoing, Link link, CancellationToken cancellationToken)
    {
        for (var sequence = 1L; ; sequence++)
        {
            await outgoing.WriteAsync(new Wire.AgentMessage
            {
                Heartbeat = new Wire.Heartbeat { Sequence = sequence, AppliedRevision = agent.AppliedRevision, RunningInstances = agent.RunningCount },
            }, cancellationToken);
            await Task.Delay(options.HeartbeatPeriod, time, cancellationToken);
            if (sequence - link.LastAnswer >= MissedHeartbeatsMax)
            {
                throw new TimeoutException($"{MissedHeartbeatsMax} heartbeats were not answered");
            }
        }
    }

    /// <summary>Only while a complete snapshot of this very stream is in force.</summary>
    private async Task SweepAsync(Link link, CancellationToken cancellationToken)
    {
        while (true)
        {
            await Task.Delay(SweepPeriod, time, cancellationToken);
            if (link.SnapshotComplete)
            {
                await agent.SweepAsync(cancellationToken);
            }
        }
    }

    private sealed class Link
    {
        private long _lastAnswer;

        public long LastAnswer
        {
            get => Interlocked.Read(ref _lastAnswer);
            set => Interlocked.Exchange(ref _lastAnswer, value);
        }

        public volatile bool SnapshotComplete;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Hypervisor {Type} with {Acceleration} ({Reason}); network {Network} ({NetworkReason})")]
    private static partial void LogProbe(
        ILogger logger, string type, AccelerationKind acceleration, string reason, PortWiring network, string networkReason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Taking the node down: ending {RunningCount} instances")]
    private static partial void LogHalting(ILogger logger, int runningCount);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The stream to the control plane ended: {Reason}")]
    private static partial void LogStreamEnded(ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "The spec of instance {InstanceId} is not valid and was not applied: {Reason}")]
    private static partial void LogBadSpec(ILogger logger, string instanceId, string reason);
}
