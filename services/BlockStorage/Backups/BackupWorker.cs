using Microsoft.Extensions.Logging;

namespace Nephos.BlockStorage.Backups;

/// <summary>Works on backups, and on volumes that are restored from them: long work, which nothing short should wait behind.</summary>
internal sealed class BackupWorker(BackupSteps steps, TimeProvider time, ILogger<BackupWorker> logger) : KeyedWorker(ParallelMax, time, logger)
{
    private const int ParallelMax = 4;

    protected override Task RunAsync(string id, CancellationToken cancellationToken) => steps.RunAsync(id, cancellationToken);
}
