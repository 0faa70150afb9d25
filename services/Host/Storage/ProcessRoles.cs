using Nephos.Hosting;

namespace Nephos.Host.Storage;

/// <summary>Which other roles the process has; what a role needs of storage depends on it.</summary>
internal static class ProcessRoles
{
    /// <summary>While the process is put together.</summary>
    public static bool HasRole(this WebApplicationBuilder builder, string role)
    {
        var options = new NephosOptions();
        builder.Configuration.GetSection(NephosOptions.Section).Bind(options);
        return HasRole(options, role);
    }

    public static bool HasRole(this WebApplication app, string role) => HasRole(app.Services.GetRequiredService<NephosOptions>(), role);

    private static bool HasRole(NephosOptions options, string role) => options.HasRole(Roles.All.First(known => known.Name == role));
}
