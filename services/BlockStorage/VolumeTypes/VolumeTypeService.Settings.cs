using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.VolumeTypes;

/// <summary>What hangs on types: records of encryption, and defaults of projects.</summary>
internal sealed partial class VolumeTypeService
{
    private const int ProviderCharsMax = 255, KeyBitsMax = 4096;

    /// <summary>Says how the volumes of a type are to be encrypted.</summary>
    /// <param name="id">The type.</param>
    /// <param name="change">The record to be, out of the one that is or null.</param>
    public Task<VolumeType> SetEncryptionAsync(
        OperationContext operation, string id, Func<TypeEncryption?, TypeEncryption?> change, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:volume_type_encryption");
        return store.TransactAsync(
            async transaction =>
            {
                var type = await transaction.GetAsync(VolumeType.Table, id, cancellationToken) ?? throw NotFound(id);
                var encryption = change(type.Encryption);
                if (encryption is not null) Check(encryption);
                if (volumes.List().Any(volume => volume.VolumeTypeId == id)) throw Faults.Invalid("encryption", "Cannot change encryption specs. Volume type in use.");
                type = type with { Encryption = encryption, UpdatedAt = time.GetUtcNow() };
                transaction.Put(VolumeType.Table, type);
                return type;
            },
            cancellationToken);
    }

    /// <summary>A record with a new id.</summary>
    public TypeEncryption MakeEncryption(string provider, string? cipher, int? keySize, string? controlLocation) => new()
    {
        Id = Ids.NewUuid(), Provider = provider, Cipher = cipher, KeySize = keySize, ControlLocation = controlLocation ?? "front-end", CreatedAt = time.GetUtcNow(),
    };

    private static void Check(TypeEncryption encryption)
    {
        if (encryption.Provider.Length is 0 or > ProviderCharsMax) throw Faults.Invalid("provider", $"has 1 to {ProviderCharsMax} characters");
        if (encryption.Cipher?.Length > ProviderCharsMax) throw Faults.Invalid("cipher", $"is longer than {ProviderCharsMax} characters");
        if (encryption.KeySize is < 0 or > KeyBitsMax) throw Faults.Invalid("key_size", $"is between 0 and {KeyBitsMax}");
        if (encryption.ControlLocation is not ("front-end" or "back-end")) throw Faults.Invalid("control_location", "must be front-end or back-end");
    }

    /// <summary>The defaults that were set, of one project or of all.</summary>
    public async Task<IReadOnlyList<DefaultType>> ListDefaultsAsync(OperationContext operation, string? projectId, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:default_get_all");
        return [.. (await store.ListAsync(DefaultType.Table, "", cancellationToken)).Where(own => projectId is null || own.ProjectId == projectId)];
    }

    /// <param name="typeName">Name or id; null takes the default of the project away.</param>
    public async Task<DefaultType?> SetDefaultAsync(OperationContext operation, string projectId, string? typeName, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:default_set_or_update");
        if (projectId.Length is 0 or > ProjectCharsMax) throw Faults.Invalid("project_id", "must be the id of a project");
        var type = typeName is null ? null : await GetAsync(operation, typeName, cancellationToken);
        return await store.TransactAsync(
            async transaction =>
            {
                if (type is null)
                {
                    _ = await transaction.GetAsync(DefaultType.Table, projectId, cancellationToken) ?? throw Faults.NotFound("Default type for project", projectId);
                    transaction.Delete(DefaultType.Table, projectId);
                    return null;
                }
                _ = await transaction.GetAsync(VolumeType.Table, type.Id, cancellationToken) ?? throw NotFound(type.Id);
                var own = new DefaultType(projectId, type.Id);
                transaction.Put(DefaultType.Table, own);
                return own;
            },
            cancellationToken);
    }
}
