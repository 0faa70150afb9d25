using System.Threading.Channels;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Nephos.Compute.Instances;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Compute.Nodes;

/// <summary>The stream of an agent: its introduction, its lease, its reports; and the orders it gets.</summary>
internal sealed partial class HypervisorAgentsGrpcService(
    NodeRegistry nodes,
    AgentSessions sessions,
    ReportWriter reports,
    IStateStore store,
    TableCache<InstanceParts> parts,
    ComputeOptions options,
    TimeProvider time,
    ILogger<HypervisorAgentsGrpcService> logger) : Wire.HypervisorAgents.HypervisorAgentsBase
{
    private const int NameCharsMax = 255;
    private const int UnwrittenReportsMax = 1024;
    private static readonly TimeSpan HelloTimeout = TimeSpan.FromSeconds(10);

    public override async Task Sync(
        IAsyncStreamReader<Wire.AgentMessage> requestStream, IServerStreamWriter<Wire.ControlMessage> responseStream, ServerCallContext context)
    {
        context.GetOperation().RequireService("compute:agents:sync");
        if (!await requestStream.MoveNext(context.CancellationToken).WaitAsync(HelloTimeout, time, context.CancellationToken)
            || requestStream.Current.Hello is not { } hello)
        {
            throw Faults.Invalid("message", "the first message must be hello");
        }
        var node = await nodes.IntroduceAsync(ToNode(hello), context.CancellationToken);
        using var session = new AgentSession(node.Id, parts, time);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, session.Ended);
        sessions.Open(session);
        LogConnected(node.HostName, node.HypervisorType, node.Vcpus, node.MemoryMib);
        try
        {
            var lease = await nodes.BeginLeaseAsync(node.Id, session.Id, ended.Token);
            var unwritten = Channel.CreateBounded<Wire.StatusReport>(UnwrittenReportsMax);
            var tasks = new[]
            {
                session.WriteAsync(responseStream, ended.Token),
                reports.WriteAsync(node.Id, unwritten.Reader, ended.Token),
                ReadAsync(session, lease, requestStream, unwritten.Writer, ended.Token),
            };
            var first = await Task.WhenAny(tasks);
            await ended.CancelAsync();
            await Task.WhenAll(tasks.Select(task => task.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default)));
            await first;
        }
        catch (OperationCanceledException) when (session.Ended.IsCancellationRequested)
        {
            throw Faults.Aborted("Another session of this node took over.");
        }
        catch (OperationCanceledException) when (context.CancellationToken.IsCancellationRequested)
        {
        }
        finally
        {
            sessions.Close(session);
            LogDisconnected(node.HostName);
        }
    }

    private async Task ReadAsync(
        AgentSession session, LeaseId lease, IAsyncStreamReader<Wire.AgentMessage> stream, ChannelWriter<Wire.StatusReport> unwritten,
        CancellationToken cancellationToken)
    {
        while (await stream.MoveNext(cancellationToken))
        {
            switch (stream.Current.MessageCase)
            {
                case Wire.AgentMessage.MessageOneofCase.Status:
                    await unwritten.WriteAsync(stream.Current.Status, cancellationToken);
                    break;
                case Wire.AgentMessage.MessageOneofCase.Heartbeat:
                    lease = await RenewAsync(session, lease, cancellationToken);
                    session.Send(new Wire.ControlMessage
                    {
                        HeartbeatAnswer = new Wire.HeartbeatAnswer
                        {
                            Sequence = stream.Current.Heartbeat.Sequence, LeaseMilliseconds = (long)options.NodeLease.TotalMilliseconds,
                        },
                    });
                    break;
                case Wire.AgentMessage.MessageOneofCase.ConsoleOutput:
                    session.Answer(stream.Current.ConsoleOutput);
                    break;
                case Wire.AgentMessage.MessageOneofCase.Hello:
                    throw Faults.Invalid("message", "hello comes once");
            }
        }
    }

    private async Task<LeaseId> RenewAsync(AgentSession session, LeaseId lease, CancellationToken cancellationToken)
    {
        try
        {
            await store.KeepLeaseAliveAsync(lease, cancellationToken);
            return lease;
        }
        catch (StateLeaseNotFoundException)
        {
            return await nodes.BeginLeaseAsync(session.NodeId, session.Id, cancellationToken);
        }
    }

    private static Node ToNode(Wire.Hello hello) => new()
    {
        Id = Name(hello.NodeId, "node_id"),
        HostName = Name(hello.HostName.Length > 0 ? hello.HostName : hello.NodeId, "host_name"),
        Uuid = "",
        Vcpus = hello.Vcpus is > 0 and <= 1 << 20 ? hello.Vcpus : throw Faults.Invalid("vcpus", "must be at least 1"),
        MemoryMib = hello.MemoryMib is > 0 and <= 1L << 40 ? hello.MemoryMib : throw Faults.Invalid("memory_mib", "must be at least 1"),
        DiskGib = Math.Clamp(hello.DiskGib, 0, int.MaxValue),
        HypervisorType = Short(hello.HypervisorType),
        HypervisorVersion = hello.HypervisorVersion,
        AgentVersion = Short(hello.AgentVersion),
        CpuArchitecture = Short(hello.CpuArchitecture),
        CpuModel = Short(hello.CpuModel),
        HostIp = Short(hello.HostIp),
        BootedAt = hello.BootedAt?.ToDateTimeOffset(),
        Traits = new Dictionary<string, string>
        {
            ["acceleration"] = Trait(hello.Acceleration switch
            {
                Wire.Acceleration.Kvm => "kvm",
                Wire.Acceleration.Tcg => "tcg",
                Wire.Acceleration.Simulated => "simulated",
                _ => "unknown",
            }, hello.AccelerationReason),
            ["network"] = Trait(hello.NetworkCapability switch
            {
                Wire.NetworkCapability.Tap => "tap",
                Wire.NetworkCapability.User => "user",
                Wire.NetworkCapability.Simulated => "simulated",
                _ => "unknown",
            }, hello.NetworkCapabilityReason),
        },
    };

    private static string Trait(string value, string reason) => reason.Length == 0 ? value : $"{value} ({Short(reason)})";

    private static string Name(string text, string field) =>
        text.Length is > 0 and <= NameCharsMax && !text.Contains('/') ? text : throw Faults.Invalid(field, $"1 to {NameCharsMax} characters without a slash");

    private static string Short(string text) => text.Length <= NameCharsMax ? text : text[..NameCharsMax];

    [LoggerMessage(LogLevel.Information, "Node {NodeName} is connected: {HypervisorType}, {Vcpus} VCPUs, {MemoryMib} MiB")]
    private partial void LogConnected(string nodeName, string hypervisorType, int vcpus, long memoryMib);

    [LoggerMessage(LogLevel.Information, "Node {NodeName} is disconnected")]
    private partial void LogDisconnected(string nodeName);
}
