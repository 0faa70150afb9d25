using System.Text.Json.Serialization;
using Nephos.Identity.ApplicationCredentials;
using Nephos.Identity.Assignments;
using Nephos.Identity.Catalog;
using Nephos.Identity.Credentials;
using Nephos.Identity.DomainSettings;
using Nephos.Identity.Groups;
using Nephos.Identity.Limits;
using Nephos.Identity.PolicyDocuments;
using Nephos.Identity.Projects;
using Nephos.Identity.Roles;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Identity.Trusts;
using Nephos.Identity.Users;
using Nephos.Kernel.State;

namespace Nephos.Identity;

/// <summary>Every table of the identity service. Ids have no slash, so keys and index values made of two ids are unambiguous.</summary>
internal static class IdentityTables
{
    private static readonly IdentityJson Json = IdentityJson.Default;

    /// <summary>Projects and domains.</summary>
    public static readonly TableSchema<Project> Projects = new TableSchema<Project>("identity/projects", project => project.Id, Json.Project)
        .Unique("name", project => ScopedName(project.DomainId, project.Name))
        .Index("domain", project => project.DomainId)
        .Index("parent", project => project.ParentId)
        .Index("kind", project => project.IsDomain ? "domain" : null);

    public static readonly TableSchema<User> Users = new TableSchema<User>("identity/users", user => user.Id, Json.User)
        .Unique("name", user => ScopedName(user.DomainId, user.Name))
        .Index("domain", user => user.DomainId);

    public static readonly TableSchema<LoginFailures> LoginFailures =
        new("identity/login-failures", failures => failures.UserId, Json.LoginFailures);

    public static readonly TableSchema<Group> Groups = new TableSchema<Group>("identity/groups", group => group.Id, Json.Group)
        .Unique("name", group => ScopedName(group.DomainId, group.Name))
        .Index("domain", group => group.DomainId);

    /// <summary>Key: user, group.</summary>
    public static readonly TableSchema<Membership> Memberships =
        new TableSchema<Membership>("identity/memberships", member => $"{member.UserId}/{member.GroupId}", Json.Membership)
            .Index("group", member => member.GroupId);

    public static readonly TableSchema<Role> Roles = new TableSchema<Role>("identity/roles", role => role.Id, Json.Role)
        .Unique("name", role => ScopedName(role.DomainId, role.Name));

    /// <summary>Key: prior, implied.</summary>
    public static readonly TableSchema<Implication> Implications =
        new("identity/implications", implication => $"{implication.PriorRoleId}/{implication.ImpliedRoleId}", Json.Implication);

    public static readonly TableSchema<Assignment> Assignments =
        new TableSchema<Assignment>("identity/assignments", assignment => assignment.Key, Json.Assignment)
            .Index("target", assignment => assignment.Target.ToString())
            .Index("role", assignment => assignment.RoleId);

    public static readonly TableSchema<Region> Regions = new("identity/regions", region => region.Id, Json.Region);

    public static readonly TableSchema<Service> Services = new("identity/services", service => service.Id, Json.Service);

    public static readonly TableSchema<Endpoint> Endpoints = new("identity/endpoints", endpoint => endpoint.Id, Json.Endpoint);

    public static readonly TableSchema<ApplicationCredential> ApplicationCredentials =
        new TableSchema<ApplicationCredential>("identity/application-credentials", credential => credential.Id, Json.ApplicationCredential)
            .Unique("name", credential => ScopedName(credential.UserId, credential.Name))
            .Index("user", credential => credential.UserId)
            .Index("project", credential => credential.ProjectId);

    /// <summary>Key: user, id.</summary>
    public static readonly TableSchema<AccessRuleRecord> AccessRules =
        new TableSchema<AccessRuleRecord>("identity/access-rules", rule => $"{rule.UserId}/{rule.Id}", Json.AccessRuleRecord)
            .Unique("rule", rule => $"{rule.UserId}/{rule.Rule.Service} {rule.Rule.Method} {rule.Rule.Path}");

    public static readonly TableSchema<Credential> Credentials =
        new TableSchema<Credential>("identity/credentials", credential => credential.Id, Json.Credential)
            .Index("user", credential => credential.UserId)
            .Index("project", credential => credential.ProjectId)
            .Index("application-credential", credential => credential.ApplicationCredentialId)
            .Unique("access", credential => credential.AccessHash);

    public static readonly TableSchema<Trust> Trusts = new TableSchema<Trust>("identity/trusts", trust => trust.Id, Json.Trust)
        .Index("trustor", trust => trust.TrustorUserId)
        .Index("trustee", trust => trust.TrusteeUserId)
        .Index("project", trust => trust.ProjectId);

    public static readonly TableSchema<RegisteredLimit> RegisteredLimits =
        new TableSchema<RegisteredLimit>("identity/registered-limits", limit => limit.Id, Json.RegisteredLimit)
            .Unique("subject", limit => limit.Subject);

    public static readonly TableSchema<Limit> Limits = new TableSchema<Limit>("identity/limits", limit => limit.Id, Json.Limit)
        .Index("subject", limit => limit.Subject)
        .Index("owner", limit => limit.OwnerId)
        .Unique("owner-subject", limit => $"{limit.OwnerId}/{limit.Subject}");

    /// <summary>Key: domain.</summary>
    public static readonly TableSchema<SettingsOfDomain> DomainSettings =
        new("identity/domain-settings", settings => settings.DomainId, Json.SettingsOfDomain);

    public static readonly TableSchema<PolicyDocument> PolicyDocuments =
        new("identity/policy-documents", document => document.Id, Json.PolicyDocument);

    public static readonly TableSchema<RevocationRecord> Revocations =
        new("identity/revocations", revocation => revocation.Subject, Json.RevocationRecord);

    public static readonly TableSchema<SigningKeyRecord> SigningKeys = new("identity/signing-keys", key => key.KeyId, Json.SigningKeyRecord);

    public static readonly TableSchema<IdempotentCreate> IdempotentCreates =
        new("identity/idempotent-creates", create => create.Key, Json.IdempotentCreate);

    public static readonly TableSchema<Removal> Removals = new("identity/removals", removal => removal.Key, Json.Removal);

    public static readonly TableSchema<BootstrapRecord> Bootstrap =
        new("identity/bootstrap", _ => BootstrapRecord.Key, Json.BootstrapRecord);

    /// <summary>The value of the name indexes: a name in what owns it; the cloud itself owns domains and most roles.</summary>
    public static string ScopedName(string? ownerId, string name) => $"{ownerId}/{name}";
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Project))]
[JsonSerializable(typeof(User))]
[JsonSerializable(typeof(LoginFailures))]
[JsonSerializable(typeof(Group))]
[JsonSerializable(typeof(Membership))]
[JsonSerializable(typeof(Role))]
[JsonSerializable(typeof(Implication))]
[JsonSerializable(typeof(Assignment))]
[JsonSerializable(typeof(Region))]
[JsonSerializable(typeof(Service))]
[JsonSerializable(typeof(Endpoint))]
[JsonSerializable(typeof(ApplicationCredential))]
[JsonSerializable(typeof(AccessRuleRecord))]
[JsonSerializable(typeof(Credential))]
[JsonSerializable(typeof(Trust))]
[JsonSerializable(typeof(RegisteredLimit))]
[JsonSerializable(typeof(Limit))]
[JsonSerializable(typeof(PolicyDocument))]
[JsonSerializable(typeof(SettingsOfDomain))]
[JsonSerializable(typeof(RevocationRecord))]
[JsonSerializable(typeof(SigningKeyRecord))]
[JsonSerializable(typeof(IdempotentCreate))]
[JsonSerializable(typeof(Removal))]
[JsonSerializable(typeof(BootstrapRecord))]
internal sealed partial class IdentityJson : JsonSerializerContext;
