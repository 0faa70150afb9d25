using System.Security.Cryptography;
using System.Text;
using Nephos.Hosting.Authentication;
using Nephos.Identity.Assignments;
using Nephos.Identity.Groups;
using Nephos.Identity.Projects;
using Nephos.Identity.Roles;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Identity.Users;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Identity;

public sealed class TokenTests : IAsyncLifetime
{
    private static readonly CancellationToken None = CancellationToken.None;

    private IdentityWorld _world = null!;

    public async Task InitializeAsync() => _world = await IdentityWorld.StartAsync();

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Fact]
    public async Task A_member_gets_a_token_for_the_project_with_implied_roles()
    {
        var (user, project) = await _world.NewMemberAsync();

        var (token, description) = await _world.LoginAsync(user, project);

        var caller = await _world.CallerAsync(token);
        Assert.Equal(user.Id, caller.UserId);
        Assert.Equal(project.Id, caller.ProjectId);
        Assert.Equal(["member", "reader"], caller.Roles.Order());
        Assert.Equal(["password"], description.Claims.Methods);
        Assert.Contains(description.Catalog, entry => entry.Service.Type == "compute");
        Assert.True(token.Length <= 1200, $"{token.Length} characters");
    }

    [Fact]
    public async Task Without_a_scope_the_default_project_is_taken_when_the_user_has_a_role_there()
    {
        var (user, project) = await _world.NewMemberAsync();
        Assert.Equal(TokenScopeKind.Unscoped, (await _world.LoginAsync(user)).Description.Claims.Scope);

        await _world.Users.UpdateAsync(_world.Admin, user.Id, new UserPatch { DefaultProjectId = Change.To(project.Id) }, None);

        Assert.Equal(project.Id, (await _world.LoginAsync(user)).Description.Claims.ScopeId);
        Assert.Equal(TokenScopeKind.Unscoped, (await _world.LoginAsync(user, new ScopeRequest.Unscoped())).Description.Claims.Scope);
    }

    [Fact]
    public async Task A_foreign_an_unknown_and_a_disabled_project_are_refused_alike()
    {
        var (user, own) = await _world.NewMemberAsync();
        var foreign = await _world.NewProjectAsync("foreign");
        await _world.Projects.UpdateAsync(_world.Admin, own.Id, isDomain: false, new ProjectPatch { Enabled = Change.To(false) }, None);

        foreach (var id in new[] { foreign.Id, "unknown", own.Id, "", "a/b", new string('x', 300) })
        {
            var fault = await Assert.ThrowsAsync<FaultException>(() =>
                _world.LoginAsync(user, new ScopeRequest.Project(new NamedRef(id, null, null))));
            Assert.Equal(ErrorReason.Unauthenticated, fault.Reason);
        }
    }

    [Fact]
    public async Task An_unknown_user_a_wrong_password_and_a_disabled_user_are_refused_with_the_same_words()
    {
        var user = await _world.NewUserAsync("alice");
        var disabled = await _world.NewUserAsync("bob");
        await _world.Users.UpdateAsync(_world.Admin, disabled.Id, new UserPatch { Enabled = Change.To(false) }, None);

        var faults = new[]
        {
            await Assert.ThrowsAsync<FaultException>(() => _world.LoginAsync(user, password: "wrong")),
            await Assert.ThrowsAsync<FaultException>(() => _world.LoginAsync(user with { Id = "unknown" })),
            await Assert.ThrowsAsync<FaultException>(() => _world.LoginAsync(disabled)),
        };

        Assert.All(faults, fault => Assert.Equal((faults[0].Reason, faults[0].Message), (fault.Reason, fault.Message)));
        Assert.Equal(ErrorReason.Unauthenticated, faults[0].Reason);
    }

    [Fact]
    public async Task A_token_made_from_a_token_keeps_the_expiry_and_names_the_first()
    {
        var (user, project) = await _world.NewMemberAsync();
        var (first, firstDescription) = await _world.LoginAsync(user);
        _world.Time.Advance(TimeSpan.FromMinutes(10));

        var (_, second) = await RescopeAsync(first, project);
        var (_, third) = await RescopeAsync((await RescopeAsync(first, project)).Token, project);

        Assert.Equal(firstDescription.Claims.ExpiresAt, second.Claims.ExpiresAt);
        Assert.Equal(["password", "token"], second.Claims.Methods);
        Assert.Equal([second.Claims.TokenId, firstDescription.Claims.TokenId], second.AuditIds);
        Assert.Equal(firstDescription.Claims.TokenId, third.AuditIds[1]);
    }

    [Fact]
    public async Task A_token_dies_when_its_time_is_over()
    {
        var (user, project) = await _world.NewMemberAsync();
        var (token, _) = await _world.LoginAsync(user, project);
        _world.Time.Advance(_world.Options.TokenLifetime - TimeSpan.FromSeconds(1));
        await _world.AssertAliveAsync(token);

        _world.Time.Advance(TimeSpan.FromSeconds(1));

        await _world.AssertDeadAsync(token);
        var fault = await Assert.ThrowsAsync<FaultException>(() =>
            _world.Tokens.ValidateAsync(_world.Admin, token, allowExpired: false, enforcesAccessRules: true, None));
        Assert.Equal(ErrorReason.NotFound, fault.Reason);
        await _world.Tokens.ValidateAsync(_world.Admin, token, allowExpired: true, enforcesAccessRules: true, None);
        _world.Time.Advance(SigningKeyring.ExpiredWindow);
        await Assert.ThrowsAsync<FaultException>(() =>
            _world.Tokens.ValidateAsync(_world.Admin, token, allowExpired: true, enforcesAccessRules: true, None));
    }

    [Fact]
    public async Task A_revoked_token_dies_alone()
    {
        var (user, project) = await _world.NewMemberAsync();
        var (token, _) = await _world.LoginAsync(user, project);
        var (other, _) = await _world.LoginAsync(user, project);
        await _world.AssertAliveAsync(token);

        await _world.Tokens.RevokeAsync(await _world.CallerAsync(token), token, None);

        await _world.AssertDeadAsync(token);
        await _world.AssertAliveAsync(other);
        Assert.Equal(ErrorReason.NotFound, (await Assert.ThrowsAsync<FaultException>(() => RescopeAsync(token, project))).Reason);
    }

    [Fact]
    public async Task Nobody_but_its_user_administrators_and_services_may_revoke_or_describe_a_token()
    {
        var (alice, project) = await _world.NewMemberAsync();
        var (bob, bobsProject) = await _world.NewMemberAsync("bob");
        var (token, _) = await _world.LoginAsync(alice, project);
        var stranger = await _world.CallerAsync((await _world.LoginAsync(bob, bobsProject)).Token);

        Assert.Equal(ErrorReason.Forbidden, (await Assert.ThrowsAsync<FaultException>(() => _world.Tokens.RevokeAsync(stranger, token, None))).Reason);
        Assert.Equal(ErrorReason.Forbidden, (await Assert.ThrowsAsync<FaultException>(() =>
            _world.Tokens.ValidateAsync(stranger, token, allowExpired: false, enforcesAccessRules: true, None))).Reason);
        await _world.AssertAliveAsync(token);
    }

    [Fact]
    public async Task A_forged_token_is_refused()
    {
        var (user, project) = await _world.NewMemberAsync();
        var (token, description) = await _world.LoginAsync(user, project);
        var keyId = _world.Get<SigningKeyring>().Current.KeyId;
        using var strange = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var parts = token.Split('.');
        var asAdmin = description.Claims with { Roles = ["admin"] };

        foreach (var forged in new[]
        {
            TokenCodec.Encode(asAdmin, TokenSigningKey.FromPrivate(keyId, strange.ExportPkcs8PrivateKey())),
            TokenCodec.Encode(asAdmin, TokenSigningKey.FromPrivate("unknown", strange.ExportPkcs8PrivateKey())),
            $"{parts[0]}.{Changed(parts[1], "member", "admin")}.{parts[2]}",
            $"{Encoded("{\"alg\":\"none\",\"kid\":\"" + keyId + "\"}")}.{parts[1]}.",
            $"{Encoded("{\"alg\":\"HS256\",\"kid\":\"" + keyId + "\"}")}.{parts[1]}.{parts[2]}",
            $"{parts[0]}.{parts[1]}.{new string('A', parts[2].Length)}",
            $"{parts[0]}.{parts[1]}", token + "A", token[..^1], "", ".", "..", "a.b.c", "\u00e9.b.c", new string('A', 9000),
        })
        {
            Assert.Null(await _world.VerifyAsync(forged));
        }
        await _world.AssertAliveAsync(token);

        static string Encoded(string json) => Convert.ToBase64String(Encoding.UTF8.GetBytes(json)).TrimEnd('=').Replace('+', '-').Replace('/', '_');

        static string Changed(string part, string from, string to) => Encoded(Encoding.UTF8.GetString(
            System.Buffers.Text.Base64Url.DecodeFromChars(part)).Replace(from, to, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_password_change_kills_every_token_of_the_user_and_no_other()
    {
        var (alice, project) = await _world.NewMemberAsync();
        var (bob, bobsProject) = await _world.NewMemberAsync("bob");
        var (scoped, _) = await _world.LoginAsync(alice, project);
        var (unscoped, _) = await _world.LoginAsync(alice);
        var (bobs, _) = await _world.LoginAsync(bob, bobsProject);

        await _world.Users.ChangePasswordAsync(alice.Id, IdentityWorld.Password, "another password", None);

        await _world.AssertDeadAsync(scoped);
        await _world.AssertDeadAsync(unscoped);
        await _world.AssertAliveAsync(bobs);
        Assert.Equal(ErrorReason.NotFound, (await Assert.ThrowsAsync<FaultException>(() => RescopeAsync(unscoped, project))).Reason);
        await Assert.ThrowsAsync<FaultException>(() => _world.LoginAsync(alice, project));
        await _world.AssertAliveAsync((await _world.LoginAsync(alice, password: "another password")).Token);
    }

    [Fact]
    public async Task Taking_a_role_away_kills_the_tokens_of_that_project_only()
    {
        var (user, project) = await _world.NewMemberAsync();
        var other = await _world.NewProjectAsync("other");
        await _world.GrantAsync(Actor.User(user.Id), Target.Project(other.Id), "reader");
        var extra = await _world.GrantAsync(Actor.User(user.Id), Target.Project(project.Id), "manager");
        var (token, _) = await _world.LoginAsync(user, project);
        var (otherToken, _) = await _world.LoginAsync(user, other);

        await _world.Assignments.RevokeAsync(_world.Admin, extra, None);

        await _world.AssertDeadAsync(token);
        await _world.AssertAliveAsync(otherToken);
        Assert.Equal(["member", "reader"], (await _world.LoginAsync(user, project)).Description.Claims.Roles);
    }

    public static TheoryData<string> Ends => new(
        "user disabled", "user deleted", "project disabled", "project deleted", "domain disabled", "group left", "group deleted",
        "group's role taken", "inherited role taken", "implication deleted", "role deleted", "everything of the project revoked");

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task A_token_dies_with_what_it_stands_on(string end)
    {
        var domain = await _world.NewDomainAsync("company");
        var project = await _world.NewProjectAsync("work", domainId: domain.Id);
        var user = await _world.NewUserAsync("carol", domain.Id);
        var group = await _world.Groups.CreateAsync(_world.Admin, new GroupDraft("crew", domain.Id, null, null), "", None);
        await _world.Groups.AddMemberAsync(_world.Admin, group.Id, user.Id, None);
        var custom = await _world.Roles.CreateAsync(_world.Admin, new RoleDraft("operator", null, null, null, null), "", None);
        var auditor = await _world.Roles.CreateAsync(_world.Admin, new RoleDraft("auditor", null, null, null, null), "", None);
        await _world.Roles.ImplyAsync(_world.Admin, custom.Id, auditor.Id, None);
        await _world.GrantAsync(Actor.User(user.Id), Target.Project(project.Id), "operator");
        var ofGroup = await _world.GrantAsync(Actor.Group(group.Id), Target.Project(project.Id), "reader");
        var inherited = await _world.GrantAsync(Actor.User(user.Id), Target.Domain(domain.Id), "member", inherited: true);
        var (token, description) = await _world.LoginAsync(user, project);
        Assert.Equal(["auditor", "member", "operator", "reader"], description.Claims.Roles);
        await _world.AssertAliveAsync(token);

        switch (end)
        {
            case "user disabled":
                await _world.Users.UpdateAsync(_world.Admin, user.Id, new UserPatch { Enabled = Change.To(false) }, None);
                break;
            case "user deleted":
                await _world.Users.DeleteAsync(_world.Admin, user.Id, None);
                break;
            case "project disabled":
                await _world.Projects.UpdateAsync(_world.Admin, project.Id, isDomain: false, new ProjectPatch { Enabled = Change.To(false) }, None);
                break;
            case "project deleted":
                await _world.Projects.DeleteAsync(_world.Admin, project.Id, isDomain: false, None);
                break;
            case "domain disabled":
                await _world.Projects.UpdateAsync(_world.Admin, domain.Id, isDomain: true, new ProjectPatch { Enabled = Change.To(false) }, None);
                break;
            case "group left":
                await _world.Groups.RemoveMemberAsync(_world.Admin, group.Id, user.Id, None);
                break;
            case "group deleted":
                await _world.Groups.DeleteAsync(_world.Admin, group.Id, None);
                break;
            case "group's role taken":
                await _world.Assignments.RevokeAsync(_world.Admin, ofGroup, None);
                break;
            case "inherited role taken":
                await _world.Assignments.RevokeAsync(_world.Admin, inherited, None);
                break;
            case "implication deleted":
                await _world.Roles.DeleteImplicationAsync(_world.Admin, custom.Id, auditor.Id, None);
                break;
            case "role deleted":
                await _world.Roles.DeleteAsync(_world.Admin, custom.Id, None);
                break;
            case "everything of the project revoked":
                await _world.Tokens.RevokeAllAsync(_world.Admin, RevocationSubject.Project(project.Id), None);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(end), end, "Not covered.");
        }

        await _world.AssertDeadAsync(token);
    }

    [Fact]
    public async Task A_token_made_after_a_revocation_lives_also_when_the_revocation_was_forgotten_and_comes_again()
    {
        var (user, project) = await _world.NewMemberAsync();
        var subject = RevocationSubject.User(user.Id);
        await _world.Tokens.RevokeAllAsync(_world.Admin, subject, None);
        // Within the same millisecond.
        var (between, _) = await _world.LoginAsync(user, project);
        await _world.AssertAliveAsync(between);

        _world.Time.Advance(IdentityWrites.MaxTokenLifetime - TimeSpan.FromMinutes(1));
        var (late, _) = await _world.LoginAsync(user, project);
        _world.Time.Advance(TimeSpan.FromMinutes(2));
        await _world.Get<Nephos.Identity.LeftoversReconciler>().RunPassAsync(None);
        Assert.Null(await Nephos.Kernel.State.TableReads.GetAsync(_world.Store, Nephos.Identity.IdentityTables.Revocations, subject, None));
        await _world.AssertAliveAsync(late);

        await _world.Tokens.RevokeAllAsync(_world.Admin, subject, None);

        await _world.AssertDeadAsync(late);
    }

    [Fact]
    public async Task Tokens_of_a_retired_key_live_until_they_expire_and_new_ones_have_the_new_key()
    {
        var (user, project) = await _world.NewMemberAsync();
        var (old, _) = await _world.LoginAsync(user, project);
        var before = _world.Get<SigningKeyring>().Current.KeyId;

        await _world.Tokens.RotateSigningKeyAsync(_world.Admin, None);

        Assert.NotEqual(before, _world.Get<SigningKeyring>().Current.KeyId);
        await _world.AssertAliveAsync(old);
        await _world.AssertAliveAsync((await _world.LoginAsync(user, project)).Token);
        _world.Time.Advance(IdentityWrites.MaxTokenLifetime + SigningKeyring.ExpiredWindow + TimeSpan.FromSeconds(1));
        await _world.Get<SigningKeyReconciler>().RunPassAsync(None);
        await _world.Get<SigningKeyring>().CatchUpAsync(None);
        Assert.DoesNotContain(_world.Get<SigningKeyring>().Keys, key => key.KeyId == before);
    }

    [Fact]
    public async Task Domain_and_system_tokens_need_a_role_there()
    {
        var user = await _world.NewUserAsync("dave");
        var domain = new ScopeRequest.Domain(new DomainRef("default", null));
        await Assert.ThrowsAsync<FaultException>(() => _world.LoginAsync(user, domain));
        await Assert.ThrowsAsync<FaultException>(() => _world.LoginAsync(user, new ScopeRequest.System()));

        await _world.GrantAsync(Actor.User(user.Id), Target.Domain("default"), "manager");
        await _world.GrantAsync(Actor.User(user.Id), Target.System, "reader");

        Assert.Equal("default", (await _world.CallerAsync((await _world.LoginAsync(user, domain)).Token)).DomainId);
        Assert.True((await _world.CallerAsync((await _world.LoginAsync(user, new ScopeRequest.System())).Token)).IsSystemScoped);
    }

    private Task<(string Token, TokenDescription Description)> RescopeAsync(string token, Project project) => _world.Tokens.IssueAsync(
        new TokenRequest { Token = token, Scope = new ScopeRequest.Project(new NamedRef(project.Id, null, null)) }, None);
}
