namespace Nephos.Client.Transport;

/// <summary>Calls over a socket that is connected when it is needed.</summary>
internal sealed class SocketChannel(StorageAddress address, ReadOnlyMemory<byte> key, TimeProvider time) : IStorageChannel
{
    /// <summary>After a failure to connect, calls fail at once for so long.</summary>
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(200);

    private readonly Lock _gate = new();
    private ClientConnection? _connection;
    private Task _running = Task.CompletedTask;
    private long _failedAt = -1;
    private bool _isDisposed;

    public ValueTask<CallReply> CallAsync(StorageCall call)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(call.Head.Length, StorageMethods.HeadBytesMax);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(call.Payload.Length, StorageMethods.PayloadBytesMax);
        lock (_gate)
        {
            while (true)
            {
                ObjectDisposedException.ThrowIf(_isDisposed, this);
                if (_connection is null)
                {
                    if (_failedAt >= 0 && time.GetElapsedTime(_failedAt) < RetryDelay)
                    {
                        throw new StorageUnreachableException($"{address} could not be reached a moment ago.", isOutcomeUnknown: false);
                    }

                    _connection = new ClientConnection(address, key, time);
                    _running = RunAsync(_connection);
                }

                if (_connection.TryAdd(call) is { } pending)
                {
                    return new ValueTask<CallReply>(pending.Completion);
                }

                _connection = null;
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            _isDisposed = true;
            _connection?.Abort();
        }

        await _running;
    }

    private async Task RunAsync(ClientConnection connection)
    {
        // Off the caller's stack and lock.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        await connection.RunAsync();
        lock (_gate)
        {
            _failedAt = connection.WasConnected ? -1 : time.GetTimestamp();
            _connection = _connection == connection ? null : _connection;
        }
    }
}
