namespace Nephos.Client.Transport;

/// <summary>Frames over TCP and unix sockets.</summary>
/// <param name="key">A secret that all processes of the cluster share; whoever does not know it gets no connection.</param>
public sealed class SocketTransport(ReadOnlyMemory<byte> key, TimeProvider time) : IStorageTransport
{
    public IAsyncDisposable Listen(StorageAddress address, CallHandler handler) => new SocketListener(address, handler, key, time);

    public IStorageChannel Open(StorageAddress address) => new SocketChannel(address, key, time);
}
