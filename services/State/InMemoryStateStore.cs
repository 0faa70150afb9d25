using Microsoft.Extensions.Logging;
using Nephos.State.Local;

namespace Nephos.State;

/// <summary>The embedded store without a disk, for tests: the same committer, watches and leases, gone when disposed.</summary>
internal sealed class InMemoryStateStore(TimeProvider time, StateHistoryOptions history, ILogger logger)
    : LocalStateStore(new MemoryEngine(), time, history, logger)
{
}
