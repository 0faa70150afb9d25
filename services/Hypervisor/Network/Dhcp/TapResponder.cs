using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Nephos.Hypervisor.Network.Namespaces;

namespace Nephos.Hypervisor.Network.Dhcp;

/// <summary>Answers guests on their taps: it sees a request before the bridge does, and its answer reaches that guest only.
/// No process, no address in the subnet, no lease file.</summary>
/// <typeparam name="TLease">What one guest is told; a function of its port.</typeparam>
internal abstract partial class TapResponder<TLease>(TimeProvider clock, ILogger logger) : IAsyncDisposable
    where TLease : class
{
    /// <summary>More requests than this in a second from one port are not answered.</summary>
    private const int AnswersPerSecondMax = 20;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Listener> _listeners = [];

    /// <summary>The largest frame that is ever built.</summary>
    protected abstract int AnswerBytesMax { get; }

    /// <summary>Serves exactly these taps from now on. A lease that changed is used for the next request.</summary>
    /// <param name="taps">Tap name to its device index in the namespace and the lease of its port.</param>
    public void Serve(NetworkNamespace dataPlane, IReadOnlyDictionary<string, (int Index, TLease Lease)> taps)
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
                        _listeners.Add(name, new Listener(this, Open(tap.Index), tap.Index));
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

    public virtual async ValueTask DisposeAsync()
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

    /// <summary>A socket on the device, in the namespace of the calling thread, that sees the requests and little else.</summary>
    protected abstract Socket Open(int deviceIndex);

    /// <summary>Writes the answer to a frame of a guest.</summary>
    /// <param name="answer">At least <see cref="AnswerBytesMax"/> bytes.</param>
    /// <returns>Length of the answer; 0 when there is nothing to say.</returns>
    protected abstract int Answer(ReadOnlySpan<byte> frame, TLease lease, Span<byte> answer);

    /// <summary>Tells every guest something unasked.</summary>
    /// <param name="build">Writes the frame for a lease; 0 when there is nothing to say.</param>
    /// <param name="again">Also those who were told the same last.</param>
    protected void SendToAll(Func<TLease, byte[], int> build, bool again)
    {
        lock (_lock)
        {
            foreach (var listener in _listeners.Values)
            {
                listener.Send(build, again);
            }
        }
    }

    private sealed class Listener(TapResponder<TLease> owner, Socket socket, int index) : IDisposable
    {
        private const int FrameBytesMax = 2048;

        private volatile TLease? _lease;
        private byte[] _told = [];
        private long _second;
        private int _answers;

        public int Index => index;

        public TLease Lease
        {
            set => _lease = value;
        }

        public Task Running { get; private set; } = Task.CompletedTask;

        /// <summary>True when the tap went away under the socket.</summary>
        public bool Ended => Running.IsCompleted;

        public void Start(string tap) => Running = RunAsync(tap);

        public void Send(Func<TLease, byte[], int> build, bool again)
        {
            var frame = new byte[owner.AnswerBytesMax];
            if (_lease is { } lease && build(lease, frame) is > 0 and var length && (again || !frame.AsSpan(0, length).SequenceEqual(_told)))
            {
                _told = frame[..length];
                try
                {
                    socket.Send(frame.AsSpan(0, length));
                }
                catch (Exception error) when (error is SocketException or ObjectDisposedException)
                {
                    // The device is down or gone: nobody listens.
                }
            }
        }

        public void Dispose() => socket.Dispose();

        private async Task RunAsync(string tap)
        {
            var frame = new byte[FrameBytesMax];
            var answer = new byte[owner.AnswerBytesMax];
            try
            {
                while (true)
                {
                    var length = await socket.ReceiveAsync(frame.AsMemory());
                    if (_lease is { } lease && owner.Answer(frame.AsSpan(0, length), lease, answer) is > 0 and var answerLength && MayAnswer())
                    {
                        await socket.SendAsync(answer.AsMemory(0, answerLength));
                        LogAnswered(owner.Logger, tap, answerLength);
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

    private TimeProvider Clock => clock;

    private ILogger Logger => logger;

    [LoggerMessage(LogLevel.Debug, "A request on {Tap} was answered with {Bytes} bytes")]
    private static partial void LogAnswered(ILogger logger, string tap, int bytes);

    [LoggerMessage(LogLevel.Debug, "The socket of {Tap} ended: {SocketError}")]
    private static partial void LogEnded(ILogger logger, string tap, SocketError socketError);
}
