using System.Text.Json.Nodes;

namespace Nephos.Identity.Users;

internal sealed record User
{
    public required string Id { get; init; }

    public required string Name { get; init; }

    public required string DomainId { get; init; }

    /// <summary>Null when the client never gave one.</summary>
    public string? Description { get; init; }

    public bool Enabled { get; init; } = true;

    public string? DefaultProjectId { get; init; }

    public JsonObject Options { get; init; } = [];

    /// <summary>Attributes of the client's own, email for one.</summary>
    public JsonObject Extra { get; init; } = [];

    /// <summary>Null: the user has no password and cannot show one.</summary>
    public UserPassword? Password { get; init; }

    /// <summary>Hashes of earlier passwords, newest first.</summary>
    public IReadOnlyList<string> PasswordHistory { get; init; } = [];

    public bool HasOption(string name) => Options[name] is JsonValue value && value.TryGetValue(out bool isSet) && isSet;
}

/// <param name="Hash">In the PHC string format, peppered.</param>
/// <param name="ExpiresAt">Null: never.</param>
/// <param name="MustChange">Set by somebody else: good for nothing but changing it.</param>
internal sealed record UserPassword(string Hash, DateTimeOffset SetAt, DateTimeOffset? ExpiresAt, bool MustChange);

/// <summary>Wrong passwords in a row. Apart from the user, so that guesses do not get in the way of changes.</summary>
internal sealed record LoginFailures(string UserId, int Count, DateTimeOffset LastAt);
