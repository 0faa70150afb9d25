using Nephos.BlockStorage.Attachments;
using Nephos.BlockStorage.Quotas;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.Volumes;
using Nephos.BlockStorage.VolumeTypes;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Groups;

internal sealed record GroupWish
{
    public string Name { get; init; } = "";
    public string? Description { get; init; }
    public required string GroupTypeId { get; init; }
    public required IReadOnlyList<string> VolumeTypes { get; init; }
    public string? AvailabilityZone { get; init; }
}

/// <summary>What can be done with groups. Their status is that of their volumes.</summary>
internal sealed class GroupService(
    IStateStore store, TableCache<VolumeGroup> groups, TableCache<Volume> volumes, VolumeService volumeService, VolumeTypeService types, GroupTypeService groupTypes,
    QuotaService quotas, VolumeWorker worker, BlockStorageOptions options, TimeProvider time)
{
    private const int TypesMax = 64;

    public async Task<GroupView> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var group = Visible(operation, await store.GetAsync(VolumeGroup.Table, id, cancellationToken), id);
        await volumes.CatchUpAsync(cancellationToken);
        return View(group);
    }

    /// <summary>The newest first.</summary>
    public async Task<IReadOnlyList<GroupView>> ListAsync(OperationContext operation, bool allProjects, CancellationToken cancellationToken)
    {
        var project = operation.ListedProject(allProjects);
        await groups.CatchUpAsync(cancellationToken);
        await volumes.CatchUpAsync(cancellationToken);
        return
        [
            .. groups.List().Where(group => project is null || group.ProjectId == project)
                .OrderByDescending(group => group.CreatedAt).ThenBy(group => group.Id, StringComparer.Ordinal).Select(View),
        ];
    }

    /// <summary>The group with its volumes, as the caches know them.</summary>
    public GroupView View(VolumeGroup group) => new(group, [.. volumes.List().Where(volume => volume.GroupId == group.Id)]);

    public async Task<GroupView> CreateAsync(OperationContext operation, GroupWish wish, CancellationToken cancellationToken)
    {
        operation.RequireMember("group:create");
        var groupType = await groupTypes.GetAsync(operation, wish.GroupTypeId, cancellationToken);
        if (wish.VolumeTypes.Count is 0 or > TypesMax) throw Faults.Invalid("volume_types", $"names 1 to {TypesMax} types");
        var typeIds = new List<string>();
        foreach (var name in wish.VolumeTypes) typeIds.Add((await types.GetAsync(operation, name, cancellationToken)).Id);
        var zone = wish.AvailabilityZone is { Length: > 0 } wanted ? wanted : options.AvailabilityZone;
        if (zone != options.AvailabilityZone) throw Faults.Invalid("availability_zone", $"Availability zone '{zone}' is invalid.");
        return View(await InsertAsync(Make(operation, wish.Name, wish.Description, groupType.Id, [.. typeIds.Distinct()], zone), cancellationToken));
    }

    /// <summary>A group with a copy of each volume of another, or of a snapshot of one.</summary>
    public async Task<GroupView> CopyAsync(
        OperationContext operation, string? groupId, string? groupSnapshotId, string name, string? description, CancellationToken cancellationToken)
    {
        operation.RequireMember("group:create");
        if (groupId is null == groupSnapshotId is null) throw Faults.Invalid("create-from-src", "needs either 'source_group_id' or 'group_snapshot_id'");
        var snapshot = groupSnapshotId is null ? null : await store.GetAsync(GroupSnapshot.Table, groupSnapshotId, cancellationToken);
        if (groupSnapshotId is not null && (snapshot is null || !operation.CanSee(snapshot.ProjectId))) throw GroupSnapshotService.NotFound(groupSnapshotId);
        if (snapshot is { Taken: false } or { Deleting: true }) throw BlockStorageFaults.InvalidGroup($"group snapshot {snapshot.Id} is not available");
        var source = (await GetAsync(operation, groupId ?? snapshot!.GroupId, cancellationToken)).Group;
        var made = Make(operation, name, description, source.GroupTypeId, source.VolumeTypeIds, source.AvailabilityZone) with
        {
            SourceGroupId = groupId, SourceSnapshotId = groupSnapshotId,
        };
        await InsertAsync(made, cancellationToken);
        foreach (var wish in await ListCopiesAsync(source, snapshot, cancellationToken))
        {
            await volumeService.CreateAsync(
                operation, wish with { GroupId = made.Id, IdempotencyKey = $"group-{made.Id}-{wish.VolumeId ?? wish.SnapshotId}" }, wait: false, cancellationToken);
        }
        return await GetAsync(operation, made.Id, cancellationToken);
    }

    private async Task<IReadOnlyList<VolumeWish>> ListCopiesAsync(VolumeGroup source, GroupSnapshot? snapshot, CancellationToken cancellationToken)
    {
        if (snapshot is null)
            return [.. View(source).Members.Select(volume => new VolumeWish { VolumeId = volume.Id, Name = volume.Name, Description = volume.Description, VolumeType = volume.VolumeTypeId })];
        var parts = (await store.ListAsync(Snapshot.Table, "", cancellationToken)).Where(part => part.GroupSnapshotId == snapshot.Id);
        return [.. parts.Select(part => new VolumeWish { SnapshotId = part.Id, VolumeType = part.VolumeTypeId })];
    }

    private VolumeGroup Make(
        OperationContext operation, string name, string? description, string groupTypeId, IReadOnlyList<string> typeIds, string zone) => new()
    {
        Id = Ids.NewUuid(),
        ProjectId = operation.RequireProject(),
        UserId = operation.UserId,
        Name = InputRules.Name("name", name),
        Description = InputRules.Description(description),
        GroupTypeId = groupTypeId,
        VolumeTypeIds = typeIds,
        AvailabilityZone = zone,
        CreatedAt = time.GetUtcNow(),
        Generation = 1,
    };

    private Task<VolumeGroup> InsertAsync(VolumeGroup group, CancellationToken cancellationToken) => store.TransactAsync(
        async transaction =>
        {
            transaction.Insert(VolumeGroup.Table, group);
            await quotas.ChangeAsync(transaction, group.ProjectId, QuotaChange.Groups(1), cancellationToken);
            return group;
        },
        cancellationToken);

    /// <summary>Changes name and description where they are given, and takes volumes in and out.</summary>
    public async Task<GroupView> UpdateAsync(
        OperationContext operation, string id, string? name, string? description, IReadOnlyList<string> add, IReadOnlyList<string> remove,
        CancellationToken cancellationToken)
    {
        operation.RequireMember("group:update");
        await store.TransactAsync(
            async transaction =>
            {
                var group = Visible(operation, await transaction.GetAsync(VolumeGroup.Table, id, cancellationToken), id);
                if (group.Deleting) throw BlockStorageFaults.InvalidGroup($"group {id} is being deleted");
                foreach (var volumeId in remove)
                {
                    var volume = VolumeService.Visible(operation, await transaction.GetAsync(Volume.Table, volumeId, cancellationToken), volumeId);
                    if (volume.GroupId != id) throw BlockStorageFaults.InvalidVolume($"Cannot remove volume {volumeId} from group {id} because it is not in the group.");
                    transaction.Put(Volume.Table, (volume with { GroupId = null }).Changed(time.GetUtcNow()));
                }
                foreach (var volumeId in add)
                {
                    var volume = VolumeService.Visible(operation, await transaction.GetAsync(Volume.Table, volumeId, cancellationToken), volumeId);
                    RequireFit(group, volume);
                    transaction.Put(Volume.Table, (volume with { GroupId = id }).Changed(time.GetUtcNow()));
                }
                group = (group with
                {
                    Name = name is null ? group.Name : InputRules.Name("name", name),
                    Description = description is null ? group.Description : InputRules.Description(description),
                }).Changed(time.GetUtcNow());
                transaction.Put(VolumeGroup.Table, group);
            },
            cancellationToken);
        return await GetAsync(operation, id, cancellationToken);
    }

    private static void RequireFit(VolumeGroup group, Volume volume)
    {
        if (volume.GroupId is { } other) throw BlockStorageFaults.InvalidVolume($"Cannot add volume {volume.Id} to group {group.Id} because it is already in group {other}.");
        if (volume.ProjectId != group.ProjectId || !group.VolumeTypeIds.Contains(volume.VolumeTypeId))
            throw BlockStorageFaults.InvalidVolume($"Cannot add volume {volume.Id} to group {group.Id} because its type is not one of the group's.");
        if (!volume.Provisioned || volume.Deleting || volume.Failure is not null || volume.TransferId is not null)
            throw BlockStorageFaults.InvalidVolume($"Cannot add volume {volume.Id} to group {group.Id} because it is not available or in use.");
    }

    /// <summary>Wants a group gone, with its volumes when the caller says so.</summary>
    public async Task DeleteAsync(OperationContext operation, string id, bool withVolumes, CancellationToken cancellationToken)
    {
        operation.RequireMember("group:delete");
        var doomed = await store.TransactAsync(
            async transaction =>
            {
                var group = Visible(operation, await transaction.GetAsync(VolumeGroup.Table, id, cancellationToken), id);
                var members = (await transaction.ListByAsync(Volume.Table, "project", group.ProjectId, cancellationToken)).Where(volume => volume.GroupId == id).ToList();
                if (members.Count > 0 && !withVolumes) throw BlockStorageFaults.InvalidGroup($"group {id} is not empty; its volumes have to be deleted with it");
                if ((await transaction.ListByAsync(GroupSnapshot.Table, "group", id, cancellationToken)).Count > 0)
                    throw BlockStorageFaults.InvalidGroup($"group {id} has group snapshots");
                foreach (var volume in members)
                {
                    if ((await transaction.ListByAsync(Attachment.Table, "volume", volume.Id, cancellationToken)).Count > 0)
                        throw BlockStorageFaults.InvalidGroup($"volume {volume.Id} of the group is attached");
                    if ((await transaction.ListByAsync(Snapshot.Table, "volume", volume.Id, cancellationToken)).Count > 0)
                        throw BlockStorageFaults.InvalidGroup($"volume {volume.Id} of the group has snapshots");
                    transaction.Put(Volume.Table, (volume with { Deleting = true, Upload = null, BackingUp = null, Epoch = volume.Epoch + 1 }).Changed(time.GetUtcNow()));
                }
                if (members.Count > 0) transaction.Put(VolumeGroup.Table, (group with { Deleting = true }).Changed(time.GetUtcNow()));
                else await RemoveAsync(transaction, group, quotas, cancellationToken);
                return members;
            },
            cancellationToken);
        foreach (var volume in doomed) worker.Nudge(volume.Id);
    }

    /// <summary>Takes the record of a group away when the volume that goes in the same commit was its last.</summary>
    public static async Task RemoveIfEmptyAsync(StateTransaction transaction, Volume gone, QuotaService quotas, CancellationToken cancellationToken)
    {
        if (gone.GroupId is not { } id || await transaction.GetAsync(VolumeGroup.Table, id, cancellationToken) is not { Deleting: true } group) return;
        var members = await transaction.ListByAsync(Volume.Table, "project", group.ProjectId, cancellationToken);
        if (members.All(volume => volume.GroupId != id || volume.Id == gone.Id)) await RemoveAsync(transaction, group, quotas, cancellationToken);
    }

    private static Task RemoveAsync(StateTransaction transaction, VolumeGroup group, QuotaService quotas, CancellationToken cancellationToken)
    {
        transaction.Delete(VolumeGroup.Table, group.Id);
        return quotas.ChangeAsync(transaction, group.ProjectId, QuotaChange.Groups(-1), cancellationToken);
    }

    /// <summary>Shows a status that the facts do not say, until it is reset to available.</summary>
    public Task ResetStatusAsync(OperationContext operation, string id, string status, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("group:reset_status");
        if (!VolumeGroup.AdminStatuses.Contains(status)) throw Faults.Invalid("status", "is not a status of a group");
        return store.TransactAsync(
            async transaction =>
            {
                var group = Visible(operation, await transaction.GetAsync(VolumeGroup.Table, id, cancellationToken), id);
                transaction.Put(VolumeGroup.Table, (group with { AdminStatus = status == "available" ? null : status }).Changed(time.GetUtcNow()));
            },
            cancellationToken);
    }

    /// <summary>The group that a new volume is to be in.</summary>
    /// <exception cref="FaultException">NotFound; InvalidArgument when the type is none of the group's.</exception>
    public static async Task RequireRoomAsync(StateTransaction transaction, Volume volume, CancellationToken cancellationToken)
    {
        if (volume.GroupId is not { } id) return;
        var group = await transaction.GetAsync(VolumeGroup.Table, id, cancellationToken);
        if (group is null || group.Deleting || group.ProjectId != volume.ProjectId) throw NotFound(id);
        if (!group.VolumeTypeIds.Contains(volume.VolumeTypeId)) throw Faults.Invalid("volume_type", $"is none of the types of group {id}");
    }

    private static VolumeGroup Visible(OperationContext operation, VolumeGroup? group, string id) =>
        group is not null && operation.CanSee(group.ProjectId) ? group : throw NotFound(id);

    internal static FaultException NotFound(string id) => Faults.NotFound("Group", id);
}
