using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Identity.Roles;
using Nephos.Identity.Tokens;
using Nephos.Identity.Wiring;
using Nephos.Kernel;
using Nephos.Kernel.State;
using Nephos.Kernel.Operations;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Identity.ApplicationCredentials;

internal sealed class ApplicationCredentialsGrpcService(IStateStore store, ApplicationCredentialService credentials, DirectoryView directory)
    : Wire.ApplicationCredentials.ApplicationCredentialsBase
{
    public override async Task<Wire.ApplicationCredential> CreateApplicationCredential(
        Wire.CreateApplicationCredentialRequest request, ServerCallContext context)
    {
        var asked = request.ApplicationCredential ?? new Wire.ApplicationCredential();
        var operation = context.GetOperation();
        var draft = new ApplicationCredentialDraft
        {
            Name = asked.Name,
            Description = asked.Description.NullIfEmpty(),
            Secret = asked.Secret.NullIfEmpty(),
            ExpiresAt = asked.ExpiresAt?.ToDateTimeOffset(),
            Unrestricted = asked.Unrestricted,
            Roles = asked.Roles.Count == 0 ? null : [.. asked.Roles.Select(role => (role.Id.NullIfEmpty(), role.Name.NullIfEmpty()))],
            AccessRules = asked.AccessRules.Count == 0 ? null : [.. asked.AccessRules.Select(ToRule)],
        };
        var userId = asked.UserId.NullIfEmpty() ?? operation.UserId;
        var (made, secret) = await credentials.CreateAsync(operation, userId, draft, request.IdempotencyKey, context.CancellationToken);
        var wire = ToWire(made);
        wire.Secret = secret;
        return wire;
    }

    public override async Task<Wire.ApplicationCredential> GetApplicationCredential(
        Wire.GetApplicationCredentialRequest request, ServerCallContext context) =>
        ToWire(await credentials.GetAsync(
            context.GetOperation(), request.UserId, request.ApplicationCredentialId, context.CancellationToken));

    public override async Task<Wire.ListApplicationCredentialsResponse> ListApplicationCredentials(
        Wire.ListApplicationCredentialsRequest request, ServerCallContext context)
    {
        var found = (await credentials.ListAsync(context.GetOperation(), request.UserId, context.CancellationToken))
            .Where(credential => request.Name.Length == 0 || credential.Name == request.Name);
        var page = Paging.Cut(found, credential => credential.Id, request.PageToken, request.PageSize);
        return new Wire.ListApplicationCredentialsResponse
        {
            ApplicationCredentials = { page.Items.Select(ToWire) },
            NextPageToken = page.NextToken ?? "",
        };
    }

    public override async Task<Empty> DeleteApplicationCredential(Wire.DeleteApplicationCredentialRequest request, ServerCallContext context)
    {
        await credentials.DeleteAsync(context.GetOperation(), request.UserId, request.ApplicationCredentialId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.AccessRule> GetAccessRule(Wire.GetAccessRuleRequest request, ServerCallContext context) =>
        ToWire(await credentials.GetRuleAsync(context.GetOperation(), request.UserId, request.AccessRuleId, context.CancellationToken));

    public override async Task<Wire.ListAccessRulesResponse> ListAccessRules(Wire.ListAccessRulesRequest request, ServerCallContext context) => new()
    {
        AccessRules = { (await credentials.ListRulesAsync(context.GetOperation(), request.UserId, context.CancellationToken)).Select(ToWire) },
    };

    public override async Task<Empty> DeleteAccessRule(Wire.DeleteAccessRuleRequest request, ServerCallContext context)
    {
        await credentials.DeleteRuleAsync(context.GetOperation(), request.UserId, request.AccessRuleId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchApplicationCredentials(
        Wire.WatchApplicationCredentialsRequest request, IServerStreamWriter<Wire.ApplicationCredentialEvent> responseStream, ServerCallContext context) =>
        responseStream.SendListAsync(
            store,
            IdentityTables.ApplicationCredentials.Name,
            async () => (await credentials.ListAsync(context.GetOperation(), request.UserId, context.CancellationToken)).Select(ToWire),
            credential => credential.Id,
            credential => new Wire.ApplicationCredentialEvent { Changed = credential },
            id => new Wire.ApplicationCredentialEvent { Deleted = id },
            () => new Wire.ApplicationCredentialEvent { Synchronized = true },
            context.CancellationToken);

    private static (string? Id, AccessRule? Rule) ToRule(Wire.AccessRule rule) =>
        rule.Id.Length > 0 ? (rule.Id, null) : (null, new AccessRule(rule.Service, rule.Method, rule.Path));

    private static Wire.AccessRule ToWire(AccessRuleRecord rule) =>
        new() { Id = rule.Id, Service = rule.Rule.Service, Method = rule.Rule.Method, Path = rule.Rule.Path };

    private Wire.ApplicationCredential ToWire(ApplicationCredential credential) => new()
    {
        Id = credential.Id,
        UserId = credential.UserId,
        ProjectId = credential.ProjectId,
        Name = credential.Name,
        Description = credential.Description ?? "",
        ExpiresAt = TokenMapping.Time(credential.ExpiresAt),
        Unrestricted = credential.Unrestricted == true,
        Roles =
        {
            credential.RoleIds.Select(directory.Roles.Find).OfType<Role>().Select(role => new Wire.NamedReference { Id = role.Id, Name = role.Name }),
        },
        AccessRules =
        {
            credential.AccessRules.Select((rule, index) => new Wire.AccessRule
            {
                Id = credential.AccessRuleIds![index],
                Service = rule.Service,
                Method = rule.Method,
                Path = rule.Path,
            }),
        },
    };
}
