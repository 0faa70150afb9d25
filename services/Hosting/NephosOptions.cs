using System.ComponentModel.DataAnnotations;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Nephos.Hosting;

/// <summary>What every role of a process needs to know. Configuration section <c>Nephos</c>.</summary>
public sealed class NephosOptions : IValidatableObject
{
    public const string Section = "Nephos";

    /// <summary>S3 listens this far above the port base, so that the default base of 8080 gives the usual 9000.</summary>
    public const int S3PortOffset = 920;

    private const string Loopback = "127.0.0.1";

    private ClusterTls? _clusterTls;

    /// <summary>Where everything that must survive a restart lives; made with mode 0700.</summary>
    [Required(AllowEmptyStrings = false)]
    public string StateDirectory { get; set; } = "";

    /// <summary>REST of all services; gRPC is one above, S3 <see cref="S3PortOffset"/> above.</summary>
    [Range(1024, 64_000)]
    public int PortBase { get; set; } = 8080;

    /// <summary>The address listened on.</summary>
    [Required(AllowEmptyStrings = false)]
    public string ListenAddress { get; set; } = "127.0.0.1";

    /// <summary>The host name or address that clients reach this cloud by; written into the catalog.</summary>
    [Required(AllowEmptyStrings = false)]
    public string PublicHost { get; set; } = "127.0.0.1";

    [Required(AllowEmptyStrings = false)]
    [RegularExpression("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", ErrorMessage = "must be a DNS label of lower-case letters, digits and dashes")]
    public string NodeName { get; set; } = "node-1";

    [Required(AllowEmptyStrings = false)]
    public string Region { get; set; } = "RegionOne";

    /// <summary>The roles of this process; none, or <c>all</c>, means every one.</summary>
    public string[] Roles { get; set; } = [];

    /// <summary>
    /// PEM certificate, with those between it and the authority behind it, and key. When given, <see cref="TlsPort"/> serves REST, gRPC and signed
    /// requests of S3 over TLS, and the ports without TLS serve this machine only.
    /// </summary>
    public string? TlsCertificateFile { get; set; }

    public string? TlsKeyFile { get; set; }

    [Range(1, 65_535)]
    public int TlsPort { get; set; } = 8443;

    /// <summary>gRPC addresses of services that run in other processes, by service name, with commas between several; a service not named runs here.</summary>
    public Dictionary<string, string> Services { get; set; } = [];

    /// <summary>
    /// PEM certificate and key of this node, and the authority of the cluster. When given, processes of roles talk to each other and to the
    /// gateway by mutual TLS only; the gateway's own ports stay as they are. See <c>nephos cluster init</c>.
    /// </summary>
    public string? ClusterCertificateFile { get; set; }

    public string? ClusterKeyFile { get; set; }

    public string? ClusterAuthorityFile { get; set; }

    /// <summary>The port of the front door, which the catalog names; that of this process unless a gateway stands before it.</summary>
    [Range(1, 65_535)]
    public int? PublicRestPort { get; set; }

    /// <summary>Where the secrets of this machine's processes are; <c>secrets</c> in the state directory unless several processes share one.</summary>
    [AllowNull]
    public string SecretsDirectory
    {
        get => field ?? Path.Combine(StateDirectory, "secrets");
        set;
    }

    public int RestPort => PortBase;

    public int GrpcPort => PortBase + 1;

    public int S3Port => PortBase + S3PortOffset;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if ((TlsCertificateFile is null) != (TlsKeyFile is null))
        {
            yield return new ValidationResult("give both or none", [nameof(TlsCertificateFile), nameof(TlsKeyFile)]);
        }
        foreach (var (name, file) in new[]
        {
            (nameof(TlsCertificateFile), TlsCertificateFile), (nameof(TlsKeyFile), TlsKeyFile), (nameof(ClusterCertificateFile), ClusterCertificateFile),
            (nameof(ClusterKeyFile), ClusterKeyFile), (nameof(ClusterAuthorityFile), ClusterAuthorityFile),
        })
        {
            if (file is not null && !File.Exists(file))
            {
                yield return new ValidationResult($"there is no file {file}", [name]);
            }
        }
        if (ListenAddress != "*" && !IPAddress.TryParse(ListenAddress, out _))
        {
            yield return new ValidationResult($"'{ListenAddress}' is not * and not an IP address", [nameof(ListenAddress)]);
        }
        foreach (var (name, addresses) in Services)
        {
            foreach (var address in addresses.Split(',', StringSplitOptions.TrimEntries))
            {
                if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || !IsHttp(uri))
                {
                    yield return new ValidationResult($"'{address}' of {name} is not an http or https address", [nameof(Services)]);
                }
            }
        }
        if (new[] { ClusterCertificateFile, ClusterKeyFile, ClusterAuthorityFile }.Count(file => file is not null) is 1 or 2)
        {
            yield return new ValidationResult("give all three or none", [nameof(ClusterCertificateFile), nameof(ClusterKeyFile), nameof(ClusterAuthorityFile)]);
        }
        else if (ProblemOf(() => LoadClusterTls()) is { } problem)
        {
            yield return new ValidationResult(problem, [nameof(ClusterCertificateFile), nameof(ClusterKeyFile), nameof(ClusterAuthorityFile)]);
        }
        if (this is { TlsCertificateFile: { } certificate, TlsKeyFile: { } key } && File.Exists(certificate) && File.Exists(key) &&
            ProblemOf(() => X509Certificate2.CreateFromPemFile(certificate, key).Dispose()) is { } wrong)
        {
            yield return new ValidationResult(wrong, [nameof(TlsCertificateFile), nameof(TlsKeyFile)]);
        }
    }

    /// <summary>Reads the certificates of the cluster, once; null without any.</summary>
    /// <exception cref="CryptographicException">A file is no certificate or key.</exception>
    /// <exception cref="ArgumentException">Certificate and key do not belong together.</exception>
    public ClusterTls? LoadClusterTls() => this is { ClusterCertificateFile: { } certificate, ClusterKeyFile: { } key, ClusterAuthorityFile: { } authority }
        ? _clusterTls ??= new ClusterTls(certificate, key, authority)
        : null;

    /// <summary>Whether nobody but processes of the cluster can connect to this one: there is a gateway for the others.</summary>
    public bool ServesClusterOnly => ClusterCertificateFile is not null && !Roles.Contains("gateway");

    private static string? ProblemOf(Action load)
    {
        try
        {
            load();
            return null;
        }
        catch (Exception exception) when (exception is CryptographicException or ArgumentException or IOException or UnauthorizedAccessException)
        {
            return exception.Message;
        }
    }

    /// <summary>Whether clients come to this process over TLS: there is a certificate, and no gateway before it.</summary>
    public bool ServesTls => TlsCertificateFile is not null && PublicRestPort is null;

    /// <summary>The address that the ports without a certificate for clients listen on.</summary>
    internal string PlainAddress => ServesTls ? Loopback : ListenAddress;

    /// <summary>Where this machine reaches the process.</summary>
    public string OwnAddress => PlainAddress is "0.0.0.0" or "*" or "::" ? Loopback : PlainAddress;

    internal Uri OwnGrpcAddress => new($"{(ServesClusterOnly ? Uri.UriSchemeHttps : Uri.UriSchemeHttp)}://{OwnAddress}:{GrpcPort}");

    internal static bool IsHttp(Uri address) => address.IsAbsoluteUri && (address.Scheme == Uri.UriSchemeHttp || address.Scheme == Uri.UriSchemeHttps);

    public bool HasRole(Role role) => Roles.Contains(role.Name) || (role.InAll && (Roles.Length == 0 || Roles.Contains("all")));
}
