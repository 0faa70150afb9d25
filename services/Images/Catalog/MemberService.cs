using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Images.Catalog;

/// <summary>Sharing: the owner says with whom, and the other project whether it wants to see the image in its lists.</summary>
internal sealed class MemberService(IStateStore store, ImageService images, TimeProvider time)
{
    /// <exception cref="FaultException">Forbidden unless the image is shared and the caller owns it; AlreadyExists; ImageLimitExceeded.</exception>
    public async Task<ImageMember> AddAsync(OperationContext operation, string id, string projectId, CancellationToken cancellationToken)
    {
        ImageRules.CheckProject(projectId);
        var image = await images.ChangeAsync(operation, id, "share", (_, image) =>
        {
            RequireShared(image);
            if (image.MemberOf(projectId) is not null)
            {
                throw Faults.AlreadyExists("Image member", projectId);
            }
            if (image.Members.Count >= ImageRules.MembersMax)
            {
                throw ImageFaults.Limit($"{image.Members.Count + 1} members", ImageRules.MembersMax);
            }
            var now = time.GetUtcNow();
            return Task.FromResult(image with { Members = [.. image.Members, new ImageMember(projectId, MemberStatus.Pending, now, now)] });
        }, cancellationToken);
        return image.MemberOf(projectId)!;
    }

    /// <exception cref="FaultException">Forbidden unless the caller is the member itself.</exception>
    public async Task<ImageMember> SetStatusAsync(
        OperationContext operation, string id, string projectId, MemberStatus status, CancellationToken cancellationToken)
    {
        operation.RequireMember("modify_member");
        var image = await store.TransactAsync(async transaction =>
        {
            var image = await ImageService.FindAsync(transaction, operation, id, cancellationToken);
            RequireShared(image);
            var member = image.MemberOf(projectId) is { } found && MayKnow(operation, image, projectId)
                ? found
                : throw ImageFaults.MemberNotFound(image.Id, projectId);
            if (operation.ProjectId != projectId && !operation.IsAdmin)
            {
                throw ImageFaults.Forbidden("You are not permitted to modify the status of the image member: only the member itself may.");
            }
            return images.Put(transaction, image, image with
            {
                Members = [.. image.Members.Select(m => m == member ? m with { Status = status, UpdatedAt = time.GetUtcNow() } : m)],
            });
        }, cancellationToken);
        return image.MemberOf(projectId)!;
    }

    public Task RemoveAsync(OperationContext operation, string id, string projectId, CancellationToken cancellationToken) =>
        images.ChangeAsync(operation, id, "share", (_, image) =>
        {
            RequireShared(image);
            return image.MemberOf(projectId) is null
                ? throw ImageFaults.MemberNotFound(image.Id, projectId)
                : Task.FromResult(image with { Members = [.. image.Members.Where(member => member.ProjectId != projectId)] });
        }, cancellationToken);

    /// <summary>All members for the owner; for a member, itself.</summary>
    public async Task<IReadOnlyList<ImageMember>> ListAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var image = await images.GetAsync(operation, id, cancellationToken);
        RequireShared(image);
        return [.. image.Members.Where(member => MayKnow(operation, image, member.ProjectId))];
    }

    public async Task<ImageMember> GetAsync(OperationContext operation, string id, string projectId, CancellationToken cancellationToken) =>
        (await ListAsync(operation, id, cancellationToken)).FirstOrDefault(member => member.ProjectId == projectId)
        ?? throw ImageFaults.MemberNotFound(id, projectId);

    private static bool MayKnow(OperationContext operation, Image image, string projectId) =>
        operation.CanSee(image.Owner) || operation.ProjectId == projectId;

    private static void RequireShared(Image image)
    {
        if (image.Visibility != Visibility.Shared)
        {
            throw ImageFaults.Forbidden("Only shared images have members.");
        }
    }
}
