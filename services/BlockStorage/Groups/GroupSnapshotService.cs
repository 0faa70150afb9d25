using Nephos.BlockStorage.Quotas;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.Volumes;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Groups;

/// <summary>Snapshots of groups: a snapshot of each volume, all of one moment.</summary>
internal sealed class GroupSnapshotService(IStateStore store, QuotaService quotas, VolumeWorker worker, TimeProvider time)
{
    public async Task<GroupSnapshot> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        Visible(operation, await store.GetAsync(GroupSnapshot.Table, id, cancellationToken), id);

    /// <summary>The newest first.</summary>
    public async Task<IReadOnlyList<GroupSnapshot>> ListAsync(OperationContext operation, bool allProjects, CancellationToken cancellationToken)
    {
        var project = operation.ListedProject(allProjects);
        return
        [
            .. (await store.ListAsync(GroupSnapshot.Table, "", cancellationToken)).Where(snapshot => project is null || snapshot.ProjectId == project)
                .OrderByDescending(snapshot => snapshot.CreatedAt).ThenBy(snapshot => snapshot.Id, StringComparer.Ordinal),
        ];
    }

    public async Task<GroupSnapshot> CreateAsync(
        OperationContext operation, string groupId, string name, string? description, CancellationToken cancellationToken)
    {
        operation.RequireMember("group:create_group_snapshot");
        var id = Ids.NewUuid();
        var made = await store.TransactAsync(
            async transaction =>
            {
                var group = await transaction.GetAsync(VolumeGroup.Table, groupId, cancellationToken);
                if (group is null || !operation.CanSee(group.ProjectId)) throw GroupService.NotFound(groupId);
                var members = (await transaction.ListByAsync(Volume.Table, "project", group.ProjectId, cancellationToken))
                    .Where(volume => volume.GroupId == groupId).ToList();
                if (group.Deleting || members.Count == 0) throw BlockStorageFaults.InvalidGroup("a group snapshot needs a group with volumes");
                var snapshot = new GroupSnapshot
                {
                    Id = id,
                    ProjectId = group.ProjectId,
                    UserId = operation.UserId,
                    GroupId = groupId,
                    GroupTypeId = group.GroupTypeId,
                    Name = InputRules.Name("name", name),
                    Description = InputRules.Description(description),
                    CreatedAt = time.GetUtcNow(),
                    Generation = 1,
                };
                transaction.Insert(GroupSnapshot.Table, snapshot);
                foreach (var volume in members)
                {
                    if (!volume.Provisioned || volume.Deleting || volume.RestoreFrom is not null || volume.RevertTo is not null)
                        throw BlockStorageFaults.InvalidGroup($"volume {volume.Id} of the group is not available");
                    var part = new Snapshot
                    {
                        Id = Ids.NewUuid(),
                        ProjectId = volume.ProjectId,
                        UserId = operation.UserId,
                        VolumeId = volume.Id,
                        DeviceId = volume.DeviceId!,
                        VolumeTypeId = volume.VolumeTypeId,
                        GroupSnapshotId = id,
                        Name = snapshot.Name,
                        Description = snapshot.Description,
                        SizeBytes = volume.ProvisionedBytes,
                        CreatedAt = snapshot.CreatedAt,
                        Generation = 1,
                    };
                    transaction.Insert(Snapshot.Table, part);
                    await quotas.ChangeAsync(transaction, group.ProjectId, QuotaChange.Snapshots(1, part.SizeGib, part.VolumeTypeId), cancellationToken);
                }
                return snapshot;
            },
            cancellationToken);
        worker.Nudge(id);
        return made;
    }

    public Task<GroupSnapshot> UpdateAsync(
        OperationContext operation, string id, string? name, string? description, CancellationToken cancellationToken)
    {
        operation.RequireMember("group:update_group_snapshot");
        return ChangeAsync(
            operation, id,
            snapshot => snapshot with
            {
                Name = name is null ? snapshot.Name : InputRules.Name("name", name),
                Description = description is null ? snapshot.Description : InputRules.Description(description),
            },
            cancellationToken);
    }

    /// <summary>Shows a status that the facts do not say, until it is reset to available.</summary>
    public Task ResetStatusAsync(OperationContext operation, string id, string status, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("group:reset_group_snapshot_status");
        if (!Snapshot.AdminStatuses.Contains(status)) throw Faults.Invalid("status", "is not a status of a group snapshot");
        return ChangeAsync(operation, id, snapshot => snapshot with { AdminStatus = status == "available" ? null : status }, cancellationToken);
    }

    private Task<GroupSnapshot> ChangeAsync(
        OperationContext operation, string id, Func<GroupSnapshot, GroupSnapshot> change, CancellationToken cancellationToken) => store.TransactAsync(
        async transaction =>
        {
            var snapshot = Visible(operation, await transaction.GetAsync(GroupSnapshot.Table, id, cancellationToken), id);
            snapshot = change(snapshot) with { Generation = snapshot.Generation + 1 };
            transaction.Put(GroupSnapshot.Table, snapshot);
            return snapshot;
        },
        cancellationToken);

    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        operation.RequireMember("group:delete_group_snapshot");
        await store.TransactAsync(
            async transaction =>
            {
                var snapshot = Visible(operation, await transaction.GetAsync(GroupSnapshot.Table, id, cancellationToken), id);
                var siblings = await transaction.ListByAsync(Volume.Table, "project", snapshot.ProjectId, cancellationToken);
                foreach (var part in await PartsAsync(store, id, cancellationToken))
                {
                    if (siblings.Any(volume => volume.SourceSnapshotId == part.Id && volume is { Provisioned: false, Failure: null, Deleting: false }))
                        throw BlockStorageFaults.InvalidSnapshot($"Group snapshot {id} is being copied to a group.");
                    transaction.Put(Snapshot.Table, (part with { Deleting = true }).Changed(time.GetUtcNow()));
                }
                transaction.Put(GroupSnapshot.Table, snapshot with { Deleting = true, Generation = snapshot.Generation + 1 });
            },
            cancellationToken);
        worker.Nudge(id);
    }

    /// <summary>The snapshots that a group snapshot consists of.</summary>
    public static async Task<IReadOnlyList<Snapshot>> PartsAsync(IStateStore store, string id, CancellationToken cancellationToken) =>
        [.. (await store.ListAsync(Snapshot.Table, "", cancellationToken)).Where(part => part.GroupSnapshotId == id)];

    private static GroupSnapshot Visible(OperationContext operation, GroupSnapshot? snapshot, string id) =>
        snapshot is not null && operation.CanSee(snapshot.ProjectId) ? snapshot : throw NotFound(id);

    internal static FaultException NotFound(string id) => Faults.NotFound("GroupSnapshot", id);
}
