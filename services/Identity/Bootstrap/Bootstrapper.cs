using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Nephos.Hosting;
using Nephos.Hosting.Authentication;
using Nephos.Identity.Assignments;
using Nephos.Identity.Catalog;
using Nephos.Identity.Credentials;
using Nephos.Identity.Passwords;
using Nephos.Identity.Projects;
using Nephos.Identity.Roles;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Identity.Users;
using Role = Nephos.Identity.Roles.Role;
using Nephos.Kernel;
using Nephos.Kernel.State;

namespace Nephos.Identity.Bootstrap;

/// <summary>Makes an empty cloud usable: the default domain, the standard roles, an administrator, a demo user, the catalog.</summary>
/// <remarks>
/// Secrets are written to their files first, then everything goes into one commit with a mark, so a crash at any moment leaves
/// either nothing or all of it, and a second start changes nothing. What is deleted later stays deleted. At each start
/// the endpoints that the cloud made itself follow its address.
/// </remarks>
internal sealed partial class Bootstrapper(
    IStateStore store,
    SecretFiles secrets,
    PasswordHasher hasher,
    CloudKey cloudKey,
    SigningKeyring keyring,
    NephosOptions options,
    ServiceUserOptions serviceUser,
    ILogger<Bootstrapper> logger)
{
    public const string AdminName = "admin", DemoName = "demo";

    /// <summary>What holds the password of a user that was made here.</summary>
    public static string PasswordFile(string user) => $"{user}.password";

    /// <summary>What holds an access key and its secret, one below the other.</summary>
    public static string Ec2File(string user) => $"{user}.ec2";

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await keyring.RotateAsync(now: false, cancellationToken);
        if (await store.GetAsync(IdentityTables.Bootstrap, BootstrapRecord.Key, cancellationToken) is null)
        {
            await CreateAsync(cancellationToken);
        }
        await RefreshCatalogAsync(cancellationToken);
    }

    private async Task CreateAsync(CancellationToken cancellationToken)
    {
        var domain = new Project { Id = Project.DefaultDomainId, Name = "Default", Description = "The default domain", IsDomain = true };
        var (adminProject, demoProject, serviceProject) =
            (NewProject(AdminName, "Administration"), NewProject(DemoName, "Demonstration"), NewProject(serviceUser.ProjectName, "Services"));
        var admin = await NewUserAsync(AdminName, secrets.ReadOrCreate(PasswordFile(AdminName), SecretFiles.NewPassword), adminProject, cancellationToken);
        var demo = await NewUserAsync(DemoName, secrets.ReadOrCreate(PasswordFile(DemoName), SecretFiles.NewPassword), demoProject, cancellationToken);
        var service = await NewUserAsync(
            serviceUser.UserName, secrets.ReadOrCreate(ServiceUserOptions.DefaultPasswordFile, SecretFiles.NewPassword), serviceProject, cancellationToken);
        var roles = StandardRoles();
        var credentials = new[] { NewEc2(AdminName, admin, adminProject), NewEc2(DemoName, demo, demoProject) };
        await store.TransactAsync(
            async transaction =>
            {
                if (await transaction.GetAsync(IdentityTables.Bootstrap, BootstrapRecord.Key, cancellationToken) is not null)
                {
                    return;
                }
                foreach (var project in new[] { domain, adminProject, demoProject, serviceProject })
                {
                    transaction.Insert(IdentityTables.Projects, project);
                }
                foreach (var user in new[] { admin, demo, service })
                {
                    transaction.Insert(IdentityTables.Users, user);
                }
                foreach (var role in roles.Values)
                {
                    transaction.Insert(IdentityTables.Roles, role);
                }
                foreach (var (prior, implied) in new[] { ("admin", "manager"), ("manager", "member"), ("member", "reader") })
                {
                    transaction.Insert(IdentityTables.Implications, new Implication(roles[prior].Id, roles[implied].Id));
                }
                foreach (var (user, target, role) in new[]
                {
                    (admin, Target.Project(adminProject.Id), "admin"),
                    (admin, Target.System, "admin"),
                    (demo, Target.Project(demoProject.Id), "member"),
                    (service, Target.Project(serviceProject.Id), "service"),
                    (service, Target.Project(serviceProject.Id), "admin"),
                })
                {
                    transaction.Insert(
                        IdentityTables.Assignments, new Assignment(Actor.User(user.Id), target, roles[role].Id, Inherited: false));
                }
                foreach (var credential in credentials)
                {
                    transaction.Insert(IdentityTables.Credentials, credential);
                }
                transaction.Insert(IdentityTables.Bootstrap, new BootstrapRecord([]));
            },
            cancellationToken);
        LogCreated(secrets.Directory);
    }

    private static Project NewProject(string name, string description) => new()
    {
        Id = Ids.NewHex(),
        Name = name,
        DomainId = Project.DefaultDomainId,
        ParentId = Project.DefaultDomainId,
        Description = description,
    };

    private async Task<User> NewUserAsync(string name, string password, Project project, CancellationToken cancellationToken) => new()
    {
        Id = Ids.NewHex(),
        Name = name,
        DomainId = Project.DefaultDomainId,
        DefaultProjectId = project.Id,
        Password = new UserPassword(await HashAsync(password, cancellationToken), DateTimeOffset.UnixEpoch, null, MustChange: false),
    };

    /// <summary>These passwords have 190 random bits, so guessing needs no slowing down.</summary>
    private Task<string> HashAsync(string password, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return Task.FromResult(hasher.HashRandom(password));
    }

    private static Dictionary<string, Role> StandardRoles()
    {
        var roles = new Dictionary<string, Role>(StringComparer.Ordinal);
        foreach (var name in new[] { "admin", "manager", "member", "reader", "service" })
        {
            roles[name] = new Role { Id = Ids.NewHex(), Name = name, Options = new JsonObject { ["immutable"] = true } };
        }
        roles["ResellerAdmin"] = new Role { Id = Ids.NewHex(), Name = "ResellerAdmin" };
        return roles;
    }

    private Credential NewEc2(string name, User user, Project project)
    {
        var lines = secrets.ReadOrCreate(Ec2File(name), () => $"{Ids.NewHex()}\n{Ids.NewHex()}{Ids.NewHex()}").Split('\n');
        return Ec2Blob.NewCredential(cloudKey, user.Id, project.Id, lines[0].Trim(), lines[1].Trim(), applicationCredentialId: null);
    }

    /// <summary>Adds services this cloud has learned since, and moves its own endpoints to where it answers now.</summary>
    private async Task RefreshCatalogAsync(CancellationToken cancellationToken)
    {
        var moved = 0;
        await store.TransactAsync(
            async transaction =>
            {
                moved = 0;
                var mark = (await transaction.GetAsync(IdentityTables.Bootstrap, BootstrapRecord.Key, cancellationToken))!;
                var services = await transaction.ListAsync(IdentityTables.Services, "", cancellationToken);
                var endpoints = await transaction.ListAsync(IdentityTables.Endpoints, "", cancellationToken);
                if (mark.ServiceTypes.Count == 0)
                {
                    transaction.Put(IdentityTables.Regions, new Region { Id = options.Region });
                }
                foreach (var own in OwnServices.All.Where(own => !mark.ServiceTypes.Contains(own.Type)))
                {
                    var service = new Service { Id = Ids.NewHex(), Type = own.Type, Name = own.Name, Description = own.Description };
                    transaction.Insert(IdentityTables.Services, service);
                    foreach (var kind in new[] { Endpoint.Public, Endpoint.Internal, Endpoint.Admin })
                    {
                        transaction.Insert(IdentityTables.Endpoints, new Endpoint
                        {
                            Id = Ids.NewHex(),
                            ServiceId = service.Id,
                            RegionId = options.Region,
                            Interface = kind,
                            Url = own.UrlIn(options),
                            IsManaged = true,
                        });
                    }
                }
                transaction.Put(IdentityTables.Bootstrap, mark with
                {
                    ServiceTypes = [.. mark.ServiceTypes.Union(OwnServices.All.Select(own => own.Type))],
                });
                foreach (var endpoint in endpoints.Where(endpoint => endpoint.IsManaged))
                {
                    var type = services.FirstOrDefault(service => service.Id == endpoint.ServiceId)?.Type;
                    if (OwnServices.All.FirstOrDefault(own => own.Type == type)?.UrlIn(options) is { } url && url != endpoint.Url)
                    {
                        transaction.Put(IdentityTables.Endpoints, endpoint with { Url = url });
                        moved++;
                    }
                }
            },
            cancellationToken);
        if (moved > 0)
        {
            LogMoved(moved);
        }
    }

    [LoggerMessage(LogLevel.Information, "The cloud was initialised; its secrets are in {Directory}")]
    private partial void LogCreated(string directory);

    [LoggerMessage(LogLevel.Information, "{Count} endpoints moved to the new address of the cloud")]
    private partial void LogMoved(int count);
}
