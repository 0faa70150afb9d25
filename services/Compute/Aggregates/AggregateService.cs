using System.Text.RegularExpressions;
using Nephos.Compute.Instances;
using Nephos.Compute.Nodes;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Aggregates;

/// <summary>Groups nodes; a group that is a zone moves its nodes into it. For administrators.</summary>
internal sealed partial class AggregateService(IStateStore store, ComputeOptions options, TimeProvider time)
{
    private const int NameCharsMax = 255;
    private const int MetadataItemsMax = 128;

    public async Task<IReadOnlyList<Aggregate>> ListAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-aggregates:index");
        return await store.ListAsync(Aggregate.Table, "", cancellationToken);
    }

    public async Task<Aggregate> GetAsync(OperationContext operation, long number, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-aggregates:show");
        return await store.GetAsync(Aggregate.Table, Aggregate.KeyOf(number), cancellationToken) ?? throw Missing(number);
    }

    public async Task<Aggregate> CreateAsync(OperationContext operation, string name, string? zone, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-aggregates:create");
        CheckName(name);
        var metadata = new Dictionary<string, string>();
        if (!string.IsNullOrEmpty(zone))
        {
            metadata[Aggregate.ZoneKey] = CheckZone(zone);
        }
        try
        {
            return await store.TransactAsync(async transaction =>
            {
                var last = (await transaction.ListAsync(Aggregate.Table, "", cancellationToken)).Select(item => item.Number).DefaultIfEmpty().Max();
                var made = new Aggregate { Number = last + 1, Uuid = Ids.NewUuid(), Name = name, Metadata = metadata, CreatedAt = time.GetUtcNow() };
                transaction.Insert(Aggregate.Table, made);
                return made;
            }, cancellationToken);
        }
        catch (UniqueViolationException)
        {
            throw Exists(name);
        }
    }

    public Task<Aggregate> UpdateAsync(
        OperationContext operation, long number, string? name, IReadOnlyDictionary<string, string> set, IReadOnlyList<string> remove,
        CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-aggregates:update");
        if (name is not null)
        {
            CheckName(name);
        }
        foreach (var (key, value) in set)
        {
            if (key.Length is 0 or > NameCharsMax || value.Length > NameCharsMax)
            {
                throw Faults.Invalid("metadata", $"a key has 1 to {NameCharsMax} characters, a value at most {NameCharsMax}");
            }
        }
        if (set.TryGetValue(Aggregate.ZoneKey, out var zone))
        {
            CheckZone(zone);
        }
        return ChangeAsync(number, aggregate =>
        {
            var metadata = new SortedDictionary<string, string>(aggregate.Metadata.ToDictionary(), StringComparer.Ordinal);
            foreach (var key in remove)
            {
                metadata.Remove(key);
            }
            foreach (var (key, value) in set)
            {
                metadata[key] = value;
            }
            return metadata.Count <= MetadataItemsMax
                ? aggregate with { Name = name ?? aggregate.Name, Metadata = metadata }
                : throw Faults.Invalid("metadata", $"at most {MetadataItemsMax} items");
        }, cancellationToken);
    }

    public async Task DeleteAsync(OperationContext operation, long number, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-aggregates:delete");
        await store.TransactAsync(async transaction =>
        {
            var aggregate = await transaction.GetAsync(Aggregate.Table, Aggregate.KeyOf(number), cancellationToken) ?? throw Missing(number);
            if (aggregate.Hosts.Count > 0)
            {
                throw ComputeFaults.Refers("aggregate", $"Cannot remove aggregate {number}: it is not empty");
            }
            transaction.Delete(Aggregate.Table, Aggregate.KeyOf(number));
        }, cancellationToken);
    }

    public Task<Aggregate> AddHostAsync(OperationContext operation, long number, string host, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-aggregates:add_host");
        return ChangeAsync(number, aggregate => aggregate.Hosts.Contains(host)
            ? throw new FaultException(ErrorReason.AlreadyExists, $"Aggregate {number} already has host {host}.")
            : aggregate with { Hosts = [.. aggregate.Hosts, host] }, cancellationToken, host);
    }

    public Task<Aggregate> RemoveHostAsync(OperationContext operation, long number, string host, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-aggregates:remove_host");
        return ChangeAsync(number, aggregate => aggregate.Hosts.Contains(host)
            ? aggregate with { Hosts = [.. aggregate.Hosts.Where(item => item != host)] }
            : throw new FaultException(ErrorReason.NotFound, $"Aggregate {number} has no host {host}."), cancellationToken, host);
    }

    /// <summary>Writes an aggregate, and the zones of all nodes that it has or had.</summary>
    private async Task<Aggregate> ChangeAsync(long number, Func<Aggregate, Aggregate> change, CancellationToken cancellationToken, string? host = null)
    {
        try
        {
            return await store.TransactAsync(async transaction =>
            {
                var all = await transaction.ListAsync(Aggregate.Table, "", cancellationToken);
                var before = all.FirstOrDefault(item => item.Number == number) ?? throw Missing(number);
                var nodes = await transaction.ListAsync(Node.Table, "", cancellationToken);
                if (host is not null && nodes.All(node => node.HostName != host))
                {
                    throw new FaultException(ErrorReason.NotFound, $"Compute host {host} could not be found.");
                }
                var after = change(before) with { UpdatedAt = time.GetUtcNow() };
                transaction.Put(Aggregate.Table, after);
                Aggregate[] zones = [.. all.Select(item => item.Number == number ? after : item).Where(item => item.Zone is not null)];
                foreach (var node in nodes.Where(node => before.Hosts.Contains(node.HostName) || after.Hosts.Contains(node.HostName)))
                {
                    string[] mine = [.. zones.Where(item => item.Hosts.Contains(node.HostName)).Select(item => item.Zone!).Distinct()];
                    if (mine.Length > 1)
                    {
                        throw Faults.Conflict($"Host {node.HostName} is already in availability zone {mine.First(zone => zone != after.Zone)}.");
                    }
                    var zone = mine.Length == 1 ? mine[0] : options.AvailabilityZone;
                    if (zone != node.AvailabilityZone)
                    {
                        await RequireNoneBoundAsync(transaction, node, zone, cancellationToken);
                        transaction.Put(Node.Table, node with { AvailabilityZone = zone });
                    }
                }
                return after;
            }, cancellationToken);
        }
        catch (UniqueViolationException violation)
        {
            throw Exists(violation.Value);
        }
    }

    /// <summary>Instances that asked for a zone stay in it; the others go with their node.</summary>
    private async Task RequireNoneBoundAsync(StateTransaction transaction, Node node, string zone, CancellationToken cancellationToken)
    {
        if (await transaction.GetAsync(NodeUsage.Table, node.Id, cancellationToken) is not { Instances: > 0 })
        {
            return;
        }
        // Read after the usage, which every claim on the node writes: an instance that comes later makes this commit lose.
        var bound = (await store.ListAsync(Instance.Table, "", cancellationToken)).FirstOrDefault(instance =>
            instance.AvailabilityZone is { } asked && asked != zone && (instance.Claim?.NodeId == node.Id || instance.Resize?.OldClaim?.NodeId == node.Id));
        if (bound is not null)
        {
            throw Faults.Conflict($"Cannot move host {node.HostName} to availability zone {zone}: instance {bound.Id} asked for {bound.AvailabilityZone}.");
        }
    }

    private static void CheckName(string name)
    {
        if (name.Trim().Length is 0 || name.Length > NameCharsMax || name.Any(char.IsControl))
        {
            throw Faults.Invalid("name", $"1 to {NameCharsMax} printable characters");
        }
    }

    private static string CheckZone(string zone) =>
        ZonePattern().IsMatch(zone) ? zone : throw Faults.Invalid(Aggregate.ZoneKey, "1 to 255 characters without colon");

    private static FaultException Missing(long number) => new(ErrorReason.NotFound, $"Aggregate {number} could not be found.",
        new Dictionary<string, string> { ["kind"] = "Aggregate", ["id"] = $"{number}" });

    private static FaultException Exists(string name) => new(ErrorReason.AlreadyExists, $"Aggregate {name} already exists.",
        new Dictionary<string, string> { ["kind"] = "Aggregate", ["name"] = name });

    [GeneratedRegex(@"^[^:\p{Cc}]{1,255}$")]
    private static partial Regex ZonePattern();
}
