using System.Security.Cryptography;
using System.Text;
using Nephos.BlockStorage.Attachments;
using Nephos.BlockStorage.Quotas;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.Volumes;
using Nephos.BlockStorage.VolumeTypes;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Transfers;

/// <summary>Hands volumes from one project to another. Taking one over is one commit: the volume, its snapshots and both quotas.</summary>
internal sealed class TransferService(IStateStore store, QuotaService quotas, TimeProvider time)
{
    private const int KeyChars = 16, SaltChars = 16;

    public async Task<Transfer> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        Visible(operation, await store.GetAsync(Transfer.Table, id, cancellationToken), id);

    public async Task<IReadOnlyList<Transfer>> ListAsync(OperationContext operation, bool allProjects, CancellationToken cancellationToken)
    {
        var project = operation.ListedProject(allProjects);
        var all = await store.ListAsync(Transfer.Table, "", cancellationToken);
        return
        [
            .. all.Where(transfer => project is null || transfer.ProjectId == project)
                .OrderByDescending(transfer => transfer.CreatedAt).ThenBy(transfer => transfer.Id, StringComparer.Ordinal),
        ];
    }

    /// <summary>Offers a volume.</summary>
    /// <returns>The offer, and the key that takes it: told only now.</returns>
    public async Task<(Transfer Transfer, string Key)> CreateAsync(
        OperationContext operation, string volumeId, string name, bool withoutSnapshots, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:create_transfer");
        var key = RandomNumberGenerator.GetHexString(KeyChars, lowercase: true);
        var salt = RandomNumberGenerator.GetHexString(SaltChars, lowercase: true);
        var id = Ids.NewUuid();
        var made = await store.TransactAsync(
            async transaction =>
            {
                var volume = VolumeService.Visible(operation, await transaction.GetAsync(Volume.Table, volumeId, cancellationToken), volumeId);
                var own = await transaction.ListByAsync(Attachment.Table, "volume", volumeId, cancellationToken);
                var status = new VolumeView(volume, own, "", time.GetUtcNow()).Status;
                if (status != VolumeStatus.Available) throw BlockStorageFaults.InvalidVolume("status must be available");
                if (volume.GroupId is not null) throw BlockStorageFaults.InvalidVolume("a volume of a group can not be transferred");
                var transfer = new Transfer
                {
                    Id = id,
                    VolumeId = volumeId,
                    ProjectId = volume.ProjectId,
                    Name = InputRules.Name("name", name),
                    KeyHash = Hash(salt, key),
                    Salt = salt,
                    WithoutSnapshots = withoutSnapshots,
                    CreatedAt = time.GetUtcNow(),
                };
                transaction.Insert(Transfer.Table, transfer);
                transaction.Put(Volume.Table, (volume with { TransferId = id }).Changed(time.GetUtcNow()));
                return transfer;
            },
            cancellationToken);
        return (made, key);
    }

    /// <summary>Takes the offer back.</summary>
    public Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:delete_transfer");
        return store.TransactAsync(
            async transaction =>
            {
                var transfer = Visible(operation, await transaction.GetAsync(Transfer.Table, id, cancellationToken), id);
                transaction.Delete(Transfer.Table, id);
                if (await transaction.GetAsync(Volume.Table, transfer.VolumeId, cancellationToken) is { } volume && volume.TransferId == id)
                    transaction.Put(Volume.Table, (volume with { TransferId = null }).Changed(time.GetUtcNow()));
            },
            cancellationToken);
    }

    /// <summary>Takes the volume over into the project of the caller.</summary>
    /// <exception cref="FaultException">InvalidArgument for a wrong key; QuotaExceeded.</exception>
    public Task<Transfer> AcceptAsync(OperationContext operation, string id, string key, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:accept_transfer");
        var project = operation.RequireProject();
        return store.TransactAsync(
            async transaction =>
            {
                // Whoever has the id may try the key: that is what an offer is.
                var transfer = await transaction.GetAsync(Transfer.Table, id, cancellationToken) ?? throw NotFound(id);
                if (!CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(Hash(transfer.Salt, key)), Encoding.ASCII.GetBytes(transfer.KeyHash)))
                    throw Faults.Invalid("auth_key", $"Attempt to transfer {id} with invalid auth key.");
                var volume = await transaction.GetAsync(Volume.Table, transfer.VolumeId, cancellationToken);
                if (volume is null || volume.TransferId != id || volume.Deleting) throw NotFound(id);
                if (await transaction.GetAsync(VolumeType.Table, volume.VolumeTypeId, cancellationToken) is { } type && !type.IsOfferedTo(operation))
                    throw Faults.NotFound("Volume type", volume.VolumeTypeId);
                var snapshots = transfer.WithoutSnapshots ? [] : await transaction.ListByAsync(Snapshot.Table, "volume", volume.Id, cancellationToken);
                await MoveAsync(transaction, volume.ProjectId, project, QuotaChange.Volumes(1, volume.SizeGib, volume.VolumeTypeId), cancellationToken);
                foreach (var snapshot in snapshots)
                {
                    await MoveAsync(transaction, snapshot.ProjectId, project, QuotaChange.Snapshots(1, snapshot.SizeGib, snapshot.VolumeTypeId), cancellationToken);
                    transaction.Put(Snapshot.Table, (snapshot with { ProjectId = project, UserId = operation.UserId }).Changed(time.GetUtcNow()));
                }
                transaction.Put(
                    Volume.Table, (volume with { ProjectId = project, UserId = operation.UserId, TransferId = null, IdempotencyKey = null }).Changed(time.GetUtcNow()));
                transaction.Delete(Transfer.Table, id);
                return transfer with { AcceptedBy = project };
            },
            cancellationToken);
    }

    private async Task MoveAsync(StateTransaction transaction, string from, string to, QuotaChange what, CancellationToken cancellationToken)
    {
        if (from == to) return;
        await quotas.ChangeAsync(transaction, from, what.Reversed, cancellationToken);
        await quotas.ChangeAsync(transaction, to, what, cancellationToken);
    }

    private static string Hash(string salt, string key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(salt + key)));

    private static Transfer Visible(OperationContext operation, Transfer? transfer, string id) =>
        transfer is not null && operation.CanSee(transfer.ProjectId) ? transfer : throw NotFound(id);

    private static FaultException NotFound(string id) => Faults.NotFound("Transfer", id);
}
