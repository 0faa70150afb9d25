using System.Globalization;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.Compute.Instances;

/// <summary>Reads the query of a list of servers. Filters that a caller may not use are ignored, as clients expect.</summary>
internal static class ServerQueries
{
    private static readonly Dictionary<string, InstanceStatus> Statuses =
        Enum.GetValues<InstanceStatus>().ToDictionary(Wordings.Of, StringComparer.OrdinalIgnoreCase);

    private static readonly Dictionary<string, VmState> VmStates = Enum.GetValues<VmState>().ToDictionary(Wordings.Of, StringComparer.OrdinalIgnoreCase);

    /// <returns>Null when nothing can match.</returns>
    public static InstanceQuery? ToQuery(RestCall call)
    {
        var admin = call.Operation.IsAdmin;
        var allProjects = (call.QueryBool("all_tenants") ?? call.QueryBool("all_projects")) == true;
        var statuses = new HashSet<InstanceStatus>();
        foreach (var text in call.QueryAll("status"))
        {
            if (Statuses.TryGetValue(text, out var status))
            {
                statuses.Add(status);
            }
            else if (call.From(38))
            {
                throw ComputeFaults.Refers("status", "Invalid status value");
            }
            else
            {
                return null;
            }
        }
        VmState? vmState = null;
        if (call.Query("vm_state") is { } vm)
        {
            if (!VmStates.TryGetValue(vm, out var known))
            {
                return null;
            }
            vmState = known;
        }
        var since = call.QueryTime("changes-since");
        var before = call.From(66) ? call.QueryTime("changes-before") : null;
        if (since is not null && before < since)
        {
            throw ComputeFaults.Refers("changes-since", "The value of changes-since must be less than or equal to changes-before.");
        }
        return new InstanceQuery
        {
            AllProjects = allProjects,
            // Of all projects one; without all of them it is the caller's own, whatever is named.
            ProjectId = admin && allProjects ? call.Query("project_id") ?? call.Query("tenant_id") : null,
            UserId = admin || call.From(83) ? call.Query("user_id") : null,
            Name = call.Query("name"),
            Statuses = statuses.Count == 0 ? null : statuses,
            ImageId = ServerRequests.ImageOf(call.Query("image")),
            FlavorId = call.Query("flavor") is { } flavor ? flavor[(flavor.LastIndexOf('/') + 1)..] : null,
            NodeName = admin ? call.Query("host") ?? call.Query("node") : null,
            ReservationId = call.Query("reservation_id"),
            Zone = admin || call.From(83) ? call.Query("availability_zone") : null,
            KeyName = admin || call.From(83) ? call.Query("key_name") : null,
            HostName = admin ? call.Query("hostname") : null,
            Description = admin || call.From(83) ? call.Query("description") : null,
            Id = admin ? call.Query("uuid") : null,
            VmState = admin || call.From(83) ? vmState : null,
            TaskState = admin || call.From(83) ? call.Query("task_state") : null,
            Power = admin || call.From(83) ? PowerOf(call.Query("power_state")) : null,
            Locked = call.From(73) ? call.QueryBool("locked") : null,
            ConfigDrive = admin || call.From(83) ? call.QueryBool("config_drive") : null,
            Ipv4 = call.Query("ip"),
            Ipv6 = admin || call.From(5) ? call.Query("ip6") : null,
            ChangedSince = since,
            ChangedBefore = before,
            LaunchedAt = admin || call.From(83) ? call.QueryTime("launched_at") : null,
            Deleted = admin && (call.QueryBool("deleted") == true || (statuses.Count == 1 && statuses.Contains(InstanceStatus.Deleted))),
            TagsAll = Tags(call, "tags"),
            TagsAny = Tags(call, "tags-any"),
            NotTagsAll = Tags(call, "not-tags"),
            NotTagsAny = Tags(call, "not-tags-any"),
        };
    }

    /// <summary>In the order asked for; else the newest first.</summary>
    public static IReadOnlyList<InstanceDetails> Sorted(RestCall call, IReadOnlyList<InstanceDetails> found)
    {
        var keys = call.QueryAll("sort_key");
        var directions = call.QueryAll("sort_dir");
        IOrderedEnumerable<InstanceDetails>? sorted = null;
        for (var index = 0; index < Math.Min(keys.Count, 8); index++)
        {
            var key = Key(keys[index]);
            var ascending = (index < directions.Count ? directions[index] : "desc") switch
            {
                "asc" => true,
                "desc" => false,
                _ => throw ComputeFaults.Refers("sort_dir", "Invalid input for query parameters sort_dir: must be asc or desc"),
            };
            sorted = (sorted, ascending) switch
            {
                (null, true) => found.OrderBy(key, StringComparer.Ordinal),
                (null, false) => found.OrderByDescending(key, StringComparer.Ordinal),
                ({ } before, true) => before.ThenBy(key, StringComparer.Ordinal),
                ({ } before, false) => before.ThenByDescending(key, StringComparer.Ordinal),
            };
        }
        sorted = sorted is null
            ? found.OrderByDescending(item => item.Instance.CreatedAt).ThenByDescending(item => item.Instance.LaunchIndex)
            : sorted.ThenByDescending(item => item.Instance.CreatedAt);
        return [.. sorted.ThenByDescending(item => item.Instance.Id, StringComparer.Ordinal)];
    }

    private static Func<InstanceDetails, string> Key(string name) => name switch
    {
        "created_at" => item => Time(item.Instance.CreatedAt),
        "updated_at" => item => Time(item.Instance.UpdatedAt),
        "launched_at" => item => Time(item.Instance.LaunchedAt ?? default),
        "terminated_at" => item => Time(item.Instance.DeletedAt ?? default),
        "uuid" => item => item.Instance.Id,
        "display_name" or "name" => item => item.Instance.Name,
        "display_description" => item => item.Instance.Description ?? "",
        "project_id" => item => item.Instance.ProjectId,
        "user_id" => item => item.Instance.UserId,
        "image_ref" => item => item.Instance.ImageId ?? "",
        "instance_type_id" => item => item.Instance.Flavor.Id,
        "key_name" => item => item.Instance.Key?.Name ?? "",
        "vm_state" => item => Wordings.Of(item.View.VmState),
        "task_state" => item => item.View.TaskState ?? "",
        "power_state" => item => ((int)item.View.Power).ToString("D2", CultureInfo.InvariantCulture),
        "host" or "node" => item => item.Node?.HostName ?? "",
        "hostname" => item => item.Instance.HostName,
        "availability_zone" => item => item.Node?.AvailabilityZone ?? "",
        "access_ip_v4" => item => item.Instance.AccessIpv4,
        "access_ip_v6" => item => item.Instance.AccessIpv6,
        "auto_disk_config" => item => item.Instance.AutoDiskConfig ? "1" : "0",
        "config_drive" => item => item.Instance.ConfigDrive ? "1" : "0",
        "launch_index" => item => item.Instance.LaunchIndex.ToString("D6", CultureInfo.InvariantCulture),
        "locked" => item => item.Instance.Locked ? "1" : "0",
        "progress" or "root_device_name" => _ => "",
        _ => throw ComputeFaults.Refers("sort_key", "Sort key is not valid"),
    };

    private static string Time(DateTimeOffset time) => time.UtcTicks.ToString("D19", CultureInfo.InvariantCulture);

    private static Power? PowerOf(string? text) => text is null ? null
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && Enum.IsDefined((Power)number) ? (Power)number
        : throw Faults.Invalid("power_state", "is no known number");

    private static string[]? Tags(RestCall call, string name) =>
        call.From(26) && call.Query(name) is { Length: > 0 } text ? text.Split(',') : null;
}
