using Nephos.Client.Volumes;

namespace Nephos.Client.Nbd;

/// <summary>Waits for the disk on behalf of a connection: all flushes that come while one runs are answered by the next one.</summary>
internal sealed class NbdFlusher : IDisposable
{
    public delegate bool SendAnswers(ReadOnlySpan<ulong> cookies, ReplicaStatus status);

    /// <summary>Flushes that may wait on one connection; the next one waits in the socket.</summary>
    private const int WaitingMax = 1024;

    private readonly VolumeHead _head;
    private readonly SendAnswers _send;
    private readonly object _gate = new();
    private readonly ulong[] _waiting = new ulong[WaitingMax];
    private readonly ulong[] _running = new ulong[WaitingMax];
    private readonly Thread _thread;
    private int _count;
    private bool _stopping;

    public NbdFlusher(VolumeHead head, SendAnswers send)
    {
        _head = head;
        _send = send;
        _thread = new Thread(Run, maxStackSize: 256 << 10) { IsBackground = true, Name = "nbd flusher" };
        _thread.Start();
    }

    /// <summary>Answers the request when everything acknowledged before is durable. False when the flusher has ended.</summary>
    public bool Add(ulong cookie)
    {
        lock (_gate)
        {
            while (_count == WaitingMax && !_stopping) Monitor.Wait(_gate);
            if (_stopping) return false;
            _waiting[_count++] = cookie;
            Monitor.PulseAll(_gate);
            return true;
        }
    }

    private void Run()
    {
        while (true)
        {
            int count;
            lock (_gate)
            {
                while (_count == 0 && !_stopping) Monitor.Wait(_gate);
                if (_count == 0) return;
                count = _count;
                _waiting.AsSpan(0, count).CopyTo(_running);
                _count = 0;
                Monitor.PulseAll(_gate);
            }
            if (_send(_running.AsSpan(0, count), _head.Flush())) continue;
            lock (_gate)
            {
                _stopping = true;
                _count = 0;
                Monitor.PulseAll(_gate);
            }
            return;
        }
    }

    /// <summary>Finishes what waits and ends.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _stopping = true;
            Monitor.PulseAll(_gate);
        }
        _thread.Join();
    }
}
