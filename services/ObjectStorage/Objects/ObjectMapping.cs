using Google.Protobuf.WellKnownTypes;
using Nephos.Client.Objects;
using Wire = Nephos.Protos.ObjectStorage.V1;

namespace Nephos.ObjectStorage.Objects;

internal static class ObjectMapping
{
    public static Wire.StoredObject ToWire(this ObjectSummary record, BucketName bucket)
    {
        var stored = new Wire.StoredObject
        {
            Account = bucket.Account,
            Bucket = bucket.Name,
            Key = record.Key,
            SizeBytes = record.SizeBytes,
            Etag = record.ETag,
            ContentType = record.ContentType,
            ModifiedAt = Timestamp.FromDateTimeOffset(record.Modified),
            VersionId = record.IsNullVersion ? "null" : record.Version.ToString(),
        };
        if (record is ObjectRecord whole)
        {
            stored.Metadata.Add(whole.UserMetadata.ToDictionary());
        }
        return stored;
    }

    public static Wire.Bucket ToWire(this BucketRecord record)
    {
        var bucket = new Wire.Bucket
        {
            Account = record.Name.Account,
            Name = record.Name.Name,
            CreatedAt = Timestamp.FromDateTimeOffset(record.Created),
            UpdatedAt = Timestamp.FromDateTimeOffset(record.Modified),
            Objects = record.Usage.Objects,
            Bytes = record.Usage.Bytes,
            Versioning = record.Versioning switch
            {
                BucketVersioning.Enabled => Wire.Versioning.Enabled,
                BucketVersioning.Suspended => Wire.Versioning.Suspended,
                _ => Wire.Versioning.Off,
            },
            QuotaBytes = record.Quota.BytesMax ?? 0,
            QuotaObjects = record.Quota.ObjectsMax ?? 0,
            ChangesKept = record.ChangesKept,
        };
        foreach (var (name, value) in record.Metadata.Where(pair => pair.Key.StartsWith(Buckets.BucketMetadata.UserPrefix, StringComparison.Ordinal)))
        {
            bucket.Metadata[name[Buckets.BucketMetadata.UserPrefix.Length..]] = value;
        }
        return bucket;
    }
}
