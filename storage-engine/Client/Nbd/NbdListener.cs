using System.Net;
using System.Net.Sockets;
using System.Text;
using Nephos.Client.Volumes;

namespace Nephos.Client.Nbd;

/// <summary>Accepts the clients of one address, and keeps their connections.</summary>
internal sealed class NbdListener : IDisposable
{
    /// <summary>The longest path the kernel takes for a unix socket.</summary>
    private const int PathBytesMax = 107;

    private const int Backlog = 16;

    private readonly Socket _listener;
    private readonly int _connectionsMax;
    private readonly Func<long, Socket, NbdConnection> _connect;
    private readonly Thread _accepting;
    private readonly Lock _gate = new();
    private readonly List<NbdConnection> _connections = [];
    private long _accepted;
    private bool _closed;

    /// <param name="endPoint">A path, which is taken from whoever had it, or an address.</param>
    /// <param name="connectionsMax">Connections at once; more are closed as they come.</param>
    /// <param name="connect">Makes a connection of a number and a socket.</param>
    /// <exception cref="VolumeHeadException">It can not be listened on.</exception>
    public NbdListener(EndPoint endPoint, int connectionsMax, Func<long, Socket, NbdConnection> connect)
    {
        _connectionsMax = connectionsMax;
        _connect = connect;
        _listener = endPoint is UnixDomainSocketEndPoint path ? BindPath(path) : BindAddress(endPoint);
        EndPoint = _listener.LocalEndPoint!;
        _accepting = new Thread(Accept, maxStackSize: 256 << 10) { IsBackground = true, Name = "nbd accept" };
        _accepting.Start();
    }

    public EndPoint EndPoint { get; }

    public int ConnectionCount
    {
        get { lock (_gate) return _connections.Count; }
    }

    private static Socket BindPath(UnixDomainSocketEndPoint endPoint)
    {
        var path = endPoint.ToString();
        if (Encoding.UTF8.GetByteCount(path) > PathBytesMax) throw new VolumeHeadException($"The socket path {path} is longer than {PathBytesMax} bytes.");
        // What a process that was killed left behind; nobody listens on it, since what is served has one owner.
        File.Delete(path);
        return Bind(new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified), endPoint, () =>
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite));
    }

    private static Socket BindAddress(EndPoint endPoint)
    {
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        if (endPoint.AddressFamily == AddressFamily.InterNetworkV6) socket.DualMode = true;
        return Bind(socket, endPoint, () => { });
    }

    private static Socket Bind(Socket socket, EndPoint endPoint, Action bound)
    {
        try
        {
            socket.Bind(endPoint);
            bound();
            socket.Listen(Backlog);
            return socket;
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new VolumeHeadException($"Can not listen on {endPoint}: {e.Message}", e);
        }
    }

    private void Accept()
    {
        while (true)
        {
            Socket socket;
            try
            {
                socket = _listener.Accept();
                if (socket.ProtocolType == ProtocolType.Tcp)
                {
                    socket.NoDelay = true;
                    // A client that went without a word must not keep its place.
                    socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
                }
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionAborted or SocketError.ConnectionReset)
            {
                continue;
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return;
            }
            lock (_gate)
            {
                if (_closed || _connections.Count >= _connectionsMax)
                {
                    socket.Dispose();
                    continue;
                }
                var connection = _connect(++_accepted, socket);
                connection.OnEnded = Ended;
                _connections.Add(connection);
                connection.Thread.Start();
            }
        }
    }

    private void Ended(NbdConnection connection)
    {
        lock (_gate) _connections.Remove(connection);
    }

    public List<NbdConnection> FindAll(Predicate<NbdConnection> wanted)
    {
        lock (_gate) return _connections.FindAll(wanted);
    }

    /// <summary>Ends connections; what they have in hand is finished. Clients may come back.</summary>
    public void Drop(Predicate<NbdConnection> which)
    {
        var connections = FindAll(which);
        foreach (var connection in connections) connection.Close();
        foreach (var connection in connections)
            if (connection.Thread != Thread.CurrentThread) connection.Thread.Join();
    }

    /// <summary>Asks every connection to end, without waiting for it.</summary>
    public void Hurry()
    {
        lock (_gate)
            foreach (var connection in _connections) connection.Close();
    }

    public void Dispose()
    {
        lock (_gate)
        {
            if (_closed) return;
            _closed = true;
        }
        _listener.Dispose();
        Drop(_ => true);
        _accepting.Join();
        if (EndPoint is UnixDomainSocketEndPoint path) File.Delete(path.ToString());
    }
}
