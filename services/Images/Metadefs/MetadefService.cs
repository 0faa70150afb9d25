using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Images.Metadefs;

/// <summary>The three kinds of definitions of a namespace.</summary>
internal enum MetadefKind
{
    Property,
    Object,
    Tag,
}

/// <summary>What can be done with the catalogue of definitions: administrators write it, everybody reads what is public or of their project.</summary>
internal sealed class MetadefService(IStateStore store, TimeProvider time)
{
    /// <summary>Of each kind in one namespace.</summary>
    public const int MaxItems = 500;

    public const int MaxNamespaces = 1000;

    private const int MaxNameChars = 80;
    private const int MaxItemBytes = 16 * 1024;
    private const int MaxDescriptionChars = 500;

    public async Task<MetadefNamespace> GetAsync(OperationContext operation, string name, CancellationToken cancellationToken) =>
        IsKey(name) && await store.GetAsync(MetadefTables.Namespaces, name, cancellationToken) is { } space && MaySee(operation, space)
            ? space
            : throw NotFound("namespace", name);

    /// <summary>In the order of their names.</summary>
    public async Task<IReadOnlyList<MetadefNamespace>> ListAsync(OperationContext operation, CancellationToken cancellationToken) =>
        [.. (await store.ListAsync(MetadefTables.Namespaces, "", cancellationToken)).Where(space => MaySee(operation, space))];

    /// <exception cref="FaultException">Forbidden: the caller is no administrator. AlreadyExists. InvalidArgument. ImageLimitExceeded.</exception>
    public async Task<MetadefNamespace> CreateAsync(OperationContext operation, MetadefNamespace draft, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("add_metadef_namespace");
        var now = time.GetUtcNow();
        var space = Check(draft with
        {
            Owner = draft.Owner.Length > 0 ? draft.Owner : operation.RequireProject(),
            CreatedAt = now,
            UpdatedAt = now,
            ResourceTypes = [.. draft.ResourceTypes.Select(type => type with { CreatedAt = now, UpdatedAt = now })],
            Properties = [.. draft.Properties.Select(item => item with { CreatedAt = now, UpdatedAt = now })],
            Objects = [.. draft.Objects.Select(item => item with { CreatedAt = now, UpdatedAt = now })],
            Tags = [.. draft.Tags.Select(item => item with { CreatedAt = now, UpdatedAt = now })],
        });
        try
        {
            return await store.TransactAsync(async transaction =>
            {
                if ((await transaction.ListAsync(MetadefTables.Namespaces, "", cancellationToken)).Count >= MaxNamespaces)
                {
                    throw ImageFaults.Limit("metadata definition namespaces", MaxNamespaces);
                }
                transaction.Insert(MetadefTables.Namespaces, space);
                return space;
            }, cancellationToken);
        }
        catch (UniqueViolationException)
        {
            throw Duplicate("namespace", space.Name);
        }
    }

    /// <summary>Changes the record; the change sees the newest one, and may run several times.</summary>
    public async Task<MetadefNamespace> UpdateAsync(
        OperationContext operation, string name, Func<MetadefNamespace, MetadefNamespace> change, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("modify_metadef_namespace");
        try
        {
            return await store.TransactAsync(async transaction =>
            {
                var before = await RequireAsync(transaction, operation, name, cancellationToken);
                var after = Check(change(before) with { CreatedAt = before.CreatedAt, UpdatedAt = time.GetUtcNow() });
                if (after.Name == before.Name)
                {
                    transaction.Put(MetadefTables.Namespaces, after);
                }
                else
                {
                    transaction.Delete(MetadefTables.Namespaces, before.Name);
                    transaction.Insert(MetadefTables.Namespaces, after);
                }
                return after;
            }, cancellationToken);
        }
        catch (UniqueViolationException)
        {
            throw Faults.AlreadyExists("Metadata definition namespace", name);
        }
    }

    /// <summary>With everything in it.</summary>
    /// <exception cref="FaultException">NotFound; Forbidden while it is protected.</exception>
    public async Task DeleteAsync(OperationContext operation, string name, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("delete_metadef_namespace");
        await store.TransactAsync(async transaction =>
        {
            var space = await RequireAsync(transaction, operation, name, cancellationToken);
            RequireUnprotected(space);
            transaction.Delete(MetadefTables.Namespaces, space.Name);
        }, cancellationToken);
    }

    /// <exception cref="FaultException">NotFound: the namespace, or in it the item.</exception>
    public async Task<MetadefItem> GetItemAsync(
        OperationContext operation, string space, MetadefKind kind, string name, CancellationToken cancellationToken) =>
        Items(await GetAsync(operation, space, cancellationToken), kind).FirstOrDefault(item => item.Name == name) ?? throw NotFound(Word(kind), name);

    public async Task<MetadefItem> AddItemAsync(
        OperationContext operation, string space, MetadefKind kind, MetadefItem draft, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var made = draft with { CreatedAt = now, UpdatedAt = now };
        await UpdateAsync(
            operation, space,
            before => Items(before, kind).Any(item => item.Name == made.Name)
                ? throw Duplicate(Word(kind), made.Name)
                : With(before, kind, [.. Items(before, kind), made]),
            cancellationToken);
        return made;
    }

    public async Task<MetadefItem> ReplaceItemAsync(
        OperationContext operation, string space, MetadefKind kind, string name, MetadefItem draft, CancellationToken cancellationToken)
    {
        var made = draft;
        await UpdateAsync(
            operation, space,
            before =>
            {
                var items = Items(before, kind);
                var old = items.FirstOrDefault(item => item.Name == name) ?? throw NotFound(Word(kind), name);
                if (draft.Name != name && items.Any(item => item.Name == draft.Name))
                {
                    throw Duplicate(Word(kind), draft.Name);
                }
                made = draft with { CreatedAt = old.CreatedAt, UpdatedAt = time.GetUtcNow() };
                return With(before, kind, [.. items.Select(item => item.Name == name ? made : item)]);
            },
            cancellationToken);
        return made;
    }

    /// <param name="operation">An administrator.</param>
    /// <param name="space">The namespace.</param>
    /// <param name="kind">Of what.</param>
    /// <param name="name">Null: all of them.</param>
    /// <param name="cancellationToken">Gives up before the commit.</param>
    public async Task RemoveItemsAsync(OperationContext operation, string space, MetadefKind kind, string? name, CancellationToken cancellationToken) =>
        await UpdateAsync(
            operation, space,
            before =>
            {
                RequireUnprotected(before);
                var items = Items(before, kind);
                return name is null || items.Any(item => item.Name == name)
                    ? With(before, kind, [.. items.Where(item => name is not null && item.Name != name)])
                    : throw NotFound(Word(kind), name);
            },
            cancellationToken);

    public static IReadOnlyList<MetadefItem> Items(MetadefNamespace space, MetadefKind kind) => kind switch
    {
        MetadefKind.Property => space.Properties,
        MetadefKind.Object => space.Objects,
        _ => space.Tags,
    };

    public static MetadefNamespace With(MetadefNamespace space, MetadefKind kind, IReadOnlyList<MetadefItem> items) => kind switch
    {
        MetadefKind.Property => space with { Properties = items },
        MetadefKind.Object => space with { Objects = items },
        _ => space with { Tags = items },
    };

    public static FaultException NotFound(string kind, string name) =>
        new(ErrorReason.NotFound, $"Metadata definition {kind} not found: {(name.Length <= 80 ? name : name[..80] + "...")}");

    public static FaultException Duplicate(string kind, string name) =>
        new(ErrorReason.AlreadyExists, $"A metadata definition {kind} with name={name} already exists.");

    private static string Word(MetadefKind kind) => kind.ToString().ToLowerInvariant();

    private static bool IsKey(string name) => name.Length is > 0 and <= MaxNameChars && !name.Any(char.IsControl);

    private static bool MaySee(OperationContext operation, MetadefNamespace space) => space.IsPublic || operation.CanSee(space.Owner);

    private static async Task<MetadefNamespace> RequireAsync(
        StateTransaction transaction, OperationContext operation, string name, CancellationToken cancellationToken) =>
        IsKey(name) && await transaction.GetAsync(MetadefTables.Namespaces, name, cancellationToken) is { } space && MaySee(operation, space)
            ? space
            : throw NotFound("namespace", name);

    private static void RequireUnprotected(MetadefNamespace space)
    {
        if (space.Protected)
        {
            throw ImageFaults.Forbidden($"Metadata definition namespace {space.Name} is protected and cannot be deleted.");
        }
    }

    private static MetadefNamespace Check(MetadefNamespace space)
    {
        CheckName(space.Name, "namespace");
        if (space.DisplayName is { Length: > MaxNameChars } || space.Description is { Length: > MaxDescriptionChars })
        {
            throw Faults.Invalid("namespace", $"display_name has at most {MaxNameChars} characters and description {MaxDescriptionChars}");
        }
        foreach (var kind in Enum.GetValues<MetadefKind>())
        {
            var items = Items(space, kind);
            CheckUnique([.. items.Select(item => item.Name)], Word(kind));
            foreach (var item in items)
            {
                if (item.Body.ToJsonString().Length > MaxItemBytes)
                {
                    throw Faults.Invalid(Word(kind), $"{item.Name} is longer than {MaxItemBytes} bytes");
                }
            }
        }
        CheckUnique([.. space.ResourceTypes.Select(type => type.Name)], "resource_type");
        return space;
    }

    private static void CheckUnique(IReadOnlyList<string> names, string field)
    {
        if (names.Count > MaxItems)
        {
            throw ImageFaults.Limit($"{field} definitions of a namespace", MaxItems);
        }
        foreach (var name in names)
        {
            CheckName(name, field);
        }
        if (names.Distinct(StringComparer.Ordinal).Count() != names.Count)
        {
            throw Faults.Invalid(field, "a name is given twice");
        }
    }

    private static void CheckName(string name, string field)
    {
        if (!IsKey(name))
        {
            throw Faults.Invalid(field, $"the name must have 1 to {MaxNameChars} characters and no control characters");
        }
    }
}
