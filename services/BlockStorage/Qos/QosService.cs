using Nephos.BlockStorage.Volumes;
using Nephos.BlockStorage.VolumeTypes;
using Nephos.Client.Volumes;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Qos;

/// <summary>QoS specs, the types they hold for, and what that means for a volume.</summary>
internal sealed class QosService(IStateStore store, TableCache<QosSpecs> specsCache, TableCache<VolumeType> types, TimeProvider time)
{
    private static readonly string[] Consumers = ["front-end", "back-end", "both"];

    public async Task<QosSpecs> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:qos_specs_manage:get");
        return await store.GetAsync(QosSpecs.Table, id, cancellationToken) ?? throw NotFound(id);
    }

    public async Task<IReadOnlyList<QosSpecs>> ListAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:qos_specs_manage:get_all");
        return [.. (await store.ListAsync(QosSpecs.Table, "", cancellationToken)).OrderBy(specs => specs.CreatedAt).ThenBy(specs => specs.Id, StringComparer.Ordinal)];
    }

    public async Task<QosSpecs> CreateAsync(
        OperationContext operation, string name, string? consumer, IReadOnlyDictionary<string, string> specs, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:qos_specs_manage:create");
        var made = new QosSpecs
        {
            Id = Ids.NewUuid(),
            Name = name.Trim().Length > 0 ? InputRules.Name("name", name.Trim()) : throw Faults.Invalid("name", "must not be empty"),
            Consumer = Check(consumer ?? "back-end"),
            Specs = InputRules.Metadata(specs),
            CreatedAt = time.GetUtcNow(),
        };
        try
        {
            await store.TransactAsync(
                transaction =>
                {
                    transaction.Insert(QosSpecs.Table, made);
                    return Task.CompletedTask;
                },
                cancellationToken);
        }
        catch (UniqueViolationException)
        {
            throw Faults.AlreadyExists("QoS specs", name);
        }
        return made;
    }

    /// <summary>Sets specs, or takes them away where the value is null. Heads of attached volumes follow within moments.</summary>
    public Task<QosSpecs> SetAsync(
        OperationContext operation, string id, string? consumer, IReadOnlyDictionary<string, string?> changes, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:qos_specs_manage:update");
        return store.TransactAsync(
            async transaction =>
            {
                var specs = await transaction.GetAsync(QosSpecs.Table, id, cancellationToken) ?? throw NotFound(id);
                var merged = new Dictionary<string, string>(specs.Specs);
                foreach (var (key, value) in changes)
                {
                    if (value is not null) merged[key] = value;
                    else if (!merged.Remove(key)) throw new FaultException(Protos.Errors.V1.ErrorReason.NotFound, $"QoS spec {id} has no spec with key {key}.");
                }
                specs = specs with { Consumer = consumer is null ? specs.Consumer : Check(consumer), Specs = InputRules.Metadata(merged) };
                transaction.Put(QosSpecs.Table, specs);
                return specs;
            },
            cancellationToken);
    }

    /// <param name="force">Also when types are associated with it.</param>
    public Task DeleteAsync(OperationContext operation, string id, bool force, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:qos_specs_manage:delete");
        return store.TransactAsync(
            async transaction =>
            {
                _ = await transaction.GetAsync(QosSpecs.Table, id, cancellationToken) ?? throw NotFound(id);
                var associated = (await transaction.ListAsync(VolumeType.Table, "", cancellationToken)).Where(type => type.QosSpecsId == id).ToList();
                if (associated.Count > 0 && !force) throw Faults.Conflict($"QoS Specs {id} is still associated with entities.");
                foreach (var type in associated) transaction.Put(VolumeType.Table, type with { QosSpecsId = null });
                transaction.Delete(QosSpecs.Table, id);
            },
            cancellationToken);
    }

    /// <summary>The types that the specs hold for.</summary>
    public async Task<IReadOnlyList<VolumeType>> ListAssociationsAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        await GetAsync(operation, id, cancellationToken);
        return [.. (await store.ListAsync(VolumeType.Table, "", cancellationToken)).Where(type => type.QosSpecsId == id)];
    }

    public Task AssociateAsync(OperationContext operation, string id, string typeId, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:qos_specs_manage:update");
        return store.TransactAsync(
            async transaction =>
            {
                _ = await transaction.GetAsync(QosSpecs.Table, id, cancellationToken) ?? throw NotFound(id);
                var type = await transaction.GetAsync(VolumeType.Table, typeId, cancellationToken) ?? throw Faults.NotFound("Volume type", typeId);
                if (type.QosSpecsId is { } other && other != id) throw Faults.Invalid("vol_type_id", $"Type {typeId} is already associated with another qos specs: {other}");
                transaction.Put(VolumeType.Table, type with { QosSpecsId = id });
            },
            cancellationToken);
    }

    /// <param name="typeId">Null for all types.</param>
    public Task DisassociateAsync(OperationContext operation, string id, string? typeId, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:qos_specs_manage:update");
        return store.TransactAsync(
            async transaction =>
            {
                _ = await transaction.GetAsync(QosSpecs.Table, id, cancellationToken) ?? throw NotFound(id);
                var all = await transaction.ListAsync(VolumeType.Table, "", cancellationToken);
                if (typeId is not null && all.All(type => type.Id != typeId)) throw Faults.NotFound("Volume type", typeId);
                foreach (var type in all)
                    if (type.QosSpecsId == id && (typeId is null || type.Id == typeId)) transaction.Put(VolumeType.Table, type with { QosSpecsId = null });
            },
            cancellationToken);
    }

    /// <summary>What the head of a volume keeps to now, by the type of the volume and its specs.</summary>
    public VolumeLimits LimitsOf(Volume volume)
    {
        if (types.Get(volume.VolumeTypeId) is not { } type) return default;
        var own = new VolumeLimits(new IoLimits(type.LimitOf(VolumeType.IopsSpec), type.LimitOf(VolumeType.BytesSpec)));
        return type.QosSpecsId is { } id && specsCache.Get(id) is { } specs ? own.And(SpecLimits.Of(specs.Specs, volume.SizeGib)) : own;
    }

    /// <summary>Waits until <see cref="LimitsOf"/> knows everything that was committed before.</summary>
    public async Task CatchUpAsync(CancellationToken cancellationToken)
    {
        await types.CatchUpAsync(cancellationToken);
        await specsCache.CatchUpAsync(cancellationToken);
    }

    private static string Check(string consumer) =>
        Consumers.Contains(consumer) ? consumer : throw Faults.Invalid("consumer", "must be front-end, back-end or both");

    private static FaultException NotFound(string id) => Faults.NotFound("QoS specs", id);
}
