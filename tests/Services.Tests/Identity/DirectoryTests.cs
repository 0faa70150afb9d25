using System.Text.Json.Nodes;
using Nephos.Identity;
using Nephos.Identity.Assignments;
using Nephos.Identity.Catalog;
using Nephos.Identity.Groups;
using Nephos.Identity.Projects;
using Nephos.Identity.Roles;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Identity.Users;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Identity;

public sealed class DirectoryTests : IAsyncLifetime
{
    private static readonly CancellationToken None = CancellationToken.None;

    private IdentityWorld _world = null!;

    public async Task InitializeAsync() => _world = await IdentityWorld.StartAsync();

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Fact]
    public async Task Roles_come_direct_by_group_inherited_and_implied_and_roles_of_domains_stay_hidden()
    {
        var domain = await _world.NewDomainAsync("company");
        var top = await _world.NewProjectAsync("top", domainId: domain.Id);
        var below = await _world.NewProjectAsync("below", parentId: top.Id);
        var user = await _world.NewUserAsync("carol", domain.Id);
        var group = await _world.Groups.CreateAsync(_world.Admin, new GroupDraft("crew", domain.Id, null, null), "", None);
        await _world.Groups.AddMemberAsync(_world.Admin, group.Id, user.Id, None);
        var hidden = await _world.Roles.CreateAsync(_world.Admin, new RoleDraft("local", domain.Id, null, null, null), "", None);
        await _world.Roles.ImplyAsync(_world.Admin, hidden.Id, (await _world.RoleAsync("ResellerAdmin")).Id, None);
        await _world.Assignments.GrantAsync(_world.Admin, new Assignment(Actor.User(user.Id), Target.Project(below.Id), hidden.Id, false), None);
        await _world.GrantAsync(Actor.Group(group.Id), Target.Project(below.Id), "service");
        await _world.GrantAsync(Actor.User(user.Id), Target.Project(top.Id), "member", inherited: true);

        Assert.Equal(
            ["ResellerAdmin", "member", "reader", "service"], (await _world.LoginAsync(user, below)).Description.Claims.Roles);
        // An inherited role is for what is below and not for the target itself.
        await Assert.ThrowsAsync<FaultException>(() => _world.LoginAsync(user, top));
        Assert.Equal([below.Id], (await _world.Tokens.ListProjectsAsync(await UnscopedAsync(user), None)).Select(project => project.Id));
    }

    [Fact]
    public async Task Circles_of_implied_roles_end()
    {
        var (first, second) = (await NewRoleAsync("first"), await NewRoleAsync("second"));
        await _world.Roles.ImplyAsync(_world.Admin, first.Id, second.Id, None);
        await _world.Roles.ImplyAsync(_world.Admin, second.Id, first.Id, None);
        var (user, project) = await _world.NewMemberAsync("alice", "first");

        Assert.Equal(["first", "second"], (await _world.LoginAsync(user, project)).Description.Claims.Roles);
    }

    [Fact]
    public async Task Admin_cannot_be_implied_and_standard_roles_cannot_be_changed()
    {
        var role = await NewRoleAsync("sneaky");
        var admin = await _world.RoleAsync("admin");

        Assert.Equal(ErrorReason.IdentityRefused, await ReasonAsync(() => _world.Roles.ImplyAsync(_world.Admin, role.Id, admin.Id, None)));
        Assert.Equal(ErrorReason.IdentityRefused, await ReasonAsync(() => _world.Roles.DeleteAsync(_world.Admin, admin.Id, None)));
        Assert.Equal(ErrorReason.IdentityRefused, await ReasonAsync(() =>
            _world.Roles.UpdateAsync(_world.Admin, admin.Id, new RolePatch(Change.To("root"), default, default, default, null), None)));
    }

    [Fact]
    public async Task Names_are_unique_in_what_owns_them()
    {
        var domain = await _world.NewDomainAsync("company");
        await _world.NewProjectAsync("web");
        await _world.NewUserAsync("alice");

        await _world.NewProjectAsync("web", domainId: domain.Id);
        await _world.NewUserAsync("alice", domain.Id);

        Assert.Equal(ErrorReason.AlreadyExists, await ReasonAsync(() => _world.NewProjectAsync("web")));
        Assert.Equal(ErrorReason.AlreadyExists, await ReasonAsync(() => _world.NewUserAsync("alice")));
        Assert.Equal(ErrorReason.AlreadyExists, await ReasonAsync(() => _world.NewDomainAsync("company")));
        Assert.Equal(ErrorReason.AlreadyExists, await ReasonAsync(() => NewRoleAsync("member")));
    }

    [Theory]
    [InlineData("")]
    [InlineData("   ")]
    [InlineData("a\nb")]
    public async Task A_name_that_is_no_name_is_refused_naming_the_field(string name)
    {
        var fault = await Assert.ThrowsAsync<FaultException>(() => _world.NewUserAsync(name));

        Assert.Equal((ErrorReason.InvalidArgument, "name"), (fault.Reason, fault.Metadata["field"]));
    }

    [Fact]
    public async Task Names_may_be_as_long_as_the_rule_says_and_no_longer()
    {
        await _world.NewUserAsync(new string('u', 255));
        // Half of a pair is no character; test data cannot carry it.
        Assert.Equal(ErrorReason.InvalidArgument, await ReasonAsync(() => _world.NewUserAsync("\ud800")));
        await _world.NewProjectAsync(new string('p', 64));

        Assert.Equal(ErrorReason.InvalidArgument, await ReasonAsync(() => _world.NewUserAsync(new string('u', 256))));
        Assert.Equal(ErrorReason.InvalidArgument, await ReasonAsync(() => _world.NewProjectAsync(new string('p', 65))));
    }

    [Fact]
    public async Task A_tree_of_projects_keeps_its_rules()
    {
        var top = await _world.NewProjectAsync("top");
        var below = await _world.NewProjectAsync("below", parentId: top.Id);

        Assert.Equal(ErrorReason.IdentityRefused, await ReasonAsync(() => _world.Projects.DeleteAsync(_world.Admin, top.Id, isDomain: false, None)));
        Assert.Equal(ErrorReason.IdentityRefused, await ReasonAsync(() => EnableAsync(top, false)));
        await EnableAsync(below, false);
        await EnableAsync(top, false);
        Assert.Equal(ErrorReason.IdentityRefused, await ReasonAsync(() => EnableAsync(below, true)));
        Assert.Equal(ErrorReason.IdentityRefused, await ReasonAsync(() => _world.Projects.UpdateAsync(
            _world.Admin, below.Id, isDomain: false, new ProjectPatch { ParentId = Change.To("default") }, None)));
        Assert.Equal(ErrorReason.NotFound, await ReasonAsync(() => _world.NewProjectAsync("x", parentId: "unknown")));
    }

    [Fact]
    public async Task Projects_are_no_deeper_than_allowed()
    {
        var parentId = (string?)null;
        for (var depth = 0; depth < _world.Options.MaxProjectDepth; depth++)
        {
            parentId = (await _world.NewProjectAsync($"depth {depth}", parentId)).Id;
        }

        Assert.Equal(ErrorReason.IdentityRefused, await ReasonAsync(() => _world.NewProjectAsync("too deep", parentId)));
    }

    [Fact]
    public async Task A_domain_is_deleted_disabled_and_with_everything_in_it()
    {
        var domain = await _world.NewDomainAsync("company");
        var project = await _world.NewProjectAsync("web", domainId: domain.Id);
        var user = await _world.NewUserAsync("carol", domain.Id);
        await _world.Groups.CreateAsync(_world.Admin, new GroupDraft("crew", domain.Id, null, null), "", None);
        await _world.Roles.CreateAsync(_world.Admin, new RoleDraft("local", domain.Id, null, null, null), "", None);
        await _world.GrantAsync(Actor.User(user.Id), Target.Project(project.Id), "member");
        Assert.Equal(ErrorReason.IdentityRefused, await ReasonAsync(() => _world.Projects.DeleteAsync(_world.Admin, domain.Id, isDomain: true, None)));
        await _world.Projects.UpdateAsync(_world.Admin, domain.Id, isDomain: true, new ProjectPatch { Enabled = Change.To(false) }, None);

        await _world.Projects.DeleteAsync(_world.Admin, domain.Id, isDomain: true, None);

        foreach (var table in new[] { "identity/projects", "identity/users", "identity/groups", "identity/roles", "identity/assignments", "identity/removals" })
        {
            var scan = await _world.Store.ScanAsync(table + ":", table + ";", 10_000, None);
            Assert.DoesNotContain(scan.Entries, entry => System.Text.Encoding.UTF8.GetString(entry.Value.Span).Contains(domain.Id, StringComparison.Ordinal));
            Assert.DoesNotContain(scan.Entries, entry => entry.Key.Contains(user.Id, StringComparison.Ordinal));
        }
        Assert.Equal(ErrorReason.IdentityRefused, await ReasonAsync(() => _world.Projects.DeleteAsync(_world.Admin, "default", isDomain: true, None)));
    }

    [Fact]
    public async Task What_a_killed_process_left_behind_is_deleted_by_the_next_pass()
    {
        var (user, project) = await _world.NewMemberAsync();
        await _world.Store.TransactAsync(
            transaction =>
            {
                // What the deletion of a user commits, without what follows it.
                transaction.Delete<User>(IdentityTables.Users, user.Id);
                transaction.Put(IdentityTables.Removals, new Removal(Removal.User, user.Id));
                return Task.CompletedTask;
            },
            None);

        await _world.Get<LeftoversReconciler>().RunPassAsync(None);
        await _world.Get<LeftoversReconciler>().RunPassAsync(None);

        Assert.Empty(await _world.Store.ListAsync(IdentityTables.Assignments, $"u/{user.Id}/", None));
        Assert.Empty(await _world.Store.ListAsync(IdentityTables.Removals, "", None));
        Assert.Empty(await _world.Get<AssignmentQuery>().ListAsync(_world.Admin, new AssignmentFilter { ProjectId = project.Id }, None));
    }

    [Fact]
    public async Task A_create_repeated_with_its_key_answers_with_the_first_object()
    {
        var first = await _world.Projects.CreateAsync(_world.Admin, new ProjectDraft { Name = "web" }, "key-1", None);
        var again = await _world.Projects.CreateAsync(_world.Admin, new ProjectDraft { Name = "web" }, "key-1", None);

        Assert.Equal(first.Id, again.Id);
        Assert.Equal(ErrorReason.AlreadyExists, await ReasonAsync(() => _world.Projects.CreateAsync(_world.Admin, new ProjectDraft { Name = "web" }, "key-2", None)));
        Assert.Equal(ErrorReason.InvalidArgument, await ReasonAsync(() =>
            _world.Projects.CreateAsync(_world.Admin, new ProjectDraft { Name = "x" }, new string('k', 129), None)));
    }

    [Fact]
    public async Task An_ordinary_user_reads_what_is_its_own_and_changes_nothing()
    {
        var (user, project) = await _world.NewMemberAsync();
        var stranger = await _world.NewUserAsync("bob");
        var caller = await _world.CallerAsync((await _world.LoginAsync(user, project)).Token);

        Assert.Equal(user.Id, (await _world.Users.GetAsync(caller, user.Id, None)).Id);
        Assert.Equal(project.Id, (await _world.Projects.GetProjectAsync(caller, project.Id, None)).Id);
        Assert.Equal([project.Id], (await _world.Projects.ListOfUserAsync(caller, user.Id, None)).Select(own => own.Id));
        foreach (var attempt in new Func<Task>[]
        {
            () => _world.Users.GetAsync(caller, stranger.Id, None),
            () => _world.Users.GetAsync(caller, "unknown", None),
            () => _world.Users.ListAsync(caller, None),
            () => _world.Users.DeleteAsync(caller, stranger.Id, None),
            () => _world.Users.UpdateAsync(caller, user.Id, new UserPatch { Password = Change.To("x") }, None),
            () => _world.Projects.ListAsync(caller, domains: false, None),
            () => _world.Projects.CreateAsync(caller, new ProjectDraft { Name = "x" }, "", None),
            () => _world.Projects.DeleteAsync(caller, project.Id, isDomain: false, None),
            () => _world.Roles.CreateAsync(caller, new RoleDraft("x", null, null, null, null), "", None),
            () => _world.Groups.ListAsync(caller, None),
            () => _world.Assignments.GrantAsync(caller, new Assignment(Actor.User(user.Id), Target.Project(project.Id), "x", false), None),
            () => _world.Get<AssignmentQuery>().ListAsync(caller, new AssignmentFilter(), None),
            () => _world.Catalog.CreateRegionAsync(caller, new Region { Id = "x" }, "", None),
            () => _world.Tokens.RevokeAllAsync(caller, "*", None),
            () => _world.Tokens.RotateSigningKeyAsync(caller, None),
        })
        {
            Assert.Equal(ErrorReason.Forbidden, await ReasonAsync(attempt));
        }
    }

    [Fact]
    public async Task A_manager_of_a_domain_manages_that_domain_and_gives_no_administrators()
    {
        var domain = await _world.NewDomainAsync("company");
        var boss = await _world.NewUserAsync("boss", domain.Id);
        await _world.GrantAsync(Actor.User(boss.Id), Target.Domain(domain.Id), "manager");
        var caller = await _world.CallerAsync((await _world.LoginAsync(boss, new ScopeRequest.Domain(new DomainRef(domain.Id, null)))).Token);

        var project = await _world.Projects.CreateAsync(caller, new ProjectDraft { Name = "web" }, "", None);
        var user = await _world.Users.CreateAsync(caller, new UserDraft { Name = "hand", Password = "x" }, "", None);
        var member = await _world.RoleAsync("member");
        await _world.Assignments.GrantAsync(caller, new Assignment(Actor.User(user.Id), Target.Project(project.Id), member.Id, false), None);

        Assert.Equal((domain.Id, domain.Id), (project.DomainId, user.DomainId));
        Assert.Equal([boss.Id, user.Id], (await _world.Users.ListAsync(caller, None)).Select(seen => seen.Id).Order().Order(
            Comparer<string>.Create((left, right) => left == boss.Id ? -1 : right == boss.Id ? 1 : 0)));
        var admin = await _world.RoleAsync("admin");
        var outside = await _world.NewProjectAsync("outside");
        foreach (var attempt in new Func<Task>[]
        {
            () => _world.Assignments.GrantAsync(caller, new Assignment(Actor.User(user.Id), Target.Project(project.Id), admin.Id, false), None),
            () => _world.Assignments.GrantAsync(caller, new Assignment(Actor.User(user.Id), Target.Project(outside.Id), member.Id, false), None),
            () => _world.Assignments.GrantAsync(caller, new Assignment(Actor.User(user.Id), Target.System, member.Id, false), None),
            () => _world.Projects.CreateAsync(caller, new ProjectDraft { Name = "x", DomainId = "default" }, "", None),
            () => _world.Users.CreateAsync(caller, new UserDraft { Name = "x", DomainId = "default" }, "", None),
            () => _world.Projects.CreateAsync(caller, new ProjectDraft { Name = "x", IsDomain = true }, "", None),
        })
        {
            Assert.Equal(ErrorReason.Forbidden, await ReasonAsync(attempt));
        }
    }

    [Fact]
    public async Task Effective_assignments_say_why_they_hold()
    {
        var (user, project) = await _world.NewMemberAsync();
        var group = await _world.Groups.CreateAsync(_world.Admin, new GroupDraft("crew", null, null, null), "", None);
        await _world.Groups.AddMemberAsync(_world.Admin, group.Id, user.Id, None);
        await _world.GrantAsync(Actor.Group(group.Id), Target.Domain("default"), "service", inherited: true);
        var (member, reader, service) = (await _world.RoleAsync("member"), await _world.RoleAsync("reader"), await _world.RoleAsync("service"));

        var rows = await _world.Get<AssignmentQuery>().ListAsync(
            _world.Admin, new AssignmentFilter { UserId = user.Id, ProjectId = project.Id, Effective = true }, None);

        var here = Target.Project(project.Id);
        Assert.Equivalent(
            new[]
            {
                new AssignmentRow(new Assignment(Actor.User(user.Id), here, member.Id, false)),
                new AssignmentRow(new Assignment(Actor.User(user.Id), here, reader.Id, false), PriorRoleId: member.Id),
                new AssignmentRow(new Assignment(Actor.User(user.Id), here, service.Id, false), group.Id, InheritedFrom: Target.Domain("default")),
            },
            rows);
        Assert.Equal(ErrorReason.InvalidArgument, await ReasonAsync(() => _world.Get<AssignmentQuery>().ListAsync(
            _world.Admin, new AssignmentFilter { GroupId = group.Id, Effective = true }, None)));
        Assert.Equal(ErrorReason.InvalidArgument, await ReasonAsync(() => _world.Get<AssignmentQuery>().ListAsync(
            _world.Admin, new AssignmentFilter { IncludeSubtree = true }, None)));
    }

    [Fact]
    public async Task Tags_keep_their_rules()
    {
        var project = await _world.NewProjectAsync("web");

        var tagged = await _world.Projects.ChangeTagsAsync(_world.Admin, project.Id, _ => ["a", "b"], None);

        Assert.Equal(["a", "b"], tagged.Tags);
        foreach (var bad in new IReadOnlyList<string>[] { ["a/b"], ["a,b"], [new string('t', 256)], [""], ["a", "a"], [.. Enumerable.Range(0, 81).Select(i => $"{i}")] })
        {
            Assert.Equal(ErrorReason.InvalidArgument, await ReasonAsync(() => _world.Projects.ChangeTagsAsync(_world.Admin, project.Id, _ => bad, None)));
        }
    }

    [Fact]
    public async Task Attributes_of_the_clients_own_are_kept_and_merged()
    {
        var user = await _world.Users.CreateAsync(
            _world.Admin, new UserDraft { Name = "alice", Extra = new JsonObject { ["email"] = "a@b", ["phone"] = 1 } }, "", None);

        var after = await _world.Users.UpdateAsync(_world.Admin, user.Id, new UserPatch { Extra = new JsonObject { ["phone"] = null } }, None);

        Assert.Equal("""{"email":"a@b","phone":null}""", after.Extra.ToJsonString());
        Assert.Equal(ErrorReason.InvalidArgument, await ReasonAsync(() => _world.Users.UpdateAsync(
            _world.Admin, user.Id, new UserPatch { Extra = new JsonObject { ["x"] = new string('x', 70_000) } }, None)));
    }

    [Fact]
    public async Task Two_who_create_the_same_name_at_once_get_one_object()
    {
        var attempts = Enumerable.Range(0, 8).Select(async _ =>
        {
            try
            {
                await _world.NewProjectAsync("same");
                return true;
            }
            catch (FaultException fault) when (fault.Reason == ErrorReason.AlreadyExists)
            {
                return false;
            }
        });

        Assert.Single(await Task.WhenAll(attempts), made => made);
    }

    private static async Task<ErrorReason> ReasonAsync(Func<Task> attempt) => (await Assert.ThrowsAsync<FaultException>(attempt)).Reason;

    private Task<Role> NewRoleAsync(string name) => _world.Roles.CreateAsync(_world.Admin, new RoleDraft(name, null, null, null, null), "", None);

    private Task<Project> EnableAsync(Project project, bool enabled) => _world.Projects.UpdateAsync(
        _world.Admin, project.Id, isDomain: false, new ProjectPatch { Enabled = Change.To(enabled) }, None);

    private async Task<Nephos.Kernel.Operations.OperationContext> UnscopedAsync(User user) =>
        await _world.CallerAsync((await _world.LoginAsync(user)).Token);
}
