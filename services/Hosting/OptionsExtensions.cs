using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Nephos.Hosting.Configuration;

namespace Nephos.Hosting;

public static class OptionsExtensions
{
    /// <summary>
    /// Binds a configuration section to options that are validated when the process starts, and registers the value itself
    /// as a singleton.
    /// </summary>
    public static OptionsBuilder<T> AddNephosOptions<T>(this IServiceCollection services, string section)
        where T : class, new()
    {
        services.AddSingleton(new OptionsSection(section, typeof(T)));
        services.AddSingleton(provider => provider.GetRequiredService<IOptions<T>>().Value);
        return services.AddOptions<T>().BindConfiguration(section).ValidateDataAnnotations().ValidateOnStart();
    }
}
