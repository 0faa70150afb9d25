using System.Buffers.Binary;
using System.Net.Sockets;
using Nephos.Client.Volumes;

namespace Nephos.Client.Nbd;

/// <summary>One client: a thread that receives requests, does them and answers, and one that waits for flushes.</summary>
/// <remarks>
/// All requests that are in the receive buffer are done before anything is sent, neighbouring writes with one call to the head, and their answers leave
/// with one system call. The payload of a write is taken where it was received, the data of a read goes where it is sent from. Nothing is allocated per
/// request. A flush does not hold up the requests behind it: the second thread waits for the disk and answers all flushes that came meanwhile at once.
/// </remarks>
internal sealed partial class NbdConnection : IDisposable
{
    private const int ReceiveBytes = 1 << 20;
    private const int SendBytes = 640 << 10;

    /// <summary>Data of a read is read and sent in parts of this size, which stay in the processor's cache.</summary>
    private const int SliceBytes = 256 << 10;

    /// <summary>How long the server waits for each part of the handshake.</summary>
    private const int HandshakeTimeoutMs = 30_000;

    private const int HandshakeTimeMaxMs = 120_000;

    private const int BatchWritesMax = 64;
    private const int RangesMax = 2048;

    private readonly Socket _socket;
    private readonly Func<string, string?, INbdExport?> _findExport;
    private readonly NbdTls? _tls;
    private readonly Action<NbdConnection, NbdSession> _beforeServing;
    private readonly RateLimit _rate;
    private readonly ManualResetEventSlim _closing = new();
    private readonly Lock _sending = new();
    private readonly ulong[] _writeCookies = new ulong[BatchWritesMax];
    private readonly bool[] _writeDurable = new bool[BatchWritesMax];
    private readonly BlockRange[] _ranges = new BlockRange[RangesMax];
    private readonly Func<int, Span<byte>> _scratchSource;
    private NbdChannel _channel;
    private NativeBuffer? _send;
    private NativeBuffer? _scratch;
    private NbdFlusher? _flusher;
    private NbdSession? _session;
    private int _sendEnd;

    public NbdConnection(
        long number, Socket socket, Func<string, string?, INbdExport?> findExport, Action<NbdConnection, NbdSession> beforeServing, RateLimit rate, NbdTls? tls = null)
    {
        Number = number;
        _socket = socket;
        _channel = new PlainChannel(socket);
        _findExport = findExport;
        _tls = tls;
        _beforeServing = beforeServing;
        _rate = rate;
        _scratchSource = Scratch;
        Thread = new Thread(Run, maxStackSize: 512 << 10) { IsBackground = true, Name = "nbd connection" };
    }

    public Thread Thread { get; }

    /// <summary>Grows from one connection of a server to the next.</summary>
    public long Number { get; }

    /// <summary>The client said goodbye.</summary>
    public bool DisconnectedCleanly { get; private set; }

    /// <summary>What is served; null during the handshake.</summary>
    public INbdExport? Export => _session?.Export;

    public bool PeerIsGone => LibcSocket.HasHungUp(_socket.SafeHandle);

    /// <summary>Called by the thread of the connection when it ends.</summary>
    public Action<NbdConnection>? OnEnded { get; set; }

    /// <summary>Ends the connection; its thread finishes the request it does.</summary>
    public void Close()
    {
        _closing.Set();
        try { _socket.Shutdown(SocketShutdown.Both); }
        catch (Exception e) when (e is SocketException or ObjectDisposedException) { }
    }

    /// <summary>Serves the client until it is gone. What the thread of the connection does.</summary>
    public void Run()
    {
        try
        {
            _socket.ReceiveTimeout = HandshakeTimeoutMs;
            if (Greet() is not { } session) return;
            _socket.ReceiveTimeout = 0;
            _beforeServing(this, session);
            _session = session;
            _receive = new NativeBuffer(ReceiveBytes);
            TakeBatch();
            _send = new NativeBuffer(SendBytes);
            Serve(session);
        }
        catch (SocketException)
        {
            // Closed by the other thread between two calls.
        }
        catch (ObjectDisposedException)
        {
        }
        finally
        {
            _flusher?.Dispose();
            _channel.Dispose();
            FreeBuffers();
            _send?.Dispose();
            _scratch?.Dispose();
            OnEnded?.Invoke(this);
        }
    }

    private NbdSession? Greet()
    {
        // Also a client that says a word now and then has to come to the point.
        using var deadline = new Timer(_ => Close(), null, HandshakeTimeMaxMs, Timeout.Infinite);
        var handshake = new NbdHandshake(_channel, _findExport, _tls);
        var session = handshake.Run();
        _channel = handshake.Channel;
        return session;
    }

    private void Serve(NbdSession session)
    {
        int start = 0, end = 0;
        while (!_closing.IsSet)
        {
            var wanted = 0;
            var receive = _receive;
            while (end - start >= NbdProtocol.RequestBytes)
            {
                if (!TryParse(receive.Span[start..], out var request)) return;
                var payload = request.Command == NbdCommand.Write ? request.Length : 0;
                if (payload > ReceiveBytes - NbdProtocol.RequestBytes)
                {
                    start += NbdProtocol.RequestBytes;
                    if (!Submit()) return;
                    OwnReceiveBuffer(ref start, ref end);
                    if (!ReceiveLargeWrite(session, request, start, end)) return;
                    receive = _receive;
                    start = end = 0;
                    continue;
                }
                wanted = NbdProtocol.RequestBytes + (int)payload;
                if (end - start < wanted) break;
                var next = Handle(session, request, start + NbdProtocol.RequestBytes);
                if (!next) return;
                start += wanted;
                wanted = 0;
            }
            if (!Submit() || !SendAnswers()) return;
            var roomBehind = ReceiveBytes - start >= Math.Max(wanted, NbdProtocol.RequestBytes);
            if (!roomBehind || !IsLent) OwnReceiveBuffer(ref start, ref end);
            receive = _receive;
            if (start == end && !IsLent)
            {
                start = end = 0;
            }
            else if (!roomBehind && start > 0)
            {
                receive.Span[start..end].CopyTo(receive.Span);
                end -= start;
                start = 0;
            }
            // A long payload is received to its end and no further: then the buffer is empty again and nothing has to be moved.
            var room = wanted > SliceBytes / 4 ? start + wanted - end : ReceiveBytes - end;
            var received = _channel.Receive(receive, end, room);
            if (received <= 0) return;
            end += received;
        }
    }

    private static bool TryParse(ReadOnlySpan<byte> header, out NbdRequest request)
    {
        request = default;
        if (BinaryPrimitives.ReadUInt32BigEndian(header) != NbdProtocol.RequestMagic) return false;
        request = new NbdRequest(
            (NbdCommandFlags)BinaryPrimitives.ReadUInt16BigEndian(header[4..]),
            (NbdCommand)BinaryPrimitives.ReadUInt16BigEndian(header[6..]),
            BinaryPrimitives.ReadUInt64BigEndian(header[8..]),
            BinaryPrimitives.ReadUInt64BigEndian(header[16..]),
            BinaryPrimitives.ReadUInt32BigEndian(header[24..]));
        return true;
    }

    private static NbdCommandFlags AllowedFlags(NbdCommand command) => command switch
    {
        NbdCommand.Read => NbdCommandFlags.Fua | NbdCommandFlags.DontFragment,
        NbdCommand.WriteZeroes => NbdCommandFlags.Fua | NbdCommandFlags.NoHole | NbdCommandFlags.FastZero,
        NbdCommand.BlockStatus => NbdCommandFlags.Fua | NbdCommandFlags.RequestOne,
        _ => NbdCommandFlags.Fua,
    };

    // What is wrong with a request before anything is done.
    private static NbdError Check(NbdSession session, in NbdRequest request)
    {
        if (request.Command > NbdCommand.BlockStatus || (request.Flags & ~AllowedFlags(request.Command)) != 0) return NbdError.Invalid;
        if (request.Command == NbdCommand.Flush) return request.Offset == 0 && request.Length == 0 ? NbdError.None : NbdError.Invalid;
        var writes = request.Command is NbdCommand.Write or NbdCommand.Trim or NbdCommand.WriteZeroes;
        if (writes && session.Export.ReadOnly) return NbdError.NotPermitted;
        if (request.Command == NbdCommand.BlockStatus && (session.Contexts.Count == 0 || request.Length == 0)) return NbdError.Invalid;
        if (request.Command is NbdCommand.Read or NbdCommand.Write && request.Length > NbdProtocol.PayloadBytesMax) return NbdError.Invalid;
        var size = (ulong)session.SizeBytes;
        if (request.Offset > size || request.Length > size - request.Offset)
            return request.Command is NbdCommand.Write or NbdCommand.WriteZeroes ? NbdError.NoSpace : NbdError.Invalid;
        return NbdError.None;
    }

    // False ends the connection.
    private bool Handle(NbdSession session, in NbdRequest request, int payloadStart)
    {
        if (request.Command == NbdCommand.Disconnect)
        {
            DisconnectedCleanly = true;
            Submit();
            SendAnswers();
            return false;
        }
        var error = Check(session, in request);
        if (error != NbdError.None) return Fail(session, in request, error);
        if (!WaitForRate(request.Length, KindOf(request.Command))) return false;
        var durable = (request.Flags & NbdCommandFlags.Fua) != 0;
        switch (request.Command)
        {
            case NbdCommand.Read:
                return request.Length == 0 ? AnswerEmptyRead(session, request.Cookie) : Read(session, in request);
            case NbdCommand.Write:
                return Write(session, in request, payloadStart, durable);
            case NbdCommand.Flush:
                // What never changes has nothing to flush.
                return session.Export.Head is null ? AnswerSimple(request.Cookie, NbdError.None) : Submit() && FlushLater(request.Cookie);
            case NbdCommand.Trim:
                return Trim(session, in request, durable);
            case NbdCommand.WriteZeroes:
                return WriteZeroes(session, in request, durable);
            case NbdCommand.BlockStatus:
                return Submit() && BlockStatus(session, in request);
            default:
                // CACHE: everything is where it is read from; there is nothing to fetch.
                return AnswerSimple(request.Cookie, NbdError.None);
        }
    }

    // Requests that change something get here only when there is one.
    private static VolumeHead HeadOf(NbdSession session) => session.Export.Head!;

    private static IoKind KindOf(NbdCommand command) => command switch
    {
        NbdCommand.Read => IoKind.Read,
        NbdCommand.Write or NbdCommand.WriteZeroes or NbdCommand.Trim => IoKind.Write,
        _ => IoKind.Other,
    };

    // Waiting here leaves requests in the socket, where they hold back the client.
    private bool WaitForRate(uint length, IoKind kind)
    {
        var wait = _rate.Take(length, kind);
        if (wait == TimeSpan.Zero) return true;
        return Submit() && SendAnswers() && !_closing.Wait(wait);
    }

    private bool Write(NbdSession session, in NbdRequest request, int payloadStart, bool durable)
    {
        if (request.Length == 0) return AnswerSimple(request.Cookie, NbdError.None);
        if (((long)request.Offset | request.Length) % VolumeHead.BlockBytes == 0)
        {
            return Add(
                new BlockWrite { Offset = (long)request.Offset, Length = request.Length, Data = _receive.Address(payloadStart) }, request.Cookie, durable);
        }
        if (!Submit()) return false;
        var payload = _receive.Span.Slice(payloadStart, (int)request.Length);
        return Finish(HeadOf(session).WriteUnaligned((long)request.Offset, request.Length, payload), request.Cookie, durable);
    }

    // A hint: what does not fill a block stays (B14).
    private bool Trim(NbdSession session, in NbdRequest request, bool durable)
    {
        var start = VolumeHead.RoundUp((long)request.Offset);
        var end = ((long)request.Offset + request.Length) / VolumeHead.BlockBytes * VolumeHead.BlockBytes;
        _ = session;
        return end <= start
            ? AnswerSimple(request.Cookie, NbdError.None)
            : Add(new BlockWrite { Offset = start, Length = end - start, Kind = BlockWriteKind.Zero }, request.Cookie, durable);
    }

    // All zeroing is a change of the map, so it is always fast (B15).
    private bool WriteZeroes(NbdSession session, in NbdRequest request, bool durable)
    {
        if (request.Length == 0) return AnswerSimple(request.Cookie, NbdError.None);
        if (((long)request.Offset | request.Length) % VolumeHead.BlockBytes == 0)
        {
            return Add(
                new BlockWrite { Offset = (long)request.Offset, Length = request.Length, Kind = BlockWriteKind.Zero }, request.Cookie, durable);
        }
        return Submit() && Finish(HeadOf(session).WriteUnaligned((long)request.Offset, request.Length, []), request.Cookie, durable);
    }

    private bool Add(BlockWrite write, ulong cookie, bool durable)
    {
        _writeCookies[_batch.Count] = cookie;
        _writeDurable[_batch.Count] = durable;
        HeadOf(_session!).Prepare(in write);
        _batch.Add(write);
        return _batch.Count < BatchWritesMax || Submit();
    }

    // Does the writes that were collected. False ends the connection.
    private bool Submit()
    {
        var count = _batch.Count;
        if (count == 0) return true;
        var status = HeadOf(_session!).Write(_batch);
        if (status != ReplicaStatus.Ok && count > 1) return SubmitEach();
        NextBatch();
        for (var i = 0; i < count; i++)
            if (!Finish(status, _writeCookies[i], _writeDurable[i])) return false;
        return true;
    }

    // One that is refused must not take the others with it: each for itself. Doing one twice changes nothing, none is answered yet.
    private bool SubmitEach()
    {
        BlockWrite[] writes = [.. _batch.Span];
        NextBatch();
        for (var i = 0; i < writes.Length; i++)
        {
            _batch.Add(writes[i]);
            var status = HeadOf(_session!).Write(_batch);
            NextBatch();
            if (!Finish(status, _writeCookies[i], _writeDurable[i])) return false;
        }
        return true;
    }

    private bool Finish(ReplicaStatus status, ulong cookie, bool durable)
    {
        if (status == ReplicaStatus.Ok && durable) return FlushLater(cookie);
        return TryError(status, out var error) && AnswerSimple(cookie, error);
    }

    // Trouble that another head or another moment can heal is never told to the client as an error: the connection goes, and the client comes
    // back with the request (B30).
    private static bool TryError(ReplicaStatus status, out NbdError error)
    {
        error = status switch
        {
            ReplicaStatus.Ok => NbdError.None,
            ReplicaStatus.NoSpace => NbdError.NoSpace,
            ReplicaStatus.OutOfRange => NbdError.Invalid,
            _ => NbdError.InputOutput,
        };
        return status is not (ReplicaStatus.Fenced or ReplicaStatus.NotFound or ReplicaStatus.Closing);
    }

    private bool FlushLater(ulong cookie)
    {
        _flusher ??= new NbdFlusher(HeadOf(_session!), SendFlushed);
        return _flusher.Add(cookie);
    }

    // By the flusher's thread.
    private bool SendFlushed(ReadOnlySpan<ulong> cookies, ReplicaStatus status)
    {
        if (!TryError(status, out var error))
        {
            Close();
            return false;
        }
        Span<byte> answers = stackalloc byte[cookies.Length * NbdProtocol.SimpleReplyBytes];
        for (var i = 0; i < cookies.Length; i++) WriteSimple(answers[(i * NbdProtocol.SimpleReplyBytes)..], cookies[i], error);
        lock (_sending) return _channel.SendAll(answers);
    }

    // A write too long for the buffer: received and done in parts.
    private bool ReceiveLargeWrite(NbdSession session, in NbdRequest request, int payloadStart, int end)
    {
        // Nothing that answers to the protocol sends so much; receiving gigabytes to say no helps nobody.
        if (request.Length > 2 * NbdProtocol.PayloadBytesMax) return false;
        var error = Check(session, in request);
        if (error == NbdError.None && !WaitForRate(request.Length, IoKind.Write)) return false;
        var status = ReplicaStatus.Ok;
        var have = end - payloadStart;
        _receive.Span[payloadStart..end].CopyTo(_receive.Span);
        for (var done = 0L; done < request.Length;)
        {
            var part = (int)Math.Min(request.Length - done, ReceiveBytes / 2);
            while (have < part)
            {
                // Never beyond the request: what follows it must begin at the start of the buffer.
                var received = _channel.Receive(_receive, have, part - have);
                if (received <= 0) return false;
                have += received;
            }
            if (error == NbdError.None && status == ReplicaStatus.Ok) status = WritePart(session, (long)request.Offset + done, part);
            done += part;
            var (from, to) = (part, have);
            OwnReceiveBuffer(ref from, ref to);
            _receive.Span[from..to].CopyTo(_receive.Span);
            have -= part;
        }
        return error != NbdError.None
            ? AnswerSimple(request.Cookie, error)
            : Finish(status, request.Cookie, (request.Flags & NbdCommandFlags.Fua) != 0);
    }

    private ReplicaStatus WritePart(NbdSession session, long offset, int length)
    {
        if ((offset | (long)length) % VolumeHead.BlockBytes != 0)
            return HeadOf(session).WriteUnaligned(offset, length, _receive.Span[..length]);
        var write = new BlockWrite { Offset = offset, Length = length, Data = _receive.Address(0) };
        HeadOf(session).Prepare(in write);
        _batch.Add(write);
        var status = HeadOf(session).Write(_batch);
        NextBatch();
        return status;
    }

    public void Dispose()
    {
        Close();
        _closing.Dispose();
    }
}
