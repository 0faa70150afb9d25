using System.Text.Json.Nodes;
using Nephos.Identity.Shared;
using Nephos.Kernel.Errors;

namespace Nephos.Identity.Users;

/// <summary>A user to be made.</summary>
internal sealed record UserDraft
{
    public string? Name { get; init; }

    /// <summary>Null: that of the caller.</summary>
    public string? DomainId { get; init; }

    public string? Description { get; init; }

    public bool Enabled { get; init; } = true;

    public string? DefaultProjectId { get; init; }

    public string? Password { get; init; }

    public JsonObject? Options { get; init; }

    public JsonObject? Extra { get; init; }
}

internal sealed record UserPatch
{
    public Change<string> Name { get; init; }

    public Change<string> DomainId { get; init; }

    public Change<string> Description { get; init; }

    public Change<bool> Enabled { get; init; }

    public Change<string> DefaultProjectId { get; init; }

    public Change<string> Password { get; init; }

    public Change<JsonObject> Options { get; init; }

    /// <summary>Attributes to set; the others stay.</summary>
    public JsonObject? Extra { get; init; }
}

/// <summary>What an administrator may switch for one user.</summary>
internal static class UserOptions
{
    public const string LockPassword = "lock_password";

    private static readonly string[] Flags =
    [
        "ignore_change_password_upon_first_use", "ignore_password_expiry", "ignore_lockout_failure_attempts", LockPassword,
        "ignore_user_inactivity",
    ];

    /// <summary>The options with a change applied; null takes one away.</summary>
    /// <exception cref="FaultException">InvalidArgument.</exception>
    public static JsonObject Apply(JsonObject current, JsonObject? change)
    {
        var options = (JsonObject)current.DeepClone();
        foreach (var (name, value) in change ?? [])
        {
            if (!Flags.Contains(name))
            {
                throw Faults.Invalid("options", $"there is no option '{(name.Length > 64 ? name[..64] : name)}'");
            }
            if (value is null)
            {
                options.Remove(name);
            }
            else
            {
                options[name] = value is JsonValue flag && flag.TryGetValue(out bool isSet)
                    ? isSet
                    : throw Faults.Invalid("options", $"{name} must be true, false or null");
            }
        }
        return options;
    }
}
