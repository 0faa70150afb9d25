using System.Text.Json.Nodes;
using Nephos.Kernel.Errors;

namespace Nephos.Identity.Shared;

/// <summary>The rules that texts of identity objects keep.</summary>
internal static class Names
{
    public const int MaxNameChars = 255;
    public const int MaxProjectNameChars = 64;
    public const int MaxIdChars = 64;
    public const int MaxDescriptionChars = 64 * 1024;
    public const int MaxExtraBytes = 64 * 1024;

    /// <exception cref="FaultException">InvalidArgument: empty, blank, too long, or with control characters.</exception>
    public static string Check(string? name, string field, int maxChars = MaxNameChars)
    {
        if (string.IsNullOrWhiteSpace(name))
        {
            throw Faults.Invalid(field, "must not be empty");
        }
        if (name.Length > maxChars)
        {
            throw Faults.Invalid(field, $"has {name.Length} characters, at most {maxChars} are allowed");
        }
        return IsText(name) ? name : throw Faults.Invalid(field, "must not have control characters or broken surrogates");
    }

    public static string? CheckDescription(string? description)
    {
        if (description is { Length: > MaxDescriptionChars })
        {
            throw Faults.Invalid("description", $"at most {MaxDescriptionChars} characters are allowed");
        }
        return description;
    }

    public static JsonObject CheckExtra(JsonObject? extra, string field)
    {
        if (extra is null)
        {
            return [];
        }
        return extra.ToJsonString().Length <= MaxExtraBytes
            ? (JsonObject)extra.DeepClone()
            : throw Faults.Invalid(field, $"at most {MaxExtraBytes} bytes of further attributes are allowed");
    }

    /// <summary>Whether a text may be looked up as an id; anything else names nothing.</summary>
    public static bool IsId(string? id) => !string.IsNullOrEmpty(id) && id.Length <= MaxNameChars && IsText(id) && !id.Contains('/', StringComparison.Ordinal);

    private static bool IsText(string text)
    {
        for (var index = 0; index < text.Length; index++)
        {
            if (char.IsControl(text[index]))
            {
                return false;
            }
            if (char.IsSurrogate(text[index]))
            {
                if (!char.IsSurrogatePair(text, index))
                {
                    return false;
                }
                index++;
            }
        }
        return true;
    }
}
