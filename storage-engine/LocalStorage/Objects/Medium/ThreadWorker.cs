namespace Nephos.LocalStorage.Objects;

/// <summary>A thread of its own: what it calls blocks, so it is not the pool's.</summary>
internal sealed class ThreadWorker : IWorker
{
    private readonly Action _step;
    private readonly object _gate = new();
    private readonly Thread _thread;
    private bool _isWoken;
    private bool _isStopping;

    public ThreadWorker(string name, Action step)
    {
        _step = step;
        _thread = new Thread(Run) { IsBackground = true, Name = name };
        _thread.Start();
    }

    public void Wake()
    {
        lock (_gate)
        {
            if (!_isWoken)
            {
                _isWoken = true;
                Monitor.Pulse(_gate);
            }
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _isStopping = true;
            Monitor.Pulse(_gate);
        }

        _thread.Join();
    }

    private void Run()
    {
        while (true)
        {
            lock (_gate)
            {
                while (!_isWoken && !_isStopping)
                {
                    Monitor.Wait(_gate);
                }

                if (!_isWoken)
                {
                    return;
                }

                _isWoken = false;
            }

            _step();
        }
    }
}
