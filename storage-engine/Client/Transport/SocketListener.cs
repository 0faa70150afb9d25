using System.Net.Sockets;
using System.Text;
using Nephos.Client.Objects;

namespace Nephos.Client.Transport;

/// <summary>Accepts connections at one address and hands their calls to the handler.</summary>
internal sealed class SocketListener : IAsyncDisposable
{
    private const int Backlog = 512;
    private const int PayloadsKept = 32;
    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(5);
    private readonly StorageAddress _address;
    private readonly CallHandler _handler;
    private readonly ReadOnlyMemory<byte> _key;
    private readonly TimeProvider _time;
    private readonly Socket _socket;
    private readonly FramePool _pool = new(PayloadsKept);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly HashSet<Socket> _accepted = [];
    private readonly List<Task> _serving = [];
    private readonly Task _accepting;

    public SocketListener(StorageAddress address, CallHandler handler, ReadOnlyMemory<byte> key, TimeProvider time)
    {
        (_address, _handler, _key, _time, _socket) = (address, handler, key, time, address.NewSocket());
        try
        {
            if (address.IsUnix)
            {
                // A file that a killed process left; one that listens holds the lock of its state directory.
                File.Delete(address.Path);
            }

            _socket.Bind(address.ToEndPoint());
            if (address.IsUnix)
            {
                File.SetUnixFileMode(address.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }

            _socket.Listen(Backlog);
        }
        catch (SocketException failure)
        {
            _socket.Dispose();
            throw new IOException($"Cannot listen on {address}: {failure.Message}", failure);
        }

        _accepting = AcceptAsync();
    }

    public async ValueTask DisposeAsync()
    {
        _stop.Cancel();
        _socket.Dispose();
        await _accepting;
        List<Task> serving;
        lock (_gate)
        {
            foreach (var socket in _accepted)
            {
                socket.Dispose();
            }

            serving = [.. _serving];
        }

        await Task.WhenAll(serving);
        if (_address.IsUnix)
        {
            File.Delete(_address.Path);
        }

        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var socket = await _socket.AcceptAsync(_stop.Token);
                if (!_address.IsUnix)
                {
                    socket.NoDelay = true;
                }

                lock (_gate)
                {
                    _accepted.Add(socket);
                    _serving.RemoveAll(t => t.IsCompleted);
                    _serving.Add(ServeAsync(socket));
                }
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SocketException)
            {
                // This connection came to nothing; out of descriptors, the others go on meanwhile.
                await Task.Delay(TimeSpan.FromMilliseconds(50), _time, CancellationToken.None);
            }
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            using (var limit = new CancellationTokenSource(HandshakeTimeout, _time))
            using (var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _stop.Token))
            {
                await Handshake.AsServerAsync(socket, _key, either.Token);
            }

            await new ServerConnection(new FrameConnection(socket, _time), _handler, _pool).RunAsync();
        }
        catch (Exception failure) when (failure is SocketException or IOException or OperationCanceledException or ObjectDisposedException)
        {
            // A stranger, or the end.
        }
        finally
        {
            socket.Dispose();
            lock (_gate)
            {
                _accepted.Remove(socket);
            }
        }
    }
}

/// <summary>The calls of one client, some at a time: more wait in the socket.</summary>
internal sealed class ServerConnection(FrameConnection frames, CallHandler handler, FramePool pool) : IFrameReceiver
{
    private const int CallsMax = 1024;
    private const int PayloadsMax = 32;
    private readonly SemaphoreSlim _calls = new(CallsMax);
    private readonly SemaphoreSlim _payloads = new(PayloadsMax);
    private Frame? _payload;

    public async Task RunAsync()
    {
        await frames.RunAsync(this);
        _payload?.Release();

        // Handlers under way still use their buffers.
        for (var call = 0; call < CallsMax; call++)
        {
            await _calls.WaitAsync();
        }
    }

    public Memory<byte> Prepare(in FrameHeader header)
    {
        if (header.PayloadBytes == 0)
        {
            return default;
        }

        _payload = pool.Rent();
        return _payload.Memory[..header.PayloadBytes];
    }

    public async ValueTask ReceiveAsync(FrameHeader header, byte[] head)
    {
        await _calls.WaitAsync();
        var payload = _payload;
        if (payload is not null)
        {
            await _payloads.WaitAsync();
        }

        _payload = null;
        _ = AnswerAsync(new IncomingCall(header.Method, head, payload is null ? default : payload.Memory[..header.PayloadBytes]), header.Call, payload);
    }

    private async Task AnswerAsync(IncomingCall call, uint number, Frame? payload)
    {
        Answer answer;
        try
        {
            var result = await handler(call);
            answer = new Answer(result.Owner) { Kind = FrameKind.Reply, Method = call.Method, Call = number, Head = result.Head, Payload = result.Payload };
        }
        catch (Exception failure)
        {
            // Whatever it was, the caller is told; it knows what it asked for.
            answer = new Answer(null)
            {
                Kind = FrameKind.Refusal, Method = call.Method, Call = number, Head = Encoding.UTF8.GetBytes($"{failure.GetType().Name}: {failure.Message}"),
            };
        }

        if (payload is not null)
        {
            payload.Release();
            _payloads.Release();
        }

        if (!frames.TrySend(answer))
        {
            answer.End();
        }

        _calls.Release();
    }

    private sealed class Answer(IDisposable? owner) : OutgoingFrame
    {
        public override bool TryBegin() => true;

        public override void End() => owner?.Dispose();
    }
}
