namespace Nephos.Identity.Tokens;

/// <summary>By id or by name.</summary>
internal sealed record DomainRef(string? Id, string? Name);

/// <summary>By id, or by name and domain: a user or a project.</summary>
internal sealed record NamedRef(string? Id, string? Name, DomainRef? Domain);

internal sealed record PasswordProof(NamedRef User, string Password);

internal sealed record ApplicationCredentialProof(string? Id, string? Name, NamedRef? User, string Secret);

/// <summary>Which scope a client asks for.</summary>
internal abstract record ScopeRequest
{
    private ScopeRequest()
    {
    }

    /// <summary>Nothing said: the default project of the user, or unscoped.</summary>
    public sealed record Default : ScopeRequest;

    public sealed record Unscoped : ScopeRequest;

    public sealed record System : ScopeRequest;

    public sealed record Project(NamedRef Reference) : ScopeRequest;

    public sealed record Domain(DomainRef Reference) : ScopeRequest;

    /// <summary>What a trust lends, in its project.</summary>
    public sealed record Trust(string Id) : ScopeRequest;
}

/// <summary>What a client shows, and what for. All proofs are checked and must be of one user.</summary>
internal sealed record TokenRequest
{
    public PasswordProof? Password { get; init; }

    /// <summary>Another token.</summary>
    public string? Token { get; init; }

    public ApplicationCredentialProof? ApplicationCredential { get; init; }

    public ScopeRequest Scope { get; init; } = new ScopeRequest.Default();
}
