using Microsoft.Extensions.DependencyInjection;
using Nephos.Hosting.Grpc;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Hosting.Authentication;

internal static class AuthenticationRegistration
{
    /// <summary>Verification of tokens; the identity role replaces <see cref="ITokenAuthority"/> with itself.</summary>
    public static IServiceCollection AddNephosAuthentication(this IServiceCollection services)
    {
        services.AddNephosOptions<ServiceUserOptions>(ServiceUserOptions.Section);
        services.AddNephosClient<Wire.Tokens.TokensClient>("identity");
        services.AddSingleton<RevocationTable>();
        services.AddSingleton<ITokenAuthority, RemoteTokenAuthority>();
        services.AddSingleton<TokenVerifier>();
        services.AddSingleton<ITokenVerifier>(provider => provider.GetRequiredService<TokenVerifier>());
        services.AddHostedService(provider => provider.GetRequiredService<TokenVerifier>());
        services.AddSingleton<IServiceTokenSource, ServiceTokenSource>();
        return services.AddSingleton<Authenticator>();
    }
}
