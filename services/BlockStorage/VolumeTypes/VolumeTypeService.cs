using Microsoft.Extensions.Hosting;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.VolumeTypes;

internal sealed partial class VolumeTypeService(IStateStore store, TableCache<Volumes.Volume> volumes, BlockStorageOptions options, TimeProvider time)
{
    public async Task<IReadOnlyList<VolumeType>> ListAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        var all = await store.ListAsync(VolumeType.Table, "", cancellationToken);
        return [.. all.Where(type => type.IsOfferedTo(operation)).OrderBy(type => type.Name, StringComparer.Ordinal)];
    }

    /// <summary>A type by id or by name.</summary>
    /// <exception cref="FaultException">NotFound.</exception>
    public async Task<VolumeType> GetAsync(OperationContext operation, string nameOrId, CancellationToken cancellationToken)
    {
        var type = await FindAsync(nameOrId, cancellationToken);
        return type is not null && type.IsOfferedTo(operation) ? type : throw NotFound(nameOrId);
    }

    /// <summary>The default of a project, or else of the cloud.</summary>
    public async Task<VolumeType> GetDefaultAsync(string projectId, CancellationToken cancellationToken)
    {
        if (await store.GetAsync(DefaultType.Table, projectId, cancellationToken) is { } own && await FindByIdAsync(own.VolumeTypeId, cancellationToken) is { } type) return type;
        return await FindAsync(options.DefaultVolumeType, cancellationToken) ?? throw NotFound(options.DefaultVolumeType);
    }

    /// <summary>By id, whoever asks; null when it is gone.</summary>
    public ValueTask<VolumeType?> FindByIdAsync(string id, CancellationToken cancellationToken) => store.GetAsync(VolumeType.Table, id, cancellationToken);

    public bool IsDefault(VolumeType type) => type.Name == options.DefaultVolumeType;

    public async Task<VolumeType> CreateAsync(
        OperationContext operation, string name, string? description, bool isPublic, IReadOnlyDictionary<string, string> extraSpecs,
        CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:type_create");
        var type = new VolumeType
        {
            Id = Ids.NewUuid(),
            Name = CheckName(name),
            Description = InputRules.Description(description),
            IsPublic = isPublic,
            ExtraSpecs = CheckSpecs(extraSpecs),
            CreatedAt = time.GetUtcNow(),
        };
        await WriteAsync(type, insert: true, cancellationToken);
        return type;
    }

    /// <summary>Changes what is given.</summary>
    public async Task<VolumeType> UpdateAsync(
        OperationContext operation, string id, string? name, string? description, bool? isPublic, IReadOnlyDictionary<string, string>? extraSpecs,
        CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:type_update");
        try
        {
            return await store.TransactAsync(
                async transaction =>
                {
                    var type = await transaction.GetAsync(VolumeType.Table, id, cancellationToken) ?? throw NotFound(id);
                    if (name is not null && name != type.Name && IsDefault(type)) throw Faults.Conflict("The default volume type keeps its name.");
                    type = type with
                    {
                        Name = name is null ? type.Name : CheckName(name),
                        Description = description is null ? type.Description : InputRules.Description(description),
                        IsPublic = isPublic ?? type.IsPublic,
                        ExtraSpecs = extraSpecs is null ? type.ExtraSpecs : CheckSpecs(extraSpecs),
                        UpdatedAt = time.GetUtcNow(),
                    };
                    transaction.Put(VolumeType.Table, type);
                    return type;
                },
                cancellationToken);
        }
        catch (UniqueViolationException)
        {
            throw Faults.AlreadyExists("Volume type", name!);
        }
    }

    /// <summary>Lets a project use a type that is not public, or not any more.</summary>
    /// <exception cref="FaultException">NotFound; Conflict for a public type; AlreadyExists when the project may already.</exception>
    public Task SetAccessAsync(OperationContext operation, string id, string projectId, bool allowed, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:volume_type_access");
        if (projectId.Length is 0 or > ProjectCharsMax) throw Faults.Invalid("project", "must be the id of a project");
        return store.TransactAsync(
            async transaction =>
            {
                var type = await transaction.GetAsync(VolumeType.Table, id, cancellationToken) ?? throw NotFound(id);
                if (type.IsPublic) throw Faults.Conflict("Type access modification is not applicable to public volume type.");
                var has = type.Projects.Contains(projectId);
                if (allowed && has) throw Faults.AlreadyExists("Volume type access", $"{id}/{projectId}");
                if (!allowed && !has) throw Faults.NotFound("Volume type access", $"{id}/{projectId}");
                if (allowed && type.Projects.Count >= ProjectsMax) throw Faults.Invalid("project", $"a type has at most {ProjectsMax} projects");
                transaction.Put(
                    VolumeType.Table,
                    type with { Projects = allowed ? [.. type.Projects, projectId] : [.. type.Projects.Where(project => project != projectId)], UpdatedAt = time.GetUtcNow() });
            },
            cancellationToken);
    }

    private const int ProjectCharsMax = 64, ProjectsMax = 1024;

    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:type_delete");
        await volumes.CatchUpAsync(cancellationToken);
        await store.TransactAsync(
            async transaction =>
            {
                var type = await transaction.GetAsync(VolumeType.Table, id, cancellationToken) ?? throw NotFound(id);
                if (IsDefault(type)) throw Faults.Conflict($"Volume type {type.Name} is the default type.");
                if (volumes.List().Any(volume => volume.VolumeTypeId == id)) throw Faults.Conflict($"Target volume type is still in use: volumes have type {type.Name}.");
                foreach (var own in await transaction.ListAsync(DefaultType.Table, "", cancellationToken))
                    if (own.VolumeTypeId == id) throw Faults.Conflict($"Volume type {type.Name} is the default type of project {own.ProjectId}.");
                transaction.Delete(VolumeType.Table, id);
            },
            cancellationToken);
    }

    /// <summary>Makes the default type when there is none.</summary>
    public async Task SeedAsync(CancellationToken cancellationToken)
    {
        if (await FindAsync(options.DefaultVolumeType, cancellationToken) is not null) return;
        try
        {
            await WriteAsync(
                new VolumeType { Id = Ids.NewUuid(), Name = options.DefaultVolumeType, Description = "Default Volume Type", CreatedAt = time.GetUtcNow() },
                insert: true, cancellationToken);
        }
        catch (FaultException fault) when (fault.Reason == Protos.Errors.V1.ErrorReason.AlreadyExists)
        {
            // Another copy of the service was quicker.
        }
    }

    private async ValueTask<VolumeType?> FindAsync(string nameOrId, CancellationToken cancellationToken) =>
        nameOrId.Length is 0 or > InputRules.NameCharsMax
            ? null
            : await store.GetAsync(VolumeType.Table, nameOrId, cancellationToken) ?? await store.FindAsync(VolumeType.Table, "name", nameOrId, cancellationToken);

    private async Task WriteAsync(VolumeType type, bool insert, CancellationToken cancellationToken)
    {
        try
        {
            await store.TransactAsync(
                transaction =>
                {
                    if (insert) transaction.Insert(VolumeType.Table, type);
                    else transaction.Put(VolumeType.Table, type);
                    return Task.CompletedTask;
                },
                cancellationToken);
        }
        catch (UniqueViolationException)
        {
            throw Faults.AlreadyExists("Volume type", type.Name);
        }
    }

    private static string CheckName(string name) =>
        name.Trim().Length > 0 ? InputRules.Name("name", name.Trim()) : throw Faults.Invalid("name", "must not be empty");

    private static IReadOnlyDictionary<string, string> CheckSpecs(IReadOnlyDictionary<string, string> specs)
    {
        foreach (var key in new[] { VolumeType.IopsSpec, VolumeType.BytesSpec })
        {
            if (specs.TryGetValue(key, out var text) && (!long.TryParse(text, out var value) || value < 0))
                throw Faults.Invalid(key, "must be a number that is not negative");
        }
        return InputRules.Metadata(specs);
    }

    private static FaultException NotFound(string id) => Faults.NotFound("Volume type", id);
}

/// <summary>Makes the default type before the process answers.</summary>
internal sealed class VolumeTypeSeed(VolumeTypeService types) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken) => types.SeedAsync(cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
