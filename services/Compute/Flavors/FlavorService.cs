using System.Text.RegularExpressions;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Compute.Flavors;

internal enum FlavorVisibility { Usable, Public, Private, All }

internal sealed partial class FlavorService(IStateStore store, TableCache<Flavor> cache, TimeProvider time)
{
    private const int NameCharsMax = 255;
    private const int DescriptionCharsMax = 65535;
    private const int ExtraSpecsMax = 128;
    private const long SizeMax = int.MaxValue;

    /// <summary>The flavor, as far as the caller may know of it.</summary>
    /// <exception cref="FaultException">NotFound.</exception>
    public async Task<Flavor> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var flavor = id.Length is > 0 and <= NameCharsMax ? await store.GetAsync(Flavor.Table, id, cancellationToken) : null;
        return flavor is not null && (operation.SeesAll || flavor.UsableBy(operation.ProjectId))
            ? flavor
            : throw Missing(id);
    }

    /// <summary>Flavors ordered by id.</summary>
    public async Task<IReadOnlyList<Flavor>> ListAsync(
        OperationContext operation, FlavorVisibility visibility, CancellationToken cancellationToken)
    {
        await cache.CatchUpAsync(cancellationToken);
        var all = operation.SeesAll;
        return [.. cache.List().Where(flavor => visibility switch
        {
            FlavorVisibility.Public => flavor.Public,
            FlavorVisibility.Private => !flavor.Public && (all || flavor.UsableBy(operation.ProjectId)),
            FlavorVisibility.All when all => true,
            _ => flavor.UsableBy(operation.ProjectId),
        })];
    }

    public async Task<Flavor> CreateAsync(OperationContext operation, Flavor wanted, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-flavor-manage:create");
        var flavor = Check(wanted) with
        {
            Id = wanted.Id.Length == 0 ? Ids.NewUuid() : wanted.Id,
            CreatedAt = time.GetUtcNow(),
        };
        if (flavor.IdempotencyKey is { } key && await store.FindAsync(Flavor.Table, "idempotency", key, cancellationToken) is { } made)
        {
            return made;
        }
        try
        {
            await store.TransactAsync(transaction => { transaction.Insert(Flavor.Table, flavor); return Task.CompletedTask; }, cancellationToken);
        }
        catch (UniqueViolationException violation)
        {
            throw violation.Index switch
            {
                "name" => Faults.AlreadyExists("Flavor with name", flavor.Name),
                "idempotency" => Faults.Aborted("The same request is being carried out."),
                _ => Faults.AlreadyExists("Flavor with ID", flavor.Id),
            };
        }
        return flavor;
    }

    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-flavor-manage:delete");
        await ChangeAsync(id, _ => null, cancellationToken);
    }

    public Task<Flavor> SetDescriptionAsync(OperationContext operation, string id, string? description, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-flavor-manage:update");
        CheckDescription(description);
        return ChangeAsync(id, flavor => flavor with { Description = description }, cancellationToken);
    }

    public Task<Flavor> UpdateExtraSpecsAsync(
        OperationContext operation, string id, IReadOnlyDictionary<string, string> set, IReadOnlyList<string> remove,
        CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-flavor-extra-specs");
        CheckExtraSpecs(set);
        return ChangeAsync(id, flavor =>
        {
            var specs = new SortedDictionary<string, string>(flavor.ExtraSpecs.ToDictionary(), StringComparer.Ordinal);
            foreach (var key in remove)
            {
                if (!specs.Remove(key))
                {
                    throw new FaultException(Protos.Errors.V1.ErrorReason.NotFound, $"Flavor {id} has no extra specs with key {key}.");
                }
            }
            foreach (var (key, value) in set)
            {
                specs[key] = value;
            }
            if (specs.Count > ExtraSpecsMax)
            {
                throw Faults.Invalid("extra_specs", $"at most {ExtraSpecsMax} items");
            }
            return flavor with { ExtraSpecs = specs };
        }, cancellationToken);
    }

    public Task<Flavor> AddAccessAsync(OperationContext operation, string id, string projectId, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-flavor-access:add_tenant_access");
        CheckProject(projectId);
        return ChangeAsync(id, flavor => flavor.Public
            ? throw Faults.Conflict("Can not add access to a public flavor.")
            : flavor.ProjectIds.Contains(projectId)
                ? throw Faults.Conflict($"Flavor access already exists for flavor {id} and project {projectId} combination.")
                : flavor with { ProjectIds = [.. flavor.ProjectIds, projectId] }, cancellationToken);
    }

    public Task<Flavor> RemoveAccessAsync(OperationContext operation, string id, string projectId, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-flavor-access:remove_tenant_access");
        CheckProject(projectId);
        return ChangeAsync(id, flavor => flavor.ProjectIds.Contains(projectId)
            ? flavor with { ProjectIds = [.. flavor.ProjectIds.Where(project => project != projectId)] }
            : throw new FaultException(Protos.Errors.V1.ErrorReason.NotFound, $"Flavor access not found for {id} / {projectId} combination."), cancellationToken);
    }

    internal static FaultException Missing(string id) =>
        new(Protos.Errors.V1.ErrorReason.NotFound, $"Flavor {id} could not be found.", new Dictionary<string, string> { ["kind"] = "Flavor", ["id"] = id });

    internal static void CheckDescription(string? description)
    {
        if (description is { Length: > DescriptionCharsMax })
        {
            throw Faults.Invalid("description", $"at most {DescriptionCharsMax} characters");
        }
    }

    private static Flavor Check(Flavor flavor)
    {
        if (flavor.Id.Length > NameCharsMax || (flavor.Id.Length > 0 && !IdPattern().IsMatch(flavor.Id)))
        {
            throw Faults.Invalid("id", "1 to 255 letters, digits, dots, dashes, underscores and spaces inside");
        }
        var name = flavor.Name.Trim();
        if (name.Length is 0 or > NameCharsMax || name.Any(char.IsControl))
        {
            throw Faults.Invalid("name", $"1 to {NameCharsMax} printable characters");
        }
        Between(flavor.Vcpus, 1, "vcpus");
        Between(flavor.MemoryMib, 1, "ram");
        Between(flavor.RootGib, 0, "disk");
        Between(flavor.EphemeralGib, 0, "OS-FLV-EXT-DATA:ephemeral");
        Between(flavor.SwapMib, 0, "swap");
        if (!(flavor.RxtxFactor is > 0 and <= 1e9))
        {
            throw Faults.Invalid("rxtx_factor", "must be greater than 0");
        }
        CheckDescription(flavor.Description);
        CheckExtraSpecs(flavor.ExtraSpecs);
        return flavor with { Name = name };
    }

    private static void CheckProject(string projectId)
    {
        if (projectId.Length is 0 or > 64)
        {
            throw Faults.Invalid("tenant", "must be the id of a project");
        }
    }

    private static void CheckExtraSpecs(IReadOnlyDictionary<string, string> specs)
    {
        foreach (var (key, value) in specs)
        {
            if (key.Length > NameCharsMax || !ExtraSpecKey().IsMatch(key))
            {
                throw Faults.Invalid("extra_specs", "a key has 1 to 255 letters, digits, spaces, dots, dashes, underscores and colons");
            }
            if (value.Length > NameCharsMax)
            {
                throw Faults.Invalid("extra_specs", $"a value has at most {NameCharsMax} characters");
            }
        }
    }

    private static void Between(long value, long min, string field)
    {
        if (value < min || value > SizeMax)
        {
            throw Faults.Invalid(field, $"must be between {min} and {SizeMax}");
        }
    }

    private Task<Flavor> ChangeAsync(string id, Func<Flavor, Flavor?> change, CancellationToken cancellationToken) =>
        store.TransactAsync(async transaction =>
        {
            var flavor = id.Length is > 0 and <= NameCharsMax ? await transaction.GetAsync(Flavor.Table, id, cancellationToken) : null;
            if (flavor is null)
            {
                throw Missing(id);
            }
            if (change(flavor) is { } changed)
            {
                transaction.Put(Flavor.Table, changed);
                return changed;
            }
            transaction.Delete(Flavor.Table, id);
            return flavor;
        }, cancellationToken);

    [GeneratedRegex(@"^[A-Za-z0-9._-]([A-Za-z0-9. _-]*[A-Za-z0-9._-])?$")]
    private static partial Regex IdPattern();

    [GeneratedRegex(@"^[A-Za-z0-9 .:_-]+$")]
    private static partial Regex ExtraSpecKey();
}
