using Nephos.Kernel.State;
using Nephos.State.Local;

namespace Nephos.State;

/// <summary>The state of one process, durable in a folder: RocksDB, commits of many callers in one write and one sync.</summary>
internal sealed class RocksDbStateStore : LocalStateStore
{
    private RocksDbStateStore(ILocalEngine engine, TimeProvider time, StateHistoryOptions history)
        : base(engine, time, history)
    {
    }

    /// <summary>Opens or creates the store in a folder that no other process has open.</summary>
    /// <exception cref="IOException">It cannot be opened: held by another process, damaged, no space.</exception>
    /// <exception cref="InvalidDataException">Its format is not known.</exception>
    public static RocksDbStateStore Open(string path, TimeProvider time, StateHistoryOptions history)
    {
        var engine = new RocksDbEngine(path);
        try
        {
            return new RocksDbStateStore(engine, time, history);
        }
        catch
        {
            engine.Dispose();
            throw;
        }
    }
}
