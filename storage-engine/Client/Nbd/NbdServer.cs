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

    private readonly VolumeExport _export;
    private readonly byte[] _exportName;
    private readonly NbdListener _listener;

    /// <summary>What all its connections share.</summary>
    public RateLimit Rate { get; }

    public NbdServer(VolumeExport export, string exportName, string path, RateLimit rate)
    {
        _export = export;
        _exportName = Encoding.UTF8.GetBytes(exportName);
        Rate = rate;
        _listener = new NbdListener(
            new UnixDomainSocketEndPoint(path), ConnectionsMax, (number, socket) => new NbdConnection(number, socket, (name, _) => Find(name), DrainLostPeers, rate));
    }

    public int ConnectionCount => _listener.ConnectionCount;

    // A stale client that comes back with an old name is told that it is unknown, as often as it likes (B33).
    private VolumeExport? Find(string name) =>
        !_export.Head.Fenced && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(name), _exportName) ? _export : null;

    // A client that comes back replays what was not answered. Its old connection may still hold a copy of the same requests: they must be done
    // before the new connection writes, else an old write could land on a newer one (B24). Only older ones, so that no two wait for each other.
    private void DrainLostPeers(NbdConnection self, NbdSession session) =>
        _listener.Drop(connection => connection.Number < self.Number && connection.PeerIsGone);

    /// <summary>Ends every connection; what they have in hand is finished. Clients may come back.</summary>
    public void DropConnections() => _listener.Drop(_ => true);

    /// <summary>Asks every connection to end, without waiting for it.</summary>
    public void Hurry() => _listener.Hurry();

    public void Dispose() => _listener.Dispose();
}

/// <summary>A volume under the name of an attachment.</summary>
internal sealed class VolumeExport(VolumeHead head, bool readOnly) : INbdExport
{
    public long SizeBytes => Head.SizeBytes;
    public bool ReadOnly { get; } = readOnly;
    public VolumeHead Head { get; } = head;
}
