using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Nephos.Hosting.Discovery;

internal static class DiscoveryRegistration
{
    public static void AddDiscovery(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddNephosOptions<ConsulOptions>(ConsulOptions.Section);
        if (string.IsNullOrEmpty(configuration[$"{ConsulOptions.Section}:{nameof(ConsulOptions.Address)}"]))
        {
            services.AddSingleton<IServiceDirectory, ConfiguredServices>();
            return;
        }
        services.AddSingleton(provider => new ConsulAgent(ClientOf(provider.GetRequiredService<ConsulOptions>())));
        services.AddSingleton<ConsulServices>();
        services.AddSingleton<IServiceDirectory>(provider => provider.GetRequiredService<ConsulServices>());
        services.AddHostedService(provider => provider.GetRequiredService<ConsulServices>());
    }

    // It lives as long as the process.
    private static HttpClient ClientOf(ConsulOptions options)
    {
        var client = new HttpClient(new SocketsHttpHandler { UseProxy = false, ActivityHeadersPropagator = null })
        {
            BaseAddress = options.Address,
            // A query is held open for its wait and up to a sixteenth more.
            Timeout = ConsulAgent.MaxWait * 1.25,
        };
        if (options.TokenFile.Length > 0)
        {
            client.DefaultRequestHeaders.Add("X-Consul-Token", File.ReadAllText(options.TokenFile).Trim());
        }
        return client;
    }
}
