using Nephos.Identity.Tokens;

namespace Nephos.Identity.Catalog;

/// <summary>The catalog as a token shows it.</summary>
internal sealed class CatalogBuilder(DirectoryView directory)
{
    /// <summary>Enabled endpoints of enabled services, with their URLs filled in; one whose URL cannot be filled in is left out.</summary>
    public IReadOnlyList<CatalogEntry> Build(string? projectId, string userId)
    {
        var endpoints = directory.Endpoints.Where(endpoint => endpoint.Enabled).ToLookup(endpoint => endpoint.ServiceId, StringComparer.Ordinal);
        return
        [
            .. directory.Services.Where(service => service.Enabled).Select(service => new CatalogEntry(
                service,
                [
                    .. endpoints[service.Id]
                        .Select(endpoint => EndpointUrl.Fill(endpoint.Url, projectId, userId) is { } url ? endpoint with { Url = url } : null)
                        .OfType<Endpoint>(),
                ])),
        ];
    }
}

/// <summary>URLs with places for the project and the user: <c>$(project_id)s</c>, and the same with a percent sign.</summary>
internal static class EndpointUrl
{
    /// <returns>Null when the URL has a place that nothing is known for.</returns>
    public static string? Fill(string url, string? projectId, string userId)
    {
        if (!url.Contains(")s", StringComparison.Ordinal))
        {
            return url;
        }
        foreach (var sign in (ReadOnlySpan<char>)['$', '%'])
        {
            foreach (var name in (ReadOnlySpan<string>)["project_id", "tenant_id", "user_id"])
            {
                var place = $"{sign}({name})s";
                if (!url.Contains(place, StringComparison.Ordinal))
                {
                    continue;
                }
                if ((name == "user_id" ? userId : projectId) is not { } value)
                {
                    return null;
                }
                url = url.Replace(place, value, StringComparison.Ordinal);
            }
        }
        return url.Contains("$(", StringComparison.Ordinal) || url.Contains("%(", StringComparison.Ordinal) ? null : url;
    }
}
