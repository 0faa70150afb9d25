using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Nephos.ObjectStorage;

/// <summary>Options of the object service. Configuration section <c>ObjectStorage</c>.</summary>
public sealed class ObjectStorageOptions
{
    public const string Section = "ObjectStorage";

    /// <summary>Host names below which the first label of a request's host is a bucket.</summary>
    [MinLength(1)]
    public string[] S3Domains { get; set; } = ["localhost", "s3.localhost"];

    /// <summary>What <c>/crossdomain.xml</c> allows, one element a line.</summary>
    [Required]
    public string CrossDomainPolicy { get; set; } = "<allow-access-from domain=\"*\" secure=\"false\" />";

    [Required, ValidateObjectMembers]
    public RateLimitOptions RateLimits { get; set; } = new();

    [Required, ValidateObjectMembers]
    public ContainerSyncOptions ContainerSync { get; set; } = new();

    /// <summary>How often the rules of buckets (lifecycle) are carried out.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "7.00:00:00")]
    public TimeSpan LifecyclePeriod { get; set; } = TimeSpan.FromHours(1);
}

/// <summary>How many requests a second are let through; what is over waits its turn, and is refused when the wait would be too long.</summary>
public sealed class RateLimitOptions
{
    /// <summary>Containers made and removed in one account; 0 is no limit.</summary>
    [Range(0, 1_000_000)]
    public double AccountPerSecond { get; set; }

    /// <summary>Writes of objects in one container, by how many objects it holds.</summary>
    [ValidateEnumeratedItems]
    public RateLimitStep[] ContainerWrites { get; set; } = [];

    /// <summary>Listings of one container, by how many objects it holds.</summary>
    [ValidateEnumeratedItems]
    public RateLimitStep[] ContainerListings { get; set; } = [];

    /// <summary>A request that would have to wait longer is refused.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:10:00")]
    public TimeSpan WaitMax { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>A caller that was idle for this long may make up for it.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan Buffer { get; set; } = TimeSpan.FromSeconds(5);
}

/// <summary>From this many objects on, this many requests a second; in between the rate goes linearly to that of the next step.</summary>
public sealed class RateLimitStep
{
    [Range(0, long.MaxValue)]
    public long Objects { get; set; }

    [Range(0.001, 1_000_000)]
    public double PerSecond { get; set; }
}

/// <summary>Clusters that containers may be copied to, and that may copy into ours.</summary>
public sealed class ContainerSyncOptions
{
    /// <summary>By name; names are compared without regard to case.</summary>
    public Dictionary<string, ContainerSyncRealm> Realms { get; set; } = [];

    /// <summary>This cluster's own name, as <c>//REALM/CLUSTER</c>; only shown to clients.</summary>
    [RegularExpression("^(//[^/]+/[^/]+)?$", ErrorMessage = "must be //REALM/CLUSTER")]
    public string Current { get; set; } = "";

    /// <summary>Time from one pass over the containers to the next.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "7.00:00:00")]
    public TimeSpan Period { get; set; } = TimeSpan.FromMinutes(1);
}

/// <summary>Clusters that trust each other.</summary>
public sealed class ContainerSyncRealm
{
    /// <summary>Known to the operators of the clusters only; a realm without one is not used.</summary>
    public string Key { get; set; } = "";

    /// <summary>Also accepted, while <see cref="Key"/> is being changed.</summary>
    public string Key2 { get; set; } = "";

    /// <summary>Where each cluster's accounts are, for example <c>https://west.example/object/v1/</c>.</summary>
    public Dictionary<string, Uri> Clusters { get; set; } = [];
}
