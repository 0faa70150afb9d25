using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;
using Nephos.Networking.SubnetPools;
using Nephos.Protos.Errors.V1;

namespace Nephos.Networking.AddressScopes;

internal sealed record NewAddressScope(string ProjectId, string Name, int IpVersion, bool Shared, string? IdempotencyKey);

internal sealed record AddressScopeChanges
{
    public Optional<string> Name { get; init; }

    public Optional<bool> Shared { get; init; }
}

internal sealed class AddressScopeService(NetworkStore store, TimeProvider time)
{
    public Task<AddressScope> CreateAsync(OperationContext operation, NewAddressScope request, CancellationToken cancellationToken)
    {
        var projectId = operation.ProjectFor(request.ProjectId);
        operation.RequirePrivileged(request.Shared, "create_address_scope:shared");
        var now = time.GetUtcNow();
        var scope = new AddressScope
        {
            Id = Ids.NewUuid(),
            ProjectId = projectId,
            Name = Checks.Name(request.Name),
            IpVersion = request.IpVersion is 4 or 6 ? request.IpVersion : throw Faults.Invalid("ip_version", $"'{request.IpVersion}' is not in [4, 6]"),
            Grants = SharedResource.WithEveryone([], GrantAction.Shared, projectId, request.Shared),
            CreatedAt = now,
            UpdatedAt = now,
            IdempotencyKey = Checks.RequestKey(request.IdempotencyKey),
        };
        return store.CreateAsync(Tables.AddressScopes, scope, cancellationToken);
    }

    public Task<AddressScope> UpdateAsync(
        OperationContext operation, string id, AddressScopeChanges changes, CancellationToken cancellationToken) => store.ChangeAsync(
        "",
        async transaction =>
        {
            var before = await GetOwnAsync(transaction, operation, id, "update_address_scope", cancellationToken);
            var shared = changes.Shared.Or(before.Shared);
            operation.RequirePrivileged(shared != before.Shared, "update_address_scope:shared");
            if (before.Shared && !shared)
            {
                throw NetworkFaults.Of(ErrorReason.AddressScopeUpdateRefused,
                    $"Unable to update address scope {id} : Shared address scope can't be unshared.");
            }

            var after = before with
            {
                Name = Checks.Name(changes.Name.Or(before.Name)),
                Grants = SharedResource.WithEveryone(before.Grants, GrantAction.Shared, before.ProjectId, shared),
                UpdatedAt = time.GetUtcNow(),
                Revision = before.Revision + 1,
            };
            transaction.Put(Tables.AddressScopes, after);
            return after;
        },
        cancellationToken);

    public Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken) => store.ChangeAsync(
        "",
        async transaction =>
        {
            await GetOwnAsync(transaction, operation, id, "delete_address_scope", cancellationToken);
            if ((await transaction.ListByAsync(Tables.SubnetPools, Tables.ByScope, id, cancellationToken)).Count > 0)
            {
                throw NetworkFaults.Of(ErrorReason.AddressScopeInUse,
                    $"Unable to complete operation on address scope {id}. There are one or more subnet pools in use on the address scope");
            }

            transaction.Delete(Tables.AddressScopes, id);
            return true;
        },
        cancellationToken);

    /// <summary>Refuses a pool that cannot be in the scope that it names.</summary>
    public static async Task CheckPoolAsync(
        StateTransaction transaction, OperationContext operation, SubnetPool pool, CancellationToken cancellationToken)
    {
        if (pool.AddressScopeId is not { } scopeId)
        {
            return;
        }

        if (await transaction.ByIdAsync(Tables.AddressScopes, scopeId, cancellationToken) is not { } scope || !operation.Sees(scope))
        {
            throw NetworkFaults.AddressScopeNotFound(Checks.Shown(scopeId));
        }

        if (scope.ProjectId != pool.ProjectId && !scope.Allows(GrantAction.Shared, pool.ProjectId))
        {
            throw NetworkFaults.Of(ErrorReason.SubnetPoolNotForScope,
                $"Illegal subnetpool association: subnetpool {pool.Id} cannot be associated with address scope {scopeId}.");
        }

        if (scope.IpVersion != pool.IpVersion)
        {
            throw NetworkFaults.Of(ErrorReason.SubnetPoolNotForScope,
                $"Illegal subnetpool association: subnetpool {pool.Id} cannot associate with address scope {scopeId} because subnetpool ip_version is not {scope.IpVersion}.");
        }

        foreach (var other in await transaction.ListByAsync(Tables.SubnetPools, Tables.ByScope, scopeId, cancellationToken))
        {
            if (other.Id != pool.Id && other.Prefixes.Any(prefix => pool.Prefixes.Any(prefix.Overlaps)))
            {
                throw NetworkFaults.Of(ErrorReason.AddressScopePrefixConflict,
                    "Failed to associate address scope: subnetpools within an address scope must have unique prefixes.");
            }
        }
    }

    private static async Task<AddressScope> GetOwnAsync(
        StateTransaction transaction, OperationContext operation, string id, string action, CancellationToken cancellationToken)
    {
        if (await transaction.ByIdAsync(Tables.AddressScopes, id, cancellationToken) is not { } scope || !operation.Sees(scope))
        {
            throw NetworkFaults.AddressScopeNotFound(Checks.Shown(id));
        }

        operation.RequireOwner(scope.ProjectId, action);
        return scope;
    }
}
