using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Groups;

internal sealed class GroupTypeService(IStateStore store, TimeProvider time)
{
    public async Task<GroupType> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var type = await store.GetAsync(GroupType.Table, id, cancellationToken);
        return type is not null && (type.IsPublic || operation.SeesAll) ? type : throw NotFound(id);
    }

    /// <summary>In the order they were made; those that are not public are for administrators.</summary>
    public async Task<IReadOnlyList<GroupType>> ListAsync(OperationContext operation, CancellationToken cancellationToken) =>
    [
        .. (await store.ListAsync(GroupType.Table, "", cancellationToken))
            .Where(type => type.IsPublic || operation.SeesAll)
            .OrderBy(type => type.CreatedAt).ThenBy(type => type.Id, StringComparer.Ordinal),
    ];

    public async Task<GroupType> CreateAsync(
        OperationContext operation, string name, string? description, bool isPublic, IReadOnlyDictionary<string, string> specs, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("group:group_types_manage");
        var type = new GroupType
        {
            Id = Ids.NewUuid(),
            Name = CheckName(name),
            Description = InputRules.Description(description),
            IsPublic = isPublic,
            Specs = InputRules.Metadata(specs),
            CreatedAt = time.GetUtcNow(),
        };
        try
        {
            await store.TransactAsync(
                transaction =>
                {
                    transaction.Insert(GroupType.Table, type);
                    return Task.CompletedTask;
                },
                cancellationToken);
        }
        catch (UniqueViolationException)
        {
            throw Faults.AlreadyExists("Group type", type.Name);
        }
        return type;
    }

    /// <summary>Changes what the change says.</summary>
    public async Task<GroupType> UpdateAsync(OperationContext operation, string id, Func<GroupType, GroupType> change, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("group:group_types_manage");
        try
        {
            return await store.TransactAsync(
                async transaction =>
                {
                    var type = change(await transaction.GetAsync(GroupType.Table, id, cancellationToken) ?? throw NotFound(id));
                    type = type with { Name = CheckName(type.Name), Description = InputRules.Description(type.Description), Specs = InputRules.Metadata(type.Specs) };
                    transaction.Put(GroupType.Table, type);
                    return type;
                },
                cancellationToken);
        }
        catch (UniqueViolationException violation)
        {
            throw Faults.AlreadyExists("Group type", violation.Value);
        }
    }

    public Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("group:group_types_manage");
        return store.TransactAsync(
            async transaction =>
            {
                _ = await transaction.GetAsync(GroupType.Table, id, cancellationToken) ?? throw NotFound(id);
                if ((await transaction.ListAsync(VolumeGroup.Table, "", cancellationToken)).Any(group => group.GroupTypeId == id))
                    throw Faults.Conflict("Target group type is still in use.");
                transaction.Delete(GroupType.Table, id);
            },
            cancellationToken);
    }

    private static string CheckName(string name) =>
        name.Trim().Length > 0 ? InputRules.Name("name", name.Trim()) : throw Faults.Invalid("name", "must not be empty");

    private static FaultException NotFound(string id) => Faults.NotFound("Group type", id);
}
