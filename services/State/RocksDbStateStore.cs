using Microsoft.Extensions.Logging;
using Nephos.Kernel.State;
using Nephos.State.Backup;
using Nephos.State.Local;

namespace Nephos.State;

/// <summary>The state of one process, durable in a folder: RocksDB, commits of many callers in one write and one sync.</summary>
internal sealed class RocksDbStateStore : LocalStateStore, IStateBackup
{
    private readonly RocksDbEngine _engine;

    private RocksDbStateStore(RocksDbEngine engine, TimeProvider time, StateHistoryOptions history, ILogger logger)
        : base(engine, time, history, logger) => _engine = engine;

    /// <summary>Opens or creates the store in a folder that no other process has open.</summary>
    /// <exception cref="IOException">It cannot be opened: held by another process, damaged, no space.</exception>
    /// <exception cref="InvalidDataException">Its format is not known.</exception>
    public static RocksDbStateStore Open(StateStoreOptions options, TimeProvider time, ILogger logger)
    {
        StateCopy.RequireRestored(options.Path);
        var engine = new RocksDbEngine(options.Path, options.ReservedBytes);
        try
        {
            return new RocksDbStateStore(engine, time, options.History, logger);
        }
        catch
        {
            engine.Dispose();
            throw;
        }
    }

    public void CopyTo(string folder) => _engine.CopyTo(folder);
}
