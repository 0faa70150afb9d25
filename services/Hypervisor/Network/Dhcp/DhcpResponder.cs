using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Nephos.Hypervisor.Network.Namespaces;

namespace Nephos.Hypervisor.Network.Dhcp;

/// <summary>Answers DHCP on the taps of guests: it sees a request before the bridge does, and its answer reaches that guest only.
/// No process, no address in the subnet, no lease file.</summary>
internal sealed partial class DhcpResponder(Mac serverMac, TimeProvider clock, ILogger<DhcpResponder> logger) : IAsyncDisposable
{
    /// <summary>More requests than this in a second from one port are not answered.</summary>
    private const int AnswersPerSecondMax = 20;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Listener> _listeners = [];

    /// <summary>Serves exactly these taps from now on. A lease that changed is used for the next request.</summary>
    /// <param name="taps">Tap name to its device index in the namespace and the lease of its port.</param>
    public void Serve(NetworkNamespace dataPlane, IReadOnlyDictionary<string, (int Index, DhcpLease Lease)> taps)
    {
        lock (_lock)
        {
            foreach (var (name, listener) in _listeners.Where(listener =>
                !taps.TryGetValue(listener.Key, out var tap) || tap.Index != listener.Value.Index || listener.Value.Ended).ToList())
            {
                listener.Dispose();
                _listeners.Remove(name);
            }

            var missing = taps.Where(tap => !_listeners.ContainsKey(tap.Key)).ToList();
            if (missing.Count > 0)
            {
                dataPlane.Run(() =>
                {
                    foreach (var (name, tap) in missing)
                    {
                        _listeners.Add(name, new Listener(this, PacketSocket.OpenForDhcp(tap.Index), tap.Index));
                    }
                });
            }

            foreach (var (name, tap) in taps)
            {
                _listeners[name].Lease = tap.Lease;
            }

            foreach (var (name, _) in missing)
            {
                _listeners[name].Start(name);
            }
        }
    }

    /// <summary>Serves nobody until the next call of <see cref="Serve"/>.</summary>
    public void StopListening()
    {
        lock (_lock)
        {
            foreach (var listener in _listeners.Values)
            {
                listener.Dispose();
            }

            _listeners.Clear();
        }
    }

    public async ValueTask DisposeAsync()
    {
        List<Listener> listeners;
        lock (_lock)
        {
            listeners = [.. _listeners.Values];
            _listeners.Clear();
        }

        foreach (var listener in listeners)
        {
            listener.Dispose();
            await listener.Running;
        }
    }

    private sealed class Listener(DhcpResponder owner, Socket socket, int index) : IDisposable
    {
        private const int FrameBytesMax = 2048;

        private volatile DhcpLease? _lease;
        private long _second;
        private int _answers;

        public int Index => index;

        public DhcpLease Lease
        {
            set => _lease = value;
        }

        public Task Running { get; private set; } = Task.CompletedTask;

        /// <summary>True when the tap went away under the socket.</summary>
        public bool Ended => Running.IsCompleted;

        public void Start(string tap) => Running = RunAsync(tap);

        public void Dispose() => socket.Dispose();

        private async Task RunAsync(string tap)
        {
            var frame = new byte[FrameBytesMax];
            var answer = new byte[DhcpReply.FrameBytesMax];
            try
            {
                while (true)
                {
                    var length = await socket.ReceiveAsync(frame.AsMemory());
                    if (_lease is { } lease && DhcpRequest.TryParse(frame.AsSpan(0, length), out var request) && MayAnswer())
                    {
                        var answerLength = DhcpReply.Build(request, lease, owner.ServerMac, answer);
                        if (answerLength > 0)
                        {
                            await socket.SendAsync(answer.AsMemory(0, answerLength));
                            LogAnswered(owner.Logger, tap, request.Type, lease.Address);
                        }
                    }
                }
            }
            catch (ObjectDisposedException)
            {
                // The port is not served any more.
            }
            catch (SocketException error)
            {
                // The device went away or down; the next apply opens it again when it is still wanted.
                LogEnded(owner.Logger, tap, error.SocketErrorCode);
                socket.Dispose();
            }
        }

        private bool MayAnswer()
        {
            var second = owner.Clock.GetTimestamp() / owner.Clock.TimestampFrequency;
            if (second != _second)
            {
                (_second, _answers) = (second, 0);
            }

            return ++_answers <= AnswersPerSecondMax;
        }
    }

    private Mac ServerMac => serverMac;

    private TimeProvider Clock => clock;

    private ILogger Logger => logger;

    [LoggerMessage(LogLevel.Debug, "DHCP {RequestType} on {Tap} answered with {Address}")]
    private static partial void LogAnswered(ILogger logger, string tap, DhcpMessageType requestType, System.Net.IPAddress address);

    [LoggerMessage(LogLevel.Debug, "DHCP socket of {Tap} ended: {SocketError}")]
    private static partial void LogEnded(ILogger logger, string tap, SocketError socketError);
}
