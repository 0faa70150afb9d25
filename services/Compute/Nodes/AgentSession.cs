using System.Collections.Concurrent;
using System.Threading.Channels;
using Grpc.Core;
using Nephos.Compute.Instances;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Compute.Nodes;

/// <summary>One connection of one agent: sends orders as they change, and waits for answers.</summary>
internal sealed class AgentSession : IDisposable
{
    private const int ConsoleRequestsMax = 64;
    private static readonly TimeSpan ConsoleTimeout = TimeSpan.FromSeconds(10);

    private readonly TableCache<InstanceParts> _parts;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _ended = new();
    private readonly Channel<Wire.ControlMessage> _messages = Channel.CreateUnbounded<Wire.ControlMessage>();
    private readonly HashSet<string> _dirty = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _sent = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<long, TaskCompletionSource<string>> _consoles = new();
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private long _lastConsole;

    public AgentSession(string nodeId, TableCache<InstanceParts> parts, TimeProvider time)
    {
        NodeId = nodeId;
        _parts = parts;
        _time = time;
    }

    public string NodeId { get; }

    public string Id { get; } = Guid.NewGuid().ToString("N");

    /// <summary>Cancelled when another session of the node took over.</summary>
    public CancellationToken Ended => _ended.Token;

    public void End() => _ended.Cancel();

    /// <summary>What the node was told of an instance may have changed.</summary>
    public void Notify(string instanceId)
    {
        lock (_dirty)
        {
            _dirty.Add(instanceId);
        }
        _wake.Writer.TryWrite(true);
    }

    public void Send(Wire.ControlMessage message)
    {
        _messages.Writer.TryWrite(message);
        _wake.Writer.TryWrite(true);
    }

    /// <summary>Sends everything the node should have, then each change, until cancelled.</summary>
    public async Task WriteAsync(IAsyncStreamWriter<Wire.ControlMessage> stream, CancellationToken cancellationToken)
    {
        await stream.WriteAsync(new Wire.ControlMessage { SnapshotBegin = new Wire.SnapshotBegin() }, cancellationToken);
        var revision = _parts.Revision;
        foreach (var parts in _parts.List())
        {
            if (parts.OrderFor(NodeId) is { } order)
            {
                await SendOrderAsync(stream, parts.InstanceId, order, cancellationToken);
            }
        }
        await stream.WriteAsync(new Wire.ControlMessage { SnapshotEnd = new Wire.SnapshotEnd { Revision = revision } }, cancellationToken);
        while (true)
        {
            while (_messages.Reader.TryRead(out var message))
            {
                await stream.WriteAsync(message, cancellationToken);
            }
            foreach (var instanceId in TakeDirty())
            {
                await SendChangeAsync(stream, instanceId, cancellationToken);
            }
            await _wake.Reader.ReadAsync(cancellationToken);
        }
    }

    /// <summary>The console of an instance on the node, from its end.</summary>
    /// <exception cref="FaultException">Unavailable: the agent did not answer; Conflict: it has no console.</exception>
    public async Task<string> ReadConsoleAsync(string instanceId, int lines, CancellationToken cancellationToken)
    {
        if (_consoles.Count >= ConsoleRequestsMax)
        {
            throw Faults.Unavailable("The hypervisor is busy with consoles; try again.");
        }
        var requestId = Interlocked.Increment(ref _lastConsole);
        var answer = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        _consoles[requestId] = answer;
        try
        {
            Send(new Wire.ControlMessage
            {
                ConsoleRequest = new Wire.ConsoleRequest { RequestId = requestId, InstanceId = instanceId, LineCount = Math.Max(lines, 0) },
            });
            return await answer.Task.WaitAsync(ConsoleTimeout, _time, cancellationToken);
        }
        catch (TimeoutException exception)
        {
            throw Faults.Unavailable("The hypervisor did not send the console in time.", exception);
        }
        finally
        {
            _consoles.TryRemove(requestId, out _);
        }
    }

    public void Answer(Wire.ConsoleOutput output)
    {
        if (!_consoles.TryGetValue(output.RequestId, out var answer))
        {
            return;
        }
        if (output.Error.Length > 0)
        {
            answer.TrySetException(Faults.Conflict(output.Error));
        }
        else
        {
            answer.TrySetResult(System.Text.Encoding.UTF8.GetString(output.Output.Span));
        }
    }

    public void Dispose() => _ended.Dispose();

    private string[] TakeDirty()
    {
        lock (_dirty)
        {
            string[] taken = [.. _dirty];
            _dirty.Clear();
            return taken;
        }
    }

    private async Task SendChangeAsync(IAsyncStreamWriter<Wire.ControlMessage> stream, string instanceId, CancellationToken cancellationToken)
    {
        if (_parts.Get(instanceId)?.OrderFor(NodeId) is { } order)
        {
            if (_sent.GetValueOrDefault(instanceId) != order.Generation)
            {
                await SendOrderAsync(stream, instanceId, order, cancellationToken);
            }
        }
        else if (_sent.Remove(instanceId))
        {
            await stream.WriteAsync(
                new Wire.ControlMessage { Forgotten = new Wire.InstanceForgotten { InstanceId = instanceId, Revision = _parts.Revision } }, cancellationToken);
        }
    }

    private async Task SendOrderAsync(IAsyncStreamWriter<Wire.ControlMessage> stream, string instanceId, Order order, CancellationToken cancellationToken)
    {
        _sent[instanceId] = order.Generation;
        await stream.WriteAsync(new Wire.ControlMessage { Instance = order.ToWire() }, cancellationToken);
    }
}

/// <summary>The agents that are connected to this process.</summary>
internal sealed class AgentSessions
{
    private readonly ConcurrentDictionary<string, AgentSession> _sessions = new(StringComparer.Ordinal);

    /// <summary>Takes over from an earlier session of the node.</summary>
    public void Open(AgentSession session)
    {
        AgentSession? before = null;
        _sessions.AddOrUpdate(session.NodeId, session, (_, old) =>
        {
            before = old;
            return session;
        });
        before?.End();
    }

    public void Close(AgentSession session) => _sessions.TryRemove(KeyValuePair.Create(session.NodeId, session));

    public AgentSession? Find(string nodeId) => _sessions.GetValueOrDefault(nodeId);

    public void Notify(string nodeId, string instanceId) => Find(nodeId)?.Notify(instanceId);

    /// <summary>Ends a session whose node is served by another one, maybe of another process.</summary>
    public void TakenOver(string nodeId, string sessionId)
    {
        if (Find(nodeId) is { } session && session.Id != sessionId)
        {
            session.End();
        }
    }
}
