using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Identity.Rest;
using Nephos.Identity.Roles;
using Nephos.Kernel.Errors;

namespace Nephos.Identity.Assignments;

/// <summary>Grants below projects, domains and the system, inherited ones, and /v3/role_assignments.</summary>
internal static class AssignmentEndpoints
{
    public static void Map(RestRoutes rest)
    {
        foreach (var target in (ReadOnlySpan<string>)["projects", "domains"])
        {
            foreach (var actor in (ReadOnlySpan<string>)["users", "groups"])
            {
                var root = $"/{target}/{{target}}/{actor}/{{actor}}/roles";
                var (isProject, isUser) = (target == "projects", actor == "users");
                Func<RestCall, Target> targetOf = call => isProject ? Target.Project(call.Route("target")) : Target.Domain(call.Route("target"));
                MapGrants(rest, "/v3" + root, "", targetOf, isUser, inherited: false);
                MapGrants(rest, "/v3/OS-INHERIT" + root, "/inherited_to_projects", targetOf, isUser, inherited: true);
            }
        }
        MapGrants(rest, "/v3/system/users/{actor}/roles", "", _ => Target.System, isUser: true, inherited: false);
        MapGrants(rest, "/v3/system/groups/{actor}/roles", "", _ => Target.System, isUser: false, inherited: false);
        rest.Get("/v3/role_assignments", ListAsync);
    }

    private static void MapGrants(
        RestRoutes rest, string root, string suffix, Func<RestCall, Target> targetOf, bool isUser, bool inherited)
    {
        rest.Get(root + suffix, async call =>
        {
            var roles = await call.Service<AssignmentService>().ListGrantsAsync(call.Operation, ActorOf(call), targetOf(call), inherited, call.Cancelled);
            return call.Collection("roles", roles, role => role.Id, role => RoleEndpoints.Json(role, call));
        });
        rest.Put(root + "/{role}" + suffix, call => DoAsync(call, call.Service<AssignmentService>().GrantAsync));
        rest.Get(root + "/{role}" + suffix, call => DoAsync(call, call.Service<AssignmentService>().CheckAsync));
        rest.Delete(root + "/{role}" + suffix, call => DoAsync(call, call.Service<AssignmentService>().RevokeAsync));

        Actor ActorOf(RestCall call) => isUser ? Actor.User(call.Route("actor")) : Actor.Group(call.Route("actor"));

        async Task<RestResult> DoAsync(RestCall call, Func<Kernel.Operations.OperationContext, Assignment, CancellationToken, Task> action)
        {
            await action(call.Operation, new Assignment(ActorOf(call), targetOf(call), call.Route("role"), inherited), call.Cancelled);
            return RestResult.Empty(204);
        }
    }

    private static async Task<RestResult> ListAsync(RestCall call)
    {
        var inheritedTo = call.Query("scope.OS-INHERIT:inherited_to") ?? call.Query("scope.OS-INHERIT:inherited_to_projects");
        var filter = new AssignmentFilter
        {
            UserId = Text("user.id"),
            GroupId = Text("group.id"),
            RoleId = Text("role.id"),
            ProjectId = Text("scope.project.id"),
            DomainId = Text("scope.domain.id"),
            System = call.Query("scope.system") is not null,
            InheritedOnly = inheritedTo switch
            {
                null => false,
                "projects" or "" => true,
                _ => throw Faults.Invalid("scope.OS-INHERIT:inherited_to", "must be projects"),
            },
            Effective = call.Flag("effective") == true,
            IncludeSubtree = call.Flag("include_subtree") == true,
        };
        var rows = await call.Service<AssignmentQuery>().ListAsync(call.Operation, filter, call.Cancelled);
        var names = call.Flag("include_names") == true ? await Names.ReadAsync(call.Service<DirectoryView>(), rows, call.Cancelled) : null;
        return call.Collection("role_assignments", rows, row => row.Key, row => Json(row, call, names));

        string? Text(string name) => call.Query(name) is { Length: > 0 } text ? text : null;
    }

    private static JsonObject Json(AssignmentRow row, RestCall call, Names? names)
    {
        var (actor, target, roleId, inherited) = row.Assignment;
        var links = new JsonObject { ["assignment"] = LinkOf(row, call) };
        if (row.ThroughGroupId is { } groupId)
        {
            links["membership"] = $"{call.BaseUrl}/v3/groups/{groupId}/users/{actor.Id}";
        }
        if (row.PriorRoleId is { } priorId)
        {
            links["prior_role"] = $"{call.BaseUrl}/v3/roles/{priorId}";
        }
        var scope = target.Kind switch
        {
            TargetKind.Project => new JsonObject { ["project"] = Named(target.Id, names?.Projects) },
            TargetKind.Domain => new JsonObject { ["domain"] = Named(target.Id, names?.Projects) },
            _ => new JsonObject { ["system"] = new JsonObject { ["all"] = true } },
        };
        if (inherited)
        {
            scope["OS-INHERIT:inherited_to"] = "projects";
        }
        return new JsonObject
        {
            ["links"] = links,
            ["scope"] = scope,
            [actor.Kind == ActorKind.User ? "user" : "group"] = Named(actor.Id, names?.Actors),
            ["role"] = Named(roleId, names?.Roles),
        };
    }

    /// <summary>Where the assignment itself was made.</summary>
    private static string LinkOf(AssignmentRow row, RestCall call)
    {
        var (actor, target, roleId, inherited) = row.Assignment;
        var madeAt = row.InheritedFrom ?? target;
        var madeFor = row.ThroughGroupId is { } groupId ? Actor.Group(groupId) : actor;
        var who = $"{(madeFor.Kind == ActorKind.User ? "users" : "groups")}/{madeFor.Id}/roles/{row.PriorRoleId ?? roleId}";
        var where = madeAt.Kind switch
        {
            TargetKind.Project => $"projects/{madeAt.Id}/",
            TargetKind.Domain => $"domains/{madeAt.Id}/",
            _ => "system/",
        };
        return inherited || row.InheritedFrom is not null
            ? $"{call.BaseUrl}/v3/OS-INHERIT/{where}{who}/inherited_to_projects"
            : $"{call.BaseUrl}/v3/{where}{who}";
    }

    private static JsonObject Named(string id, IReadOnlyDictionary<string, (string Name, string? DomainId, string? DomainName)>? names)
    {
        var json = new JsonObject { ["id"] = id };
        if (names is not null && names.TryGetValue(id, out var found))
        {
            json["name"] = found.Name;
            if (found.DomainId is not null)
            {
                json["domain"] = new JsonObject { ["id"] = found.DomainId, ["name"] = found.DomainName };
            }
        }
        return json;
    }

    /// <summary>The names of everything in a list, with their domains.</summary>
    private sealed record Names(
        IReadOnlyDictionary<string, (string Name, string? DomainId, string? DomainName)> Actors,
        IReadOnlyDictionary<string, (string Name, string? DomainId, string? DomainName)> Projects,
        IReadOnlyDictionary<string, (string Name, string? DomainId, string? DomainName)> Roles)
    {
        public static async Task<Names> ReadAsync(DirectoryView directory, IReadOnlyList<AssignmentRow> rows, CancellationToken cancellationToken)
        {
            var allProjects = (await directory.ListAsync(directory.Caches.Projects, cancellationToken)).ToDictionary(project => project.Id, StringComparer.Ordinal);
            await directory.Caches.Users.CatchUpAsync(cancellationToken);
            await directory.Caches.Groups.CatchUpAsync(cancellationToken);
            var actors = new Dictionary<string, (string, string?, string?)>(StringComparer.Ordinal);
            var projects = new Dictionary<string, (string, string?, string?)>(StringComparer.Ordinal);
            var roles = new Dictionary<string, (string, string?, string?)>(StringComparer.Ordinal);
            foreach (var (actor, target, roleId, _) in rows.Select(row => row.Assignment))
            {
                if (actor.Kind == ActorKind.User && directory.Caches.Users.Get(actor.Id) is { } user)
                {
                    actors[actor.Id] = (user.Name, user.DomainId, NameOf(user.DomainId));
                }
                else if (actor.Kind == ActorKind.Group && directory.Caches.Groups.Get(actor.Id) is { } group)
                {
                    actors[actor.Id] = (group.Name, group.DomainId, NameOf(group.DomainId));
                }
                if (allProjects.TryGetValue(target.Id, out var project))
                {
                    projects[target.Id] = (project.Name, target.Kind == TargetKind.Domain ? null : project.DomainId, NameOf(project.DomainId));
                }
                if (directory.Roles.Find(roleId) is { } role)
                {
                    roles[roleId] = (role.Name, role.DomainId, NameOf(role.DomainId));
                }
            }
            return new Names(actors, projects, roles);

            string? NameOf(string? domainId) => domainId is not null && allProjects.TryGetValue(domainId, out var domain) ? domain.Name : null;
        }
    }
}
