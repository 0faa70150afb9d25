using System.Buffers.Text;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Nephos.Kernel.Errors;

namespace Nephos.Compute.Instances;

/// <summary>The rules that what users write about instances has to keep.</summary>
internal static partial class InstanceRules
{
    public const int NameCharsMax = 255;
    public const int TagsMax = 50;
    public const int TagCharsMax = 60;
    public const int UserDataCharsMax = 65535;
    private const int DescriptionCharsMax = 255;
    private const int HostLabelCharsMax = 63;
    private const int HostNameCharsMax = 255;

    public static string Name(string name) =>
        name.Length is > 0 and <= NameCharsMax && name.Trim().Length == name.Length && !name.Any(char.IsControl)
            ? name
            : throw ComputeFaults.Refers("name", name.Length == 0
                ? "Invalid input for field/attribute name. Value: . '' is too short"
                : $"Invalid input for field/attribute name. 1 to {NameCharsMax} printable characters without white space at the ends.");

    public static string? Description(string? description) =>
        description is null || (description.Length <= DescriptionCharsMax && !description.Any(letter => char.IsControl(letter) && letter is not ('\n' or '\r' or '\t')))
            ? description
            : throw Faults.Invalid("description", $"at most {DescriptionCharsMax} printable characters");

    /// <summary>A host name as a user gave it.</summary>
    public static string HostName(string hostName) =>
        hostName.Length <= HostNameCharsMax && HostNamePattern().IsMatch(hostName)
            ? hostName.ToLowerInvariant()
            : throw Faults.Invalid("hostname", "letters, digits, dashes and dots, in labels of at most 63");

    /// <summary>The host name that goes with a name.</summary>
    public static string HostNameOf(string name, string id)
    {
        var text = new StringBuilder(Math.Min(name.Length, HostLabelCharsMax));
        foreach (var letter in name.ToLowerInvariant())
        {
            if (char.IsAsciiLetterOrDigit(letter) || letter == '-')
            {
                text.Append(letter);
            }
            else if (letter is ' ' or '_' or '.')
            {
                text.Append('-');
            }
        }
        var label = text.ToString().Trim('-');
        label = label[..Math.Min(label.Length, HostLabelCharsMax)].TrimEnd('-');
        return label.Length > 0 ? label : $"server-{id}";
    }

    public static IReadOnlyDictionary<string, string> Metadata(IReadOnlyDictionary<string, string> metadata, long itemsMax)
    {
        if (itemsMax >= 0 && metadata.Count > itemsMax)
        {
            throw new FaultException(Protos.Errors.V1.ErrorReason.QuotaExceeded, $"Maximum number of metadata items exceeds {itemsMax}",
                new Dictionary<string, string> { ["resource"] = "metadata_items", ["limit"] = $"{itemsMax}" });
        }
        foreach (var (key, value) in metadata)
        {
            if (!MetadataKey().IsMatch(key))
            {
                throw Faults.Invalid("metadata", "a key has 1 to 255 letters, digits, spaces, dots, dashes, underscores and colons");
            }
            if (value.Length > NameCharsMax)
            {
                throw ComputeFaults.Refers(key, $"Invalid input for field/attribute {key}. Value: {value}. '{value}' is too long");
            }
        }
        return metadata.ToDictionary();
    }

    public static IReadOnlyList<string> Tags(IEnumerable<string> tags)
    {
        var list = tags.Distinct(StringComparer.Ordinal).ToList();
        if (list.Count > TagsMax)
        {
            throw Faults.Invalid("tags", $"The number of tags exceeded the per-server limit {TagsMax}");
        }
        foreach (var tag in list)
        {
            Tag(tag);
        }
        return list;
    }

    public static string Tag(string tag) =>
        tag.Length is > 0 and <= TagCharsMax && tag.IndexOfAny(['/', ',']) < 0
            ? tag
            : throw Faults.Invalid("tag", $"1 to {TagCharsMax} characters without slash and comma");

    public static string? DeviceTag(string? tag) => tag is null || tag.Length == 0 ? null : Tag(tag);

    public static string? UserData(string? userData)
    {
        if (string.IsNullOrEmpty(userData))
        {
            return null;
        }
        if (userData.Length > UserDataCharsMax)
        {
            throw Faults.Invalid("user_data", $"at most {UserDataCharsMax} characters of base64");
        }
        var compact = userData.ReplaceLineEndings("");
        return Base64.IsValid(compact) ? compact : throw ComputeFaults.Refers("user_data", "Userdata content cannot be decoded");
    }

    /// <summary>An address in canonical form; empty stays empty.</summary>
    public static string AccessIp(string address, AddressFamily family, string field)
    {
        if (address.Length == 0)
        {
            return "";
        }
        return IPAddress.TryParse(address, out var parsed) && parsed.AddressFamily == family && (family != AddressFamily.InterNetwork || address.Count(letter => letter == '.') == 3)
            ? parsed.ToString()
            : throw ComputeFaults.Refers(field, $"Invalid input for field/attribute {field}. Value: {address}. It is not an address of IP version {(family == AddressFamily.InterNetwork ? 4 : 6)}.");
    }

    [GeneratedRegex(@"^[A-Za-z0-9 ._:-]{1,255}$")]
    private static partial Regex MetadataKey();

    [GeneratedRegex(@"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$")]
    private static partial Regex HostNamePattern();
}
