using System.Buffers.Binary;
using Nephos.Client.Volumes;

namespace Nephos.Client.Nbd;

internal sealed partial class NbdConnection
{
    private const ushort DoneFlag = 1;

    private static void WriteSimple(Span<byte> target, ulong cookie, NbdError error)
    {
        BinaryPrimitives.WriteUInt32BigEndian(target, NbdProtocol.SimpleReplyMagic);
        BinaryPrimitives.WriteUInt32BigEndian(target[4..], (uint)error);
        BinaryPrimitives.WriteUInt64BigEndian(target[8..], cookie);
    }

    private static void WriteChunk(Span<byte> target, NbdChunk type, bool done, ulong cookie, int payloadBytes)
    {
        BinaryPrimitives.WriteUInt32BigEndian(target, NbdProtocol.ChunkMagic);
        BinaryPrimitives.WriteUInt16BigEndian(target[4..], done ? DoneFlag : (ushort)0);
        BinaryPrimitives.WriteUInt16BigEndian(target[6..], (ushort)type);
        BinaryPrimitives.WriteUInt64BigEndian(target[8..], cookie);
        BinaryPrimitives.WriteUInt32BigEndian(target[16..], (uint)payloadBytes);
    }

    // Room in the send buffer; what is in it is sent when there is none.
    private bool TryReserve(int bytes, out Span<byte> room)
    {
        room = default;
        if (_sendEnd + bytes > SendBytes && !SendAnswers()) return false;
        room = _send!.Span.Slice(_sendEnd, bytes);
        return true;
    }

    private bool SendAnswers()
    {
        if (_sendEnd == 0) return true;
        var answers = _send!.Span[.._sendEnd];
        _sendEnd = 0;
        lock (_sending) return _channel.SendAll(answers);
    }

    private bool AnswerSimple(ulong cookie, NbdError error)
    {
        if (!TryReserve(NbdProtocol.SimpleReplyBytes, out var room)) return false;
        WriteSimple(room, cookie, error);
        _sendEnd += NbdProtocol.SimpleReplyBytes;
        return true;
    }

    // With structured replies agreed, a read is never answered by a simple one, not even to say no (B5).
    private bool Fail(NbdSession session, in NbdRequest request, NbdError error)
    {
        var structured = session.StructuredReplies && (request.Command is NbdCommand.Read or NbdCommand.BlockStatus);
        return structured ? AnswerErrorChunk(request.Cookie, error) : AnswerSimple(request.Cookie, error);
    }

    private bool AnswerErrorChunk(ulong cookie, NbdError error)
    {
        const int bytes = NbdProtocol.ChunkHeaderBytes + 6;
        if (!TryReserve(bytes, out var room)) return false;
        WriteChunk(room, NbdChunk.Error, done: true, cookie, 6);
        BinaryPrimitives.WriteUInt32BigEndian(room[20..], (uint)error);
        BinaryPrimitives.WriteUInt16BigEndian(room[24..], 0);
        _sendEnd += bytes;
        return true;
    }

    private bool AnswerErrorAt(ulong cookie, NbdError error, ulong offset)
    {
        const int bytes = NbdProtocol.ChunkHeaderBytes + 14;
        if (!TryReserve(bytes, out var room)) return false;
        WriteChunk(room, NbdChunk.ErrorOffset, done: true, cookie, 14);
        BinaryPrimitives.WriteUInt32BigEndian(room[20..], (uint)error);
        BinaryPrimitives.WriteUInt16BigEndian(room[24..], 0);
        BinaryPrimitives.WriteUInt64BigEndian(room[26..], offset);
        _sendEnd += bytes;
        return true;
    }

    private bool AnswerEmptyRead(NbdSession session, ulong cookie)
    {
        if (!session.StructuredReplies) return AnswerSimple(cookie, NbdError.None);
        if (!TryReserve(NbdProtocol.ChunkHeaderBytes, out var room)) return false;
        WriteChunk(room, NbdChunk.None, done: true, cookie, 0);
        _sendEnd += NbdProtocol.ChunkHeaderBytes;
        return true;
    }

    private bool Read(NbdSession session, in NbdRequest request)
    {
        var whole = !session.StructuredReplies || (request.Flags & NbdCommandFlags.DontFragment) != 0;
        if (request.Length <= SliceBytes && (whole || request.Length < SliceBytes / 4)) return ReadOne(session, in request);
        return whole ? ReadWhole(session, in request) : ReadParts(session, in request);
    }

    private bool ReadParts(NbdSession session, in NbdRequest request)
    {
        for (var done = 0L; done < request.Length;)
        {
            // Parts after the first begin on blocks.
            var offset = (long)request.Offset + done;
            var part = (int)Math.Min(request.Length - done, SliceBytes - offset % VolumeHead.BlockBytes);
            if (!ReadRanges(session, in request, offset, part, last: done + part == request.Length))
            {
                // A read that failed was answered with its last chunk; the connection goes on.
                var answered = _readFailed;
                _readFailed = false;
                return answered;
            }
            done += part;
        }
        return true;
    }

    private bool _readFailed;

    private bool ReadOne(NbdSession session, in NbdRequest request)
    {
        var header = session.StructuredReplies ? NbdProtocol.ChunkHeaderBytes + 8 : NbdProtocol.SimpleReplyBytes;
        var length = (int)request.Length;
        if (!TryReserve(header + length, out var room)) return false;
        var status = session.Export.Content.Read((long)request.Offset, room[header..], _scratchSource);
        if (status != ReplicaStatus.Ok) return TryError(status, out var error) && Fail(session, in request, error);
        if (session.StructuredReplies)
        {
            WriteChunk(room, NbdChunk.OffsetData, done: true, request.Cookie, length + 8);
            BinaryPrimitives.WriteUInt64BigEndian(room[NbdProtocol.ChunkHeaderBytes..], request.Offset);
        }
        else
        {
            WriteSimple(room, request.Cookie, NbdError.None);
        }
        _sendEnd += header + length;
        return true;
    }

    // One answer that may not be split: everything is in memory before the header promises it (B10).
    private bool ReadWhole(NbdSession session, in NbdRequest request)
    {
        using var data = new NativeBuffer((int)request.Length);
        var status = session.Export.Content.Read((long)request.Offset, data.Span, _scratchSource);
        if (status != ReplicaStatus.Ok) return TryError(status, out var error) && Fail(session, in request, error);
        if (session.StructuredReplies)
        {
            const int header = NbdProtocol.ChunkHeaderBytes + 8;
            if (!TryReserve(header, out var room)) return false;
            WriteChunk(room, NbdChunk.OffsetData, done: true, request.Cookie, (int)request.Length + 8);
            BinaryPrimitives.WriteUInt64BigEndian(room[NbdProtocol.ChunkHeaderBytes..], request.Offset);
            _sendEnd += header;
        }
        else if (!AnswerSimple(request.Cookie, NbdError.None))
        {
            return false;
        }
        lock (_sending)
        {
            var answers = _send!.Span[.._sendEnd];
            _sendEnd = 0;
            return _channel.SendAll(answers) && _channel.SendAll(data.Span);
        }
    }

    // A part of a read as chunks of data and of holes. Answers false when the connection ends or the read did (see _readFailed).
    private bool ReadRanges(NbdSession session, in NbdRequest request, long offset, int length, bool last)
    {
        var content = session.Export.Content;
        var start = offset / VolumeHead.BlockBytes * VolumeHead.BlockBytes;
        var status = content.GetRanges(start, VolumeHead.RoundUp(offset + length) - start, _ranges.AsSpan(0, SliceBytes / VolumeHead.BlockBytes + 2), out var count);
        if (status != ReplicaStatus.Ok) return FailPart(status, request.Cookie, offset);
        for (var i = 0; i < count; i++)
        {
            var from = Math.Max(_ranges[i].Offset, offset);
            var bytes = (int)(Math.Min(_ranges[i].Offset + _ranges[i].Length, offset + length) - from);
            var done = last && i == count - 1;
            if (_ranges[i].Kind != BlockRangeKind.Data)
            {
                if (!AnswerHole(request.Cookie, from, bytes, done)) return false;
                continue;
            }
            const int header = NbdProtocol.ChunkHeaderBytes + 8;
            if (!TryReserve(header + bytes, out var room)) return false;
            status = content.Read(from, room[header..], _scratchSource);
            if (status != ReplicaStatus.Ok) return FailPart(status, request.Cookie, from);
            WriteChunk(room, NbdChunk.OffsetData, done, request.Cookie, bytes + 8);
            BinaryPrimitives.WriteUInt64BigEndian(room[NbdProtocol.ChunkHeaderBytes..], (ulong)from);
            _sendEnd += header + bytes;
        }
        return true;
    }

    private bool FailPart(ReplicaStatus status, ulong cookie, long offset)
    {
        _readFailed = TryError(status, out var error) && AnswerErrorAt(cookie, error, (ulong)offset);
        return false;
    }

    private bool AnswerHole(ulong cookie, long offset, int length, bool done)
    {
        const int bytes = NbdProtocol.ChunkHeaderBytes + 12;
        if (!TryReserve(bytes, out var room)) return false;
        WriteChunk(room, NbdChunk.OffsetHole, done, cookie, 12);
        BinaryPrimitives.WriteUInt64BigEndian(room[20..], (ulong)offset);
        BinaryPrimitives.WriteUInt32BigEndian(room[28..], (uint)length);
        _sendEnd += bytes;
        return true;
    }

    // One chunk for each context; the last one ends the answer.
    private bool BlockStatus(NbdSession session, in NbdRequest request)
    {
        for (var index = 0; index < session.Contexts.Count; index++)
        {
            var status = Describe(session, session.Contexts[index], in request, last: index == session.Contexts.Count - 1, out var sent);
            if (!sent) return false;
            if (status != ReplicaStatus.Ok) return TryError(status, out var error) && Fail(session, in request, error);
        }
        return true;
    }

    private ReplicaStatus Describe(NbdSession session, NbdContext context, in NbdRequest request, bool last, out bool sent)
    {
        sent = true;
        var start = (long)request.Offset / VolumeHead.BlockBytes * VolumeHead.BlockBytes;
        var end = (long)request.Offset + request.Length;
        var wanted = (request.Flags & NbdCommandFlags.RequestOne) != 0 ? 1 : RangesMax;
        var status = context.Ask(session.Export.Content, start, VolumeHead.RoundUp(end) - start, _ranges.AsSpan(0, wanted), out var count);
        if (status != ReplicaStatus.Ok) return status;
        var payload = 4 + 8 * count;
        sent = TryReserve(NbdProtocol.ChunkHeaderBytes + payload, out var room);
        if (!sent) return status;
        WriteChunk(room, NbdChunk.BlockStatus, done: last, request.Cookie, payload);
        BinaryPrimitives.WriteUInt32BigEndian(room[20..], context.Id);
        for (var i = 0; i < count; i++)
        {
            var from = Math.Max(_ranges[i].Offset, (long)request.Offset);
            var to = Math.Min(_ranges[i].Offset + _ranges[i].Length, end);
            BinaryPrimitives.WriteUInt32BigEndian(room[(24 + 8 * i)..], (uint)(to - from));
            BinaryPrimitives.WriteUInt32BigEndian(room[(28 + 8 * i)..], context.StateOf(_ranges[i].Kind));
        }
        _sendEnd += NbdProtocol.ChunkHeaderBytes + payload;
        return status;
    }

    // Whole blocks around a range that does not begin and end on blocks.
    private Span<byte> Scratch(int bytes)
    {
        if (_scratch is null || _scratch.Length < bytes)
        {
            _scratch?.Dispose();
            _scratch = new NativeBuffer(bytes);
        }
        return _scratch.Span[..bytes];
    }
}
