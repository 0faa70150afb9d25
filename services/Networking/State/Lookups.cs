using Nephos.Kernel;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.Networks;

namespace Nephos.Networking.State;

/// <summary>Reads by ids that come from outside.</summary>
internal static class Lookups
{
    /// <summary>The record, or null: also for what is no id at all.</summary>
    public static async ValueTask<T?> ByIdAsync<T>(
        this StateTransaction transaction, TableSchema<T> table, string id, CancellationToken cancellationToken)
        where T : class =>
        Ids.IsUuid(id) ? await transaction.GetAsync(table, id, cancellationToken) : null;

    /// <summary>The record that an earlier request with the same key made, or null.</summary>
    public static async ValueTask<T?> EarlierAsync<T>(
        this StateTransaction transaction, TableSchema<T> table, T draft, CancellationToken cancellationToken)
        where T : Resource =>
        draft.IdempotencyKey is { } key
            ? await transaction.FindAsync(table, Tables.ByRequest, Tables.RequestKey(draft.ProjectId, key), cancellationToken)
            : null;

    /// <exception cref="Kernel.Errors.FaultException">NetworkNotFound, also for those that the caller may not see.</exception>
    public static async Task<Network> VisibleNetworkAsync(
        this StateTransaction transaction, OperationContext operation, string id, CancellationToken cancellationToken) =>
        await transaction.ByIdAsync(Tables.Networks, id, cancellationToken) is { } network && operation.Sees(network)
            ? network
            : throw NetworkFaults.NetworkNotFound(Checks.Shown(id));
}
