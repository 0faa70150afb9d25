using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading.Channels;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Nephos.Hypervisor.Network.Namespaces;

namespace Nephos.Hypervisor.Network.GuestMetadata;

/// <summary>Which network a connection came from; set on every connection of <see cref="MetadataListener"/>.</summary>
internal sealed record GuestConnection(Guid NetworkId, IPAddress Address);

/// <summary>Hands connections of guests to one web server: one listening socket per network, bound to the network's bridge, so that the
/// device tells the network and equal addresses of two networks stay apart.</summary>
internal sealed class MetadataListener(SocketConnectionContextFactory connections) : IConnectionListenerFactory, IConnectionListener
{
    /// <summary>One guest may hold this many connections; more are closed at once.</summary>
    private const int ConnectionsPerGuestMax = 16;
    private const int BacklogMax = 64;
    private const int QueueMax = 256;
    private const int LevelSocket = 1;
    private const int BindToDevice = 25;

    private readonly Channel<ConnectionContext> _accepted = Channel.CreateBounded<ConnectionContext>(QueueMax);
    private readonly ConcurrentDictionary<GuestConnection, int> _open = new();
    private readonly Dictionary<Guid, (Socket Socket, int Index)> _sockets = [];

    public EndPoint EndPoint { get; } = new IPEndPoint(GuestServices.MetadataAddress, 80);

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) => new(this);

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (await _accepted.Reader.WaitToReadAsync(cancellationToken))
        {
            if (_accepted.Reader.TryRead(out var connection))
            {
                return connection;
            }
        }

        return null;
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        _accepted.Writer.TryComplete();
        return default;
    }

    public ValueTask DisposeAsync()
    {
        _accepted.Writer.TryComplete();
        CloseAll();
        return default;
    }

    /// <summary>Listens on exactly these bridges from now on. Not thread safe.</summary>
    public void Serve(NetworkNamespace dataPlane, IReadOnlyDictionary<Guid, (string Bridge, int Index)> networks)
    {
        foreach (var (network, open) in _sockets.Where(open => !networks.TryGetValue(open.Key, out var wanted) || wanted.Index != open.Value.Index).ToList())
        {
            open.Socket.Dispose();
            _sockets.Remove(network);
        }

        var missing = networks.Where(network => !_sockets.ContainsKey(network.Key)).ToList();
        if (missing.Count == 0)
        {
            return;
        }

        var opened = dataPlane.Run(() => missing.ConvertAll(network => (Network: network.Key, network.Value.Index, Socket: Open(network.Value.Bridge))));
        foreach (var (network, index, socket) in opened)
        {
            _sockets.Add(network, (socket, index));
            _ = AcceptFromAsync(network, socket);
        }
    }

    public void CloseAll()
    {
        foreach (var (socket, _) in _sockets.Values)
        {
            socket.Dispose();
        }

        _sockets.Clear();
    }

    private static Socket Open(string bridge)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.SetRawSocketOption(LevelSocket, BindToDevice, Encoding.ASCII.GetBytes(bridge + "\0"));
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, optionValue: true);
            socket.Bind(new IPEndPoint(GuestServices.MetadataAddress, 80));
            socket.Listen(BacklogMax);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task AcceptFromAsync(Guid network, Socket listener)
    {
        while (true)
        {
            Socket socket;
            try
            {
                socket = await listener.AcceptAsync();
            }
            catch (Exception error) when (error is ObjectDisposedException or SocketException { SocketErrorCode: SocketError.OperationAborted })
            {
                return;
            }
            catch (SocketException)
            {
                // The guest gave up before we came to it.
                continue;
            }

            Hand(socket, network);
        }
    }

    private void Hand(Socket socket, Guid network)
    {
        if (socket.RemoteEndPoint is not IPEndPoint remote)
        {
            socket.Dispose();
            return;
        }

        var guest = new GuestConnection(network, remote.Address);
        if (_open.AddOrUpdate(guest, 1, static (_, count) => count + 1) > ConnectionsPerGuestMax)
        {
            Leave(guest);
            socket.Dispose();
            return;
        }

        socket.NoDelay = true;
        var connection = connections.Create(socket);
        connection.Features.Set(guest);
        connection.ConnectionClosed.Register(() => Leave(guest));
        if (!_accepted.Writer.TryWrite(connection))
        {
            connection.Abort();
            _ = connection.DisposeAsync().AsTask();
        }
    }

    private void Leave(GuestConnection guest)
    {
        if (_open.AddOrUpdate(guest, 0, static (_, count) => count - 1) <= 0)
        {
            _open.TryRemove(new KeyValuePair<GuestConnection, int>(guest, 0));
        }
    }
}
