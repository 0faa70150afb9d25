using System.ComponentModel.DataAnnotations;

namespace Nephos.Hosting.Discovery;

/// <summary>Discovery by Consul. Configuration section <c>Consul</c>.</summary>
internal sealed class ConsulOptions : IValidatableObject
{
    public const string Section = "Consul";

    /// <summary>The agent of this machine, such as <c>http://127.0.0.1:8500</c>; none for discovery by configuration.</summary>
    public Uri? Address { get; set; }

    /// <summary>File that holds the ACL token, when the agent wants one.</summary>
    public string TokenFile { get; set; } = "";

    /// <summary>Led before the name of a role in the names of services.</summary>
    [RegularExpression("^[a-z0-9-]{0,40}$")]
    public string Prefix { get; set; } = "nephos-";

    /// <summary>Where other processes reach this one; the address listened on when empty.</summary>
    public string AdvertiseAddress { get; set; } = "";

    /// <summary>How often the agent asks whether this process is healthy.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan CheckInterval { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>A process that was not healthy for so long is forgotten.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "7.00:00:00")]
    public TimeSpan ForgetAfter { get; set; } = TimeSpan.FromMinutes(10);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Address is { } address && !NephosOptions.IsHttp(address))
        {
            yield return new ValidationResult($"'{address}' is not an http or https address", [nameof(Address)]);
        }
        if (TokenFile.Length > 0 && !File.Exists(TokenFile))
        {
            yield return new ValidationResult($"there is no file {TokenFile}", [nameof(TokenFile)]);
        }
    }
}
