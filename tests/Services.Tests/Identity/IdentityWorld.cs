using System.Collections.Frozen;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Nephos.Hosting;
using Nephos.Hosting.Authentication;
using Nephos.Identity;
using Nephos.Identity.ApplicationCredentials;
using Nephos.Identity.Assignments;
using Nephos.Identity.Bootstrap;
using Nephos.Identity.Catalog;
using Nephos.Identity.Credentials;
using Nephos.Identity.Groups;
using Nephos.Identity.Projects;
using Nephos.Identity.Roles;
using Nephos.Identity.Tokens;
using Nephos.Identity.Users;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.State;
using Xunit;
using Role = Nephos.Identity.Roles.Role;

namespace Nephos.Services.Tests.Identity;

/// <summary>The whole identity service over a store in memory, bootstrapped, with a clock of the test.</summary>
internal sealed class IdentityWorld : IAsyncDisposable
{
    public const string Password = "correct horse";

    private readonly ServiceProvider _services;
    private readonly List<IHostedService> _started = [];

    private IdentityWorld(IdentityOptions options, FakeTimeProvider time, string directory)
    {
        Time = time;
        Options = options;
        Nephos = new NephosOptions { StateDirectory = directory };
        Store = StateRegistration.Open(new StateStoreOptions { Engine = StateEngine.Memory }, time, NullLoggerFactory.Instance);
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddSingleton<TimeProvider>(time);
        services.AddSingleton(Store);
        services.AddSingleton(options);
        services.AddSingleton(Nephos);
        services.AddSingleton(new ServiceUserOptions());
        services.AddSingleton<RevocationTable>();
        services.AddSingleton<TokenVerifier>();
        IdentityModule.AddIdentityServices(services);
        _services = services.BuildServiceProvider();
    }

    public FakeTimeProvider Time { get; }

    public IdentityOptions Options { get; }

    public NephosOptions Nephos { get; }

    public IStateStore Store { get; }

    public TokenService Tokens => Get<TokenService>();

    public TokenVerifier Verifier => Get<TokenVerifier>();

    public ProjectService Projects => Get<ProjectService>();

    public UserService Users => Get<UserService>();

    public GroupService Groups => Get<GroupService>();

    public RoleService Roles => Get<RoleService>();

    public AssignmentService Assignments => Get<AssignmentService>();

    public ApplicationCredentialService ApplicationCredentials => Get<ApplicationCredentialService>();

    public Ec2Service AccessKeys => Get<Ec2Service>();

    public CredentialService Credentials => Get<CredentialService>();

    public CatalogService Catalog => Get<CatalogService>();

    /// <summary>An administrator, as a verified token would make one.</summary>
    public OperationContext Admin { get; } = Caller("admin-of-the-test", "admin", "manager", "member", "reader");

    /// <summary>Another service.</summary>
    public OperationContext Service { get; } = Caller("service-of-the-test", "service") with { IsService = true };

    public static async Task<IdentityWorld> StartAsync(Action<IdentityOptions>? configure = null)
    {
        // The cheapest hash there is: these tests are not about its cost.
        var options = new IdentityOptions { Argon2MemoryKiB = 64, Argon2Iterations = 1, LockoutFailures = 0 };
        configure?.Invoke(options);
        var world = new IdentityWorld(
            options, new FakeTimeProvider(new DateTimeOffset(2030, 1, 1, 12, 0, 0, TimeSpan.Zero)), Directory.CreateTempSubdirectory("nephos-identity-").FullName);
        await world.Get<Bootstrapper>().RunAsync(CancellationToken.None);
        foreach (var service in world._services.GetServices<IHostedService>().Where(service => service is not global::Nephos.Kernel.Reconciliation.Reconciler).Append(world.Verifier))
        {
            await service.StartAsync(CancellationToken.None);
            world._started.Add(service);
        }
        await world.Synchronized();
        return world;
    }

    public T Get<T>()
        where T : notnull => _services.GetRequiredService<T>();

    public async Task<Project> NewProjectAsync(string name, string? parentId = null, string? domainId = null) =>
        await Projects.CreateAsync(Admin, new ProjectDraft { Name = name, ParentId = parentId, DomainId = domainId }, "", CancellationToken.None);

    public async Task<Project> NewDomainAsync(string name) =>
        await Projects.CreateAsync(Admin, new ProjectDraft { Name = name, IsDomain = true }, "", CancellationToken.None);

    public async Task<User> NewUserAsync(string name, string? domainId = null) =>
        await Users.CreateAsync(Admin, new UserDraft { Name = name, DomainId = domainId, Password = Password }, "", CancellationToken.None);

    public async Task<Role> RoleAsync(string name) =>
        (await Roles.ListAsync(Admin, CancellationToken.None)).Single(role => role.Name == name && role.DomainId is null);

    public async Task<Assignment> GrantAsync(Actor actor, Target target, string role, bool inherited = false)
    {
        var assignment = new Assignment(actor, target, (await RoleAsync(role)).Id, inherited);
        await Assignments.GrantAsync(Admin, assignment, CancellationToken.None);
        return assignment;
    }

    /// <summary>A user who is a member of a project, and the project.</summary>
    public async Task<(User User, Project Project)> NewMemberAsync(string name = "alice", string role = "member")
    {
        var project = await NewProjectAsync(name + "s project");
        var user = await NewUserAsync(name);
        await GrantAsync(Actor.User(user.Id), Target.Project(project.Id), role);
        return (user, project);
    }

    public Task<(string Token, TokenDescription Description)> LoginAsync(User user, ScopeRequest? scope = null, string password = Password) =>
        Tokens.IssueAsync(
            new TokenRequest { Password = new PasswordProof(new NamedRef(user.Id, null, null), password), Scope = scope ?? new ScopeRequest.Default() },
            CancellationToken.None);

    public Task<(string Token, TokenDescription Description)> LoginAsync(User user, Project project) =>
        LoginAsync(user, new ScopeRequest.Project(new NamedRef(project.Id, null, null)));

    /// <summary>The caller that a token makes, verified as every service does.</summary>
    public async Task<OperationContext> CallerAsync(string token) =>
        await VerifyAsync(token) ?? throw new InvalidOperationException("The token is not valid.");

    public async Task<OperationContext?> VerifyAsync(string token) => await Verifier.VerifyAsync(token, "req-test", CancellationToken.None);

    public async Task AssertAliveAsync(string token) => Assert.NotNull(await VerifyAsync(token));

    /// <summary>Dead in the process that verifies, and dead when the identity service is asked.</summary>
    public async Task AssertDeadAsync(string token)
    {
        Assert.Null(await VerifyAsync(token));
        Assert.False(await Get<LocalTokenAuthority>().IsValidAsync(token, CancellationToken.None));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var service in _started)
        {
            await service.StopAsync(CancellationToken.None);
        }
        await _services.DisposeAsync();
        await Store.DisposeAsync();
        Directory.Delete(Nephos.StateDirectory, recursive: true);
    }

    private static OperationContext Caller(string userId, params string[] roles) => new()
    {
        RequestId = "req-test",
        UserId = userId,
        ProjectId = "project-of-the-test",
        Roles = roles.ToFrozenSet(StringComparer.Ordinal),
    };

    private async Task Synchronized()
    {
        while (!Verifier.IsCurrent)
        {
            await Task.Yield();
        }
    }
}
