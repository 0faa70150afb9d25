namespace Nephos.Identity.Shared;

/// <summary>What a create with an idempotency key made, so that a repetition finds it.</summary>
/// <param name="Key">User, kind of object and the client's key.</param>
internal sealed record IdempotentCreate(string Key, string ObjectId, DateTimeOffset Until);

/// <summary>An object that is gone and whose leftovers (assignments, memberships, credentials) are still to be deleted.</summary>
internal sealed record Removal(string Kind, string Id)
{
    public const string User = "user", Group = "group", Project = "project", Domain = "domain", Role = "role";

    public string Key => $"{Kind}/{Id}";
}

/// <summary>What the cloud made for itself, so that it does not come back when somebody deletes it.</summary>
internal sealed record BootstrapRecord(IReadOnlyList<string> ServiceTypes)
{
    public const string Key = "bootstrap";
}
