using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Win32.SafeHandles;

namespace Nephos.Hypervisor.Qemu;

/// <summary>One connection to a QEMU Machine Protocol socket.</summary>
/// <remarks>Lines of JSON: the server greets, the client negotiates once, then each command carries an id and gets a return or an error
/// with it; events come in between (QEMU documentation, "QEMU Machine Protocol Specification"). Every command has a deadline. Safe for
/// concurrent use. A socket serves one client at a time: connecting to a busy one waits until the deadline.</remarks>
internal sealed class QmpClient : IAsyncDisposable
{
    private const int LineBytesMax = 8 << 20;
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan CommandTimeout = TimeSpan.FromSeconds(15);

    private readonly Socket _socket;
    private readonly NetworkStream _stream;
    private readonly TimeProvider _time;
    private readonly Action<JsonElement> _onEvent;
    private readonly ConcurrentDictionary<long, TaskCompletionSource<JsonElement>> _waiting = new();
    private readonly SemaphoreSlim _sending = new(1);
    private readonly CancellationTokenSource _closing = new();
    private readonly TaskCompletionSource<JsonElement> _greeting = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _reading = Task.CompletedTask;
    private long _nextId;
    private volatile string? _broken;

    private QmpClient(Socket socket, TimeProvider time, Action<JsonElement> onEvent)
    {
        _socket = socket;
        _stream = new NetworkStream(socket, ownsSocket: true);
        _time = time;
        _onEvent = onEvent;
    }

    /// <summary>False once the connection is lost; it is not made again.</summary>
    public bool IsAlive => _broken is null;

    /// <param name="onEvent">Called for each event, and with an undefined element when the connection is lost; on the reading loop, so it
    /// must return at once.</param>
    /// <exception cref="QmpException">Nobody listens, or nobody answers in time.</exception>
    public static async Task<QmpClient> ConnectAsync(
        string socketPath, TimeProvider time, Action<JsonElement> onEvent, CancellationToken cancellationToken)
    {
        using var deadline = new Deadline(ConnectTimeout, time, cancellationToken);
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        QmpClient? client = null;
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), deadline.Token);
            client = new QmpClient(socket, time, onEvent);
            client._reading = client.ReadAsync();
            await client._greeting.Task.WaitAsync(deadline.Token);
            await client.RunAsync("qmp_capabilities", null, cancellationToken);
            return client;
        }
        catch (Exception exception) when (exception is SocketException or OperationCanceledException or QmpException)
        {
            socket.Dispose();
            if (client is not null)
            {
                await client.DisposeAsync();
            }
            cancellationToken.ThrowIfCancellationRequested();
            throw exception as QmpException
                ?? new QmpException(exception is OperationCanceledException ? QmpFault.Timeout : QmpFault.Lost, $"no answer from {socketPath}: {exception.Message}");
        }
    }

    /// <summary>Runs a command and returns its result.</summary>
    /// <exception cref="QmpException">The command failed, the connection was lost, or the deadline passed.</exception>
    public async Task<JsonElement> RunAsync(string command, JsonObject? arguments, CancellationToken cancellationToken, SafeFileHandle? file = null)
    {
        using var deadline = new Deadline(CommandTimeout, _time, cancellationToken);
        var id = Interlocked.Increment(ref _nextId);
        var answer = new TaskCompletionSource<JsonElement>(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting[id] = answer;
        if (_broken is { } reason)
        {
            _waiting.TryRemove(id, out _);
            throw new QmpException(QmpFault.Lost, reason);
        }
        var request = new JsonObject { ["execute"] = command, ["id"] = id };
        if (arguments is not null)
        {
            request["arguments"] = arguments;
        }
        byte[] line = [.. JsonSerializer.SerializeToUtf8Bytes(request), (byte)'\n'];
        try
        {
            await _sending.WaitAsync(deadline.Token);
            try
            {
                if (file is null)
                {
                    await _stream.WriteAsync(line, deadline.Token);
                }
                else
                {
                    DescriptorPassing.Send(_socket, line, file);
                }
            }
            finally
            {
                _sending.Release();
            }
            return await answer.Task.WaitAsync(deadline.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new QmpException(QmpFault.Timeout, $"{command} was not answered within {CommandTimeout.TotalSeconds:0} s");
        }
        catch (Exception exception) when (exception is IOException or SocketException or ObjectDisposedException)
        {
            throw new QmpException(QmpFault.Lost, $"{command}: {exception.Message}");
        }
        finally
        {
            _waiting.TryRemove(id, out _);
        }
    }

    /// <summary>Runs a command of the human monitor: only for what has no other form.</summary>
    public async Task<string> RunHumanAsync(string line, CancellationToken cancellationToken) =>
        (await RunAsync("human-monitor-command", new JsonObject { ["command-line"] = line }, cancellationToken)).GetString() ?? "";

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await _stream.DisposeAsync();
        await _reading;
        _closing.Dispose();
    }

    private async Task ReadAsync()
    {
        var buffer = new byte[16 * 1024];
        var filled = 0;
        var reason = "the connection was closed";
        try
        {
            while (true)
            {
                if (filled == buffer.Length)
                {
                    if (buffer.Length >= LineBytesMax)
                    {
                        throw new InvalidDataException($"a line of more than {LineBytesMax} bytes");
                    }
                    Array.Resize(ref buffer, buffer.Length * 2);
                }
                var read = await _stream.ReadAsync(buffer.AsMemory(filled), _closing.Token);
                if (read == 0)
                {
                    break;
                }
                filled += read;
                int newline;
                var start = 0;
                while ((newline = buffer.AsSpan(start, filled - start).IndexOf((byte)'\n')) >= 0)
                {
                    if (newline > 1)
                    {
                        Take(buffer.AsMemory(start, newline));
                    }
                    start += newline + 1;
                }
                buffer.AsSpan(start, filled - start).CopyTo(buffer);
                filled -= start;
            }
        }
        catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException or ObjectDisposedException
            or JsonException or InvalidDataException)
        {
            reason = exception.Message;
        }
        _broken = reason;
        _greeting.TrySetException(new QmpException(QmpFault.Lost, reason));
        foreach (var waiting in _waiting.Values)
        {
            waiting.TrySetException(new QmpException(QmpFault.Lost, reason));
        }
        if (!_closing.IsCancellationRequested)
        {
            _onEvent(default);
        }
    }

    private void Take(ReadOnlyMemory<byte> line)
    {
        using var document = JsonDocument.Parse(line);
        var message = document.RootElement;
        if (message.TryGetProperty("event", out _))
        {
            _onEvent(message.Clone());
        }
        else if (message.TryGetProperty("QMP", out _))
        {
            _greeting.TrySetResult(message.Clone());
        }
        else if (message.TryGetProperty("id", out var id) && id.TryGetInt64(out var number) && _waiting.TryGetValue(number, out var waiting))
        {
            if (message.TryGetProperty("return", out var result))
            {
                waiting.TrySetResult(result.Clone());
            }
            else
            {
                var error = message.GetProperty("error");
                waiting.TrySetException(new QmpException(
                    error.GetProperty("class").GetString() == "DeviceNotFound" ? QmpFault.NotFound : QmpFault.Refused,
                    error.GetProperty("desc").GetString() ?? "unknown error"));
            }
        }
    }
}

internal enum QmpFault
{
    /// <summary>The command failed.</summary>
    Refused,
    NotFound,
    Timeout,
    /// <summary>No connection.</summary>
    Lost,
}

internal sealed class QmpException(QmpFault fault, string message) : Exception(message)
{
    public QmpFault Fault { get; } = fault;
}

/// <summary>A token that is cancelled by the caller or by a clock.</summary>
internal sealed class Deadline : IDisposable
{
    private readonly CancellationTokenSource _timer;
    private readonly CancellationTokenSource _linked;

    public Deadline(TimeSpan timeout, TimeProvider time, CancellationToken cancellationToken)
    {
        _timer = new CancellationTokenSource(timeout, time);
        _linked = CancellationTokenSource.CreateLinkedTokenSource(_timer.Token, cancellationToken);
    }

    public CancellationToken Token => _linked.Token;

    public void Dispose()
    {
        _linked.Dispose();
        _timer.Dispose();
    }
}
