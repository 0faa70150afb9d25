using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Identity.Shared;
using Nephos.Identity.Wiring;
using Nephos.Kernel;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Identity.Roles;

internal sealed class RolesGrpcService(RoleService roles, DirectoryView directory) : Wire.Roles.RolesBase
{
    public override async Task<Wire.Role> CreateRole(Wire.CreateRoleRequest request, ServerCallContext context)
    {
        var role = request.Role ?? new Wire.Role();
        var draft = new RoleDraft(
            role.Name, role.DomainId.NullIfEmpty(), role.Description.NullIfEmpty(), role.Options.ToJson(), role.Extra.ToJson());
        return ToWire(await roles.CreateAsync(context.GetOperation(), draft, request.IdempotencyKey, context.CancellationToken));
    }

    public override async Task<Wire.Role> GetRole(Wire.GetRoleRequest request, ServerCallContext context) =>
        ToWire(await roles.GetAsync(context.GetOperation(), request.RoleId, context.CancellationToken));

    public override async Task<Wire.ListRolesResponse> ListRoles(Wire.ListRolesRequest request, ServerCallContext context)
    {
        var found = (await roles.ListAsync(context.GetOperation(), context.CancellationToken)).Where(role =>
            (role.DomainId ?? "") == request.DomainId && (request.Name.Length == 0 || role.Name == request.Name));
        var page = Paging.Cut(found, role => role.Id, request.PageToken, request.PageSize);
        return new Wire.ListRolesResponse { Roles = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.Role> UpdateRole(Wire.UpdateRoleRequest request, ServerCallContext context)
    {
        var role = request.Role ?? new Wire.Role();
        var mask = request.UpdateMask.ToMask("name", "description", "options", "extra");
        var patch = new RolePatch(
            mask.Of("name", role.Name), default, mask.Of("description", role.Description.NullIfEmpty()),
            mask.Of("options", role.Options.ToJson()), mask.Has("extra") ? role.Extra.ToJson() : null);
        return ToWire(await roles.UpdateAsync(context.GetOperation(), role.Id, patch, context.CancellationToken));
    }

    public override async Task<Empty> DeleteRole(Wire.DeleteRoleRequest request, ServerCallContext context)
    {
        await roles.DeleteAsync(context.GetOperation(), request.RoleId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Empty> CreateImplication(Wire.Implication request, ServerCallContext context)
    {
        await roles.ImplyAsync(context.GetOperation(), request.PriorRoleId, request.ImpliedRoleId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Empty> CheckImplication(Wire.Implication request, ServerCallContext context)
    {
        await roles.CheckImplicationAsync(context.GetOperation(), request.PriorRoleId, request.ImpliedRoleId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.ListImplicationsResponse> ListImplications(Wire.ListImplicationsRequest request, ServerCallContext context)
    {
        var found = await roles.ListImplicationsAsync(context.GetOperation(), context.CancellationToken);
        return new Wire.ListImplicationsResponse
        {
            Implications =
            {
                found.Where(implication => request.PriorRoleId.Length == 0 || implication.PriorRoleId == request.PriorRoleId).Select(implication =>
                    new Wire.Implication { PriorRoleId = implication.PriorRoleId, ImpliedRoleId = implication.ImpliedRoleId }),
            },
        };
    }

    public override async Task<Empty> DeleteImplication(Wire.Implication request, ServerCallContext context)
    {
        await roles.DeleteImplicationAsync(context.GetOperation(), request.PriorRoleId, request.ImpliedRoleId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchRoles(
        Wire.WatchRolesRequest request, IServerStreamWriter<Wire.RoleChange> responseStream, ServerCallContext context)
    {
        Policy.RequireReader(context.GetOperation(), "identity:list_roles");
        return directory.Caches.Roles.SendAsync(
            responseStream,
            role => new Wire.RoleChange { Changed = ToWire(role) },
            id => new Wire.RoleChange { DeletedId = id },
            () => new Wire.RoleChange { Synchronized = true },
            _ => true, context.CancellationToken);
    }

    private static Wire.Role ToWire(Role role) => new()
    {
        Id = role.Id,
        Name = role.Name,
        DomainId = role.DomainId ?? "",
        Description = role.Description ?? "",
        Options = role.Options.ToStruct(),
        Extra = role.Extra.ToStruct(),
    };
}
