using System.Text.RegularExpressions;
using Nephos.Kernel.Errors;

namespace Nephos.Images.Catalog;

/// <summary>What an image record may hold.</summary>
internal static partial class ImageRules
{
    public const int TextCharsMax = 255;
    public const int PropertyValueCharsMax = 65535;
    public const int TagsMax = 128;
    public const int PropertiesMax = 128;
    public const int MembersMax = 128;
    private const long SizeMax = int.MaxValue;
    private const string InternalPrefix = "os_glance_";

    public static readonly IReadOnlyList<string> DiskFormats = ["ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"];

    public static readonly IReadOnlyList<string> ContainerFormats = ["ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"];

    /// <returns>The image with its tags each once.</returns>
    /// <exception cref="FaultException">InvalidArgument names the field; ImageLimitExceeded.</exception>
    public static Image Check(Image image)
    {
        if (image.Name is { } name && (name.Length > TextCharsMax || name.Contains('\0', StringComparison.Ordinal)))
        {
            throw Faults.Invalid("name", $"at most {TextCharsMax} characters");
        }
        CheckFormat(image.DiskFormat, DiskFormats, "disk_format");
        CheckFormat(image.ContainerFormat, ContainerFormats, "container_format");
        CheckFormatsMatch(image);
        Between(image.MinDiskGib, "min_disk");
        Between(image.MinRamMib, "min_ram");
        if (image.Owner.Length is 0 or > TextCharsMax)
        {
            throw Faults.Invalid("owner", $"1 to {TextCharsMax} characters");
        }
        var tags = image.Tags.Distinct(StringComparer.Ordinal).ToArray();
        Array.ForEach(tags, CheckTag);
        if (tags.Length > TagsMax)
        {
            throw ImageFaults.Limit($"{tags.Length} tags", TagsMax);
        }
        if (image.Properties.Count > PropertiesMax)
        {
            throw ImageFaults.Limit($"{image.Properties.Count} properties", PropertiesMax);
        }
        foreach (var (key, value) in image.Properties)
        {
            CheckProperty(key, value);
        }
        return image with { Tags = tags };
    }

    public static void CheckTag(string tag)
    {
        if (tag.Length is 0 or > TextCharsMax || tag.Contains('\0', StringComparison.Ordinal))
        {
            throw Faults.Invalid("tags", $"a tag has 1 to {TextCharsMax} characters");
        }
    }

    public static void CheckProject(string projectId)
    {
        if (projectId.Length is 0 or > TextCharsMax || projectId.Any(char.IsControl))
        {
            throw Faults.Invalid("member", "must be the id of a project");
        }
    }

    private static void CheckProperty(string key, string value)
    {
        if (key.Length is 0 or > TextCharsMax || key.Any(char.IsControl))
        {
            throw Faults.Invalid("properties", $"a name has 1 to {TextCharsMax} printable characters");
        }
        if (key.StartsWith(InternalPrefix, StringComparison.Ordinal))
        {
            throw ImageFaults.Forbidden($"Attribute '{key}' is reserved.");
        }
        if (value.Length > PropertyValueCharsMax || value.Contains('\0', StringComparison.Ordinal))
        {
            throw Faults.Invalid(key, $"at most {PropertyValueCharsMax} characters");
        }
        if (key is "kernel_id" or "ramdisk_id" && value.Length > 0 && !UuidPattern().IsMatch(value))
        {
            throw Faults.Invalid(key, "must be the id of an image");
        }
    }

    private static void CheckFormat(string? format, IReadOnlyList<string> known, string field)
    {
        if (format is not null && !known.Contains(format, StringComparer.Ordinal))
        {
            throw Faults.Invalid(field, $"'{(format.Length <= 32 ? format : format[..32])}' is not one of {string.Join(", ", known)}");
        }
    }

    /// <summary>Amazon kernels, ramdisks and machine images are both formats at once.</summary>
    private static void CheckFormatsMatch(Image image)
    {
        if (image is { DiskFormat: { } disk, ContainerFormat: { } container } && disk != container &&
            container is "ami" or "ari" or "aki" && image.DiskFormat is "ami" or "ari" or "aki")
        {
            throw Faults.Invalid("container_format", $"'{image.ContainerFormat}' does not go with the disk format '{image.DiskFormat}'");
        }
    }

    private static void Between(long value, string field)
    {
        if (value is < 0 or > SizeMax)
        {
            throw Faults.Invalid(field, $"must be between 0 and {SizeMax}");
        }
    }

    [GeneratedRegex("^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$")]
    private static partial Regex UuidPattern();
}
