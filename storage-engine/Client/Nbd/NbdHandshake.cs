using System.Buffers.Binary;
using System.Text;

namespace Nephos.Client.Nbd;

/// <summary>The first part of a connection: what is served, and how (B1 to B8).</summary>
/// <param name="channel">The connection. What the session goes over is <see cref="Channel"/> afterwards.</param>
/// <param name="findExport">Answers the export of a name, or null, for a client by the name in its certificate. Names are capabilities: they are compared in
/// constant time, and never listed.</param>
/// <param name="tls">When given, nothing is said in clear but how to begin TLS; else there is none (B37).</param>
internal sealed class NbdHandshake(NbdChannel channel, Func<string, string?, INbdExport?> findExport, NbdTls? tls)
{
    private static readonly UTF8Encoding s_strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly NativeBuffer _buffer = new(NbdProtocol.OptionBytesMax + 64);
    private bool _noZeroes;
    private bool _structuredReplies;
    private readonly List<NbdContext> _contexts = [];
    private string? _contextExport;
    private bool _secured;

    // What INFO or GO answered, so that a second answer about the same name is the same (B3).
    private string? _frozenName;
    private INbdExport? _frozenExport;
    private long _frozenSizeBytes;

    public NbdChannel Channel { get; private set; } = channel;

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
            if (!Channel.SendAll(hello) || !ReceiveAll(4)) return null;
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
        if (tls is not null && !_secured && option is not (NbdOption.StartTls or NbdOption.Abort))
            return option == NbdOption.ExportName ? Next.HangUp : Answer(option, NbdOptionReply.ErrorTlsRequired);
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
                return StartTls(option, data);
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

    // Forgets whatever was agreed in clear (B8).
    private Next StartTls(NbdOption option, ReadOnlySpan<byte> data)
    {
        if (!data.IsEmpty || _secured) return Answer(option, NbdOptionReply.ErrorInvalid);
        if (tls is null) return Answer(option, NbdOptionReply.ErrorPolicy);
        // Nobody who waits for the answer has sent more: these bytes may be somebody else's, to be taken for the client's later.
        if (Channel.HasUnread || !Reply(option, NbdOptionReply.Ack) || Channel.TrySecure(tls) is not { } secured) return Next.HangUp;
        Channel = secured;
        _secured = true;
        _structuredReplies = false;
        _contexts.Clear();
        (_contextExport, _frozenName, _frozenExport) = (null, null, null);
        return Next.Option;
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
        return Channel.SendAll(reply) ? Next.Serve : Next.HangUp;
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
        if (set)
        {
            _contextExport = null;
            _contexts.Clear();
        }
        if (!_structuredReplies || data.Length < 8) return Answer(option, NbdOptionReply.ErrorInvalid);
        var nameLength = BinaryPrimitives.ReadUInt32BigEndian(data);
        if (nameLength > data.Length - 8 || !TryName(data.Slice(4, (int)nameLength), out var name)) return Answer(option, NbdOptionReply.ErrorInvalid);
        var rest = data[(4 + (int)nameLength)..];
        var queries = BinaryPrimitives.ReadUInt32BigEndian(rest);
        rest = rest[4..];
        var export = Find(name);
        var offered = NbdContext.Of(export);
        var selected = new bool[offered.Count];
        if (!set && queries == 0) Array.Fill(selected, true);
        for (var i = 0u; i < queries; i++)
        {
            if (rest.Length < 4) return Answer(option, NbdOptionReply.ErrorInvalid);
            var length = BinaryPrimitives.ReadUInt32BigEndian(rest);
            if (length > rest.Length - 4 || length > NbdProtocol.NameBytesMax) return Answer(option, NbdOptionReply.ErrorInvalid);
            var query = rest.Slice(4, (int)length);
            rest = rest[(4 + (int)length)..];
            for (var index = 0; index < selected.Length; index++) selected[index] |= offered[index].IsMeantBy(query, listing: !set);
        }
        if (!rest.IsEmpty) return Answer(option, NbdOptionReply.ErrorInvalid);
        if (export is null) return Answer(option, NbdOptionReply.ErrorUnknown);
        for (var index = 0; index < selected.Length; index++)
        {
            if (!selected[index]) continue;
            var context = new byte[4 + offered[index].Name.Length];
            BinaryPrimitives.WriteUInt32BigEndian(context, set ? offered[index].Id : 0);
            Encoding.ASCII.GetBytes(offered[index].Name, context.AsSpan(4));
            if (!Reply(option, NbdOptionReply.MetaContext, context)) return Next.HangUp;
            if (set) _contexts.Add(offered[index]);
        }
        if (set) _contextExport = name;
        return Answer(option, NbdOptionReply.Ack);
    }

    private INbdExport? Find(string name)
    {
        if (name == _frozenName) return _frozenExport;
        var export = findExport(name, Channel.PeerName);
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
        return new NbdSession(export, _frozenSizeBytes, flags, _structuredReplies, _contextExport == name ? [.. _contexts] : []);
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
            var received = Channel.Receive(_buffer, done, count - done);
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
        return Channel.SendAll(message);
    }
}
