using System.Net.Sockets;
using System.Text;

namespace Nephos.Client.Transport;

/// <summary>One life of a channel's connection: from connecting until it is lost.</summary>
internal sealed class ClientConnection : IFrameReceiver
{
    private const int CallsMax = 16_384;
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan ExpiryPeriod = TimeSpan.FromMilliseconds(100);
    private readonly StorageAddress _address;
    private readonly ReadOnlyMemory<byte> _key;
    private readonly TimeProvider _time;
    private readonly Socket _socket;
    private readonly FrameConnection _frames;
    private readonly Lock _gate = new();
    private readonly Dictionary<uint, PendingCall> _pending = [];
    private uint _lastCall;
    private bool _hasEnded;

    public ClientConnection(StorageAddress address, ReadOnlyMemory<byte> key, TimeProvider time)
    {
        (_address, _key, _time, _socket) = (address, key, time, address.NewSocket());
        _frames = new FrameConnection(_socket, time);
    }

    /// <summary>Whether it ever was connected.</summary>
    public bool WasConnected { get; private set; }

    /// <summary>Null when the connection has ended.</summary>
    public PendingCall? TryAdd(in StorageCall call)
    {
        lock (_gate)
        {
            if (_hasEnded)
            {
                return null;
            }

            if (_pending.Count >= CallsMax)
            {
                throw new StorageUnreachableException($"{CallsMax} calls to {_address} wait already.", isOutcomeUnknown: false);
            }

            var pending = new PendingCall
            {
                Kind = FrameKind.Call,
                Method = call.Method,
                Call = ++_lastCall,
                Head = call.Head,
                Payload = call.Payload,
                Destination = call.Destination,
                Timeout = call.Timeout,
                Due = _time.GetTimestamp() + (long)(call.Timeout.TotalSeconds * _time.TimestampFrequency),
            };
            _pending.Add(pending.Call, pending);
            _frames.TrySend(pending);
            return pending;
        }
    }

    /// <summary>Connects and carries calls; completes when the connection is lost and every call has its outcome.</summary>
    public async Task RunAsync()
    {
        Exception reason;
        using (_time.CreateTimer(_ => ExpireOverdue(), null, ExpiryPeriod, ExpiryPeriod))
        {
            try
            {
                using (var limit = new CancellationTokenSource(ConnectTimeout, _time))
                {
                    await _socket.ConnectAsync(_address.ToEndPoint(), limit.Token);
                    await Handshake.AsClientAsync(_socket, _key, limit.Token);
                }

                WasConnected = true;
                reason = await _frames.RunAsync(this);
            }
            catch (Exception failure) when (failure is SocketException or IOException or OperationCanceledException or ObjectDisposedException)
            {
                reason = failure;
            }
        }

        _socket.Dispose();
        List<PendingCall> lost;
        lock (_gate)
        {
            _hasEnded = true;
            lost = [.. _pending.Values];
            _pending.Clear();
        }

        var unreachable = new IOException($"{_address} cannot be reached: {reason.Message}", reason);
        lost.ForEach(call => call.Fail(unreachable));
    }

    public void Abort() => _frames.Abort();

    public Memory<byte> Prepare(in FrameHeader header)
    {
        lock (_gate)
        {
            return _pending.TryGetValue(header.Call, out var call) && call.TryReceive() && header.PayloadBytes <= call.Destination.Length
                ? call.Destination[..header.PayloadBytes]
                : default;
        }
    }

    public ValueTask ReceiveAsync(FrameHeader header, byte[] head)
    {
        PendingCall? call;
        lock (_gate)
        {
            _pending.Remove(header.Call, out call);
        }

        if (call is null)
        {
            // It was given up before its answer came.
        }
        else if (header.Kind == FrameKind.Refusal)
        {
            call.Refuse(Encoding.UTF8.GetString(head));
        }
        else if (header.PayloadBytes > call.Destination.Length)
        {
            call.Refuse($"The answer has {header.PayloadBytes} bytes of payload, room is for {call.Destination.Length}.");
        }
        else
        {
            call.Complete(new CallReply(head, header.PayloadBytes));
        }

        return ValueTask.CompletedTask;
    }

    private void ExpireOverdue()
    {
        var now = _time.GetTimestamp();
        var isDead = false;
        lock (_gate)
        {
            foreach (var call in _pending.Values.Where(c => c.Due <= now).ToList())
            {
                // Silence, or a frame that does not get on: the next call had better connect anew.
                isDead |= _time.GetElapsedTime(_frames.LastReceived, now) > call.Timeout;
                if (call.TryExpire($"{_address} did not answer within {call.Timeout.TotalSeconds:0.###} s."))
                {
                    _pending.Remove(call.Call);
                }
                else
                {
                    isDead = true;
                }
            }
        }

        if (isDead)
        {
            _frames.Abort();
        }
    }
}
