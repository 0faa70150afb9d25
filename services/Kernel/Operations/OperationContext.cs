using System.Collections.Frozen;
using Nephos.Kernel.Errors;

namespace Nephos.Kernel.Operations;

/// <summary>Who asks, in which scope, and under which request id. Made once at the edge from a verified token and passed down.</summary>
public sealed record OperationContext
{
    /// <summary><c>req-</c> and a UUID; answered to the caller and logged with everything the call causes.</summary>
    public required string RequestId { get; init; }

    public required string UserId { get; init; }

    /// <summary>The project of a project-scoped token, 32 hex digits.</summary>
    public string? ProjectId { get; init; }

    /// <summary>The domain of a domain-scoped token.</summary>
    public string? DomainId { get; init; }

    /// <summary>The domain that owns the user.</summary>
    public string UserDomainId { get; init; } = "default";

    public bool IsSystemScoped { get; init; }

    /// <summary>Effective role names: direct, by group, inherited and implied. Lower case.</summary>
    public required FrozenSet<string> Roles { get; init; }

    /// <summary>True when another Nephos service makes the call, for itself or vouching for the user.</summary>
    public bool IsService { get; init; }

    /// <summary>The token as received, to be forwarded to other services; empty for work no user asked for.</summary>
    public string Token { get; init; } = "";

    public DateTimeOffset ExpiresAt { get; init; }

    /// <summary>The application credential behind the token, or null.</summary>
    public string? ApplicationCredentialId { get; init; }

    /// <summary>How the user proved who they are: password, token, application_credential, ec2credential.</summary>
    public IReadOnlyList<string> Methods { get; init; } = [];

    /// <summary>The application credential behind the token may not be used to manage credentials.</summary>
    public bool IsRestricted { get; init; }

    /// <summary>When not empty, only REST calls that one of these allows may be made with the token; checked at the edge.</summary>
    public IReadOnlyList<AccessRule> AccessRules { get; init; } = [];

    public bool IsAdmin => Roles.Contains("admin");

    /// <summary>Whether objects of every project may be seen: by administrators and by services.</summary>
    public bool SeesAll => IsAdmin || IsService;

    public bool HasRole(string role) => Roles.Contains(role);

    /// <summary>The project this call works in.</summary>
    /// <exception cref="FaultException">Forbidden: the token has no project scope.</exception>
    public string RequireProject() => ProjectId ?? throw Faults.Forbidden("a project-scoped token is needed");

    /// <summary>The project whose objects are listed; null means those of all, which only those may ask for who see them.</summary>
    /// <param name="allProjects">What the caller asked for.</param>
    /// <param name="projectId">The project that the caller asked for; null for none in particular.</param>
    /// <exception cref="FaultException">Forbidden: the token has no project scope.</exception>
    public string? ListedProject(bool allProjects, string? projectId = null) =>
        SeesAll && (projectId is not null || allProjects) ? projectId : RequireProject();

    /// <exception cref="FaultException">Forbidden: the caller is no administrator.</exception>
    public void RequireAdmin(string action)
    {
        if (!IsAdmin)
        {
            throw Faults.Forbidden(action);
        }
    }

    /// <exception cref="FaultException">Forbidden: the caller is not a Nephos service.</exception>
    public void RequireService(string action)
    {
        if (!IsService)
        {
            throw Faults.Forbidden(action);
        }
    }

    /// <summary>Whether an object of a project may be seen: by its project, by administrators and by services.</summary>
    public bool CanSee(string? projectId) => SeesAll || (ProjectId is not null && ProjectId == projectId);

    /// <summary>Needs the member role (admin and manager imply it) to change things; readers may not.</summary>
    /// <exception cref="FaultException">Forbidden.</exception>
    public void RequireMember(string action)
    {
        if (!IsService && !HasRole("member") && !IsAdmin)
        {
            throw Faults.Forbidden(action);
        }
    }
}
