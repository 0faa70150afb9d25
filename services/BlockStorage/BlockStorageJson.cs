using System.Text.Json.Serialization;
using Nephos.BlockStorage.Attachments;
using Nephos.BlockStorage.Backups;
using Nephos.BlockStorage.Images;
using Nephos.BlockStorage.Messages;
using Nephos.BlockStorage.Quotas;
using Nephos.BlockStorage.Snapshots;
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
internal sealed partial class BlockStorageJson : JsonSerializerContext;
