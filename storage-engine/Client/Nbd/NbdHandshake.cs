using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace Nephos.Client.Nbd;

/// <summary>The first part of a connection: what is served, and how (B1 to B8).</summary>
/// <param name="socket">The connection.</param>
/// <param name="findExport">Answers the export of a name, or null. Names are capabilities: they are compared in constant time, and never listed.</param>
internal sealed class NbdHandshake(SafeSocketHandle socket, Func<string, INbdExport?> findExport)
{
    private static readonly UTF8Encoding s_strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly NativeBuffer _buffer = new(NbdProtocol.OptionBytesMax + 64);
    private bool _noZeroes;
    private bool _structuredReplies;
    private string? _contextExport;
    private bool _allocation;

    // What INFO or GO answered, so that a second answer about the same name is the same (B3).
    private string? _frozenName;
    private INbdExport? _frozenExport;
    private long _frozenSizeBytes;

    /// <summary>Runs the handshake.</summary>
    /// <returns>Null when the connection shall be closed.</returns>
    public NbdSession? Run()
    {
        using (_buffer)
        {
            var hello = _buffer.Span[..18];
            BinaryPrimitives.WriteUInt64BigEndian(hello, NbdProtocol.InitMagic);
            BinaryPrimitives.WriteUInt64BigEndian(hello[8..], NbdProtocol.OptionMagic);
            BinaryPrimitives.WriteUInt16BigEndian(hello[16..], NbdProtocol.HandshakeFixedNewstyle | NbdProtocol.HandshakeNoZeroes);
            if (!LibcSocket.SendAll(socket, hello) || !ReceiveAll(4)) return null;
            var clientFlags = BinaryPrimitives.ReadUInt32BigEndian(_buffer.Span);
            if ((clientFlags & ~3u) != 0) return null;
            _noZeroes = (clientFlags & NbdProtocol.HandshakeNoZeroes) != 0;
            for (var count = 0; count < NbdProtocol.OptionsMax; count++)
            {
                if (!ReceiveAll(16) || BinaryPrimitives.ReadUInt64BigEndian(_buffer.Span) != NbdProtocol.OptionMagic) return null;
                var option = (NbdOption)BinaryPrimitives.ReadUInt32BigEndian(_buffer.Span[8..]);
                var length = BinaryPrimitives.ReadUInt32BigEndian(_buffer.Span[12..]);
                if (length > NbdProtocol.OptionBytesMax || !ReceiveAll((int)length)) return null;
                switch (Handle(option, _buffer.Span[..(int)length], out var session))
                {
                    case Next.Serve: return session;
                    case Next.HangUp: return null;
                    case Next.Option: break;
                }
            }
            return null;
        }
    }

    private enum Next { Option, Serve, HangUp }

    private Next Handle(NbdOption option, ReadOnlySpan<byte> data, out NbdSession? session)
    {
        session = null;
        switch (option)
        {
            case NbdOption.ExportName:
                return ServeByName(data, out session);
            case NbdOption.Abort:
                Reply(option, NbdOptionReply.Ack);
                return Next.HangUp;
            case NbdOption.List:
                return Answer(option, data.IsEmpty ? NbdOptionReply.ErrorPolicy : NbdOptionReply.ErrorInvalid);
            case NbdOption.StartTls:
                return Answer(option, data.IsEmpty ? NbdOptionReply.ErrorPolicy : NbdOptionReply.ErrorInvalid);
            case NbdOption.Info:
            case NbdOption.Go:
                return Describe(option, data, out session);
            case NbdOption.StructuredReply:
                if (!data.IsEmpty) return Answer(option, NbdOptionReply.ErrorInvalid);
                _structuredReplies = true;
                return Answer(option, NbdOptionReply.Ack);
            case NbdOption.ListMetaContext:
            case NbdOption.SetMetaContext:
                return Contexts(option, data);
            default:
                return Answer(option, NbdOptionReply.ErrorUnsupported);
        }
    }

    private Next ServeByName(ReadOnlySpan<byte> data, out NbdSession? session)
    {
        session = null;
        // This option has no way to say no but to hang up.
        if (!TryName(data, out var name) || Find(name) is not { } export) return Next.HangUp;
        session = MakeSession(name, export);
        var reply = _buffer.Span[..(_noZeroes ? 10 : 134)];
        reply.Clear();
        BinaryPrimitives.WriteUInt64BigEndian(reply, (ulong)session.SizeBytes);
        BinaryPrimitives.WriteUInt16BigEndian(reply[8..], (ushort)session.Flags);
        return LibcSocket.SendAll(socket, reply) ? Next.Serve : Next.HangUp;
    }

    private Next Describe(NbdOption option, ReadOnlySpan<byte> data, out NbdSession? session)
    {
        session = null;
        if (data.Length < 6) return Answer(option, NbdOptionReply.ErrorInvalid);
        var nameLength = BinaryPrimitives.ReadUInt32BigEndian(data);
        if (nameLength > data.Length - 6 || !TryName(data.Slice(4, (int)nameLength), out var name)) return Answer(option, NbdOptionReply.ErrorInvalid);
        var requests = BinaryPrimitives.ReadUInt16BigEndian(data[(4 + (int)nameLength)..]);
        if (data.Length != 6 + nameLength + 2 * requests) return Answer(option, NbdOptionReply.ErrorInvalid);
        if (Find(name) is not { } export) return Answer(option, NbdOptionReply.ErrorUnknown);
        var made = MakeSession(name, export);
        Span<byte> info = stackalloc byte[14];
        BinaryPrimitives.WriteUInt16BigEndian(info, (ushort)NbdInfo.Export);
        BinaryPrimitives.WriteUInt64BigEndian(info[2..], (ulong)made.SizeBytes);
        BinaryPrimitives.WriteUInt16BigEndian(info[10..], (ushort)made.Flags);
        if (!Reply(option, NbdOptionReply.Info, info[..12])) return Next.HangUp;
        BinaryPrimitives.WriteUInt16BigEndian(info, (ushort)NbdInfo.BlockSize);
        BinaryPrimitives.WriteUInt32BigEndian(info[2..], NbdProtocol.BlockBytesMin);
        BinaryPrimitives.WriteUInt32BigEndian(info[6..], NbdProtocol.BlockBytesPreferred);
        BinaryPrimitives.WriteUInt32BigEndian(info[10..], NbdProtocol.PayloadBytesMax);
        if (!Reply(option, NbdOptionReply.Info, info)) return Next.HangUp;
        if (!Reply(option, NbdOptionReply.Ack)) return Next.HangUp;
        if (option == NbdOption.Info) return Next.Option;
        session = made;
        return Next.Serve;
    }

    private Next Contexts(NbdOption option, ReadOnlySpan<byte> data)
    {
        var set = option == NbdOption.SetMetaContext;
        if (set) (_contextExport, _allocation) = (null, false);
        if (!_structuredReplies || data.Length < 8) return Answer(option, NbdOptionReply.ErrorInvalid);
        var nameLength = BinaryPrimitives.ReadUInt32BigEndian(data);
        if (nameLength > data.Length - 8 || !TryName(data.Slice(4, (int)nameLength), out var name)) return Answer(option, NbdOptionReply.ErrorInvalid);
        var rest = data[(4 + (int)nameLength)..];
        var queries = BinaryPrimitives.ReadUInt32BigEndian(rest);
        rest = rest[4..];
        var selected = !set && queries == 0;
        for (var i = 0u; i < queries; i++)
        {
            if (rest.Length < 4) return Answer(option, NbdOptionReply.ErrorInvalid);
            var length = BinaryPrimitives.ReadUInt32BigEndian(rest);
            if (length > rest.Length - 4 || length > NbdProtocol.NameBytesMax) return Answer(option, NbdOptionReply.ErrorInvalid);
            var query = rest.Slice(4, (int)length);
            rest = rest[(4 + (int)length)..];
            selected |= query.SequenceEqual("base:allocation"u8) || (!set && query.SequenceEqual("base:"u8));
        }
        if (!rest.IsEmpty) return Answer(option, NbdOptionReply.ErrorInvalid);
        if (Find(name) is null) return Answer(option, NbdOptionReply.ErrorUnknown);
        if (selected)
        {
            Span<byte> context = stackalloc byte[4 + NbdProtocol.AllocationContext.Length];
            BinaryPrimitives.WriteUInt32BigEndian(context, set ? NbdProtocol.AllocationContextId : 0);
            Encoding.ASCII.GetBytes(NbdProtocol.AllocationContext, context[4..]);
            if (!Reply(option, NbdOptionReply.MetaContext, context)) return Next.HangUp;
        }
        if (set) (_contextExport, _allocation) = (name, selected);
        return Answer(option, NbdOptionReply.Ack);
    }

    private INbdExport? Find(string name)
    {
        if (name == _frozenName) return _frozenExport;
        var export = findExport(name);
        if (export is null) return null;
        (_frozenName, _frozenExport, _frozenSizeBytes) = (name, export, export.SizeBytes);
        return export;
    }

    private NbdSession MakeSession(string name, INbdExport export)
    {
        var flags = NbdTransmissionFlags.HasFlags | NbdTransmissionFlags.SendFlush | NbdTransmissionFlags.CanMultiConnection | NbdTransmissionFlags.SendCache;
        flags |= export.ReadOnly
            ? NbdTransmissionFlags.ReadOnly
            : NbdTransmissionFlags.SendFua | NbdTransmissionFlags.SendTrim | NbdTransmissionFlags.SendWriteZeroes | NbdTransmissionFlags.SendFastZero;
        if (_structuredReplies) flags |= NbdTransmissionFlags.SendDontFragment;
        return new NbdSession(export, _frozenSizeBytes, flags, _structuredReplies, _allocation && _contextExport == name);
    }

    private static bool TryName(ReadOnlySpan<byte> bytes, out string name)
    {
        name = "";
        if (bytes.Length > NbdProtocol.NameBytesMax) return false;
        try
        {
            name = s_strict.GetString(bytes);
            return true;
        }
        catch (DecoderFallbackException)
        {
            return false;
        }
    }

    private bool ReceiveAll(int count)
    {
        for (var done = 0; done < count;)
        {
            var received = LibcSocket.Receive(socket, _buffer, done, count - done);
            if (received <= 0) return false;
            done += received;
        }
        return true;
    }

    private Next Answer(NbdOption option, NbdOptionReply reply) => Reply(option, reply) ? Next.Option : Next.HangUp;

    private bool Reply(NbdOption option, NbdOptionReply reply) => Reply(option, reply, []);

    private bool Reply(NbdOption option, NbdOptionReply reply, ReadOnlySpan<byte> data)
    {
        Span<byte> message = stackalloc byte[20 + data.Length];
        BinaryPrimitives.WriteUInt64BigEndian(message, NbdProtocol.OptionReplyMagic);
        BinaryPrimitives.WriteUInt32BigEndian(message[8..], (uint)option);
        BinaryPrimitives.WriteUInt32BigEndian(message[12..], (uint)reply);
        BinaryPrimitives.WriteUInt32BigEndian(message[16..], (uint)data.Length);
        data.CopyTo(message[20..]);
        return LibcSocket.SendAll(socket, message);
    }
}
