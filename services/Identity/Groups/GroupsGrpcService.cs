using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Identity.Shared;
using Nephos.Identity.Wiring;
using Nephos.Kernel;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Identity.Groups;

internal sealed class GroupsGrpcService(GroupService groups, DirectoryView directory) : Wire.Groups.GroupsBase
{
    public override async Task<Wire.Group> CreateGroup(Wire.CreateGroupRequest request, ServerCallContext context)
    {
        var group = request.Group ?? new Wire.Group();
        var draft = new GroupDraft(group.Name, group.DomainId.NullIfEmpty(), group.Description, group.Extra.ToJson());
        return ToWire(await groups.CreateAsync(context.GetOperation(), draft, request.IdempotencyKey, context.CancellationToken));
    }

    public override async Task<Wire.Group> GetGroup(Wire.GetGroupRequest request, ServerCallContext context) =>
        ToWire(await groups.GetAsync(context.GetOperation(), request.GroupId, context.CancellationToken));

    public override async Task<Wire.ListGroupsResponse> ListGroups(Wire.ListGroupsRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var found = request.UserId.Length > 0
            ? await groups.ListOfUserAsync(operation, request.UserId, context.CancellationToken)
            : await groups.ListAsync(operation, context.CancellationToken);
        var asked = found.Where(group =>
            (request.DomainId.Length == 0 || group.DomainId == request.DomainId) && (request.Name.Length == 0 || group.Name == request.Name));
        var page = Paging.Cut(asked, group => group.Id, request.PageToken, request.PageSize);
        return new Wire.ListGroupsResponse { Groups = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.Group> UpdateGroup(Wire.UpdateGroupRequest request, ServerCallContext context)
    {
        var group = request.Group ?? new Wire.Group();
        var mask = request.UpdateMask.ToMask("name", "description", "extra");
        var patch = new GroupPatch(
            mask.Of("name", group.Name), default, mask.Of("description", group.Description), mask.Has("extra") ? group.Extra.ToJson() : null);
        return ToWire(await groups.UpdateAsync(context.GetOperation(), group.Id, patch, context.CancellationToken));
    }

    public override async Task<Empty> DeleteGroup(Wire.DeleteGroupRequest request, ServerCallContext context)
    {
        await groups.DeleteAsync(context.GetOperation(), request.GroupId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Empty> AddUserToGroup(Wire.GroupMember request, ServerCallContext context)
    {
        await groups.AddMemberAsync(context.GetOperation(), request.GroupId, request.UserId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Empty> CheckUserInGroup(Wire.GroupMember request, ServerCallContext context)
    {
        await groups.CheckMemberAsync(context.GetOperation(), request.GroupId, request.UserId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Empty> RemoveUserFromGroup(Wire.GroupMember request, ServerCallContext context)
    {
        await groups.RemoveMemberAsync(context.GetOperation(), request.GroupId, request.UserId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchGroups(
        Wire.WatchGroupsRequest request, IServerStreamWriter<Wire.GroupChange> responseStream, ServerCallContext context)
    {
        Policy.RequireReader(context.GetOperation(), "identity:list_groups");
        return directory.Caches.Groups.SendAsync(
            responseStream,
            group => new Wire.GroupChange { Changed = ToWire(group) },
            id => new Wire.GroupChange { DeletedId = id },
            () => new Wire.GroupChange { Synchronized = true },
            _ => true, context.CancellationToken);
    }

    private static Wire.Group ToWire(Group group) => new()
    {
        Id = group.Id,
        Name = group.Name,
        DomainId = group.DomainId,
        Description = group.Description,
        Extra = group.Extra.ToStruct(),
    };
}
