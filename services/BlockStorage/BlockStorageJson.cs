using System.Text.Json.Serialization;
using Nephos.BlockStorage.Attachments;
using Nephos.BlockStorage.Backups;
using Nephos.BlockStorage.Encryption;
using Nephos.BlockStorage.Exports;
using Nephos.BlockStorage.Groups;
using Nephos.BlockStorage.Images;
using Nephos.BlockStorage.Messages;
using Nephos.BlockStorage.Operators;
using Nephos.BlockStorage.Qos;
using Nephos.BlockStorage.Quotas;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.Transfers;
using Nephos.BlockStorage.Volumes;
using Nephos.BlockStorage.VolumeTypes;

namespace Nephos.BlockStorage;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, IgnoreReadOnlyProperties = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Volume))]
[JsonSerializable(typeof(Snapshot))]
[JsonSerializable(typeof(Attachment))]
[JsonSerializable(typeof(VolumeType))]
[JsonSerializable(typeof(QuotaLimits))]
[JsonSerializable(typeof(QuotaUsage))]
[JsonSerializable(typeof(ImageLayer))]
[JsonSerializable(typeof(Backup))]
[JsonSerializable(typeof(BackupBucket))]
[JsonSerializable(typeof(BackupManifest))]
[JsonSerializable(typeof(Message))]
[JsonSerializable(typeof(QosSpecs))]
[JsonSerializable(typeof(Transfer))]
[JsonSerializable(typeof(GroupType))]
[JsonSerializable(typeof(VolumeGroup))]
[JsonSerializable(typeof(GroupSnapshot))]
[JsonSerializable(typeof(HostState))]
[JsonSerializable(typeof(DefaultType))]
[JsonSerializable(typeof(VolumeKey))]
[JsonSerializable(typeof(Export))]
internal sealed partial class BlockStorageJson : JsonSerializerContext;
