using Google.Protobuf.WellKnownTypes;
using Nephos.Hosting.Authentication;
using Nephos.Kernel.Errors;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Identity.Tokens;

/// <summary>Tokens between gRPC and the domain.</summary>
internal static class TokenMapping
{
    public static TokenRequest ToRequest(this Wire.IssueTokenRequest request) => new()
    {
        Password = request.Password is { } password
            ? new PasswordProof(ToReference(password.User) ?? throw Faults.Invalid("password.user", "is needed"), password.Password)
            : null,
        Token = request.Token?.Token,
        ApplicationCredential = request.ApplicationCredential is { } credential
            ? new ApplicationCredentialProof(Text(credential.Id), Text(credential.Name), ToReference(credential.User), credential.Secret)
            : null,
        Scope = request.Scope?.ScopeCase switch
        {
            Wire.TokenScope.ScopeOneofCase.Project => new ScopeRequest.Project(new NamedRef(
                Text(request.Scope.Project.Id), Text(request.Scope.Project.Name), ToReference(request.Scope.Project.Domain))),
            Wire.TokenScope.ScopeOneofCase.Domain => new ScopeRequest.Domain(ToReference(request.Scope.Domain)!),
            Wire.TokenScope.ScopeOneofCase.System => new ScopeRequest.System(),
            Wire.TokenScope.ScopeOneofCase.Unscoped => new ScopeRequest.Unscoped(),
            Wire.TokenScope.ScopeOneofCase.TrustId => new ScopeRequest.Trust(request.Scope.TrustId),
            _ => new ScopeRequest.Default(),
        },
    };

    public static Wire.TokenDescription ToWire(this TokenDescription description)
    {
        var claims = description.Claims;
        var wire = new Wire.TokenDescription
        {
            Methods = { claims.Methods },
            User = new Wire.NamedReference
            {
                Id = description.User.Id,
                Name = description.User.Name,
                DomainId = description.UserDomain.Id,
                DomainName = description.UserDomain.Name,
            },
            PasswordExpiresAt = Time(description.User.Password?.ExpiresAt),
            AuditIds = { description.AuditIds },
            IssuedAt = Time(claims.IssuedAt),
            ExpiresAt = Time(claims.ExpiresAt),
            System = claims.Scope == TokenScopeKind.System,
            Roles = { description.Roles.Select(role => new Wire.NamedReference { Id = role.Id, Name = role.Name }) },
        };
        if (description is { Project: { } project, ProjectDomain: { } projectDomain })
        {
            wire.Project = new Wire.NamedReference { Id = project.Id, Name = project.Name, DomainId = projectDomain.Id, DomainName = projectDomain.Name };
        }
        if (description.Domain is { } domain)
        {
            wire.Domain = new Wire.NamedReference { Id = domain.Id, Name = domain.Name };
        }
        if (description.ApplicationCredential is { } credential)
        {
            wire.ApplicationCredential = new Wire.ApplicationCredentialGrant
            {
                Id = credential.Id,
                Name = credential.Name,
                Unrestricted = credential.Unrestricted == true,
                AccessRules =
                {
                    credential.AccessRules.Select(rule => new Wire.AccessRule { Service = rule.Service, Method = rule.Method, Path = rule.Path }),
                },
            };
        }
        if (description.Trust is { } trust)
        {
            wire.Trust = new Wire.TrustGrant
            {
                Id = trust.Id, Impersonation = trust.Impersonation, TrustorUserId = trust.TrustorUserId, TrusteeUserId = trust.TrusteeUserId,
            };
        }
        return wire;
    }

    public static Timestamp? Time(DateTimeOffset? time) => time is { } value ? Timestamp.FromDateTimeOffset(value) : null;

    /// <summary>Protobuf has no null for texts.</summary>
    public static string? Text(string text) => text.Length == 0 ? null : text;

    private static NamedRef? ToReference(Wire.UserReference? user) =>
        user is null ? null : new NamedRef(Text(user.Id), Text(user.Name), ToReference(user.Domain));

    private static DomainRef? ToReference(Wire.DomainReference? domain) => domain is null ? null : new DomainRef(Text(domain.Id), Text(domain.Name));
}
