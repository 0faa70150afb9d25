using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

/// <summary>An NBD client that says exactly what a test wants, also what no proper client would say.</summary>
internal sealed class NbdTestClient : IDisposable
{
    public const uint Ack = 1, Info = 3, MetaContext = 4;
    public const uint ErrUnsupported = 0x80000001, ErrPolicy = 0x80000002, ErrInvalid = 0x80000003, ErrTlsRequired = 0x80000005, ErrUnknown = 0x80000006;
    public const uint ExportName = 1, Abort = 2, List = 3, StartTls = 5, InfoOption = 6, Go = 7, Structured = 8, ListContexts = 9, SetContexts = 10, Extended = 11;
    public const ushort Read = 0, Write = 1, Disconnect = 2, Flush = 3, Trim = 4, Cache = 5, WriteZeroes = 6, BlockStatus = 7;
    public const ushort Fua = 1, NoHole = 2, DontFragment = 4, RequestOne = 8, FastZero = 16;
    public const uint Eperm = 1, Eio = 5, Einval = 22, Enospc = 28;

    private readonly Socket _socket;
    private SslStream? _tls;
    private ulong _cookie = 1000;

    public NbdTestClient(string path) : this(new UnixDomainSocketEndPoint(path)) { }

    public NbdTestClient(EndPoint server)
    {
        var protocol = server.AddressFamily == AddressFamily.Unix ? ProtocolType.Unspecified : ProtocolType.Tcp;
        _socket = new Socket(server.AddressFamily, SocketType.Stream, protocol) { ReceiveTimeout = 20_000, SendTimeout = 20_000 };
        _socket.Connect(server);
        Hello = Receive(18);
    }

    public byte[] Hello { get; }

    public ulong Size { get; private set; }

    public ushort TransmissionFlags { get; private set; }

    public static NbdTestClient Connect(string path, string name, bool structured = true, bool allocation = false)
    {
        var client = new NbdTestClient(path);
        client.SendFlags(3);
        if (structured) Assert.Equal(Ack, client.Option(Structured, []).Single().Type);
        if (allocation) Assert.Equal([MetaContext, Ack], client.Option(SetContexts, ContextQuery(name, "base:allocation")).Select(reply => reply.Type));
        client.Enter(name);
        return client;
    }

    public void Enter(string name)
    {
        var replies = Option(Go, GoData(name));
        Assert.Equal(Ack, replies[^1].Type);
        TakeExport(replies);
    }

    public void TakeExport(List<(uint Type, byte[] Data)> replies)
    {
        var export = replies.Single(reply => reply.Type == Info && BinaryPrimitives.ReadUInt16BigEndian(reply.Data) == 0).Data;
        Size = BinaryPrimitives.ReadUInt64BigEndian(export.AsSpan(2));
        TransmissionFlags = BinaryPrimitives.ReadUInt16BigEndian(export.AsSpan(10));
    }

    public void SendFlags(uint flags) => Send(BigEndian(flags));

    /// <summary>Goes on over TLS, after the server has agreed to it.</summary>
    public void Secure(X509Certificate2? certificate, RemoteCertificateValidationCallback check)
    {
        _tls = new SslStream(new NetworkStream(_socket));
        _tls.AuthenticateAsClient(new SslClientAuthenticationOptions
        {
            TargetHost = "localhost", ClientCertificates = certificate is null ? null : [certificate], RemoteCertificateValidationCallback = check,
        });
    }

    public void Send(ReadOnlySpan<byte> data)
    {
        if (_tls is not null)
        {
            _tls.Write(data);
            return;
        }
        while (!data.IsEmpty) data = data[_socket.Send(data)..];
    }

    public byte[] Receive(int count)
    {
        var data = new byte[count];
        for (var done = 0; done < count;)
        {
            var received = _tls is null ? _socket.Receive(data.AsSpan(done)) : _tls.Read(data.AsSpan(done));
            if (received == 0) throw new EndOfStreamException();
            done += received;
        }
        return data;
    }

    /// <summary>Whether the server has hung up and sends nothing more.</summary>
    public bool IsClosed()
    {
        try { return (_tls is null ? _socket.Receive(new byte[1]) : _tls.Read(new byte[1])) == 0; }
        catch (IOException e) when (e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset }) { return true; }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset) { return true; }
    }

    public void SendOption(uint option, ReadOnlySpan<byte> data, int? lengthField = null)
    {
        var message = new byte[16 + data.Length];
        "IHAVEOPT"u8.CopyTo(message);
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(8), option);
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(12), (uint)(lengthField ?? data.Length));
        data.CopyTo(message.AsSpan(16));
        Send(message);
    }

    public (uint Option, uint Type, byte[] Data) ReceiveOptionReply()
    {
        var header = Receive(20);
        Assert.Equal(0x3e889045565a9ul, BinaryPrimitives.ReadUInt64BigEndian(header));
        return (BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(8)), BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(12)),
            Receive((int)BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(16))));
    }

    /// <summary>Sends an option and takes its answers up to the last.</summary>
    public List<(uint Type, byte[] Data)> Option(uint option, ReadOnlySpan<byte> data)
    {
        SendOption(option, data);
        var replies = new List<(uint, byte[])>();
        while (true)
        {
            var (about, type, content) = ReceiveOptionReply();
            Assert.Equal(option, about);
            replies.Add((type, content));
            if (type == Ack || (type & 0x80000000) != 0) return replies;
        }
    }

    public static byte[] GoData(string name, params ushort[] requests) =>
        [.. BigEndian((uint)Encoding.UTF8.GetByteCount(name)), .. Encoding.UTF8.GetBytes(name), (byte)(requests.Length >> 8), (byte)requests.Length,
            .. requests.SelectMany(request => new[] { (byte)(request >> 8), (byte)request })];

    public static byte[] ContextQuery(string name, params string[] queries) =>
        [.. BigEndian((uint)name.Length), .. Encoding.UTF8.GetBytes(name), .. BigEndian((uint)queries.Length),
            .. queries.SelectMany(query => (byte[])[.. BigEndian((uint)query.Length), .. Encoding.UTF8.GetBytes(query)])];

    public static byte[] BigEndian(uint value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return bytes;
    }

    public static byte[] RequestBytes(ushort command, ulong cookie, ulong offset, uint length, ushort flags = 0, uint magic = 0x25609513)
    {
        var message = new byte[28];
        BinaryPrimitives.WriteUInt32BigEndian(message, magic);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(4), flags);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(6), command);
        BinaryPrimitives.WriteUInt64BigEndian(message.AsSpan(8), cookie);
        BinaryPrimitives.WriteUInt64BigEndian(message.AsSpan(16), offset);
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(24), length);
        return message;
    }

    public ulong SendRequest(ushort command, ulong offset, uint length, ushort flags = 0, byte[]? payload = null)
    {
        Send([.. RequestBytes(command, ++_cookie, offset, length, flags), .. payload ?? []]);
        return _cookie;
    }

    public readonly record struct Chunk(bool Simple, ushort Flags, ushort Type, ulong Cookie, uint Error, byte[] Payload);

    /// <summary>One simple reply, or one chunk. The data of a simple reply to a read is not taken.</summary>
    public Chunk ReceiveChunk()
    {
        var magic = BinaryPrimitives.ReadUInt32BigEndian(Receive(4));
        if (magic == 0x67446698)
        {
            var rest = Receive(12);
            return new Chunk(true, 1, 0, BinaryPrimitives.ReadUInt64BigEndian(rest.AsSpan(4)), BinaryPrimitives.ReadUInt32BigEndian(rest), []);
        }
        Assert.Equal(0x668e33efu, magic);
        var header = Receive(16);
        var payload = Receive((int)BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(12)));
        var type = BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(2));
        return new Chunk(
            false, BinaryPrimitives.ReadUInt16BigEndian(header), type, BinaryPrimitives.ReadUInt64BigEndian(header.AsSpan(4)),
            (type & 0x8000) != 0 ? BinaryPrimitives.ReadUInt32BigEndian(payload) : 0, payload);
    }

    /// <summary>Sends a request that has no data in its answer, and answers the error number.</summary>
    public uint Do(ushort command, ulong offset, uint length, ushort flags = 0, byte[]? payload = null)
    {
        var cookie = SendRequest(command, offset, length, flags, payload);
        var reply = ReceiveChunk();
        Assert.Equal(cookie, reply.Cookie);
        return reply.Error;
    }

    public uint DoWrite(ulong offset, byte[] data, ushort flags = 0) => Do(Write, offset, (uint)data.Length, flags, data);

    public byte[] DoRead(ulong offset, uint length, ushort flags = 0) => TryRead(offset, length, flags, out var error) ?? throw new IOException($"error {error}");

    public byte[]? TryRead(ulong offset, uint length, ushort flags, out uint error)
    {
        var cookie = SendRequest(Read, offset, length, flags);
        var data = new byte[length];
        error = 0;
        while (true)
        {
            var chunk = ReceiveChunk();
            Assert.Equal(cookie, chunk.Cookie);
            error = chunk.Error != 0 ? chunk.Error : error;
            if (chunk.Simple)
            {
                return error != 0 ? null : Receive((int)length);
            }
            Chunks.Add(chunk);
            if (chunk.Type == 1) chunk.Payload.AsSpan(8).CopyTo(data.AsSpan((int)(BinaryPrimitives.ReadUInt64BigEndian(chunk.Payload) - offset)));
            if ((chunk.Flags & 1) != 0) return error != 0 ? null : data;
        }
    }

    /// <summary>The chunks of all reads so far.</summary>
    public List<Chunk> Chunks { get; } = [];

    public List<(uint Length, uint State)> DoBlockStatus(ulong offset, uint length, ushort flags = 0)
    {
        var cookie = SendRequest(BlockStatus, offset, length, flags);
        var chunk = ReceiveChunk();
        Assert.Equal((cookie, (ushort)5), (chunk.Cookie, chunk.Type));
        Assert.Equal(1u, BinaryPrimitives.ReadUInt32BigEndian(chunk.Payload));
        return [.. Enumerable.Range(0, (chunk.Payload.Length - 4) / 8).Select(i => (
            BinaryPrimitives.ReadUInt32BigEndian(chunk.Payload.AsSpan(4 + i * 8)), BinaryPrimitives.ReadUInt32BigEndian(chunk.Payload.AsSpan(8 + i * 8))))];
    }

    /// <summary>What is said about a range, by the id of the context.</summary>
    public Dictionary<uint, List<(uint Length, uint State)>> DoStatusOfAll(ulong offset, uint length)
    {
        var cookie = SendRequest(BlockStatus, offset, length);
        var all = new Dictionary<uint, List<(uint, uint)>>();
        while (true)
        {
            var chunk = ReceiveChunk();
            Assert.Equal((cookie, (ushort)5), (chunk.Cookie, chunk.Type));
            all.Add(
                BinaryPrimitives.ReadUInt32BigEndian(chunk.Payload),
                [.. Enumerable.Range(0, (chunk.Payload.Length - 4) / 8).Select(i => (
                    BinaryPrimitives.ReadUInt32BigEndian(chunk.Payload.AsSpan(4 + i * 8)), BinaryPrimitives.ReadUInt32BigEndian(chunk.Payload.AsSpan(8 + i * 8))))]);
            if ((chunk.Flags & 1) != 0) return all;
        }
    }

    /// <summary>Goes away without a word.</summary>
    public void Dispose()
    {
        _tls?.Dispose();
        _socket.Dispose();
    }
}
