using System.Collections.Immutable;
using System.Globalization;
using System.Xml.Linq;
using Nephos.Client.Objects;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>The additional checksum of an object: of all its bytes, or of the checksums of its parts.</summary>
/// <remarks>Kept as system metadata <c>checksum.NAME</c> with the base64 value, and <c>checksum.type</c> for composed ones.</remarks>
internal static class S3Checksums
{
    public const string KeyPrefix = "checksum.";
    public const string FullObject = "FULL_OBJECT";
    public const string Composite = "COMPOSITE";
    private const string TypeKey = "checksum.type";
    private const string UploadAlgorithm = "checksum.upload";

    public static bool IsKey(string key) => key.StartsWith(KeyPrefix, StringComparison.Ordinal);

    public static bool IsValueKey(string key) => IsKey(key) && key is not (TypeKey or UploadAlgorithm);

    public static string ElementOf(string name) => "Checksum" + name.ToUpperInvariant();

    public static ObjectRecord Keep(ObjectRecord record, (string Name, string Value)? checksum, string type) => checksum is not { } sum ? record : record with
    {
        SystemMetadata = record.SystemMetadata.SetItem(KeyPrefix + sum.Name, sum.Value).SetItem(TypeKey, type),
    };

    /// <summary>The algorithm that a copy or a multipart start asks for, in lower case.</summary>
    public static string? Requested(S3Call call)
    {
        if (call.Header("x-amz-checksum-algorithm") is not { Length: > 0 } header)
        {
            return null;
        }
        var name = header.ToLowerInvariant();
        return S3Checksum.Names.Contains(name) ? name : throw S3Fault.InvalidRequest("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]");
    }

    /// <summary>Notes at the start of an upload how its object will be summed.</summary>
    public static ObjectRecord Begin(S3Call call, ObjectRecord record)
    {
        if (Requested(call) is not { } name)
        {
            return record;
        }
        var type = call.Header("x-amz-checksum-type")?.ToUpperInvariant() ?? (name == "crc64nvme" ? FullObject : Composite);
        if (type is not (FullObject or Composite) || (type == FullObject && name is "sha1" or "sha256") || (type == Composite && name == "crc64nvme"))
        {
            throw S3Fault.InvalidRequest($"The {type} checksum type cannot be used with the {name} checksum algorithm.");
        }
        call.Reply("x-amz-checksum-algorithm", name.ToUpperInvariant());
        call.Reply("x-amz-checksum-type", type);
        return record with { SystemMetadata = record.SystemMetadata.SetItem(UploadAlgorithm, name).SetItem(TypeKey, type) };
    }

    /// <summary>The algorithm of an upload's parts; null when it was started without.</summary>
    public static string? AlgorithmOf(ObjectRecord upload) => upload.SystemMetadata.GetValueOrDefault(UploadAlgorithm);

    public static string Format((string Name, string Value)? checksum) => checksum is { } sum ? $"{sum.Name}={sum.Value}" : "";

    public static (string Name, string Value)? Parse(string text)
    {
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        return equals < 0 ? null : (text[..equals], text[(equals + 1)..]);
    }

    /// <summary>The checksum of the object that parts make; the record without one when the upload was started without.</summary>
    /// <exception cref="S3Fault">InvalidRequest when a part has none.</exception>
    public static ObjectRecord Complete(ObjectRecord upload, IReadOnlyList<PartRecord> parts)
    {
        if (AlgorithmOf(upload) is not { } name)
        {
            return upload;
        }
        var sums = parts.Select(part => Parse(part.Checksums) is { } sum && sum.Name == name
            ? Convert.FromBase64String(sum.Value)
            : throw S3Fault.InvalidRequest($"The upload was created using a {name} checksum. The complete request must include the checksum for each part; part {part.Number} has none.")).ToList();
        var type = upload.SystemMetadata[TypeKey];
        string value;
        if (type == FullObject)
        {
            var whole = sums[0];
            for (var index = 1; index < sums.Count; index++)
            {
                whole = CrcCombiner.Combine(name, whole, sums[index], parts[index].SizeBytes);
            }
            value = Convert.ToBase64String(whole);
        }
        else
        {
            using var checksum = S3Checksum.Create(name)!;
            sums.ForEach(sum => checksum.Append(sum));
            value = string.Create(CultureInfo.InvariantCulture, $"{Convert.ToBase64String(checksum.Finish())}-{sums.Count}");
        }
        return upload with { SystemMetadata = upload.SystemMetadata.Remove(UploadAlgorithm).SetItem(KeyPrefix + name, value) };
    }

    public static void Write(S3Call call, ObjectRecord record)
    {
        foreach (var (key, value) in record.SystemMetadata)
        {
            if (IsValueKey(key))
            {
                call.Reply(S3Checksum.HeaderPrefix + key[KeyPrefix.Length..], value);
                call.Reply("x-amz-checksum-type", record.SystemMetadata.GetValueOrDefault(TypeKey, FullObject));
            }
        }
    }

    public static List<XElement> Elements(ImmutableSortedDictionary<string, string> metadata)
    {
        var elements = metadata.Where(item => IsValueKey(item.Key)).Select(item => Element(ElementOf(item.Key[KeyPrefix.Length..]), item.Value)).ToList();
        if (elements.Count > 0)
        {
            elements.Add(Element("ChecksumType", metadata.GetValueOrDefault(TypeKey, FullObject)));
        }
        return elements;
    }
}

/// <summary>The CRC of two texts one after the other, from the CRCs of both and the length of the second, in steps that grow with its logarithm.</summary>
/// <remarks>Appending a zero bit is a linear map over GF(2); its powers are found by squaring, as zlib's crc32_combine does.</remarks>
internal static class CrcCombiner
{
    /// <param name="first">Big-endian, as <see cref="S3Checksum.Finish"/> gives it; so are the others.</param>
    public static byte[] Combine(string name, byte[] first, byte[] second, long secondBytes)
    {
        var polynomial = name switch
        {
            "crc32" => 0xEDB88320UL,
            "crc32c" => 0x82F63B78UL,
            "crc64nvme" => 0x9A6C9329AC4BC9B5UL,
            _ => throw new ArgumentOutOfRangeException(nameof(name), name, "is no CRC"),
        };
        var width = first.Length * 8;
        var crc = Read(first);
        // The map for one zero bit, squared three times, is the one for a zero byte.
        var map = new ulong[width];
        map[0] = polynomial;
        for (var bit = 1; bit < width; bit++)
        {
            map[bit] = 1UL << (bit - 1);
        }
        map = Square(Square(Square(map)));
        for (var left = secondBytes; left > 0; left >>= 1)
        {
            if ((left & 1) != 0)
            {
                crc = Apply(map, crc);
            }
            map = Square(map);
        }
        crc ^= Read(second);
        var result = new byte[first.Length];
        for (var index = 0; index < result.Length; index++)
        {
            result[index] = (byte)(crc >> (width - 8 - (8 * index)));
        }
        return result;
    }

    private static ulong Read(byte[] bytes) => bytes.Aggregate(0UL, (value, next) => (value << 8) | next);

    private static ulong Apply(ulong[] map, ulong vector)
    {
        ulong sum = 0;
        for (var bit = 0; vector != 0; bit++, vector >>= 1)
        {
            if ((vector & 1) != 0)
            {
                sum ^= map[bit];
            }
        }
        return sum;
    }

    private static ulong[] Square(ulong[] map) => [.. map.Select(column => Apply(map, column))];
}
