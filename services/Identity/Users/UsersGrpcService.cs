using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Authentication;
using Nephos.Hosting.Grpc;
using Nephos.Identity.Groups;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Identity.Wiring;
using Nephos.Kernel;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Identity.Users;

internal sealed class UsersGrpcService(UserService users, GroupService groups, DirectoryView directory) : Wire.Users.UsersBase
{
    public override async Task<Wire.User> CreateUser(Wire.CreateUserRequest request, ServerCallContext context)
    {
        var user = request.User ?? new Wire.User();
        var draft = new UserDraft
        {
            Name = user.Name,
            DomainId = user.DomainId.NullIfEmpty(),
            Description = user.Description.NullIfEmpty(),
            DefaultProjectId = user.DefaultProjectId.NullIfEmpty(),
            Enabled = !user.HasEnabled || user.Enabled,
            Password = user.Password.NullIfEmpty(),
            Options = user.Options.ToJson(),
            Extra = user.Extra.ToJson(),
        };
        return ToWire(await users.CreateAsync(context.GetOperation(), draft, request.IdempotencyKey, context.CancellationToken));
    }

    public override async Task<Wire.User> GetUser(Wire.GetUserRequest request, ServerCallContext context) =>
        ToWire(await users.GetAsync(context.GetOperation(), request.UserId, context.CancellationToken));

    public override async Task<Wire.ListUsersResponse> ListUsers(Wire.ListUsersRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var found = request.GroupId.Length > 0
            ? await groups.ListMembersAsync(operation, request.GroupId, context.CancellationToken)
            : await users.ListAsync(operation, context.CancellationToken);
        var asked = found.Where(user =>
            (request.DomainId.Length == 0 || user.DomainId == request.DomainId) &&
            (request.Name.Length == 0 || user.Name == request.Name) &&
            (!request.HasEnabled || user.Enabled == request.Enabled));
        var page = Paging.Cut(asked, user => user.Id, request.PageToken, request.PageSize);
        return new Wire.ListUsersResponse { Users = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.User> UpdateUser(Wire.UpdateUserRequest request, ServerCallContext context)
    {
        var user = request.User ?? new Wire.User();
        var mask = request.UpdateMask.ToMask("name", "description", "enabled", "default_project_id", "password", "options", "extra");
        var patch = new UserPatch
        {
            Name = mask.Of("name", user.Name),
            Description = mask.Of("description", user.Description.NullIfEmpty()),
            Enabled = mask.Of("enabled", user.Enabled),
            DefaultProjectId = mask.Of("default_project_id", user.DefaultProjectId.NullIfEmpty()),
            Password = mask.Of("password", user.Password.NullIfEmpty()),
            Options = mask.Of("options", user.Options.ToJson()),
            Extra = mask.Has("extra") ? user.Extra.ToJson() : null,
        };
        return ToWire(await users.UpdateAsync(context.GetOperation(), user.Id, patch, context.CancellationToken));
    }

    public override async Task<Empty> DeleteUser(Wire.DeleteUserRequest request, ServerCallContext context)
    {
        await users.DeleteAsync(context.GetOperation(), request.UserId, context.CancellationToken);
        return new Empty();
    }

    [AllowAnonymousOperation]
    public override async Task<Empty> ChangePassword(Wire.ChangePasswordRequest request, ServerCallContext context)
    {
        await users.ChangePasswordAsync(request.UserId, request.OriginalPassword, request.Password, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchUsers(
        Wire.WatchUsersRequest request, IServerStreamWriter<Wire.UserChange> responseStream, ServerCallContext context)
    {
        Policy.RequireReader(context.GetOperation(), "identity:list_users");
        return directory.Caches.Users.SendAsync(
            responseStream,
            user => new Wire.UserChange { Changed = ToWire(user) },
            id => new Wire.UserChange { DeletedId = id },
            () => new Wire.UserChange { Synchronized = true },
            _ => true, context.CancellationToken);
    }

    private static Wire.User ToWire(User user) => new()
    {
        Id = user.Id,
        Name = user.Name,
        DomainId = user.DomainId,
        Description = user.Description ?? "",
        Enabled = user.Enabled,
        DefaultProjectId = user.DefaultProjectId ?? "",
        Options = user.Options.ToStruct(),
        Extra = user.Extra.ToStruct(),
        PasswordExpiresAt = TokenMapping.Time(user.Password?.ExpiresAt),
    };
}
