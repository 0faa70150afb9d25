using System.Collections.Immutable;
using System.Text;
using Nephos.Client.Objects;

namespace Nephos.Node.Objects.Namespace;

/// <summary>The bounds of what comes into the namespace; each check throws <c>TooLarge</c> with the rule.</summary>
internal static class NamespaceBounds
{
    private const int UploadIdLength = 32;

    public static bool IsUploadId(UploadId upload) =>
        upload.Value is { Length: UploadIdLength } value && value.All(char.IsAsciiHexDigitLower);

    public static void CheckBucket(BucketName bucket)
    {
        CheckName(bucket.Account, "account");
        CheckName(bucket.Name, "bucket");
    }

    public static void CheckBucket(BucketRecord bucket)
    {
        CheckBucket(bucket.Name);
        CheckMetadata(bucket.Metadata);
        ArgumentOutOfRangeException.ThrowIfNegative(bucket.ChangesKept);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bucket.ChangesKept, ObjectLimits.ChangesKeptMax);
    }

    public static void CheckName(string name, string what)
    {
        if (string.IsNullOrEmpty(name) || Encoding.UTF8.GetByteCount(name) > ObjectLimits.NameBytesMax)
        {
            throw new ObjectEngineException(
                EngineFailure.TooLarge, $"The name of the {what} has 1 to {ObjectLimits.NameBytesMax} bytes of UTF-8.");
        }
    }

    public static void CheckKey(string key)
    {
        if (string.IsNullOrEmpty(key) || Encoding.UTF8.GetByteCount(key) > ObjectLimits.KeyBytesMax)
        {
            throw new ObjectEngineException(EngineFailure.TooLarge, $"An object's key has 1 to {ObjectLimits.KeyBytesMax} bytes of UTF-8.");
        }
    }

    public static void CheckObject(BucketName bucket, ObjectRecord record)
    {
        CheckBucket(bucket);
        CheckKey(record.Key);
        CheckMetadata(record.SystemMetadata, record.UserMetadata);
        if (record.Payload.Extents.Length > ObjectLimits.ExtentCountMax)
        {
            throw new ObjectEngineException(EngineFailure.TooLarge, $"A payload has at most {ObjectLimits.ExtentCountMax} extents.");
        }
    }

    public static void CheckMetadata(params ReadOnlySpan<ImmutableSortedDictionary<string, string>> maps)
    {
        long bytes = 0;
        foreach (var map in maps)
        {
            foreach (var (name, value) in map)
            {
                bytes += Encoding.UTF8.GetByteCount(name) + Encoding.UTF8.GetByteCount(value);
            }
        }

        if (bytes > ObjectLimits.MetadataBytesMax)
        {
            throw new ObjectEngineException(EngineFailure.TooLarge, $"A record has at most {ObjectLimits.MetadataBytesMax} bytes of metadata.");
        }
    }

    public static void CheckBounds(int limit, params ReadOnlySpan<string> texts)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(limit);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(limit, ObjectLimits.ListLimitMax);
        foreach (var text in texts)
        {
            if (Encoding.UTF8.GetByteCount(text) > ObjectLimits.KeyBytesMax + ObjectLimits.NameBytesMax)
            {
                throw new ObjectEngineException(EngineFailure.TooLarge, "A prefix, delimiter or marker is longer than any key.");
            }
        }
    }
}
