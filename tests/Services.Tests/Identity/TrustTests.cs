using Nephos.Identity.ApplicationCredentials;
using Nephos.Identity.Assignments;
using Nephos.Identity.Projects;
using Nephos.Identity.Tokens;
using Nephos.Identity.Trusts;
using Nephos.Identity.Users;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Identity;

public sealed class TrustTests : IAsyncLifetime
{
    private static readonly CancellationToken None = CancellationToken.None;

    private IdentityWorld _world = null!;
    private User _trustor = null!;
    private User _trustee = null!;
    private Project _project = null!;
    private OperationContext _lender = null!;

    private TrustService Trusts => _world.Get<TrustService>();

    public async Task InitializeAsync()
    {
        _world = await IdentityWorld.StartAsync();
        (_trustor, _project) = await _world.NewMemberAsync();
        _trustee = await _world.NewUserAsync("bob");
        _lender = await _world.CallerAsync((await _world.LoginAsync(_trustor, _project)).Token);
    }

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_trustee_gets_the_roles_lent_in_the_project_and_no_more(bool impersonation)
    {
        var trust = await LendAsync(impersonation: impersonation);

        var (token, description) = await UseAsync(trust);

        var caller = await _world.CallerAsync(token);
        Assert.Equal((impersonation ? _trustor.Id : _trustee.Id, _project.Id), (caller.UserId, caller.ProjectId));
        Assert.Equal(["reader"], caller.Roles);
        Assert.True(caller.IsRestricted);
        Assert.Equal(trust.Id, description.Trust?.Id);
    }

    [Fact]
    public async Task Only_the_trustee_gets_tokens_of_a_trust()
    {
        var trust = await LendAsync();
        var stranger = await _world.NewUserAsync("eve");

        await FailsAsync(ErrorReason.Unauthenticated, () => _world.LoginAsync(stranger, new ScopeRequest.Trust(trust.Id)));
        await FailsAsync(ErrorReason.Unauthenticated, () => _world.LoginAsync(_trustor, new ScopeRequest.Trust(trust.Id)));
        await FailsAsync(ErrorReason.Unauthenticated, () => _world.LoginAsync(_trustee, new ScopeRequest.Trust("no/such")));
    }

    [Fact]
    public async Task A_role_that_the_trustor_has_not_cannot_be_lent()
    {
        await FailsAsync(ErrorReason.NotFound, () => LendAsync(role: "admin"));
        await FailsAsync(ErrorReason.Forbidden, () => Trusts.CreateAsync(_world.Admin, Draft("reader"), "", None));
    }

    [Fact]
    public async Task Tokens_of_a_trust_end_with_it()
    {
        var trust = await LendAsync();
        var (token, _) = await UseAsync(trust);

        await Trusts.DeleteAsync(_lender, trust.Id, None);

        await _world.AssertDeadAsync(token);
        await FailsAsync(ErrorReason.NotFound, () => Trusts.GetAsync(_lender, trust.Id, None));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Tokens_of_a_trust_end_with_the_role_of_the_trustor(bool impersonation)
    {
        var trust = await LendAsync(impersonation: impersonation);
        var (token, _) = await UseAsync(trust);

        await _world.Assignments.RevokeAsync(
            _world.Admin,
            new Assignment(Actor.User(_trustor.Id), Target.Project(_project.Id), (await _world.RoleAsync("member")).Id, Inherited: false), None);

        await _world.AssertDeadAsync(token);
        await FailsAsync(ErrorReason.Unauthenticated, () => UseAsync(trust));
    }

    [Fact]
    public async Task Tokens_of_a_trust_end_when_the_trustee_is_disabled()
    {
        var (token, _) = await UseAsync(await LendAsync(impersonation: true));

        await _world.Users.UpdateAsync(
            _world.Admin, _trustee.Id, new UserPatch { Enabled = global::Nephos.Identity.Shared.Change.To(false) }, None);

        await _world.AssertDeadAsync(token);
    }

    [Fact]
    public async Task A_trust_is_used_up()
    {
        var trust = await LendAsync(uses: 2);
        await UseAsync(trust);
        Assert.Equal(1, (await Trusts.GetAsync(_lender, trust.Id, None)).RemainingUses);

        await UseAsync(trust);

        await FailsAsync(ErrorReason.Unauthenticated, () => UseAsync(trust));
        await FailsAsync(ErrorReason.NotFound, () => Trusts.GetAsync(_lender, trust.Id, None));
    }

    [Fact]
    public async Task Uses_are_taken_one_by_one_when_many_ask_at_once()
    {
        var trust = await LendAsync(uses: 3);

        var results = await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            try
            {
                await UseAsync(trust);
                return true;
            }
            catch (FaultException)
            {
                return false;
            }
        }));

        Assert.Equal(3, results.Count(made => made));
    }

    [Fact]
    public async Task No_token_of_a_trust_outlives_it()
    {
        var end = _world.Time.GetUtcNow() + TimeSpan.FromMinutes(5);
        var trust = await LendAsync(end: end);

        Assert.Equal(end, (await UseAsync(trust)).Description.Claims.ExpiresAt);
        _world.Time.Advance(TimeSpan.FromMinutes(5));

        await FailsAsync(ErrorReason.Unauthenticated, () => UseAsync(trust));
    }

    [Fact]
    public async Task What_was_lent_cannot_be_lent_on_kept_or_carried_elsewhere()
    {
        var (token, _) = await UseAsync(await LendAsync(impersonation: true));
        var borrower = await _world.CallerAsync(token);

        await FailsAsync(ErrorReason.Forbidden, () => Trusts.CreateAsync(borrower, Draft("reader"), "", None));
        await FailsAsync(ErrorReason.Forbidden, () => _world.ApplicationCredentials.CreateAsync(
            borrower, _trustor.Id, new ApplicationCredentialDraft { Name = "x" }, "", None));
        await FailsAsync(ErrorReason.Forbidden, () => _world.AccessKeys.CreateAsync(borrower, _trustor.Id, _project.Id, "", None));
        await FailsAsync(ErrorReason.Unauthenticated, () => _world.Tokens.IssueAsync(
            new TokenRequest { Token = token, Scope = new ScopeRequest.Project(new NamedRef(_project.Id, null, null)) }, None));
    }

    [Fact]
    public async Task A_trust_is_absent_to_others_and_gone_with_its_users()
    {
        var trust = await LendAsync();
        var (stranger, project) = await _world.NewMemberAsync("eve");
        var other = await _world.CallerAsync((await _world.LoginAsync(stranger, project)).Token);

        await FailsAsync(ErrorReason.NotFound, () => Trusts.GetAsync(other, trust.Id, None));
        await FailsAsync(ErrorReason.Forbidden, () => Trusts.ListAsync(other, null, null, None));
        await FailsAsync(ErrorReason.Forbidden, () => Trusts.ListAsync(other, _trustor.Id, null, None));
        Assert.Equal([trust.Id], (await Trusts.ListAsync(_lender, _trustor.Id, null, None)).Select(found => found.Id));

        await _world.Users.DeleteAsync(_world.Admin, _trustee.Id, None);

        Assert.Empty(await Trusts.ListAsync(_world.Admin, null, null, None));
    }

    private static async Task FailsAsync(ErrorReason reason, Func<Task> action) =>
        Assert.Equal(reason, (await Assert.ThrowsAsync<FaultException>(action)).Reason);

    private TrustDraft Draft(string role, bool impersonation = false, int? uses = null, DateTimeOffset? end = null) =>
        new(_trustor.Id, _trustee.Id, _project.Id, impersonation, [(null, role)], end, uses);

    private Task<Trust> LendAsync(bool impersonation = false, string role = "reader", int? uses = null, DateTimeOffset? end = null) =>
        Trusts.CreateAsync(_lender, Draft(role, impersonation, uses, end), "", None);

    private Task<(string Token, TokenDescription Description)> UseAsync(Trust trust) =>
        _world.LoginAsync(_trustee, new ScopeRequest.Trust(trust.Id));
}
