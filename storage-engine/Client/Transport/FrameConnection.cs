using System.Net.Sockets;
using System.Threading.Channels;

namespace Nephos.Client.Transport;

/// <summary>A frame that waits for its turn on a connection.</summary>
internal abstract class OutgoingFrame
{
    public required FrameKind Kind { get; init; }

    public required ushort Method { get; init; }

    public required uint Call { get; init; }

    public required ReadOnlyMemory<byte> Head { get; init; }

    public ReadOnlyMemory<byte> Payload { get; init; }

    /// <summary>Its memory is used from here on; false when it was taken back meanwhile.</summary>
    public abstract bool TryBegin();

    /// <summary>Its memory is no longer used.</summary>
    public abstract void End();
}

/// <summary>What becomes of the frames that arrive on a connection.</summary>
internal interface IFrameReceiver
{
    /// <summary>Where the payload of the frame goes: exactly as long as the header says, or empty to throw it away.</summary>
    Memory<byte> Prepare(in FrameHeader header);

    /// <summary>The frame is whole and undamaged. The next one is read when this completes.</summary>
    ValueTask ReceiveAsync(FrameHeader header, byte[] head);
}

/// <summary>Sends and receives frames on one socket: small ones gathered, large payloads from and to where they lie.</summary>
internal sealed class FrameConnection(Socket socket, TimeProvider time)
{
    private const int BufferBytes = 128 << 10;
    private const int CopiedBytesMax = 16 << 10;
    private readonly Channel<OutgoingFrame> _outgoing = Channel.CreateUnbounded<OutgoingFrame>(new UnboundedChannelOptions { SingleReader = true });
    private readonly byte[] _gathered = GC.AllocateUninitializedArray<byte>(BufferBytes, pinned: true);
    private readonly byte[] _received = GC.AllocateUninitializedArray<byte>(BufferBytes, pinned: true);
    private int _gatheredBytes;
    private int _receivedFrom;
    private int _receivedTo;
    private long _lastReceived = time.GetTimestamp();

    /// <summary>When something last came from the other side (a timestamp of the time provider).</summary>
    public long LastReceived => Volatile.Read(ref _lastReceived);

    /// <summary>False when the connection has ended; the caller bounds how much waits.</summary>
    public bool TrySend(OutgoingFrame frame) => _outgoing.Writer.TryWrite(frame);

    /// <summary>Ends the connection soon.</summary>
    public void Abort() => socket.Dispose();

    /// <summary>Completes when the connection has ended and no memory of any frame is in use. Says why.</summary>
    public async Task<Exception> RunAsync(IFrameReceiver receiver)
    {
        var sending = SendAllAsync();
        var receiving = ReceiveAllAsync(receiver);
        var first = await Task.WhenAny(sending, receiving);
        var reason = await first;
        _outgoing.Writer.TryComplete();
        socket.Dispose();
        await Task.WhenAll(sending, receiving);
        while (_outgoing.Reader.TryRead(out var unsent))
        {
            unsent.End();
        }

        return reason;
    }

    private async Task<Exception> SendAllAsync()
    {
        try
        {
            while (await _outgoing.Reader.WaitToReadAsync())
            {
                while (_outgoing.Reader.TryRead(out var frame))
                {
                    await SendAsync(frame);
                }

                await FlushAsync();
            }

            return new IOException("The connection was closed.");
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException or IOException)
        {
            return failure;
        }
    }

    private async ValueTask SendAsync(OutgoingFrame frame)
    {
        if (!frame.TryBegin())
        {
            return;
        }

        var (head, payload) = (frame.Head, frame.Payload);
        var checksum = FrameHeader.Checksum(head.Span, payload.Span);
        if (BufferBytes - _gatheredBytes < FrameHeader.SizeBytes)
        {
            await FlushAsync();
        }

        new FrameHeader(frame.Kind, frame.Method, frame.Call, head.Length, payload.Length, checksum).Write(_gathered.AsSpan(_gatheredBytes));
        _gatheredBytes += FrameHeader.SizeBytes;
        await AddAsync(head);
        await AddAsync(payload);
        frame.End();
    }

    private async ValueTask AddAsync(ReadOnlyMemory<byte> bytes)
    {
        if (bytes.Length > BufferBytes - _gatheredBytes || bytes.Length > CopiedBytesMax)
        {
            await FlushAsync();
        }

        if (bytes.Length > CopiedBytesMax)
        {
            await SendAsync(bytes);
            return;
        }

        bytes.Span.CopyTo(_gathered.AsSpan(_gatheredBytes));
        _gatheredBytes += bytes.Length;
    }

    private async ValueTask FlushAsync()
    {
        var bytes = _gatheredBytes;
        _gatheredBytes = 0;
        await SendAsync(_gathered.AsMemory(0, bytes));
    }

    private async ValueTask SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await socket.SendAsync(bytes)..];
        }
    }

    private async Task<Exception> ReceiveAllAsync(IFrameReceiver receiver)
    {
        try
        {
            while (true)
            {
                await FillAsync(FrameHeader.SizeBytes);
                var header = FrameHeader.Read(_received.AsSpan(_receivedFrom));
                _receivedFrom += FrameHeader.SizeBytes;
                var head = header.HeadBytes == 0 ? [] : GC.AllocateUninitializedArray<byte>(header.HeadBytes);
                await TakeAsync(head);
                var payload = receiver.Prepare(header);
                if (payload.Length != header.PayloadBytes)
                {
                    payload = new byte[header.PayloadBytes];
                }

                await TakeAsync(payload);
                if (FrameHeader.Checksum(head, payload.Span) != header.BodyChecksum)
                {
                    throw new InvalidDataException("A frame was damaged on its way.");
                }

                await receiver.ReceiveAsync(header, head);
            }
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException or IOException or InvalidDataException)
        {
            return failure;
        }
    }

    /// <summary>Brings at least so many bytes together at the front of what was received.</summary>
    private async ValueTask FillAsync(int bytes)
    {
        while (_receivedTo - _receivedFrom < bytes)
        {
            if (BufferBytes - _receivedFrom < bytes)
            {
                _received.AsSpan(_receivedFrom, _receivedTo - _receivedFrom).CopyTo(_received);
                (_receivedFrom, _receivedTo) = (0, _receivedTo - _receivedFrom);
            }

            _receivedTo += await ReceiveAsync(_received.AsMemory(_receivedTo));
        }
    }

    private async ValueTask TakeAsync(Memory<byte> destination)
    {
        var here = Math.Min(destination.Length, _receivedTo - _receivedFrom);
        _received.AsSpan(_receivedFrom, here).CopyTo(destination.Span);
        _receivedFrom += here;
        destination = destination[here..];
        if (_receivedFrom == _receivedTo)
        {
            (_receivedFrom, _receivedTo) = (0, 0);
        }

        while (!destination.IsEmpty)
        {
            destination = destination[await ReceiveAsync(destination)..];
        }
    }

    private async ValueTask<int> ReceiveAsync(Memory<byte> destination)
    {
        var count = await socket.ReceiveAsync(destination);
        Volatile.Write(ref _lastReceived, time.GetTimestamp());
        return count > 0 ? count : throw new IOException("The other side closed the connection.");
    }
}
