using Nephos.Identity.Bootstrap;
using Nephos.Identity.Catalog;
using Nephos.Identity.Projects;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Xunit;

namespace Nephos.Services.Tests.Identity;

public sealed class BootstrapTests : IAsyncLifetime
{
    private static readonly CancellationToken None = CancellationToken.None;

    private IdentityWorld _world = null!;

    public async Task InitializeAsync() => _world = await IdentityWorld.StartAsync();

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Fact]
    public async Task The_administrator_of_a_new_cloud_logs_in_with_the_password_in_the_file()
    {
        var (token, description) = await LoginAsync("admin");

        Assert.Equal(["admin", "manager", "member", "reader"], description.Claims.Roles);
        Assert.True((await _world.CallerAsync(token)).IsAdmin);
        Assert.Equal(["member", "reader"], (await LoginAsync("demo")).Description.Claims.Roles);
    }

    [Fact]
    public void Secrets_can_be_read_by_their_owner_only()
    {
        var files = Directory.GetFiles(_world.Nephos.SecretsDirectory);

        Assert.Equal(6, files.Length);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(_world.Nephos.SecretsDirectory));
        Assert.All(files, file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file)));
    }

    [Fact]
    public async Task The_access_keys_in_the_files_work()
    {
        foreach (var name in new[] { "admin", "demo" })
        {
            var lines = await File.ReadAllLinesAsync(Path.Combine(_world.Nephos.SecretsDirectory, Bootstrapper.Ec2File(name)));

            var day = await _world.AccessKeys.GetDayKeyAsync(_world.Service, lines[0], "20300101", "RegionOne", "s3", None);

            Assert.Equal(Nephos.Identity.Credentials.AwsSignatures.SigningKey(lines[1], "20300101", "RegionOne", "s3"), day.Key);
            Assert.Equal(name, day.Description.Project!.Name);
        }
    }

    [Fact]
    public async Task Starting_again_changes_nothing()
    {
        var before = await DumpAsync();

        await _world.Get<Bootstrapper>().RunAsync(None);

        Assert.Equal(before, await DumpAsync());
    }

    [Fact]
    public async Task What_an_administrator_deleted_stays_deleted()
    {
        var service = (await _world.Catalog.ListServicesAsync(_world.Admin, None)).Single(service => service.Type == "object-store");
        await _world.Catalog.DeleteServiceAsync(_world.Admin, service.Id, None);
        var demo = (await _world.Projects.ListAsync(_world.Admin, domains: false, None)).Single(project => project.Name == "demo");
        await _world.Projects.DeleteAsync(_world.Admin, demo.Id, isDomain: false, None);

        await _world.Get<Bootstrapper>().RunAsync(None);

        Assert.DoesNotContain(await _world.Catalog.ListServicesAsync(_world.Admin, None), other => other.Type == "object-store");
        Assert.DoesNotContain(await _world.Projects.ListAsync(_world.Admin, domains: false, None), project => project.Name == "demo");
    }

    [Fact]
    public async Task Endpoints_follow_the_address_of_the_cloud_until_somebody_changes_them()
    {
        var compute = (await _world.Catalog.ListServicesAsync(_world.Admin, None)).Single(service => service.Type == "compute");
        var mine = (await _world.Catalog.ListEndpointsAsync(_world.Admin, None)).First(endpoint => endpoint.ServiceId == compute.Id);
        await _world.Catalog.UpdateEndpointAsync(
            _world.Admin, mine.Id, new EndpointPatch(default, default, default, Change.To("http://elsewhere/compute"), default, default, null),
            makesRegion: false, None);

        _world.Nephos.PublicHost = "cloud.example";
        _world.Nephos.PortBase = 9090;
        await _world.Get<Bootstrapper>().RunAsync(None);

        var endpoints = await _world.Catalog.ListEndpointsAsync(_world.Admin, None);
        Assert.Equal("http://elsewhere/compute", endpoints.Single(endpoint => endpoint.Id == mine.Id).Url);
        Assert.All(endpoints.Where(endpoint => endpoint.Id != mine.Id), endpoint => Assert.StartsWith("http://cloud.example:9090/", endpoint.Url));
    }

    [Fact]
    public async Task The_catalog_of_a_token_is_filled_in_and_has_no_place_left()
    {
        var (_, scoped) = await LoginAsync("admin");
        var (_, unscoped) = await LoginAsync("admin", new ScopeRequest.System());

        Assert.Equal(
            ["block-storage", "compute", "identity", "image", "network", "object-store", "volumev3"],
            scoped.Catalog.Select(entry => entry.Service.Type).Order());
        Assert.All(scoped.Catalog.SelectMany(entry => entry.Endpoints), endpoint => Assert.DoesNotContain("$", endpoint.Url));
        Assert.Contains(
            scoped.Catalog.Single(entry => entry.Service.Type == "object-store").Endpoints,
            endpoint => endpoint.Url.EndsWith($"/object/v1/AUTH_{scoped.Project!.Id}", StringComparison.Ordinal));
        Assert.Empty(unscoped.Catalog.Single(entry => entry.Service.Type == "volumev3").Endpoints);
    }

    [Theory]
    [InlineData("http://h/$(project_id)s/x", "http://h/p/x")]
    [InlineData("http://h/%(tenant_id)s/%(user_id)s", "http://h/p/u")]
    [InlineData("http://h/plain", "http://h/plain")]
    [InlineData("http://h/$(secret)s", null)]
    public void Urls_are_filled_in(string url, string? filled) => Assert.Equal(filled, EndpointUrl.Fill(url, "p", "u"));

    private Task<(string Token, TokenDescription Description)> LoginAsync(string name, ScopeRequest? scope = null) => _world.Tokens.IssueAsync(
        new TokenRequest
        {
            Password = new PasswordProof(
                new NamedRef(null, name, new DomainRef(Project.DefaultDomainId, null)),
                File.ReadAllText(Path.Combine(_world.Nephos.SecretsDirectory, Bootstrapper.PasswordFile(name))).Trim()),
            Scope = scope ?? new ScopeRequest.Default(),
        },
        None);

    private async Task<string> DumpAsync() => string.Join('\n', (await _world.Store.ScanAsync("identity/", "identity0", 10_000, None)).Entries
        .Select(entry => $"{entry.Key}={Convert.ToBase64String(entry.Value.Span)}"));
}
