using System.ComponentModel.DataAnnotations;
using System.Diagnostics.CodeAnalysis;
using System.Net;

namespace Nephos.Hosting;

/// <summary>What every role of a process needs to know. Configuration section <c>Nephos</c>.</summary>
public sealed class NephosOptions : IValidatableObject
{
    public const string Section = "Nephos";

    /// <summary>S3 listens this far above the port base, so that the default base of 8080 gives the usual 9000.</summary>
    public const int S3PortOffset = 920;

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

    /// <summary>PEM certificate and key; when given, <see cref="TlsPort"/> serves REST and gRPC over TLS.</summary>
    public string? TlsCertificateFile { get; set; }

    public string? TlsKeyFile { get; set; }

    [Range(1, 65_535)]
    public int TlsPort { get; set; } = 8443;

    /// <summary>gRPC addresses of services that run in other processes, by service name; a service not named runs here.</summary>
    public Dictionary<string, Uri> Services { get; set; } = [];

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
        foreach (var (name, file) in new[] { (nameof(TlsCertificateFile), TlsCertificateFile), (nameof(TlsKeyFile), TlsKeyFile) })
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
        foreach (var (name, address) in Services)
        {
            if (!address.IsAbsoluteUri || (address.Scheme != Uri.UriSchemeHttp && address.Scheme != Uri.UriSchemeHttps))
            {
                yield return new ValidationResult($"'{address}' of {name} is not an http or https address", [nameof(Services)]);
            }
        }
    }

    public bool HasRole(Role role) => Roles.Contains(role.Name) || (role.InAll && (Roles.Length == 0 || Roles.Contains("all")));
}
