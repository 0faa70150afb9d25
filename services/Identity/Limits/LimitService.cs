using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Identity.Limits;

/// <summary>What can be done with limits. The model is flat: a limit says nothing about the projects below.</summary>
internal sealed class LimitService(DirectoryView directory, IdentityWrites writes)
{
    public const int MaxPerCall = 100;

    private const string RegisteredKind = "registered_limit", Kind = "limit";

    public async Task<RegisteredLimit> GetRegisteredAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        Policy.RequireOwnProof(operation);
        return (Names.IsId(id) ? await directory.Store.GetAsync(IdentityTables.RegisteredLimits, id, cancellationToken) : null) ??
            throw Faults.NotFound(RegisteredKind, id);
    }

    public ValueTask<IReadOnlyList<RegisteredLimit>> ListRegisteredAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        Policy.RequireOwnProof(operation);
        return directory.Store.ListAsync(IdentityTables.RegisteredLimits, "", cancellationToken);
    }

    /// <exception cref="FaultException">AlreadyExists: the resource has one. InvalidArgument: no such service or region, a number below -1.</exception>
    public async Task<IReadOnlyList<RegisteredLimit>> CreateRegisteredAsync(
        OperationContext operation, IReadOnlyList<RegisteredLimit> drafts, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:create_registered_limits");
        CheckCount(drafts.Count);
        var made = drafts.Select(draft => draft with
        {
            Id = Ids.NewHex(),
            ResourceName = Names.Check(draft.ResourceName, "resource_name"),
            DefaultLimit = CheckAmount(draft.DefaultLimit, "default_limit"),
            Description = Names.CheckDescription(draft.Description),
        }).ToList();
        return await IdentityFaults.GuardNameAsync(RegisteredKind, drafts[0].ResourceName, writes.RunAsync(
            async change =>
            {
                foreach (var limit in made)
                {
                    await CheckPlaceAsync(change.State, limit.ServiceId, limit.RegionId, cancellationToken);
                    change.State.Insert(IdentityTables.RegisteredLimits, limit);
                }
                return made;
            },
            cancellationToken));
    }

    public async Task<RegisteredLimit> UpdateRegisteredAsync(
        OperationContext operation, string id, long? amount, Change<string> description, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:update_registered_limit");
        return await writes.RunAsync(
            async change =>
            {
                var before = await RequireAsync(change.State, IdentityTables.RegisteredLimits, RegisteredKind, id, cancellationToken);
                var after = before with
                {
                    DefaultLimit = amount is { } given ? CheckAmount(given, "default_limit") : before.DefaultLimit,
                    Description = description.IsGiven ? Names.CheckDescription(description.Value) : before.Description,
                };
                change.State.Put(IdentityTables.RegisteredLimits, after);
                return after;
            },
            cancellationToken);
    }

    /// <exception cref="FaultException">IdentityRefused: a limit refers to it.</exception>
    public async Task DeleteRegisteredAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:delete_registered_limit");
        await writes.RunAsync(
            async change =>
            {
                var before = await RequireAsync(change.State, IdentityTables.RegisteredLimits, RegisteredKind, id, cancellationToken);
                if ((await change.State.ListByAsync(IdentityTables.Limits, "subject", before.Subject, cancellationToken)).Count > 0)
                {
                    throw IdentityFaults.Refused($"Registered limit {id} has limits of projects or domains.");
                }
                change.State.Delete<RegisteredLimit>(IdentityTables.RegisteredLimits, id);
            },
            cancellationToken);
    }

    public async Task<Limit> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        Policy.RequireOwnProof(operation);
        return Names.IsId(id) && await directory.Store.GetAsync(IdentityTables.Limits, id, cancellationToken) is { } limit && MaySee(operation, limit)
            ? limit
            : throw Faults.NotFound(Kind, id);
    }

    public async Task<IReadOnlyList<Limit>> ListAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        Policy.RequireOwnProof(operation);
        return [.. (await directory.Store.ListAsync(IdentityTables.Limits, "", cancellationToken)).Where(limit => MaySee(operation, limit))];
    }

    /// <exception cref="FaultException">IdentityRefused: the resource has no registered limit. AlreadyExists: the owner has a limit of it.</exception>
    public async Task<IReadOnlyList<Limit>> CreateAsync(OperationContext operation, IReadOnlyList<Limit> drafts, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:create_limits");
        CheckCount(drafts.Count);
        var made = drafts.Select(draft => draft with
        {
            Id = Ids.NewHex(),
            ResourceName = Names.Check(draft.ResourceName, "resource_name"),
            ResourceLimit = CheckAmount(draft.ResourceLimit, "resource_limit"),
            Description = Names.CheckDescription(draft.Description),
        }).ToList();
        return await IdentityFaults.GuardNameAsync(Kind, drafts[0].ResourceName, writes.RunAsync(
            async change =>
            {
                foreach (var limit in made)
                {
                    await CheckOwnerAsync(change.State, limit, cancellationToken);
                    if (await change.State.FindAsync(IdentityTables.RegisteredLimits, "subject", limit.Subject, cancellationToken) is null)
                    {
                        throw IdentityFaults.Refused($"There is no registered limit of {limit.ResourceName} for service {limit.ServiceId}.");
                    }
                    change.State.Insert(IdentityTables.Limits, limit);
                }
                return made;
            },
            cancellationToken));
    }

    public async Task<Limit> UpdateAsync(
        OperationContext operation, string id, long? amount, Change<string> description, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:update_limit");
        return await writes.RunAsync(
            async change =>
            {
                var before = await RequireAsync(change.State, IdentityTables.Limits, Kind, id, cancellationToken);
                var after = before with
                {
                    ResourceLimit = amount is { } given ? CheckAmount(given, "resource_limit") : before.ResourceLimit,
                    Description = description.IsGiven ? Names.CheckDescription(description.Value) : before.Description,
                };
                change.State.Put(IdentityTables.Limits, after);
                return after;
            },
            cancellationToken);
    }

    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:delete_limit");
        await writes.RunAsync(
            async change =>
            {
                await RequireAsync(change.State, IdentityTables.Limits, Kind, id, cancellationToken);
                change.State.Delete<Limit>(IdentityTables.Limits, id);
            },
            cancellationToken);
    }

    private static bool MaySee(OperationContext operation, Limit limit) =>
        Policy.MayReadAll(operation) || (limit.ProjectId is not null && limit.ProjectId == operation.ProjectId) ||
        (limit.DomainId is not null && limit.DomainId == operation.DomainId);

    private static void CheckCount(int count)
    {
        if (count is 0 or > MaxPerCall)
        {
            throw Faults.Invalid("limits", $"1 to {MaxPerCall} may be given");
        }
    }

    private static long CheckAmount(long amount, string field) =>
        amount is >= -1 and <= int.MaxValue ? amount : throw Faults.Invalid(field, $"must be -1 to {int.MaxValue}");

    private static async Task<T> RequireAsync<T>(
        StateTransaction state, TableSchema<T> schema, string kind, string id, CancellationToken cancellationToken)
        where T : class => (Names.IsId(id) ? await state.GetAsync(schema, id, cancellationToken) : null) ?? throw Faults.NotFound(kind, id);

    private static async Task CheckPlaceAsync(StateTransaction state, string serviceId, string? regionId, CancellationToken cancellationToken)
    {
        if (!Names.IsId(serviceId) || await state.GetAsync(IdentityTables.Services, serviceId, cancellationToken) is null)
        {
            throw Faults.Invalid("service_id", $"there is no service {serviceId}");
        }
        if (regionId is not null && (!Names.IsId(regionId) || await state.GetAsync(IdentityTables.Regions, regionId, cancellationToken) is null))
        {
            throw Faults.Invalid("region_id", $"there is no region {regionId}");
        }
    }

    private static async Task CheckOwnerAsync(StateTransaction state, Limit limit, CancellationToken cancellationToken)
    {
        if (limit.ProjectId is null == limit.DomainId is null)
        {
            throw Faults.Invalid("project_id", "either project_id or domain_id is required");
        }
        if (!Names.IsId(limit.OwnerId) || await state.GetAsync(IdentityTables.Projects, limit.OwnerId, cancellationToken) is not { } owner ||
            (limit.DomainId is not null && !owner.IsDomain))
        {
            throw Faults.Invalid(limit.ProjectId is null ? "domain_id" : "project_id", $"names nothing: {limit.OwnerId}");
        }
    }
}
