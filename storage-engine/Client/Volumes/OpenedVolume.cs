using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.Client.Volumes;

/// <summary>What a node was told when it opened an attachment: the right to serve one volume under one epoch.</summary>
public sealed record OpenedVolume
{
    public required Guid AttachmentId { get; init; }
    public required Guid VolumeId { get; init; }

    /// <summary>Requests below this epoch are refused by every replica once it is sealed.</summary>
    public required long Epoch { get; init; }

    public required long SizeBytes { get; init; }
    public required bool ReadOnly { get; init; }

    /// <summary>Attachment and token; whoever knows it may use the volume. Never log it.</summary>
    public required string ExportName { get; init; }

    public required IReadOnlyList<ReplicaEndpoint> Replicas { get; init; }

    /// <summary>For AES-XTS, see <see cref="BlockCipher"/>; empty when the volume is not encrypted. Never log it.</summary>
    public ReadOnlyMemory<byte> EncryptionKey { get; init; }

    public VolumeLimits Limits { get; init; }

    /// <summary>Takes over the answer of <c>Attachments.OpenAttachment</c>.</summary>
    /// <exception cref="FormatException">An id is not a UUID.</exception>
    public static OpenedVolume From(Wire.OpenedAttachment opened) => new()
    {
        AttachmentId = Guid.Parse(opened.AttachmentId),
        VolumeId = Guid.Parse(opened.VolumeId),
        Epoch = opened.Epoch,
        SizeBytes = opened.SizeBytes,
        ReadOnly = opened.ReadOnly,
        ExportName = opened.ExportName,
        Replicas = [.. opened.Replicas.Select(replica => new ReplicaEndpoint(replica.DeviceId, replica.Address))],
        EncryptionKey = opened.EncryptionKey.Memory,
        Limits = VolumeLimits.From(opened.Qos),
    };

    // The export name and the key stay out of logs and of debuggers' strings.
    public override string ToString() => $"volume {VolumeId} by attachment {AttachmentId} at epoch {Epoch}";
}

/// <summary>Where one copy of a volume is.</summary>
/// <param name="DeviceId">The device of a storage node.</param>
/// <param name="Address"><c>unix:PATH</c> or <c>tcp:HOST:PORT</c> of its process; empty for a device of this one.</param>
public readonly record struct ReplicaEndpoint(string DeviceId, string Address);
