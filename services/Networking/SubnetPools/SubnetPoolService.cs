using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.Addressing;
using Nephos.Networking.AddressScopes;
using Nephos.Networking.Quotas;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;

namespace Nephos.Networking.SubnetPools;

internal sealed record NewSubnetPool
{
    public string ProjectId { get; init; } = "";

    public string Name { get; init; } = "";

    public string Description { get; init; } = "";

    public required IReadOnlyList<Cidr> Prefixes { get; init; }

    public int? DefaultPrefixLength { get; init; }

    public int? MinPrefixLength { get; init; }

    public int? MaxPrefixLength { get; init; }

    public bool Shared { get; init; }

    public bool IsDefault { get; init; }

    public long? DefaultQuota { get; init; }

    public string? AddressScopeId { get; init; }

    public IReadOnlyList<string> Tags { get; init; } = [];

    public string? IdempotencyKey { get; init; }
}

internal sealed record SubnetPoolChanges
{
    public Optional<string> Name { get; init; }

    public Optional<string> Description { get; init; }

    public Optional<IReadOnlyList<Cidr>> Prefixes { get; init; }

    public Optional<int> DefaultPrefixLength { get; init; }

    public Optional<int> MinPrefixLength { get; init; }

    public Optional<int> MaxPrefixLength { get; init; }

    public Optional<bool> IsDefault { get; init; }

    public Optional<long?> DefaultQuota { get; init; }

    /// <summary>Null takes it out of its scope.</summary>
    public Optional<string?> AddressScopeId { get; init; }

    public Optional<IReadOnlyList<string>> Tags { get; init; }
}

internal sealed class SubnetPoolService(NetworkStore store, QuotaService quotas, TimeProvider time)
{
    private const int MaxPrefixes = 256;

    /// <summary>What a subnet counts in the quota of its pool.</summary>
    public static UInt128 QuotaUnits(Cidr cidr) => cidr.Version == 4 ? cidr.Count : cidr.Count >> 64 is var networks && networks > 0 ? networks : 1;

    public Task<SubnetPool> CreateAsync(OperationContext operation, NewSubnetPool request, CancellationToken cancellationToken)
    {
        var projectId = operation.ProjectFor(request.ProjectId);
        operation.RequirePrivileged(request.Shared || request.IsDefault, "create a shared or default subnet pool");
        var now = time.GetUtcNow();
        var prefixes = PoolAllocation.Merge(request.Prefixes);
        if (prefixes.Count == 0)
        {
            throw Faults.Invalid("prefixes", "must not be empty");
        }

        // What clients of such pools expect when they name no lengths: a /8, or a /64.
        var min = request.MinPrefixLength ?? (prefixes[0].Version == 4 ? 8 : 64);
        var pool = Check(new SubnetPool
        {
            Id = Ids.NewUuid(),
            ProjectId = projectId,
            Name = Checks.Name(request.Name),
            Description = Checks.Description(request.Description),
            Prefixes = prefixes,
            MinPrefixLength = min,
            MaxPrefixLength = request.MaxPrefixLength ?? prefixes[0].First.Bits,
            DefaultPrefixLength = request.DefaultPrefixLength ?? min,
            Grants = SharedResource.WithEveryone([], GrantAction.Shared, projectId, request.Shared),
            IsDefault = request.IsDefault,
            DefaultQuota = request.DefaultQuota,
            AddressScopeId = request.AddressScopeId,
            Tags = Checks.Tags(request.Tags),
            CreatedAt = now,
            UpdatedAt = now,
            IdempotencyKey = Checks.RequestKey(request.IdempotencyKey),
        });
        return store.CreateAsync(
            Tables.SubnetPools, pool,
            async transaction =>
            {
                await AddressScopeService.CheckPoolAsync(transaction, operation, pool, cancellationToken);
                await quotas.CountAsync(transaction, projectId, QuotaResources.SubnetPool, 1, cancellationToken);
                return pool;
            },
            cancellationToken);
    }

    public Task<SubnetPool> UpdateAsync(
        OperationContext operation, string id, SubnetPoolChanges changes, CancellationToken cancellationToken) =>
        store.ChangeAsync(
            "",
            async transaction =>
            {
                var before = await GetOwnAsync(transaction, operation, id, "update_subnetpool", cancellationToken);
                operation.RequirePrivileged(changes.IsDefault.Or(before.IsDefault) != before.IsDefault, "change the default subnet pool");
                var after = Check(before with
                {
                    Name = Checks.Name(changes.Name.Or(before.Name)),
                    Description = Checks.Description(changes.Description.Or(before.Description)),
                    Prefixes = changes.Prefixes.IsSet ? PoolAllocation.Merge(changes.Prefixes.Value) : before.Prefixes,
                    DefaultPrefixLength = changes.DefaultPrefixLength.Or(before.DefaultPrefixLength),
                    MinPrefixLength = changes.MinPrefixLength.Or(before.MinPrefixLength),
                    MaxPrefixLength = changes.MaxPrefixLength.Or(before.MaxPrefixLength),
                    IsDefault = changes.IsDefault.Or(before.IsDefault),
                    DefaultQuota = changes.DefaultQuota.Or(before.DefaultQuota),
                    AddressScopeId = changes.AddressScopeId.Or(before.AddressScopeId),
                    Tags = changes.Tags.IsSet ? Checks.Tags(changes.Tags.Value) : before.Tags,
                    UpdatedAt = time.GetUtcNow(),
                    Revision = before.Revision + 1,
                });
                if (!before.Prefixes.All(old => after.Prefixes.Any(prefix => prefix.Contains(old))))
                {
                    throw Faults.Invalid("prefixes", "existing prefixes must be a subset of the new prefixes");
                }

                if (after.AddressScopeId != before.AddressScopeId || changes.Prefixes.IsSet)
                {
                    await AddressScopeService.CheckPoolAsync(transaction, operation, after, cancellationToken);
                }

                transaction.Put(Tables.SubnetPools, after);
                return after;
            },
            cancellationToken);

    public Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        store.ChangeAsync(
            "",
            async transaction =>
            {
                var pool = await GetOwnAsync(transaction, operation, id, "delete_subnetpool", cancellationToken);
                if ((await transaction.ListByAsync(Tables.Subnets, Tables.ByPool, id, cancellationToken)).Count > 0)
                {
                    throw NetworkFaults.SubnetPoolInUse(id);
                }

                transaction.Delete(Tables.SubnetPools, id);
                await quotas.CountAsync(transaction, pool.ProjectId, QuotaResources.SubnetPool, -1, cancellationToken);
                return true;
            },
            cancellationToken);

    private static SubnetPool Check(SubnetPool pool)
    {
        var bits = pool.Prefixes.Count is > 0 and <= MaxPrefixes
            ? pool.Prefixes[0].First.Bits
            : throw Faults.Invalid("prefixes", $"must be 1 to {MaxPrefixes}");
        if (pool.Prefixes.Any(prefix => prefix.Version != pool.IpVersion))
        {
            throw Faults.Invalid("prefixes", "must be of one IP version");
        }

        if (pool.MinPrefixLength < 1 || pool.MaxPrefixLength > bits || pool.MinPrefixLength > pool.MaxPrefixLength)
        {
            throw Faults.Invalid("min_prefixlen", $"prefix lengths must be 1 to {bits}, and the smallest not above the largest");
        }

        if (pool.DefaultPrefixLength < pool.MinPrefixLength || pool.DefaultPrefixLength > pool.MaxPrefixLength)
        {
            throw Faults.Invalid("default_prefixlen", "must not be below min_prefixlen or above max_prefixlen");
        }

        return pool.DefaultQuota is < 0 ? throw Faults.Invalid("default_quota", "must not be negative") : pool;
    }

    private static async Task<SubnetPool> GetOwnAsync(
        StateTransaction transaction, OperationContext operation, string id, string action, CancellationToken cancellationToken)
    {
        if (await transaction.ByIdAsync(Tables.SubnetPools, id, cancellationToken) is not { } pool || !operation.Sees(pool))
        {
            throw NetworkFaults.SubnetPoolNotFound(Checks.Shown(id));
        }

        operation.RequireOwner(pool.ProjectId, action);
        return pool;
    }
}
