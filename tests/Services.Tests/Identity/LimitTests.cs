using System.Text.Json.Nodes;
using Nephos.Identity.DomainSettings;
using Nephos.Identity.Limits;
using Nephos.Identity.Shared;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Identity;

public sealed class LimitTests : IAsyncLifetime
{
    private static readonly CancellationToken None = CancellationToken.None;

    private IdentityWorld _world = null!;
    private string _service = null!;

    private LimitService Limits => _world.Get<LimitService>();

    private DomainSettingsService Settings => _world.Get<DomainSettingsService>();

    public async Task InitializeAsync()
    {
        _world = await IdentityWorld.StartAsync();
        _service = (await _world.Catalog.ListServicesAsync(_world.Admin, None)).Single(service => service.Type == "compute").Id;
    }

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Fact]
    public async Task A_limit_needs_its_registered_limit_which_stays_while_it_is_referred_to()
    {
        var project = await _world.NewProjectAsync("p");
        await FailsAsync(ErrorReason.IdentityRefused, () => Limits.CreateAsync(_world.Admin, [Of(project.Id, "cores", 4)], None));
        var registered = (await Limits.CreateRegisteredAsync(_world.Admin, [Registered("cores", 20)], None)).Single();

        var limit = (await Limits.CreateAsync(_world.Admin, [Of(project.Id, "cores", 4)], None)).Single();

        await FailsAsync(ErrorReason.IdentityRefused, () => Limits.DeleteRegisteredAsync(_world.Admin, registered.Id, None));
        Assert.Equal(7, (await Limits.UpdateAsync(_world.Admin, limit.Id, 7, default, None)).ResourceLimit);
        await Limits.DeleteAsync(_world.Admin, limit.Id, None);
        await Limits.DeleteRegisteredAsync(_world.Admin, registered.Id, None);
        Assert.Empty(await Limits.ListRegisteredAsync(_world.Admin, None));
    }

    [Fact]
    public async Task Limits_are_made_all_or_none()
    {
        await FailsAsync(ErrorReason.AlreadyExists, () =>
            Limits.CreateRegisteredAsync(_world.Admin, [Registered("cores", 20), Registered("ram", 1), Registered("cores", 21)], None));
        await FailsAsync(ErrorReason.InvalidArgument, () =>
            Limits.CreateRegisteredAsync(_world.Admin, [Registered("cores", 20), Registered("ram", -2)], None));
        await FailsAsync(ErrorReason.InvalidArgument, () =>
            Limits.CreateRegisteredAsync(_world.Admin, [Registered("cores", 20) with { ServiceId = "none" }], None));

        Assert.Empty(await Limits.ListRegisteredAsync(_world.Admin, None));
    }

    [Fact]
    public async Task Projects_see_their_own_limits_and_lose_them_when_they_are_deleted()
    {
        var (user, project) = await _world.NewMemberAsync();
        var (other, elsewhere) = await _world.NewMemberAsync("bob");
        var mine = await _world.CallerAsync((await _world.LoginAsync(user, project)).Token);
        var foreign = await _world.CallerAsync((await _world.LoginAsync(other, elsewhere)).Token);
        await Limits.CreateRegisteredAsync(_world.Admin, [Registered("cores", 20)], None);
        var limit = (await Limits.CreateAsync(_world.Admin, [Of(project.Id, "cores", 4)], None)).Single();

        Assert.Single(await Limits.ListAsync(mine, None));
        Assert.Empty(await Limits.ListAsync(foreign, None));
        await FailsAsync(ErrorReason.NotFound, () => Limits.GetAsync(foreign, limit.Id, None));
        await FailsAsync(ErrorReason.Forbidden, () => Limits.UpdateAsync(mine, limit.Id, 100, default, None));

        await _world.Projects.DeleteAsync(_world.Admin, project.Id, isDomain: false, None);

        Assert.Empty(await Limits.ListAsync(_world.Admin, None));
    }

    [Fact]
    public async Task Settings_of_a_domain_merge_and_keep_their_secrets()
    {
        var domain = await _world.NewDomainAsync("d");
        await Settings.ReplaceAsync(_world.Admin, domain.Id, Json("""{"ldap":{"url":"ldap://a","password":"hidden"}}"""), None);

        var merged = await Settings.UpdateAsync(_world.Admin, domain.Id, Json("""{"identity":{"driver":"ldap"},"ldap":{"url":"ldap://b"}}"""), None);

        Assert.Equal("""{"ldap":{"url":"ldap://b"},"identity":{"driver":"ldap"}}""", merged.ToJsonString());
        await FailsAsync(ErrorReason.IdentityRefused, () => Settings.UpdateAsync(_world.Admin, domain.Id, Json("""{"database":{"x":1}}"""), None));
        await FailsAsync(ErrorReason.NotFound, () => Settings.GetAsync(_world.Admin, domain.Id, "ldap", "user", None));
        await Settings.DeleteAsync(_world.Admin, domain.Id, "ldap", null, None);
        await Settings.DeleteAsync(_world.Admin, domain.Id, "identity", null, None);
        await FailsAsync(ErrorReason.NotFound, () => Settings.GetAsync(_world.Admin, domain.Id, null, null, None));
    }

    private static async Task FailsAsync(ErrorReason reason, Func<Task> action) =>
        Assert.Equal(reason, (await Assert.ThrowsAsync<FaultException>(action)).Reason);

    private static JsonObject Json(string text) => JsonNode.Parse(text)!.AsObject();

    private RegisteredLimit Registered(string resource, long amount) =>
        new() { Id = "", ServiceId = _service, ResourceName = resource, DefaultLimit = amount };

    private Limit Of(string projectId, string resource, long amount) =>
        new() { Id = "", ServiceId = _service, ProjectId = projectId, ResourceName = resource, ResourceLimit = amount };
}
