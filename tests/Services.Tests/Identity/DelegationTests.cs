using CsCheck;
using Nephos.Hosting.Authentication;
using Nephos.Identity.ApplicationCredentials;
using Nephos.Identity.Assignments;
using Nephos.Identity.Projects;
using Nephos.Identity.Tokens;
using Nephos.Identity.Users;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Identity;

public sealed class DelegationTests : IAsyncLifetime
{
    private static readonly CancellationToken None = CancellationToken.None;

    private IdentityWorld _world = null!;
    private User _user = null!;
    private Project _project = null!;
    private OperationContext _owner = null!;

    public async Task InitializeAsync()
    {
        _world = await IdentityWorld.StartAsync();
        (_user, _project) = await _world.NewMemberAsync();
        _owner = await _world.CallerAsync((await _world.LoginAsync(_user, _project)).Token);
    }

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Fact]
    public async Task An_application_credential_gives_its_project_and_roles_and_no_more()
    {
        var (credential, secret) = await CreateAsync(_owner, new ApplicationCredentialDraft { Name = "ci", Roles = [(null, "reader")] });

        var (token, description) = await UseAsync(credential, secret);

        var caller = await _world.CallerAsync(token);
        Assert.Equal((_user.Id, _project.Id, credential.Id), (caller.UserId, caller.ProjectId, caller.ApplicationCredentialId));
        Assert.Equal(["reader"], caller.Roles);
        Assert.True(caller.IsRestricted);
        Assert.Equal(["application_credential"], description.Claims.Methods);
    }

    [Fact]
    public async Task A_credential_cannot_be_made_with_roles_the_token_has_not_nor_for_somebody_else()
    {
        var other = await _world.NewUserAsync("bob");

        var role = await Assert.ThrowsAsync<FaultException>(() => CreateAsync(_owner, new ApplicationCredentialDraft { Name = "x", Roles = [(null, "admin")] }));
        var foreign = await Assert.ThrowsAsync<FaultException>(() =>
            _world.ApplicationCredentials.CreateAsync(_owner, other.Id, new ApplicationCredentialDraft { Name = "x" }, "", None));
        var asAdmin = await Assert.ThrowsAsync<FaultException>(() =>
            _world.ApplicationCredentials.CreateAsync(_world.Admin, other.Id, new ApplicationCredentialDraft { Name = "x" }, "", None));

        Assert.Equal(ErrorReason.InvalidArgument, role.Reason);
        Assert.Equal((ErrorReason.Forbidden, ErrorReason.Forbidden), (foreign.Reason, asAdmin.Reason));
    }

    [Fact]
    public async Task Names_are_unique_for_a_user()
    {
        await CreateAsync(_owner, new ApplicationCredentialDraft { Name = "ci" });

        var fault = await Assert.ThrowsAsync<FaultException>(() => CreateAsync(_owner, new ApplicationCredentialDraft { Name = "ci" }));

        Assert.Equal(ErrorReason.AlreadyExists, fault.Reason);
    }

    [Fact]
    public async Task A_credential_works_until_it_expires_and_its_tokens_end_with_it()
    {
        var expiry = _world.Time.GetUtcNow() + TimeSpan.FromMinutes(5);
        var (credential, secret) = await CreateAsync(_owner, new ApplicationCredentialDraft { Name = "ci", ExpiresAt = expiry });

        var (token, description) = await UseAsync(credential, secret);

        Assert.Equal(expiry, description.Claims.ExpiresAt);
        _world.Time.Advance(TimeSpan.FromMinutes(5));
        await _world.AssertDeadAsync(token);
        await Assert.ThrowsAsync<FaultException>(() => UseAsync(credential, secret));
        var past = await Assert.ThrowsAsync<FaultException>(() => CreateAsync(_owner, new ApplicationCredentialDraft { Name = "past", ExpiresAt = expiry }));
        Assert.Equal(ErrorReason.InvalidArgument, past.Reason);
    }

    [Fact]
    public async Task Deleting_a_credential_kills_its_tokens_and_the_access_keys_made_with_it()
    {
        var (credential, secret) = await CreateAsync(_owner, new ApplicationCredentialDraft { Name = "ci", Unrestricted = true });
        var (token, _) = await UseAsync(credential, secret);
        var key = await _world.AccessKeys.CreateAsync(await _world.CallerAsync(token), _user.Id, _project.Id, "", None);
        var day = await DayKeyAsync(key.Access);

        await _world.ApplicationCredentials.DeleteAsync(_owner, _user.Id, credential.Id, None);

        await _world.AssertDeadAsync(token);
        await _world.AssertDeadAsync(day.Token);
        await Assert.ThrowsAsync<FaultException>(() => UseAsync(credential, secret));
        await Assert.ThrowsAsync<FaultException>(() => DayKeyAsync(key.Access));
    }

    [Fact]
    public async Task A_credential_stops_when_its_owner_loses_one_of_its_roles()
    {
        var extra = await _world.GrantAsync(Actor.User(_user.Id), Target.Project(_project.Id), "manager");
        var manager = await _world.CallerAsync((await _world.LoginAsync(_user, _project)).Token);
        var (credential, secret) = await CreateAsync(manager, new ApplicationCredentialDraft { Name = "ci", Roles = [(null, "manager")] });
        var (token, _) = await UseAsync(credential, secret);

        await _world.Assignments.RevokeAsync(_world.Admin, extra, None);

        await _world.AssertDeadAsync(token);
        await Assert.ThrowsAsync<FaultException>(() => UseAsync(credential, secret));
    }

    [Fact]
    public async Task A_restricted_credential_manages_no_credentials()
    {
        var (credential, secret) = await CreateAsync(_owner, new ApplicationCredentialDraft { Name = "ci" });
        var caller = await _world.CallerAsync((await UseAsync(credential, secret)).Token);

        foreach (var attempt in new Func<Task>[]
        {
            () => CreateAsync(caller, new ApplicationCredentialDraft { Name = "child" }),
            () => _world.ApplicationCredentials.DeleteAsync(caller, _user.Id, credential.Id, None),
            () => _world.AccessKeys.CreateAsync(caller, _user.Id, _project.Id, "", None),
            () => _world.Credentials.CreateAsync(caller, (_user.Id, _project.Id, "cert", "blob"), "", None),
        })
        {
            Assert.Equal(ErrorReason.Forbidden, (await Assert.ThrowsAsync<FaultException>(attempt)).Reason);
        }
    }

    [Fact]
    public async Task A_token_with_access_rules_is_hidden_from_those_who_do_not_enforce_them()
    {
        var rule = new AccessRule("compute", "get", "/v2.1/servers");
        var (credential, secret) = await CreateAsync(_owner, new ApplicationCredentialDraft { Name = "ci", AccessRules = [(null, rule)] });
        var (token, _) = await UseAsync(credential, secret);

        var caller = await _world.CallerAsync(token);

        Assert.Equal([rule with { Method = "GET" }], caller.AccessRules);
        await _world.Tokens.ValidateAsync(_world.Admin, token, allowExpired: false, enforcesAccessRules: true, None);
        var fault = await Assert.ThrowsAsync<FaultException>(() =>
            _world.Tokens.ValidateAsync(_world.Admin, token, allowExpired: false, enforcesAccessRules: false, None));
        Assert.Equal(ErrorReason.NotFound, fault.Reason);
        var used = (await _world.ApplicationCredentials.ListRulesAsync(_owner, _user.Id, None)).Single();
        Assert.Equal(ErrorReason.IdentityRefused, (await Assert.ThrowsAsync<FaultException>(() =>
            _world.ApplicationCredentials.DeleteRuleAsync(_owner, _user.Id, used.Id, None))).Reason);
        await _world.ApplicationCredentials.DeleteAsync(_owner, _user.Id, credential.Id, None);
        await _world.ApplicationCredentials.DeleteRuleAsync(_owner, _user.Id, used.Id, None);
    }

    [Fact]
    public async Task The_identity_service_takes_no_token_that_an_access_key_made()
    {
        var key = await _world.AccessKeys.CreateAsync(_owner, _user.Id, _project.Id, "", None);
        var day = await DayKeyAsync(key.Access);
        var caller = await _world.CallerAsync(day.Token);

        Assert.Equal(["member", "reader"], caller.Roles.Order());
        foreach (var attempt in new Func<Task>[]
        {
            () => CreateAsync(caller, new ApplicationCredentialDraft { Name = "child", Unrestricted = true }),
            () => _world.AccessKeys.CreateAsync(caller, _user.Id, _project.Id, "", None),
            () => _world.AccessKeys.ListAsync(caller, _user.Id, None),
            () => _world.Users.GetAsync(caller, _user.Id, None),
            () => _world.Tokens.ListProjectsAsync(caller, None),
        })
        {
            Assert.Equal(ErrorReason.Forbidden, (await Assert.ThrowsAsync<FaultException>(attempt)).Reason);
        }
        await Assert.ThrowsAsync<FaultException>(() => _world.Tokens.IssueAsync(new TokenRequest { Token = day.Token }, None));
    }

    /// <summary>What can be tried with a delegated token; the numbers choose among what is there.</summary>
    private enum Step
    {
        UseCredential,
        Rescope,
        RescopeElsewhere,
        CreateCredential,
        CreateAccessKey,
        CreateAccessKeyElsewhere,
        CreateEc2Credential,
        UseAccessKey,
    }

    [Fact]
    public void No_sequence_of_calls_enlarges_a_delegation()
    {
        // Chains grow by making credentials and using them, so those come often.
        var step = Gen.Frequency(
            (4, Gen.Const(Step.UseCredential)), (4, Gen.Const(Step.CreateCredential)), (2, Gen.Const(Step.UseAccessKey)), (4, Gen.Enum<Step>()));
        var steps = Gen.Select(step, Gen.Int[0, 100], Gen.Bool, Gen.Bool).List[1, 30];
        Gen.Select(steps, Gen.Bool, Gen.Bool).Sample(
            (sequence, unrestricted, expires) => RunAsync(sequence, unrestricted, expires).GetAwaiter().GetResult(), iter: 60, threads: 1);
    }

    private static async Task RunAsync(List<(Step Step, int Pick, bool Flag, bool Other)> sequence, bool unrestricted, bool expires)
    {
        await using var world = await IdentityWorld.StartAsync();
        var (user, project) = await world.NewMemberAsync("alice", "manager");
        var elsewhere = await world.NewProjectAsync("elsewhere");
        await world.GrantAsync(Actor.User(user.Id), Target.Project(elsewhere.Id), "manager");
        await world.GrantAsync(Actor.User(user.Id), Target.Domain("default"), "manager");
        var owner = await world.CallerAsync((await world.LoginAsync(user, project)).Token);
        DateTimeOffset? end = expires ? world.Time.GetUtcNow() + TimeSpan.FromMinutes(30) : null;
        var (root, rootSecret) = await world.ApplicationCredentials.CreateAsync(
            owner, user.Id, new ApplicationCredentialDraft { Name = "root", Roles = [(null, "member")], Unrestricted = unrestricted, ExpiresAt = end }, "", None);
        var credentials = new List<(ApplicationCredential Credential, string Secret)> { (root, rootSecret) };
        var keys = new List<string>();
        var tokens = new List<string>();
        var count = 0;
        foreach (var (step, pick, flag, other) in sequence)
        {
            try
            {
                await DoAsync(step, pick, flag, other);
            }
            catch (FaultException fault) when (fault.Reason is ErrorReason.Forbidden or ErrorReason.Unauthenticated or ErrorReason.InvalidArgument)
            {
            }
            foreach (var token in tokens)
            {
                var claims = (await world.Verifier.FindClaimsAsync(token, None))!;
                Assert.Equal((TokenScopeKind.Project, project.Id), (claims.Scope, claims.ScopeId));
                Assert.Subset(new HashSet<string> { "member", "reader" }, claims.Roles.ToHashSet());
                Assert.NotNull(claims.Delegation);
                Assert.True(end is null || claims.ExpiresAt <= end);
                Assert.True(unrestricted || !claims.Delegation.Unrestricted);
            }
        }

        async Task DoAsync(Step step, int pick, bool flag, bool other)
        {
            var caller = tokens.Count > 0 ? await world.CallerAsync(tokens[pick % tokens.Count]) : null;
            switch (step)
            {
                case Step.UseCredential:
                    var (credential, secret) = credentials[pick % credentials.Count];
                    tokens.Add((await world.Tokens.IssueAsync(
                        new TokenRequest { ApplicationCredential = new ApplicationCredentialProof(credential.Id, null, null, secret), Scope = flag ? Scope(elsewhere) : new ScopeRequest.Default() },
                        None)).Token);
                    break;
                case Step.Rescope when caller is not null:
                    tokens.Add((await world.Tokens.IssueAsync(new TokenRequest { Token = caller.Token, Scope = flag ? Scope(project) : new ScopeRequest.Default() }, None)).Token);
                    break;
                case Step.RescopeElsewhere when caller is not null:
                    ScopeRequest asked = flag ? Scope(elsewhere) : other ? new ScopeRequest.Domain(new DomainRef("default", null)) : new ScopeRequest.Unscoped();
                    tokens.Add((await world.Tokens.IssueAsync(new TokenRequest { Token = caller.Token, Scope = asked }, None)).Token);
                    break;
                case Step.CreateCredential when caller is not null:
                    credentials.Add(await world.ApplicationCredentials.CreateAsync(
                        caller, user.Id,
                        new ApplicationCredentialDraft
                        {
                            Name = $"child {count++}",
                            Unrestricted = true,
                            Roles = flag ? [(null, other ? "manager" : "member")] : null,
                            ExpiresAt = other ? world.Time.GetUtcNow() + TimeSpan.FromDays(1) : null,
                        },
                        "", None));
                    break;
                case Step.CreateAccessKey or Step.CreateAccessKeyElsewhere when caller is not null:
                    var target = step == Step.CreateAccessKey ? project : elsewhere;
                    keys.Add((await world.AccessKeys.CreateAsync(caller, user.Id, target.Id, "", None)).Access);
                    break;
                case Step.CreateEc2Credential when caller is not null:
                    var access = $"key{count++}";
                    await world.Credentials.CreateAsync(
                        caller, (user.Id, flag ? project.Id : elsewhere.Id, "ec2", $$"""{"access":"{{access}}","secret":"s","app_cred_id":"x","trust_id":"y"}"""),
                        "", None);
                    keys.Add(access);
                    break;
                case Step.UseAccessKey when keys.Count > 0:
                    tokens.Add((await world.AccessKeys.GetDayKeyAsync(world.Service, keys[pick % keys.Count], "20300101", "r", "s3", None)).Token);
                    break;
                default:
                    break;
            }
        }

        static ScopeRequest Scope(Project project) => new ScopeRequest.Project(new NamedRef(project.Id, null, null));
    }

    private Task<(ApplicationCredential Credential, string Secret)> CreateAsync(OperationContext caller, ApplicationCredentialDraft draft) =>
        _world.ApplicationCredentials.CreateAsync(caller, _user.Id, draft, "", None);

    private Task<(string Token, TokenDescription Description)> UseAsync(ApplicationCredential credential, string secret) => _world.Tokens.IssueAsync(
        new TokenRequest { ApplicationCredential = new ApplicationCredentialProof(credential.Id, null, null, secret) }, None);

    private Task<Nephos.Identity.Credentials.DayKey> DayKeyAsync(string access) =>
        _world.AccessKeys.GetDayKeyAsync(_world.Service, access, "20300101", "RegionOne", "s3", None);
}
