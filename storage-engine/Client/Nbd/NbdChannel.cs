using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Nephos.Client.Nbd;

/// <summary>The bytes of a connection, in clear or over TLS. One thread receives; sending is for one thread at a time.</summary>
internal abstract class NbdChannel(Socket socket) : IDisposable
{
    protected Socket Socket { get; } = socket;

    /// <summary>Who the client is by its certificate; null in clear.</summary>
    public virtual string? PeerName => null;

    /// <summary>The client has sent more than was received.</summary>
    public bool HasUnread => Socket.Available > 0;

    /// <summary>Waits for bytes.</summary>
    /// <returns>How many came; 0 or less when the connection is gone.</returns>
    public abstract int Receive(NativeBuffer buffer, int offset, int count);

    /// <summary>Sends all bytes, waiting for the peer to take them. False when the connection is gone.</summary>
    public abstract bool SendAll(ReadOnlySpan<byte> data);

    /// <summary>Goes on over TLS on the same connection.</summary>
    /// <returns>Null when the client is not let in.</returns>
    public TlsChannel? TrySecure(NbdTls tls)
    {
        // The stream is the channel's from here on.
        var stream = new SslStream(new NetworkStream(Socket, ownsSocket: false));
        try
        {
            stream.AuthenticateAsServer(tls.Options);
            return new TlsChannel(Socket, stream);
        }
        catch (Exception e) when (e is AuthenticationException or IOException or ObjectDisposedException or InvalidOperationException)
        {
            stream.Dispose();
            return null;
        }
    }

    public virtual void Dispose() => Socket.Dispose();
}

/// <summary>In clear, with the plain calls of the system.</summary>
internal sealed class PlainChannel(Socket socket) : NbdChannel(socket)
{
    private readonly SafeSocketHandle _handle = socket.SafeHandle;

    public override int Receive(NativeBuffer buffer, int offset, int count) => LibcSocket.Receive(_handle, buffer, offset, count);

    public override bool SendAll(ReadOnlySpan<byte> data) => LibcSocket.SendAll(_handle, data);
}

/// <summary>Over TLS.</summary>
internal sealed class TlsChannel(Socket socket, SslStream stream) : NbdChannel(socket)
{
    public override string? PeerName { get; } = (stream.RemoteCertificate as X509Certificate2)?.GetNameInfo(X509NameType.SimpleName, forIssuer: false);

    public override int Receive(NativeBuffer buffer, int offset, int count)
    {
        try
        {
            return stream.Read(buffer.Span.Slice(offset, count));
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            return -1;
        }
    }

    public override bool SendAll(ReadOnlySpan<byte> data)
    {
        try
        {
            stream.Write(data);
            return true;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            return false;
        }
    }

    public override void Dispose()
    {
        stream.Dispose();
        base.Dispose();
    }
}
