namespace Nephos.StorageEngine.Simulation.Machine;

/// <summary>
/// Runs all tasks of one process on the calling thread, in an order that the seed decides: whatever is ready may come next, as on a
/// machine with many cores, but the same every time.
/// </summary>
internal sealed class SimulatedScheduler(Random random) : TaskScheduler
{
    private readonly List<Task> _ready = [];
    private readonly int _thread = Environment.CurrentManagedThreadId;

    public bool HasWork => _ready.Count > 0;

    /// <summary>What went wrong where nobody waits for the result.</summary>
    public Exception? Fault { get; private set; }

    public void Post(Action action) => Task.Factory.StartNew(
        () =>
        {
            try
            {
                action();
            }
            catch (PowerLostException)
            {
            }
            catch (Exception fault)
            {
                Fault = fault;
            }
        },
        CancellationToken.None, TaskCreationOptions.DenyChildAttach, this);

    public Task<T> Start<T>(Func<Task<T>> work) =>
        Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.DenyChildAttach, this).Unwrap();

    public Task Start(Func<Task> work) =>
        Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.DenyChildAttach, this).Unwrap();

    public void RunOne()
    {
        var at = random.Next(_ready.Count);
        var task = _ready[at];
        _ready[at] = _ready[^1];
        _ready.RemoveAt(_ready.Count - 1);
        TryExecuteTask(task);
    }

    protected override void QueueTask(Task task)
    {
        if (Environment.CurrentManagedThreadId != _thread)
        {
            // The order of the run would not be the seed's any more.
            Fault ??= new SimulationException($"Something runs on a thread of its own: {Environment.StackTrace}");
            return;
        }

        _ready.Add(task);
    }

    // Always queued: what could run at once may as well run later.
    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) => false;

    protected override IEnumerable<Task> GetScheduledTasks() => [.. _ready];
}
