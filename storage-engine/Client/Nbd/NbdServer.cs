using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Nephos.Client.Volumes;

namespace Nephos.Client.Nbd;

/// <summary>Serves one export on one unix socket.</summary>
internal sealed class NbdServer : IDisposable
{
    /// <summary>Connections at once; more are closed as they come.</summary>
    public const int ConnectionsMax = 64;

    /// <summary>The longest path the kernel takes for a unix socket.</summary>
    private const int PathBytesMax = 107;

    private readonly VolumeExport _export;
    private readonly byte[] _exportName;
    private readonly string _path;
    private readonly RateLimit _rate;
    private readonly Socket _listener;
    private readonly Thread _accepting;
    private readonly Lock _gate = new();
    private readonly List<NbdConnection> _connections = [];
    private long _accepted;
    private bool _closed;

    /// <summary>What all its connections share.</summary>
    public RateLimit Rate => _rate;

    public NbdServer(VolumeExport export, string exportName, string path, RateLimit rate)
    {
        if (Encoding.UTF8.GetByteCount(path) > PathBytesMax) throw new VolumeHeadException($"The socket path {path} is longer than {PathBytesMax} bytes.");
        _export = export;
        _exportName = Encoding.UTF8.GetBytes(exportName);
        _path = path;
        _rate = rate;
        // What a process that was killed left behind; nobody listens on it, since the device has one owner.
        File.Delete(path);
        _listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            _listener.Bind(new UnixDomainSocketEndPoint(path));
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite);
            _listener.Listen(backlog: 16);
        }
        catch (SocketException e)
        {
            _listener.Dispose();
            throw new VolumeHeadException($"Can not listen on {path}: {e.Message}", e);
        }
        _accepting = new Thread(Accept, maxStackSize: 256 << 10) { IsBackground = true, Name = "nbd accept" };
        _accepting.Start();
    }

    public int ConnectionCount
    {
        get { lock (_gate) return _connections.Count; }
    }

    private void Accept()
    {
        while (true)
        {
            Socket socket;
            try
            {
                socket = _listener.Accept();
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
                if (_closed || _connections.Count >= ConnectionsMax)
                {
                    socket.Dispose();
                    continue;
                }
                var connection = new NbdConnection(++_accepted, socket, Find, DrainLostPeers, _rate) { OnEnded = Ended };
                _connections.Add(connection);
                connection.Thread.Start();
            }
        }
    }

    // A stale client that comes back with an old name is told that it is unknown, as often as it likes (B33).
    private VolumeExport? Find(string name) =>
        !_export.Head.Fenced && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(name), _exportName) ? _export : null;

    // A client that comes back replays what was not answered. Its old connection may still hold a copy of the same requests: they must be done
    // before the new connection writes, else an old write could land on a newer one (B24). Only older ones, so that no two wait for each other.
    private void DrainLostPeers(NbdConnection self, NbdSession session)
    {
        List<NbdConnection> lost;
        lock (_gate) lost = _connections.FindAll(connection => connection.Number < self.Number && connection.PeerIsGone);
        foreach (var connection in lost)
        {
            connection.Close();
            connection.Thread.Join();
        }
    }

    private void Ended(NbdConnection connection)
    {
        lock (_gate) _connections.Remove(connection);
    }

    /// <summary>Ends every connection; what they have in hand is finished. Clients may come back.</summary>
    public void DropConnections()
    {
        List<NbdConnection> connections;
        lock (_gate) connections = [.. _connections];
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
        DropConnections();
        _accepting.Join();
        File.Delete(_path);
    }
}

/// <summary>A volume under the name of an attachment.</summary>
internal sealed class VolumeExport(VolumeHead head, bool readOnly) : INbdExport
{
    public long SizeBytes => Head.SizeBytes;
    public bool ReadOnly { get; } = readOnly;
    public VolumeHead Head { get; } = head;
}
