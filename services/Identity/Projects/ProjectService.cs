using System.Text.Json.Nodes;
using Nephos.Hosting.Authentication;
using Nephos.Identity.Assignments;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Identity.Projects;

/// <summary>What can be done with projects and domains.</summary>
internal sealed class ProjectService(
    DirectoryView directory, EffectiveRoles effective, IdentityWrites writes, Leftovers leftovers, IdentityOptions options)
{
    private const string ProjectKind = "project", DomainKind = "domain";

    public async Task<Project> GetProjectAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var project = await directory.FindProjectAsync(id, cancellationToken) ?? throw Faults.NotFound(ProjectKind, id);
        if (operation.ProjectId == id)
        {
            Policy.RequireOwnProof(operation);
        }
        else if (!Policy.MayRead(operation, project.OwnerDomainId) && await HasRoleAsync(operation, id, cancellationToken))
        {
            Policy.RequireOwnProof(operation);
        }
        else
        {
            Policy.RequireReader(operation, project.OwnerDomainId, "identity:get_project");
        }
        return project;
    }

    public async Task<Project> GetDomainAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var domain = await directory.FindDomainAsync(id, cancellationToken) ?? throw Faults.NotFound(DomainKind, id);
        if (operation.UserDomainId == id || operation.DomainId == id)
        {
            Policy.RequireOwnProof(operation);
        }
        else
        {
            Policy.RequireReader(operation, id, "identity:get_domain");
        }
        return domain;
    }

    /// <summary>The projects, or the domains, that the caller may list, in the order of ids.</summary>
    public async Task<IReadOnlyList<Project>> ListAsync(OperationContext operation, bool domains, CancellationToken cancellationToken)
    {
        Policy.RequireOwnProof(operation);
        var action = domains ? "identity:list_domains" : "identity:list_projects";
        if (!Policy.MayReadAll(operation) && operation.DomainId is null)
        {
            throw Faults.Forbidden(action);
        }
        var all = await directory.ListAsync(directory.Caches.Projects, cancellationToken);
        return [.. all.Where(project => project.IsDomain == domains && Policy.MayRead(operation, project.OwnerDomainId))];
    }

    /// <summary>The projects on which a user has a role.</summary>
    public async Task<IReadOnlyList<Project>> ListOfUserAsync(OperationContext operation, string userId, CancellationToken cancellationToken)
    {
        var user = await directory.FindUserAsync(userId, cancellationToken) ?? throw Faults.NotFound("user", userId);
        Policy.RequireSelfOrReader(operation, user.Id, user.DomainId, "identity:list_user_projects");
        await directory.CatchUpAsync(cancellationToken);
        return [.. (await effective.TargetsOfAsync(user.Id, cancellationToken)).Where(project => !project.IsDomain)];
    }

    /// <summary>Everything above (nearest first, without the domain) and below a project.</summary>
    public async Task<(IReadOnlyList<Project> Parents, IReadOnlyList<Project> Subtree)> GetTreeAsync(
        OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var project = await GetProjectAsync(operation, id, cancellationToken);
        var lineage = await directory.LineageAsync(project, cancellationToken);
        var mayReadAll = Policy.MayRead(operation, project.OwnerDomainId);
        var visible = mayReadAll
            ? null
            : (await effective.TargetsOfAsync(operation.UserId, cancellationToken)).Select(target => target.Id).ToHashSet(StringComparer.Ordinal);
        return (
            [.. lineage.Skip(1).Where(above => !above.IsDomain && visible?.Contains(above.Id) != false)],
            [.. (await effective.BelowAsync(project, cancellationToken)).Where(below => visible?.Contains(below.Id) != false)]);
    }

    public async Task<Project> CreateAsync(
        OperationContext operation, ProjectDraft draft, string idempotencyKey, CancellationToken cancellationToken)
    {
        var kind = draft.IsDomain ? DomainKind : ProjectKind;
        var domainId = draft.IsDomain ? null : await DomainOfAsync(operation, draft, cancellationToken);
        if (domainId is null)
        {
            Policy.RequireAdmin(operation, "identity:create_domain");
        }
        else
        {
            Policy.RequireManager(operation, domainId, "identity:create_project");
        }
        var project = new Project
        {
            Id = Ids.NewHex(),
            Name = Names.Check(draft.Name, "name", Names.MaxProjectNameChars),
            DomainId = domainId,
            ParentId = domainId is null ? null : draft.ParentId ?? domainId,
            Description = Names.CheckDescription(draft.Description) ?? "",
            Enabled = draft.Enabled,
            IsDomain = domainId is null,
            Tags = Tags.Check(draft.Tags),
            Options = ResourceOptions.Apply([], draft.Options),
            Extra = Names.CheckExtra(draft.Extra, kind),
        };
        return await IdentityFaults.GuardNameAsync(kind, project.Name, writes.CreateAsync(
            operation, kind, idempotencyKey,
            async (change, id) => await change.State.GetAsync(IdentityTables.Projects, id, cancellationToken),
            async change =>
            {
                if (project.DomainId is not null)
                {
                    await CheckParentAsync(change.State, project, cancellationToken);
                }
                change.State.Insert(IdentityTables.Projects, project);
                return (project.Id, project);
            },
            cancellationToken));
    }

    public async Task<Project> UpdateAsync(
        OperationContext operation, string id, bool isDomain, ProjectPatch patch, CancellationToken cancellationToken)
    {
        var kind = isDomain ? DomainKind : ProjectKind;
        var name = patch.Name.IsGiven ? Names.Check(patch.Name.Value, "name", Names.MaxProjectNameChars) : null;
        return await IdentityFaults.GuardNameAsync(kind, name ?? "", writes.RunAsync(
            async change =>
            {
                var before = await FindAsync(change.State, id, isDomain, cancellationToken);
                RequireWriter(operation, before, isDomain ? "identity:update_domain" : "identity:update_project");
                CheckFixed(before, patch);
                var after = before with
                {
                    Name = name ?? before.Name,
                    Description = patch.Description.IsGiven ? Names.CheckDescription(patch.Description.Value) ?? "" : before.Description,
                    Enabled = patch.Enabled.Or(before.Enabled),
                    Tags = patch.Tags.IsGiven ? Tags.Check(patch.Tags.Value ?? []) : before.Tags,
                    Options = patch.Options.IsGiven ? ResourceOptions.Apply(before.Options, patch.Options.Value) : before.Options,
                    Extra = patch.Extra is null ? before.Extra : Names.CheckExtra(Merge(before.Extra, patch.Extra), kind),
                };
                if (before.IsImmutable && after.IsImmutable)
                {
                    throw IdentityFaults.Refused($"Cannot modify immutable {kind} {id}: take the option immutable away first.");
                }
                await CheckEnabledAsync(change, before, after, cancellationToken);
                change.State.Put(IdentityTables.Projects, after);
                return after;
            },
            cancellationToken));
    }

    /// <summary>Deletes a project without children, or a disabled domain with everything in it.</summary>
    public async Task DeleteAsync(OperationContext operation, string id, bool isDomain, CancellationToken cancellationToken)
    {
        var removal = new Removal(isDomain ? Removal.Domain : Removal.Project, id);
        await writes.RunAsync(
            async change =>
            {
                var project = await FindAsync(change.State, id, isDomain, cancellationToken);
                RequireWriter(operation, project, isDomain ? "identity:delete_domain" : "identity:delete_project");
                if (project.IsImmutable)
                {
                    throw IdentityFaults.Refused($"Cannot delete immutable {removal.Kind} {id}.");
                }
                if (project.IsDomain)
                {
                    CheckDeletableDomain(project);
                }
                else if ((await change.State.ListByAsync(IdentityTables.Projects, "parent", id, cancellationToken)).Count > 0)
                {
                    throw IdentityFaults.Refused($"Cannot delete project {id}: there are projects below it.");
                }
                change.State.Delete<Project>(IdentityTables.Projects, id);
                change.State.Put(IdentityTables.Removals, removal);
                change.Revoke(isDomain ? RevocationSubject.Domain(id) : RevocationSubject.Project(id));
            },
            cancellationToken);
        await leftovers.SweepAsync(removal, cancellationToken);
    }

    /// <summary>Sets the tags of a project to what a function makes of the current ones.</summary>
    public async Task<Project> ChangeTagsAsync(
        OperationContext operation, string id, Func<IReadOnlyList<string>, IReadOnlyList<string>> change, CancellationToken cancellationToken) =>
        await writes.RunAsync(
            async transaction =>
            {
                var before = await FindAsync(transaction.State, id, isDomain: false, cancellationToken);
                RequireWriter(operation, before, "identity:update_project_tags");
                var after = before with { Tags = Tags.Check(change(before.Tags)) };
                transaction.State.Put(IdentityTables.Projects, after);
                return after;
            },
            cancellationToken);

    internal static JsonObject Merge(JsonObject current, JsonObject change)
    {
        var merged = (JsonObject)current.DeepClone();
        foreach (var (name, value) in change)
        {
            merged[name] = value?.DeepClone();
        }
        return merged;
    }

    private static void CheckDeletableDomain(Project domain)
    {
        if (domain.Id == Project.DefaultDomainId)
        {
            throw IdentityFaults.Refused("The default domain cannot be deleted.");
        }
        if (domain.Enabled)
        {
            throw IdentityFaults.Refused("Cannot delete a domain that is enabled, please disable it first.");
        }
    }

    private static void CheckFixed(Project before, ProjectPatch patch)
    {
        if (patch.DomainId.IsGiven && patch.DomainId.Value != before.DomainId)
        {
            throw Faults.Invalid("domain_id", "a project cannot move to another domain");
        }
        if (patch.ParentId.IsGiven && patch.ParentId.Value != before.ParentId)
        {
            throw IdentityFaults.Refused("Update of parent_id is not allowed.");
        }
        if (patch.IsDomain.IsGiven && patch.IsDomain.Value != before.IsDomain)
        {
            throw Faults.Invalid("is_domain", "cannot be changed");
        }
    }

    private static void RequireWriter(OperationContext operation, Project project, string action)
    {
        if (project.DomainId is { } domainId)
        {
            Policy.RequireManager(operation, domainId, action);
        }
        else
        {
            Policy.RequireAdmin(operation, action);
        }
    }

    private static async Task<Project> FindAsync(StateTransaction state, string id, bool isDomain, CancellationToken cancellationToken)
    {
        var project = Names.IsId(id) ? await state.GetAsync(IdentityTables.Projects, id, cancellationToken) : null;
        return project is not null && (!isDomain || project.IsDomain) ? project : throw Faults.NotFound(isDomain ? DomainKind : ProjectKind, id);
    }

    private async ValueTask<bool> HasRoleAsync(OperationContext operation, string projectId, CancellationToken cancellationToken)
    {
        if (operation.ApplicationCredentialId is not null)
        {
            return false;
        }
        await directory.CatchUpAsync(cancellationToken);
        return (await effective.TargetsOfAsync(operation.UserId, cancellationToken)).Any(target => target.Id == projectId);
    }

    private async Task<string> DomainOfAsync(OperationContext operation, ProjectDraft draft, CancellationToken cancellationToken)
    {
        if (draft.DomainId is { } given)
        {
            return given;
        }
        if (draft.ParentId is { } parentId)
        {
            return (await directory.FindProjectAsync(parentId, cancellationToken) ?? throw Faults.NotFound(ProjectKind, parentId)).OwnerDomainId;
        }
        return operation.DomainId ?? (operation.ProjectId is { } projectId && await directory.FindProjectAsync(projectId, cancellationToken) is { } project
            ? project.OwnerDomainId
            : Project.DefaultDomainId);
    }

    private async Task CheckParentAsync(StateTransaction state, Project project, CancellationToken cancellationToken)
    {
        if (!Names.IsId(project.DomainId) || await state.GetAsync(IdentityTables.Projects, project.DomainId!, cancellationToken) is not { IsDomain: true })
        {
            throw Faults.NotFound(DomainKind, project.DomainId!);
        }
        var depth = 1;
        var parentId = project.ParentId;
        while (parentId is not null && parentId != project.DomainId)
        {
            var parent = Names.IsId(parentId) ? await state.GetAsync(IdentityTables.Projects, parentId, cancellationToken) : null;
            if (parent is null)
            {
                throw Faults.NotFound(ProjectKind, parentId);
            }
            if (parent.OwnerDomainId != project.DomainId)
            {
                throw Faults.Invalid("parent_id", "the parent is in another domain");
            }
            if (!parent.Enabled && project.Enabled)
            {
                throw IdentityFaults.Refused($"Cannot create an enabled project below the disabled project {parentId}.");
            }
            depth++;
            parentId = parent.ParentId;
        }
        if (depth > options.MaxProjectDepth)
        {
            throw IdentityFaults.Refused($"Max hierarchy depth reached: projects may be {options.MaxProjectDepth} deep.");
        }
    }

    private static async Task CheckEnabledAsync(
        IdentityTransaction change, Project before, Project after, CancellationToken cancellationToken)
    {
        if (before.Enabled && !after.Enabled)
        {
            if (!before.IsDomain)
            {
                var children = await change.State.ListByAsync(IdentityTables.Projects, "parent", before.Id, cancellationToken);
                if (children.Any(child => child.Enabled))
                {
                    throw IdentityFaults.Refused($"Cannot disable project {before.Id}: there are enabled projects below it.");
                }
            }
            change.Revoke(before.IsDomain ? RevocationSubject.Domain(before.Id) : RevocationSubject.Project(before.Id));
        }
        else if (!before.Enabled && after.Enabled && before is { IsDomain: false, ParentId: { } parentId } &&
            await change.State.GetAsync(IdentityTables.Projects, parentId, cancellationToken) is { IsDomain: false, Enabled: false })
        {
            throw IdentityFaults.Refused($"Cannot enable project {before.Id}: the project above it is disabled.");
        }
    }
}
