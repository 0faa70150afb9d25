using System.Text.RegularExpressions;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Compute.Instances;

/// <summary>What a list of instances is to contain. A null filter lets everything through.</summary>
internal sealed record InstanceQuery
{
    /// <summary>For administrators.</summary>
    public bool AllProjects { get; init; }

    public string? ProjectId { get; init; }

    public string? UserId { get; init; }

    /// <summary>A regular expression that is found anywhere in the name.</summary>
    public string? Name { get; init; }

    public IReadOnlySet<InstanceStatus>? Statuses { get; init; }

    public string? ImageId { get; init; }

    public string? FlavorId { get; init; }

    public string? NodeName { get; init; }

    public string? ReservationId { get; init; }

    public string? Zone { get; init; }

    public string? KeyName { get; init; }

    public string? HostName { get; init; }

    public string? Description { get; init; }

    public string? Id { get; init; }

    public VmState? VmState { get; init; }

    public string? TaskState { get; init; }

    public Power? Power { get; init; }

    public bool? Locked { get; init; }

    public bool? ConfigDrive { get; init; }

    /// <summary>Regular expressions over addresses.</summary>
    public string? Ipv4 { get; init; }

    public string? Ipv6 { get; init; }

    /// <summary>Also shows those that were deleted.</summary>
    public DateTimeOffset? ChangedSince { get; init; }

    public DateTimeOffset? ChangedBefore { get; init; }

    public DateTimeOffset? LaunchedAt { get; init; }

    /// <summary>True: only deleted ones.</summary>
    public bool Deleted { get; init; }

    public IReadOnlyList<string>? TagsAll { get; init; }

    public IReadOnlyList<string>? TagsAny { get; init; }

    public IReadOnlyList<string>? NotTagsAll { get; init; }

    public IReadOnlyList<string>? NotTagsAny { get; init; }

    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
}

/// <summary>Lists instances out of the copies in memory.</summary>
internal sealed class InstanceList(InstanceViews views)
{
    private const int PatternCharsMax = 255;
    private static readonly TimeSpan PatternTimeout = TimeSpan.FromSeconds(1);

    /// <summary>Matching instances, ordered by id.</summary>
    public async Task<IReadOnlyList<InstanceDetails>> FindAsync(OperationContext operation, InstanceQuery query, CancellationToken cancellationToken)
    {
        if ((query.AllProjects || query.ProjectId is not null && query.ProjectId != operation.ProjectId) && !operation.IsAdmin && !operation.IsService)
        {
            throw Faults.Forbidden("os_compute_api:servers:index:get_all_tenants");
        }
        var projectId = query.ProjectId ?? (query.AllProjects ? null : operation.RequireProject());
        var name = Pattern("name", query.Name);
        var ipv4 = Pattern("ip", query.Ipv4);
        var ipv6 = Pattern("ip6", query.Ipv6);
        var found = new List<InstanceDetails>();
        foreach (var instance in await views.ListAsync(cancellationToken))
        {
            if ((projectId is not null && instance.ProjectId != projectId) || !MatchesWanted(instance, query, name))
            {
                continue;
            }
            var details = views.DetailsOf(instance);
            if (MatchesSeen(details, query, ipv4, ipv6))
            {
                found.Add(details);
            }
        }
        return found;
    }

    private static bool MatchesWanted(Instance instance, InstanceQuery query, Regex? name)
    {
        if (instance.DeletedAt is null ? query.Deleted : !query.Deleted && query.ChangedSince is null)
        {
            return false;
        }
        return (query.ChangedSince is not { } since || instance.UpdatedAt >= since)
            && (query.ChangedBefore is not { } before || instance.UpdatedAt <= before)
            && Is(query.UserId, instance.UserId) && Is(query.ImageId, instance.ImageId ?? "") && Is(query.FlavorId, instance.Flavor.Id)
            && Is(query.ReservationId, instance.ReservationId) && Is(query.KeyName, instance.Key?.Name) && Is(query.Id, instance.Id)
            && Is(query.HostName, instance.HostName)
            && (query.Description is null || (instance.Description ?? "").Contains(query.Description, StringComparison.Ordinal))
            && (query.Locked is not { } locked || instance.Locked == locked)
            && (query.ConfigDrive is not { } drive || instance.ConfigDrive == drive)
            && (query.LaunchedAt is not { } launched || instance.LaunchedAt is { } at && at.ToUnixTimeSeconds() == launched.ToUnixTimeSeconds())
            && (query.TagsAll is null || query.TagsAll.All(instance.Tags.Contains))
            && (query.TagsAny is null || query.TagsAny.Any(instance.Tags.Contains))
            && (query.NotTagsAll is null || !query.NotTagsAll.All(instance.Tags.Contains))
            && (query.NotTagsAny is null || !query.NotTagsAny.Any(instance.Tags.Contains))
            && (query.Metadata is null || query.Metadata.All(item => instance.Metadata.GetValueOrDefault(item.Key) == item.Value))
            && (name is null || name.IsMatch(instance.Name));
    }

    private static bool MatchesSeen(InstanceDetails details, InstanceQuery query, Regex? ipv4, Regex? ipv6) =>
        (query.Statuses is null || query.Statuses.Contains(details.View.Status))
        && (query.VmState is not { } vm || details.View.VmState == vm)
        && (query.TaskState is null || details.View.TaskState == query.TaskState)
        && (query.Power is not { } power || details.View.Power == power)
        && Is(query.NodeName, details.Node?.HostName)
        && Is(query.Zone, details.Node?.AvailabilityZone ?? details.Instance.AvailabilityZone)
        && (ipv4 is null || AddressesOf(details, 4).Any(ipv4.IsMatch))
        && (ipv6 is null || AddressesOf(details, 6).Any(ipv6.IsMatch));

    private static IEnumerable<string> AddressesOf(InstanceDetails details, int version) =>
        (details.Parts?.Ports ?? []).SelectMany(port => port.Details?.Addresses ?? [])
            .Where(address => address.IpVersion == version).SelectMany(address => address.Floating.Append(address.Address));

    private static bool Is(string? wanted, string? value) => wanted is null || wanted == value;

    // Not backtracking: a pattern of a user costs no more than it is long.
    private static Regex? Pattern(string field, string? pattern)
    {
        if (pattern is null)
        {
            return null;
        }
        try
        {
            return pattern.Length <= PatternCharsMax
                ? new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant | RegexOptions.IgnoreCase, PatternTimeout)
                : throw Faults.Invalid(field, $"a pattern has at most {PatternCharsMax} characters");
        }
        catch (Exception exception) when (exception is ArgumentException or NotSupportedException)
        {
            throw Faults.Invalid(field, "is not a regular expression");
        }
    }
}
