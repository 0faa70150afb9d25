using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.Addressing;
using Nephos.Networking.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Networking.AddressGroups;

internal sealed record NewAddressGroup(
    string ProjectId, string Name, string Description, IReadOnlyList<string> Addresses, string? IdempotencyKey);

internal sealed record AddressGroupChanges
{
    public Optional<string> Name { get; init; }

    public Optional<string> Description { get; init; }
}

internal sealed class AddressGroupService(NetworkStore store, TimeProvider time)
{
    /// <summary>Nodes write a rule for each address of a group that a rule names.</summary>
    public const int MaxAddresses = 256;

    public Task<AddressGroup> CreateAsync(OperationContext operation, NewAddressGroup request, CancellationToken cancellationToken)
    {
        var projectId = operation.ProjectFor(request.ProjectId);
        var now = time.GetUtcNow();
        var group = new AddressGroup
        {
            Id = Ids.NewUuid(),
            ProjectId = projectId,
            Name = Checks.Name(request.Name),
            Description = Checks.Description(request.Description),
            Addresses = InOrder(Parse(request.Addresses)),
            CreatedAt = now,
            UpdatedAt = now,
            IdempotencyKey = Checks.RequestKey(request.IdempotencyKey),
        };
        return store.CreateAsync(Tables.AddressGroups, group, cancellationToken);
    }

    public Task<AddressGroup> UpdateAsync(
        OperationContext operation, string id, AddressGroupChanges changes, CancellationToken cancellationToken) =>
        ChangeAsync(operation, id, before => before with
        {
            Name = Checks.Name(changes.Name.Or(before.Name)),
            Description = Checks.Description(changes.Description.Or(before.Description)),
        }, cancellationToken);

    /// <summary>Adds addresses; those that it has already are refused.</summary>
    public Task<AddressGroup> AddAsync(
        OperationContext operation, string id, IReadOnlyList<string> addresses, CancellationToken cancellationToken) =>
        ChangeAsync(operation, id, before =>
        {
            var added = Parse(addresses);
            var present = added.Where(before.Addresses.Contains).ToList();
            return present.Count == 0
                ? before with { Addresses = InOrder([.. before.Addresses, .. added]) }
                : throw NetworkFaults.Of(ErrorReason.AddressesAlreadyExist,
                    $"Addresses {string.Join(", ", present)} already exist in the address group {id}.");
        }, cancellationToken);

    /// <summary>Takes addresses away; those that it does not have are refused.</summary>
    public Task<AddressGroup> RemoveAsync(
        OperationContext operation, string id, IReadOnlyList<string> addresses, CancellationToken cancellationToken) =>
        ChangeAsync(operation, id, before =>
        {
            var removed = Parse(addresses);
            var missing = removed.Where(address => !before.Addresses.Contains(address)).ToList();
            return missing.Count == 0
                ? before with { Addresses = [.. before.Addresses.Except(removed)] }
                : throw NetworkFaults.Of(ErrorReason.AddressesNotFound,
                    $"Addresses {string.Join(", ", missing)} not found in the address group {id}.");
        }, cancellationToken);

    public Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken) => store.ChangeAsync(
        "",
        async transaction =>
        {
            await GetOwnAsync(transaction, operation, id, "delete_address_group", cancellationToken);
            if ((await transaction.ListByAsync(Tables.SecurityGroups, Tables.ByAddressGroup, id, cancellationToken)).Count > 0)
            {
                throw NetworkFaults.Of(ErrorReason.AddressGroupInUse,
                    $"Address group {id} is in use on one or more security group rules.");
            }

            transaction.Delete(Tables.AddressGroups, id);
            return true;
        },
        cancellationToken);

    private Task<AddressGroup> ChangeAsync(
        OperationContext operation, string id, Func<AddressGroup, AddressGroup> change, CancellationToken cancellationToken) => store.ChangeAsync(
        "",
        async transaction =>
        {
            var before = await GetOwnAsync(transaction, operation, id, "update_address_group", cancellationToken);
            var after = change(before) with { UpdatedAt = time.GetUtcNow(), Revision = before.Revision + 1 };
            transaction.Put(Tables.AddressGroups, after);
            return after;
        },
        cancellationToken);

    private static async Task<AddressGroup> GetOwnAsync(
        StateTransaction transaction, OperationContext operation, string id, string action, CancellationToken cancellationToken)
    {
        if (await transaction.ByIdAsync(Tables.AddressGroups, id, cancellationToken) is not { } group || !operation.Sees(group))
        {
            throw NetworkFaults.AddressGroupNotFound(Checks.Shown(id));
        }

        operation.RequireOwner(group.ProjectId, action);
        return group;
    }

    private static List<Cidr> Parse(IReadOnlyList<string> addresses) => [.. addresses.Select(text =>
        Cidr.TryParse(text, out var cidr, out _) ? cidr : throw Faults.Invalid("addresses", $"'{Checks.Shown(text)}' is not a valid IP subnet.")).Distinct()];

    private static IReadOnlyList<Cidr> InOrder(IEnumerable<Cidr> addresses)
    {
        var all = addresses.OrderBy(cidr => cidr.Version).ThenBy(cidr => cidr.First).ThenBy(cidr => cidr.PrefixLength).ToArray();
        return all.Length <= MaxAddresses ? all : throw Faults.Invalid("addresses", $"must be at most {MaxAddresses}");
    }
}
