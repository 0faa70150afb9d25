using System.Security.Cryptography;
using System.Text;
using Nephos.BlockStorage.Encryption;
using Nephos.BlockStorage.Qos;
using Nephos.BlockStorage.Volumes;
using Nephos.Client.Volumes;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Attachments;

internal sealed record AttachmentWish
{
    public required string VolumeId { get; init; }
    public string? InstanceId { get; init; }
    public string? Node { get; init; }
    public string? Device { get; init; }
    public bool ReadOnly { get; init; }
    public string IdempotencyKey { get; init; } = "";
}

/// <summary>What a node gets when it opens an attachment.</summary>
/// <param name="Key">What the blocks of the volume are encrypted with; empty when they are not.</param>
internal sealed record OpenedAttachment(Attachment Attachment, Volume Volume, VolumeLimits Limits, byte[] Key)
{
    public string ExportName => $"{Attachment.Id}.{Attachment.Token}";
}

/// <summary>Who may open a volume. No call waits for a node: ending an attachment raises the epoch, and the storage refuses the old one.</summary>
internal sealed class AttachmentService(
    IStateStore store, TableCache<Attachment> attachments, QosService qos, VolumeKeys keys, VolumeWorker worker, BlockStorageOptions options, TimeProvider time)
{
    private const int TokenBytes = 32;
    private const int NodeCharsMax = 255;

    public async Task<Attachment> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        Visible(operation, await store.GetAsync(Attachment.Table, id, cancellationToken), id);

    /// <summary>In the order they were made.</summary>
    public async Task<IReadOnlyList<Attachment>> ListAsync(
        OperationContext operation, string? volumeId, string? instanceId, string? node, bool allProjects, CancellationToken cancellationToken)
    {
        var project = operation.ListedProject(allProjects);
        await attachments.CatchUpAsync(cancellationToken);
        return
        [
            .. attachments.List()
                .Where(attachment => project is null || attachment.ProjectId == project)
                .Where(attachment => volumeId is null || attachment.VolumeId == volumeId)
                .Where(attachment => instanceId is null || attachment.InstanceId == instanceId)
                .Where(attachment => node is null || attachment.Node == node)
                .OrderBy(attachment => attachment.CreatedAt).ThenBy(attachment => attachment.Id, StringComparer.Ordinal),
        ];
    }

    /// <summary>Takes a volume.</summary>
    /// <exception cref="FaultException">NotFound; Conflict when somebody else has it.</exception>
    public async Task<Attachment> CreateAsync(OperationContext operation, AttachmentWish wish, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:attachment_create");
        Check(wish.Node, "node");
        Check(wish.InstanceId, "instance_id");
        Check(wish.Device, "device");
        // A volume that is being made is worth a moment.
        await worker.RunSoonAsync(wish.VolumeId, cancellationToken);
        var attachment = new Attachment
        {
            Id = Ids.NewUuid(),
            VolumeId = wish.VolumeId,
            ProjectId = "",
            InstanceId = Empty(wish.InstanceId),
            Node = Empty(wish.Node),
            Device = Empty(wish.Device),
            ReadOnly = wish.ReadOnly,
            Token = RandomNumberGenerator.GetHexString(2 * TokenBytes, lowercase: true),
            IdempotencyKey = InputRules.IdempotencyKey(wish.IdempotencyKey),
            CreatedAt = time.GetUtcNow(),
        };
        return await store.TransactAsync(
            async transaction =>
            {
                var volume = VolumeService.Visible(operation, await transaction.GetAsync(Volume.Table, wish.VolumeId, cancellationToken), wish.VolumeId);
                var own = await transaction.ListByAsync(Attachment.Table, "volume", volume.Id, cancellationToken);
                if (attachment.IdempotencyKey is { } key && own.FirstOrDefault(other => other.IdempotencyKey == key) is { } first) return first;
                var view = new VolumeView(volume, own, "", time.GetUtcNow());
                var shared = volume.Multiattach && view.Status is VolumeStatus.InUse or VolumeStatus.Attaching;
                if (shared && attachment.InstanceId is { } instance && own.Any(other => other.InstanceId == instance))
                    throw BlockStorageFaults.InvalidVolume($"volume {volume.Id} is already attached to instance {instance}");
                if (view.Status != VolumeStatus.Available && !(view.Status == VolumeStatus.Attaching && own.Count == 0) && !shared)
                    throw BlockStorageFaults.InvalidVolume($"volume {volume.Id} status must be available or reserved to attach, but it is {view.Status.ToCinder()}");
                var made = attachment with { ProjectId = volume.ProjectId, ReadOnly = wish.ReadOnly || volume.ReadOnly };
                transaction.Insert(Attachment.Table, made);
                // The volume record is part of the commit, so that two can not take it at once.
                transaction.Put(Volume.Table, (volume with { ReservedUntil = null }).Changed(time.GetUtcNow()));
                return made;
            },
            cancellationToken);
    }

    /// <summary>Changes where it is opened, or shows that it is about to end. Null leaves a field.</summary>
    public async Task<Attachment> UpdateAsync(
        OperationContext operation, string id, string? node, string? instanceId, string? device, bool? detaching, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:attachment_update");
        Check(node, "node");
        Check(instanceId, "instance_id");
        Check(device, "device");
        return await store.TransactAsync(
            async transaction =>
            {
                var attachment = Visible(operation, await transaction.GetAsync(Attachment.Table, id, cancellationToken), id);
                var moved = node is not null && Empty(node) != attachment.Node;
                attachment = attachment with
                {
                    Node = node is null ? attachment.Node : Empty(node),
                    InstanceId = instanceId is null ? attachment.InstanceId : Empty(instanceId),
                    Device = device is null ? attachment.Device : Empty(device),
                    DetachingUntil = detaching switch
                    {
                        null => attachment.DetachingUntil,
                        true => time.GetUtcNow() + options.DetachingTime,
                        false => null,
                    },
                    // The new node has to open it first; the old one is fenced when it does.
                    OpenedAt = moved ? null : attachment.OpenedAt,
                };
                transaction.Put(Attachment.Table, attachment);
                return attachment;
            },
            cancellationToken);
    }

    /// <summary>Shows an attachment as attached for a caller who reaches the volume in its own way.</summary>
    public Task CompleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:attachment_complete");
        return store.TransactAsync(
            async transaction =>
            {
                var attachment = Visible(operation, await transaction.GetAsync(Attachment.Table, id, cancellationToken), id);
                if (attachment.OpenedAt is null) transaction.Put(Attachment.Table, attachment with { OpenedAt = time.GetUtcNow() });
            },
            cancellationToken);
    }

    /// <summary>Shows the volume as being detached, or not any more.</summary>
    public async Task SetDetachingAsync(OperationContext operation, string volumeId, bool detaching, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:begin_detaching");
        await store.TransactAsync(
            async transaction =>
            {
                var volume = VolumeService.Visible(operation, await transaction.GetAsync(Volume.Table, volumeId, cancellationToken), volumeId);
                var own = await transaction.ListByAsync(Attachment.Table, "volume", volumeId, cancellationToken);
                if (detaching && own.Count == 0) throw BlockStorageFaults.InvalidVolume($"Unable to detach volume. Volume {volume.Id} is not attached.");
                foreach (var attachment in own)
                    transaction.Put(Attachment.Table, attachment with { DetachingUntil = detaching ? time.GetUtcNow() + options.DetachingTime : null });
            },
            cancellationToken);
    }

    /// <summary>Ends an attachment. Its head can not complete a write any more, wherever it is. One that is gone is no error.</summary>
    /// <remarks>While others have the volume by the same head, that one stays, and ends the connections of this attachment when its node sees the end.</remarks>
    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:attachment_delete");
        var volumeId = await store.TransactAsync(
            async transaction =>
            {
                if (await transaction.GetAsync(Attachment.Table, id, cancellationToken) is not { } attachment) return null;
                Visible(operation, attachment, id);
                transaction.Delete(Attachment.Table, id);
                if (await transaction.GetAsync(Volume.Table, attachment.VolumeId, cancellationToken) is not { } volume) return null;
                var others = await OthersAsync(transaction, attachment, cancellationToken);
                var stays = others.Exists(other => other.OpenedAt is not null && other.Epoch == volume.Epoch && (attachment.OpenedAt is null || other.Node == attachment.Node));
                transaction.Put(Volume.Table, (volume with { Epoch = stays ? volume.Epoch : volume.Epoch + 1 }).Changed(time.GetUtcNow()));
                return attachment.VolumeId;
            },
            cancellationToken);
        // Sealed right away when the device answers; by the reconciler when not.
        if (volumeId is not null) await worker.RunSoonAsync(volumeId, cancellationToken);
    }

    private static async Task<List<Attachment>> OthersAsync(StateTransaction transaction, Attachment attachment, CancellationToken cancellationToken) =>
        [.. (await transaction.ListByAsync(Attachment.Table, "volume", attachment.VolumeId, cancellationToken)).Where(other => other.Id != attachment.Id)];

    /// <summary>Gives a node the right to serve the volume, under a new epoch.</summary>
    /// <param name="operation">Of a service.</param>
    /// <param name="id">The attachment.</param>
    /// <param name="token">Its token.</param>
    /// <param name="node">The node that asks.</param>
    /// <param name="headEpoch">Of the head that the node has open for another attachment of the volume; while it is the newest, this one is opened under it too. 0 for none.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="FaultException">NotFound for a wrong id or token; Conflict when it or another attachment is of another node, or the volume is not ready.</exception>
    public async Task<OpenedAttachment> OpenAsync(
        OperationContext operation, string id, string token, string node, long headEpoch, CancellationToken cancellationToken)
    {
        if (!operation.IsAdmin) operation.RequireService("volume:attachment_open");
        if (node.Length == 0) throw Faults.Invalid("node", "is required");
        Check(node, "node");
        var (attachment, volume) = await store.TransactAsync(
            async transaction =>
            {
                var attachment = await transaction.GetAsync(Attachment.Table, id, cancellationToken);
                if (attachment is null || !CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(attachment.Token), Encoding.UTF8.GetBytes(token)))
                    throw NotFound(id);
                if (attachment.Node is { } bound && bound != node) throw Faults.Conflict($"Attachment {id} is for node {bound}, not for {node}.");
                var volume = await transaction.GetAsync(Volume.Table, attachment.VolumeId, cancellationToken) ?? throw NotFound(id);
                if (!volume.Provisioned || volume.Deleting || volume.RevertTo is not null || volume.DeviceId is null)
                    throw Faults.Conflict($"Volume {volume.Id} is not ready: {new VolumeView(volume, [attachment], "", time.GetUtcNow()).Reason}");
                var others = await OthersAsync(transaction, attachment, cancellationToken);
                // One head serves all of them.
                if (others.Find(other => other.OpenedAt is not null && other.Node != node) is { } elsewhere)
                    throw Faults.Conflict($"Volume {volume.Id} is open on node {elsewhere.Node}; its attachments are on one node.");
                var joins = headEpoch > 0 && headEpoch == volume.Epoch && others.Exists(other => other.OpenedAt is not null && other.Epoch == headEpoch);
                // The compare and set of the configuration record: each open that does not join fences the one before.
                volume = (volume with { Epoch = joins ? volume.Epoch : volume.Epoch + 1 }).Changed(time.GetUtcNow());
                attachment = attachment with { Node = node, Epoch = volume.Epoch, OpenedAt = time.GetUtcNow() };
                transaction.Put(Volume.Table, volume);
                transaction.Put(Attachment.Table, attachment);
                return (attachment, volume);
            },
            cancellationToken);
        await qos.CatchUpAsync(cancellationToken);
        return new OpenedAttachment(attachment, volume, qos.LimitsOf(volume), await keys.UnwrapAsync(volume.KeyId, cancellationToken));
    }

    private static Attachment Visible(OperationContext operation, Attachment? attachment, string id) =>
        attachment is not null && operation.CanSee(attachment.ProjectId) ? attachment : throw NotFound(id);

    private static FaultException NotFound(string id) => Faults.NotFound("Volume attachment", id);

    private static void Check(string? value, string field)
    {
        if (value?.Length > NodeCharsMax) throw Faults.Invalid(field, $"is longer than {NodeCharsMax} characters");
    }

    private static string? Empty(string? value) => value is { Length: > 0 } ? value : null;
}
