using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.State;

namespace Nephos.Networking.Firewalls;

/// <summary>Who sees and changes firewall objects: the owner, and who they are shared with without changing them.</summary>
internal static class FirewallAccess
{
    public static bool Sees(this OperationContext operation, FirewallObject thing) => thing.Shared || operation.Owns(thing.ProjectId);

    /// <param name="kind">Rule, Policy or Group.</param>
    /// <exception cref="FaultException">FirewallObjectNotFound.</exception>
    public static T Firewall<T>(this IReadOnlyDictionary<string, T> table, string kind, OperationContext operation, string id)
        where T : FirewallObject =>
        table.TryGetValue(id, out var thing) && operation.Sees(thing) ? thing : throw NetworkFaults.FirewallObjectNotFound(kind, Checks.Shown(id));

    public static async Task<T> SeenAsync<T>(
        this StateTransaction transaction, TableSchema<T> table, string kind, OperationContext operation, string id, CancellationToken cancellationToken)
        where T : FirewallObject =>
        await transaction.ByIdAsync(table, id, cancellationToken) is { } thing && operation.Sees(thing)
            ? thing
            : throw NetworkFaults.FirewallObjectNotFound(kind, Checks.Shown(id));

    public static async Task<T> OwnAsync<T>(
        this StateTransaction transaction, TableSchema<T> table, string kind, OperationContext operation, string id, string action,
        CancellationToken cancellationToken)
        where T : FirewallObject
    {
        var thing = await transaction.SeenAsync(table, kind, operation, id, cancellationToken);
        operation.RequireOwner(thing.ProjectId, action);
        return thing;
    }
}
