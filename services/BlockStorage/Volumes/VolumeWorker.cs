using Microsoft.Extensions.Logging;

namespace Nephos.BlockStorage.Volumes;

/// <summary>Works on volumes, snapshots and groups of them.</summary>
internal sealed class VolumeWorker(VolumeSteps steps, TimeProvider time, ILogger<VolumeWorker> logger) : KeyedWorker(ParallelMax, time, logger)
{
    private const int ParallelMax = 8;

    protected override Task RunAsync(string id, CancellationToken cancellationToken) => steps.RunAsync(id, cancellationToken);
}
