using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Identity.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.Identity.Projects;

/// <summary>/v3/projects and /v3/domains.</summary>
internal static class ProjectEndpoints
{
    public static void Map(RestRoutes rest)
    {
        MapKind(rest, "/v3/projects", "project", isDomain: false);
        MapKind(rest, "/v3/domains", "domain", isDomain: true);
        rest.Get("/v3/users/{user}/projects", async call => call.Collection(
            "projects", await call.Service<ProjectService>().ListOfUserAsync(call.Operation, call.Route("user"), call.Cancelled),
            project => project.Id, project => ProjectJson.OfProject(project, call)));
        MapTags(rest);
    }

    private static void MapKind(RestRoutes rest, string root, string kind, bool isDomain)
    {
        rest.Get(root, call => ListAsync(call, isDomain));
        rest.Post(root, async call =>
        {
            var draft = ProjectJson.ReadDraft(await JsonBody.ReadAsync(call, kind), isDomain);
            return One(201, await call.Service<ProjectService>().CreateAsync(call.Operation, draft, "", call.Cancelled), call, isDomain);
        });
        rest.Get(root + "/{id}", isDomain
            ? async call => One(200, await call.Service<ProjectService>().GetDomainAsync(call.Operation, call.Route("id"), call.Cancelled), call, isDomain)
            : ShowProjectAsync);
        rest.Patch(root + "/{id}", async call =>
        {
            var patch = ProjectJson.ReadPatch(await JsonBody.ReadAsync(call, kind), isDomain);
            return One(
                200, await call.Service<ProjectService>().UpdateAsync(call.Operation, call.Route("id"), isDomain, patch, call.Cancelled), call, isDomain);
        });
        rest.Delete(root + "/{id}", async call =>
        {
            await call.Service<ProjectService>().DeleteAsync(call.Operation, call.Route("id"), isDomain, call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static void MapTags(RestRoutes rest)
    {
        const string Root = "/v3/projects/{id}/tags";
        rest.Get(Root, async call =>
        {
            var project = await call.Service<ProjectService>().GetProjectAsync(call.Operation, call.Route("id"), call.Cancelled);
            return TagList(project, call);
        });
        rest.Put(Root, async call =>
        {
            var tags = new JsonBody(await call.ReadJsonAsync(), "").Texts("tags") ?? throw Faults.Invalid("tags", "is required");
            return TagList(await ChangeAsync(call, _ => tags), call);
        });
        rest.Delete(Root, async call =>
        {
            await ChangeAsync(call, _ => []);
            return RestResult.Empty(204);
        });
        rest.Get(Root + "/{tag}", async call =>
        {
            var project = await call.Service<ProjectService>().GetProjectAsync(call.Operation, call.Route("id"), call.Cancelled);
            return project.Tags.Contains(call.Route("tag")) ? RestResult.Empty(204) : throw Faults.NotFound("tag", call.Route("tag"));
        });
        rest.Put(Root + "/{tag}", async call =>
        {
            var tag = Tags.CheckOne(call.Route("tag"));
            await ChangeAsync(call, tags => tags.Contains(tag) ? tags : [.. tags, tag]);
            return RestResult.Empty(201).WithHeader("Location", call.SelfLink());
        });
        rest.Delete(Root + "/{tag}", async call =>
        {
            var tag = call.Route("tag");
            await ChangeAsync(call, tags => tags.Contains(tag) ? [.. tags.Where(other => other != tag)] : throw Faults.NotFound("tag", tag));
            return RestResult.Empty(204);
        });
    }

    private static Task<Project> ChangeAsync(RestCall call, Func<IReadOnlyList<string>, IReadOnlyList<string>> change) =>
        call.Service<ProjectService>().ChangeTagsAsync(call.Operation, call.Route("id"), change, call.Cancelled);

    private static RestResult TagList(Project project, RestCall call) => RestResult.Json(200, new JsonObject
    {
        ["tags"] = ProjectJson.OfTags(project),
        ["links"] = new JsonObject { ["self"] = call.SelfLink(), ["next"] = null, ["previous"] = null },
    });

    private static RestResult One(int status, Project project, RestCall call, bool isDomain) => RestResult.Json(
        status, isDomain
            ? new JsonObject { ["domain"] = ProjectJson.OfDomain(project, call) }
            : new JsonObject { ["project"] = ProjectJson.OfProject(project, call) });

    private static async Task<RestResult> ListAsync(RestCall call, bool isDomain)
    {
        var wantsDomains = isDomain || call.Flag("is_domain") == true;
        IEnumerable<Project> projects = await call.Service<ProjectService>().ListAsync(call.Operation, wantsDomains, call.Cancelled);
        projects = call.Where(projects, "name", project => project.Name);
        if (call.Flag("enabled") is { } enabled)
        {
            projects = projects.Where(project => project.Enabled == enabled);
        }
        if (isDomain)
        {
            return call.Collection("domains", projects, domain => domain.Id, domain => ProjectJson.OfDomain(domain, call));
        }
        projects = call.Where(projects, "domain_id", project => project.DomainId);
        projects = call.Where(projects, "parent_id", project => project.ParentId);
        projects = call.Where(projects, "description", project => project.Description);
        projects = WithTags(call, projects);
        return call.Collection("projects", projects, project => project.Id, project => ProjectJson.OfProject(project, call));
    }

    private static IEnumerable<Project> WithTags(RestCall call, IEnumerable<Project> projects)
    {
        if (Asked("tags") is { } all)
        {
            projects = projects.Where(project => all.All(project.Tags.Contains));
        }
        if (Asked("tags-any") is { } any)
        {
            projects = projects.Where(project => any.Any(project.Tags.Contains));
        }
        if (Asked("not-tags") is { } notAll)
        {
            projects = projects.Where(project => !notAll.All(project.Tags.Contains));
        }
        if (Asked("not-tags-any") is { } notAny)
        {
            projects = projects.Where(project => !notAny.Any(project.Tags.Contains));
        }
        return projects;

        string[]? Asked(string name) => call.Query(name)?.Split(',');
    }

    private static async Task<RestResult> ShowProjectAsync(RestCall call)
    {
        var service = call.Service<ProjectService>();
        var project = await service.GetProjectAsync(call.Operation, call.Route("id"), call.Cancelled);
        var json = ProjectJson.OfProject(project, call);
        var (parentList, parentIds, subtreeList, subtreeIds) =
            (Asked("parents_as_list"), Asked("parents_as_ids"), Asked("subtree_as_list"), Asked("subtree_as_ids"));
        if ((parentList && parentIds) || (subtreeList && subtreeIds))
        {
            throw Faults.Invalid("query", "a tree is shown as a list or as ids, not both");
        }
        if (parentList || parentIds || subtreeList || subtreeIds)
        {
            var (parents, subtree) = await service.GetTreeAsync(call.Operation, project.Id, call.Cancelled);
            if (parentList)
            {
                json["parents"] = Wrapped(parents);
            }
            if (subtreeList)
            {
                json["subtree"] = Wrapped(subtree);
            }
            if (parentIds)
            {
                json["parents"] = parents.Reverse().Aggregate((JsonObject?)null, (inner, parent) => new JsonObject { [parent.Id] = inner });
            }
            if (subtreeIds)
            {
                json["subtree"] = Ids(project.Id, subtree);
            }
        }
        return RestResult.Json(200, new JsonObject { ["project"] = json });

        bool Asked(string name) => call.Flag(name) == true;

        JsonArray Wrapped(IReadOnlyList<Project> projects) =>
            new([.. projects.Select(other => new JsonObject { ["project"] = ProjectJson.OfProject(other, call) })]);
    }

    private static JsonObject? Ids(string id, IReadOnlyList<Project> subtree)
    {
        var children = subtree.Where(project => project.ParentId == id).ToList();
        return children.Count == 0
            ? null
            : new JsonObject(children.Select(child => KeyValuePair.Create(child.Id, (JsonNode?)Ids(child.Id, subtree))));
    }
}
