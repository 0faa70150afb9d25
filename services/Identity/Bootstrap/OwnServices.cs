using Nephos.Hosting;

namespace Nephos.Identity.Bootstrap;

/// <summary>A service of this cloud as the catalog lists it.</summary>
/// <param name="Path">Below the root of the front door.</param>
internal sealed record OwnService(string Type, string Name, string Description, string Path)
{
    public string UrlIn(NephosOptions options) => options.TlsCertificateFile is null
        ? $"http://{options.PublicHost}:{options.PublicRestPort ?? options.RestPort}{Path}"
        : $"https://{options.PublicHost}:{options.TlsPort}{Path}";
}

internal static class OwnServices
{
    /// <summary>The names are those that clients of such services expect.</summary>
    public static readonly OwnService[] All =
    [
        new("identity", "keystone", "Identity", "/identity/v3"),
        new("compute", "nova", "Compute", "/compute/v2.1"),
        new("image", "glance", "Images", "/image"),
        new("network", "neutron", "Networking", "/network"),
        new("volumev3", "cinderv3", "Block storage", "/volume/v3/$(project_id)s"),
        new("block-storage", "cinder", "Block storage", "/volume/v3/$(project_id)s"),
        new("object-store", "swift", "Object storage", "/object/v1/AUTH_$(project_id)s"),
    ];
}
