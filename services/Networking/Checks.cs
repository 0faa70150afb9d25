using System.Text.RegularExpressions;
using Nephos.Kernel.Errors;
using Nephos.Networking.Addressing;

namespace Nephos.Networking;

/// <summary>Bounds and spellings of input that several resources share.</summary>
internal static partial class Checks
{
    public const int MaxNameChars = 255;
    public const int MaxTags = 50;
    public const int MaxTagChars = 255;
    public const int MaxRequestKeyChars = 128;
    public const int MaxProjectIdChars = 64;

    /// <summary>Objects of one request, which are one commit.</summary>
    public const int MaxPerRequest = 64;

    public static string Name(string value) => Text("name", value, MaxNameChars);

    public static string Description(string value) => Text("description", value, MaxNameChars);

    public static string Text(string field, string value, int maxChars) =>
        value.Length > maxChars
            ? throw Faults.Invalid(field, $"'{value[..32]}...' exceeds the maximum length of {maxChars}")
            : value.AsSpan().ContainsAnyInRange('\0', '\b') || !IsWellFormed(value)
                ? throw Faults.Invalid(field, "must be text without control characters")
                : value;

    /// <summary>The id of a project, as identity services make them.</summary>
    public static string ProjectId(string value) =>
        value.Length is > 0 and <= MaxProjectIdChars && value.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
            ? value
            : throw Faults.Invalid("project_id", $"must have 1 to {MaxProjectIdChars} letters, digits, '-', '_' and '.'");

    /// <summary>How many objects one request makes.</summary>
    public static void Bulk<T>(string field, IReadOnlyList<T> requests, int max)
    {
        if (requests.Count == 0 || requests.Count > max)
        {
            throw Faults.Invalid(field, $"must be 1 to {max}");
        }
    }

    public static string? RequestKey(string? value) =>
        string.IsNullOrEmpty(value) ? null : Text("idempotency_key", value, MaxRequestKeyChars);

    public static IReadOnlyList<string> Tags(IEnumerable<string> values)
    {
        var tags = values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToArray();
        if (tags.Length > MaxTags)
        {
            throw Faults.Invalid("tags", $"must be at most {MaxTags}");
        }

        foreach (var tag in tags)
        {
            if (Text("tags", tag, MaxTagChars).Length == 0 || tag.AsSpan().ContainsAny(",/"))
            {
                throw Faults.Invalid("tags", "must not be empty and must not have ',' or '/'");
            }
        }

        return tags;
    }

    public static IpAddress Address(string field, string text) =>
        IpAddress.TryParse(text, out var address) ? address : throw Faults.Invalid(field, $"'{Shown(text)}' is not a valid IP address.");

    /// <summary>A block of addresses; bits after the prefix must be 0.</summary>
    public static Cidr Block(string field, string text)
    {
        if (!Cidr.TryParse(text, out var cidr, out var exact) || !text.Contains('/', StringComparison.Ordinal))
        {
            throw Faults.Invalid(field, $"'{Shown(text)}' is not a valid IP subnet.");
        }

        return exact ? cidr : throw Faults.Invalid(field, $"'{Shown(text)}' isn't a recognized IP subnet cidr, '{cidr}' is recommended.");
    }

    public static string Mac(string field, string text) =>
        MacAddress.TryParse(text, out var mac) ? mac : throw Faults.Invalid(field, $"'{Shown(text)}' is not a valid MAC address.");

    /// <summary>A domain name or a label of one, or nothing.</summary>
    public static string DnsName(string field, string text) =>
        text.Length == 0 || (text.Length <= 253 && DomainName().IsMatch(text))
            ? text
            : throw Faults.Invalid(field, $"'{Shown(text)}' is not a valid domain name.");

    /// <summary>Foreign text, short enough for a message.</summary>
    public static string Shown(string? text) => text is null ? "None" : text.Length <= 64 ? text : text[..64] + "...";

    // JSON can spell half a character; stores and other services cannot hold one.
    private static bool IsWellFormed(string value)
    {
        for (var i = 0; i < value.Length; i++)
        {
            if (!char.IsSurrogate(value[i]))
            {
                continue;
            }

            if (!char.IsHighSurrogate(value[i]) || i + 1 == value.Length || !char.IsLowSurrogate(value[i + 1]))
            {
                return false;
            }

            i++;
        }

        return true;
    }

    [GeneratedRegex(@"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?$")]
    private static partial Regex DomainName();
}
