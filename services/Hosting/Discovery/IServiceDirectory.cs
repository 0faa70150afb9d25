namespace Nephos.Hosting.Discovery;

/// <summary>Where services are that other processes serve. Thread-safe.</summary>
public interface IServiceDirectory
{
    /// <summary>The gRPC addresses of the processes that serve it, none while none is known; null when this process serves it itself.</summary>
    IReadOnlyList<Uri>? AddressesOf(string service);
}

/// <summary>Addresses from the configuration: what is named there is elsewhere, everything else here.</summary>
/// <remarks>With certificates of a cluster they are all asked over TLS, since no process of it listens without.</remarks>
internal sealed class ConfiguredServices(NephosOptions options) : IServiceDirectory
{
    private readonly Dictionary<string, IReadOnlyList<Uri>> _addresses =
        options.Services.ToDictionary(service => service.Key, service => Parse(service.Value, options.ClusterCertificateFile is not null), StringComparer.OrdinalIgnoreCase);

    public IReadOnlyList<Uri>? AddressesOf(string service) => _addresses.GetValueOrDefault(service);

    private static IReadOnlyList<Uri> Parse(string addresses, bool isSecure) =>
    [
        .. addresses.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(address => isSecure ? new UriBuilder(address) { Scheme = Uri.UriSchemeHttps }.Uri : new Uri(address)),
    ];
}
