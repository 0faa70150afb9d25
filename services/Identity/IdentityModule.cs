using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Nephos.Hosting;
using Nephos.Hosting.Authentication;
using Nephos.Hosting.Rest;
using Nephos.Identity.ApplicationCredentials;
using Nephos.Identity.Assignments;
using Nephos.Identity.Bootstrap;
using Nephos.Identity.Catalog;
using Nephos.Identity.Credentials;
using Nephos.Identity.DomainSettings;
using Nephos.Identity.Groups;
using Nephos.Identity.Limits;
using Nephos.Identity.Passwords;
using Nephos.Identity.PolicyDocuments;
using Nephos.Identity.Projects;
using Nephos.Identity.Rest;
using Nephos.Identity.Roles;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Identity.Trusts;
using Nephos.Identity.Users;
using Nephos.Kernel.Reconciliation;
using Nephos.Kernel.State;

namespace Nephos.Identity;

/// <summary>The identity role: who may do what, and where the services are.</summary>
public static class IdentityModule
{
    public static void AddIdentity(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddStateTables(typeof(IdentityModule).Assembly);
        services.AddNephosOptions<IdentityOptions>("Identity");
        AddIdentityServices(services);
        services.AddHostedService<BootstrapStarter>();
    }

    public static void MapIdentity(this WebApplication app)
    {
        app.MapGrpcService<TokensGrpcService>();
        app.MapGrpcService<DomainsGrpcService>();
        app.MapGrpcService<ProjectsGrpcService>();
        app.MapGrpcService<UsersGrpcService>();
        app.MapGrpcService<GroupsGrpcService>();
        app.MapGrpcService<RolesGrpcService>();
        app.MapGrpcService<AssignmentsGrpcService>();
        app.MapGrpcService<CatalogGrpcService>();
        app.MapGrpcService<ApplicationCredentialsGrpcService>();
        app.MapGrpcService<CredentialsGrpcService>();
        app.MapGrpcService<Ec2CredentialsGrpcService>();
        app.MapGrpcService<TrustsGrpcService>();
        app.MapGrpcService<LimitsGrpcService>();
        app.MapGrpcService<PoliciesGrpcService>();
        var rest = app.MapRest(IdentityDialect.Instance);
        VersionEndpoints.Map(rest);
        TokenEndpoints.Map(rest);
        ProjectEndpoints.Map(rest);
        UserEndpoints.Map(rest);
        GroupEndpoints.Map(rest);
        RoleEndpoints.Map(rest);
        AssignmentEndpoints.Map(rest);
        CatalogEndpoints.Map(rest);
        ApplicationCredentialEndpoints.Map(rest);
        CredentialEndpoints.Map(rest);
        TrustEndpoints.Map(rest);
        LimitEndpoints.Map(rest);
        PolicyDocumentEndpoints.Map(rest);
        DomainSettingsEndpoints.Map(rest);
    }

    /// <summary>Everything but the options and what starts by itself.</summary>
    internal static void AddIdentityServices(IServiceCollection services)
    {
        services.AddTableCache(IdentityTables.Projects);
        services.AddTableCache(IdentityTables.Users);
        services.AddTableCache(IdentityTables.Groups);
        services.AddTableCache(IdentityTables.Roles);
        services.AddTableCache(IdentityTables.Implications);
        services.AddTableCache(IdentityTables.Regions);
        services.AddTableCache(IdentityTables.Services);
        services.AddTableCache(IdentityTables.Endpoints);
        services.AddTableCache(IdentityTables.Revocations);
        services.AddTableCache(IdentityTables.SigningKeys);
        services.AddSingleton<IdentityCaches>();
        services.AddSingleton<DirectoryView>();
        services.AddSingleton<SecretFiles>();
        services.AddSingleton(provider => new CloudKey(provider.GetRequiredService<SecretFiles>()));
        services.AddSingleton<PasswordHasher>();
        services.AddSingleton<PasswordRules>();
        services.AddSingleton<IdentityWrites>();
        services.AddSingleton<Leftovers>();
        services.AddSingleton<EffectiveRoles>();
        services.AddSingleton<SigningKeyring>();
        services.AddSingleton<LocalTokenAuthority>();
        services.AddSingleton<ITokenAuthority>(provider => provider.GetRequiredService<LocalTokenAuthority>());
        services.AddSingleton<PasswordAuthentication>();
        services.AddSingleton<TokenIssuer>();
        services.AddSingleton<TokenService>();
        services.AddSingleton<CatalogBuilder>();
        services.AddSingleton<CatalogService>();
        services.AddSingleton<ProjectService>();
        services.AddSingleton<UserService>();
        services.AddSingleton<GroupService>();
        services.AddSingleton<RoleService>();
        services.AddSingleton<AssignmentService>();
        services.AddSingleton<AssignmentQuery>();
        services.AddSingleton<ApplicationCredentialService>();
        services.AddSingleton<CredentialService>();
        services.AddSingleton<Ec2Service>();
        services.AddSingleton<TrustService>();
        services.AddSingleton<LimitService>();
        services.AddSingleton<PolicyDocumentService>();
        services.AddSingleton<SettingsCatalog>();
        services.AddSingleton<DomainSettingsService>();
        services.AddSingleton<Bootstrapper>();
        services.AddReconciler<SigningKeyReconciler>();
        services.AddReconciler<LeftoversReconciler>();
    }

    /// <summary>Before anything else of the process starts, so that no other service ever meets a cloud without itself in it.</summary>
    private sealed class BootstrapStarter(Bootstrapper bootstrapper) : IHostedLifecycleService
    {
        public Task StartingAsync(CancellationToken cancellationToken) => bootstrapper.RunAsync(cancellationToken);

        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
