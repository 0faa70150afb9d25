using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Identity.Shared;
using Nephos.Identity.Wiring;
using Nephos.Kernel;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Identity.Projects;

internal sealed class ProjectsGrpcService(ProjectService projects, DirectoryView directory) : Wire.Projects.ProjectsBase
{
    public override async Task<Wire.Project> CreateProject(Wire.CreateProjectRequest request, ServerCallContext context) =>
        (await projects.CreateAsync(
            context.GetOperation(), (request.Project ?? new Wire.Project()).ToDraft(), request.IdempotencyKey, context.CancellationToken)).ToWire();

    public override async Task<Wire.Project> GetProject(Wire.GetProjectRequest request, ServerCallContext context) =>
        (await projects.GetProjectAsync(context.GetOperation(), request.ProjectId, context.CancellationToken)).ToWire();

    public override async Task<Wire.ListProjectsResponse> ListProjects(Wire.ListProjectsRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var found = request.UserId.Length > 0
            ? await projects.ListOfUserAsync(operation, request.UserId, context.CancellationToken)
            : await projects.ListAsync(operation, request is { HasIsDomain: true, IsDomain: true }, context.CancellationToken);
        var page = Paging.Cut(found.Where(project => IsAsked(project, request)), project => project.Id, request.PageToken, request.PageSize);
        return new Wire.ListProjectsResponse { Projects = { page.Items.Select(ProjectMapping.ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.Project> UpdateProject(Wire.UpdateProjectRequest request, ServerCallContext context)
    {
        var project = request.Project ?? new Wire.Project();
        var mask = request.UpdateMask.ToMask("name", "description", "enabled", "tags", "options", "extra");
        var patch = new ProjectPatch
        {
            Name = mask.Of("name", project.Name),
            Description = mask.Of("description", project.Description),
            Enabled = mask.Of("enabled", project.Enabled),
            Tags = mask.Of<IReadOnlyList<string>>("tags", [.. project.Tags]),
            Options = mask.Of("options", project.Options.ToJson()),
            Extra = mask.Has("extra") ? project.Extra.ToJson() : null,
        };
        return (await projects.UpdateAsync(context.GetOperation(), project.Id, isDomain: false, patch, context.CancellationToken)).ToWire();
    }

    public override async Task<Empty> DeleteProject(Wire.DeleteProjectRequest request, ServerCallContext context)
    {
        await projects.DeleteAsync(context.GetOperation(), request.ProjectId, isDomain: false, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.ProjectTree> GetProjectTree(Wire.GetProjectTreeRequest request, ServerCallContext context)
    {
        var (parents, subtree) = await projects.GetTreeAsync(context.GetOperation(), request.ProjectId, context.CancellationToken);
        return new Wire.ProjectTree { Parents = { parents.Select(ProjectMapping.ToWire) }, Subtree = { subtree.Select(ProjectMapping.ToWire) } };
    }

    public override Task WatchProjects(
        Wire.WatchProjectsRequest request, IServerStreamWriter<Wire.ProjectChange> responseStream, ServerCallContext context)
    {
        Policy.RequireReader(context.GetOperation(), "identity:list_projects");
        return directory.Caches.Projects.SendAsync(
            responseStream,
            project => new Wire.ProjectChange { Changed = project.ToWire() },
            id => new Wire.ProjectChange { DeletedId = id },
            () => new Wire.ProjectChange { Synchronized = true },
            project => !project.IsDomain, context.CancellationToken);
    }

    private static bool IsAsked(Project project, Wire.ListProjectsRequest request) =>
        (request.DomainId.Length == 0 || project.DomainId == request.DomainId) &&
        (request.Name.Length == 0 || project.Name == request.Name) &&
        (request.ParentId.Length == 0 || project.ParentId == request.ParentId) &&
        (!request.HasEnabled || project.Enabled == request.Enabled) &&
        request.Tags.All(project.Tags.Contains) &&
        (request.TagsAny.Count == 0 || request.TagsAny.Any(project.Tags.Contains)) &&
        (request.NotTags.Count == 0 || !request.NotTags.All(project.Tags.Contains)) &&
        !request.NotTagsAny.Any(project.Tags.Contains);
}
