using Microsoft.Extensions.Logging;
using Nephos.Kernel.Reconciliation;

namespace Nephos.BlockStorage.Exports;

/// <summary>Ends exports when their time is over or what they are of is gone.</summary>
internal sealed class ExportReconciler(
    ExportService exports, ExportListeners listeners, TimeProvider time, ReconcilerRegistry registry, ILogger<ExportReconciler> logger)
    : Reconciler("block-storage/exports", Period, time, registry, logger)
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(15);

    protected override async Task<ReconcileResult> ReconcileAsync(CancellationToken cancellationToken)
    {
        var forgotten = await exports.ForgetAsync(cancellationToken);
        await listeners.SweepAsync(cancellationToken);
        return new ReconcileResult(forgotten, forgotten, 0);
    }
}
