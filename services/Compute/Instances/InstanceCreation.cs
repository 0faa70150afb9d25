using System.Net.Sockets;
using System.Security.Cryptography;
using Nephos.Compute.Actions;
using Nephos.Compute.Flavors;
using Nephos.Compute.Groups;
using Nephos.Compute.Keypairs;
using Nephos.Compute.Nodes;
using Nephos.Compute.Placement;
using Nephos.Compute.Quotas;
using Nephos.Compute.Seams;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Compute.Instances;

/// <summary>Checks what is asked for, then writes instances, their places and their quota in one commit.</summary>
/// <remarks>Everything remote is a question and happens before the commit, all at once. Commits of this process take turns: they all
/// write the same few counters, and one that waits is cheaper than one that loses. Other processes are met by the commit itself.</remarks>
internal sealed class InstanceCreation(
    IStateStore store,
    FlavorService flavors,
    KeypairService keypairs,
    QuotaService quotas,
    WishResolver resolver,
    ServerGroupService groups,
    NodeRegistry nodes,
    Placer placer,
    ActionLog actions,
    InstanceViews views,
    ComputeOptions options,
    TimeProvider time) : IDisposable
{
    /// <summary>Instances of one request.</summary>
    public const int CountMax = 100;

    private readonly SemaphoreSlim _turns = new(1, 1);
    private readonly Random _random = new(RandomNumberGenerator.GetInt32(int.MaxValue));

    /// <summary>Makes instances; they have the same reservation.</summary>
    public async Task<IReadOnlyList<InstanceDetails>> CreateAsync(OperationContext operation, InstanceWish wish, CancellationToken cancellationToken)
    {
        operation.RequireMember("os_compute_api:servers:create");
        var projectId = operation.RequireProject();
        var key = IdempotencyKey(projectId, wish.IdempotencyKey);
        if (key is not null && await FindMadeAsync(key, cancellationToken) is { } made)
        {
            return made;
        }
        var (minCount, maxCount) = Counts(wish);
        var draft = await DraftAsync(operation, wish, projectId, cancellationToken) with { IdempotencyKey = key };
        if (maxCount > 1 && draft.Nics.Any(nic => nic.PortId is not null))
        {
            throw ComputeFaults.Refers("networks", "Unable to launch multiple instances with a single configured port ID. Please launch your instance one by one with different ports.");
        }
        if (maxCount > 1 && draft.Disks.Any(disk => disk.Source == DiskSource.Volume))
        {
            throw ComputeFaults.Refers("block_device_mapping_v2", "Cannot attach one or more volumes to multiple instances");
        }
        if (maxCount > 1 && draft.Nics.Any(nic => nic.FixedIp is not null))
        {
            throw ComputeFaults.Refers("networks", "Invalid fixed IP request for several instances: an address can be used once.");
        }
        var (zone, host) = Place(operation, wish.AvailabilityZone);
        draft = draft with { AvailabilityZone = zone, GroupId = wish.Hints?.GroupId };
        await nodes.CatchUpAsync(cancellationToken);

        await _turns.WaitAsync(cancellationToken);
        IReadOnlyList<Instance> instances;
        try
        {
            var request = new PlacementRequest(draft.Flavor.Vcpus, draft.Flavor.MemoryMib, ClaimedGib(draft.Flavor), zone, host, draft.Flavor.ExtraSpecs);
            var answer = placer.Choose(nodes.Candidates(), request, _random);
            instances = await store.TransactAsync(
                transaction => CommitAsync(transaction, operation, draft, wish.Hints, answer, (minCount, maxCount), cancellationToken), cancellationToken);
        }
        catch (UniqueViolationException) when (key is not null)
        {
            return await FindMadeAsync(key, cancellationToken) ?? throw Faults.Aborted("The same request was carried out and undone.");
        }
        finally
        {
            _turns.Release();
        }
        return [.. instances.Select(instance => new InstanceDetails(
            instance, null, null, InstanceView.Of(instance, null, null, nodes.IsUp(instance.Claim?.NodeId), time.GetUtcNow()), null, NodeUp: true))];
    }

    /// <summary>Claims a place for an instance that exists, inside the commit that moves it.</summary>
    /// <param name="host">The only node that will do; null: any.</param>
    /// <param name="preferNode">Taken when it can be; null: none.</param>
    /// <param name="avoidNode">Not taken; null: none.</param>
    /// <returns>Null when there is none.</returns>
    public async Task<(Claim? Claim, IReadOnlyList<string> Notes)> ClaimAsync(
        StateTransaction transaction, Instance instance, Flavor flavor, string? host, string? preferNode, string? avoidNode, CancellationToken cancellationToken)
    {
        var zone = instance.AvailabilityZone;
        PlacementAnswer answer;
        lock (_random)
        {
            answer = placer.Choose(
                nodes.Candidates(), new PlacementRequest(flavor.Vcpus, flavor.MemoryMib, ClaimedGib(flavor), zone, host, flavor.ExtraSpecs), _random);
        }
        var rule = await PlaceRule.ReadAsync(transaction, instance.GroupId, instance.Id, hints: null, avoidNode, cancellationToken);
        var preferred = rule.Order([.. answer.Nodes.OrderByDescending(candidate => candidate.Node.Id == preferNode)]);
        var notes = preferred.Count == answer.Nodes.Count ? answer.Notes : [.. answer.Notes, $"{rule}: {preferred.Count} of {answer.Nodes.Count} left"];
        return (await ClaimAsync(transaction, preferred, flavor, 0, cancellationToken), notes);
    }

    public void Dispose() => _turns.Dispose();

    private async Task<IReadOnlyList<Instance>> CommitAsync(
        StateTransaction transaction, OperationContext operation, Instance draft, PlaceHints? hints, PlacementAnswer answer, (int Min, int Max) counts,
        CancellationToken cancellationToken)
    {
        await CheckMembersAsync(transaction, draft, counts.Min, cancellationToken);
        var count = await quotas.TakeInstancesAsync(
            transaction, draft.ProjectId, draft.Flavor.Vcpus, draft.Flavor.MemoryMib, counts.Min, counts.Max, cancellationToken);
        var now = time.GetUtcNow();
        var instances = new List<Instance>(count);
        for (var index = 0; index < count; index++)
        {
            var id = index == 0 ? draft.Id : Ids.NewUuid();
            var rule = await PlaceRule.ReadAsync(transaction, draft.GroupId, id, hints, avoid: null, cancellationToken);
            var allowed = rule.Order(answer.Nodes);
            var notes = allowed.Count == answer.Nodes.Count ? answer.Notes : [.. answer.Notes, $"{rule}: {allowed.Count} of {answer.Nodes.Count} left"];
            // A group says which node is best; without one, instances of a request begin with different nodes.
            var claim = await ClaimAsync(transaction, allowed, draft.Flavor, draft.GroupId is null ? index : 0, cancellationToken);
            var name = counts.Max == 1 ? draft.Name : $"{draft.Name}-{index + 1}";
            var instance = draft with
            {
                Id = id,
                Name = name,
                HostName = draft.HostName.Length == 0 ? InstanceRules.HostNameOf(name, id) : counts.Max == 1 ? draft.HostName : $"{draft.HostName}-{index + 1}",
                LaunchIndex = index,
                IdempotencyKey = index == 0 ? draft.IdempotencyKey : null,
                Nics = [.. draft.Nics.Select(nic => nic with { Id = Ids.NewUuid() })],
                Disks = [.. draft.Disks.Select(disk => disk with { Id = Ids.NewUuid() })],
                Claim = claim,
                Epoch = claim is null ? 0 : 1,
                PlacementNotes = claim is null && allowed.Count > 0 ? [.. notes, "no candidate had room any more when it was claimed"] : notes,
                Fault = claim is null ? NoValidHost(notes, now) : null,
                CreatedAt = now,
                UpdatedAt = now,
                Deadline = now + options.BuildDeadline,
            };
            var action = actions.Start(transaction, operation, id, draft.ProjectId, "create", now);
            if (claim is null)
            {
                await actions.FinishAsync(transaction, [action], instance.Fault!.Message, null, now, cancellationToken);
            }
            else
            {
                instance = instance with { OpenActions = [action] };
            }
            transaction.Insert(Instance.Table, instance);
            instances.Add(instance);
        }
        return instances;
    }

    /// <summary>A group has room for at least so many more.</summary>
    private async Task CheckMembersAsync(StateTransaction transaction, Instance draft, int count, CancellationToken cancellationToken)
    {
        if (draft.GroupId is not { } groupId)
        {
            return;
        }
        var limit = await quotas.LimitAsync(draft.ProjectId, QuotaResource.ServerGroupMembers, cancellationToken);
        var have = (await transaction.ListByAsync(Instance.Table, Instance.GroupIndex, groupId, cancellationToken)).Count;
        if (limit >= 0 && have + count > limit)
        {
            throw ComputeFaults.OverQuota(QuotaResource.ServerGroupMembers, count, have, limit);
        }
    }

    private async Task<Claim?> ClaimAsync(
        StateTransaction transaction, IReadOnlyList<Candidate> candidates, Flavor flavor, int first, CancellationToken cancellationToken)
    {
        for (var index = 0; index < candidates.Count; index++)
        {
            var node = candidates[(first + index) % candidates.Count].Node;
            var usage = await transaction.GetAsync(NodeUsage.Table, node.Id, cancellationToken) ?? new NodeUsage(node.Id, 0, 0, 0, 0);
            var claim = new Claim(node.Id, flavor.Vcpus, flavor.MemoryMib, ClaimedGib(flavor));
            if (placer.Fits(node, usage, claim))
            {
                transaction.Put(NodeUsage.Table, usage.Plus(claim));
                return claim;
            }
        }
        return null;
    }

    /// <summary>The instance as asked for, every name in it resolved and checked; without id of its own, place and time.</summary>
    private async Task<Instance> DraftAsync(OperationContext operation, InstanceWish wish, string projectId, CancellationToken cancellationToken)
    {
        var name = InstanceRules.Name(wish.Name);
        var userData = InstanceRules.UserData(wish.UserData);
        var flavor = await FlavorAsync(operation, wish.FlavorId, cancellationToken);
        var metadata = InstanceRules.Metadata(
            wish.Metadata, await quotas.LimitAsync(projectId, QuotaResource.MetadataItems, cancellationToken));
        var files = await FilesAsync(projectId, wish.Files, cancellationToken);
        var disks = resolver.DisksAsync(operation, wish, flavor, cancellationToken);
        var nics = resolver.NicsAsync(operation, wish, cancellationToken);
        var securityGroups = resolver.GroupsAsync(operation, wish.SecurityGroups, cancellationToken);
        var key = KeyAsync(operation, wish.KeyName, cancellationToken);
        var hints = wish.Hints is { } given ? groups.CheckAsync(operation, given, cancellationToken) : Task.CompletedTask;
        await Task.WhenAll(disks, nics, securityGroups, key, hints);
        var now = time.GetUtcNow();
        return new Instance
        {
            Id = Ids.NewUuid(),
            ProjectId = projectId,
            UserId = operation.UserId,
            Name = name,
            Description = InstanceRules.Description(wish.Description),
            HostName = wish.HostName is { Length: > 0 } hostName ? InstanceRules.HostName(hostName) : "",
            Flavor = flavor,
            ImageId = (await disks).ImageId,
            ImageProperties = (await disks).ImageProperties,
            Key = await key,
            Metadata = metadata,
            Tags = InstanceRules.Tags(wish.Tags),
            SecurityGroups = await securityGroups,
            Nics = await nics,
            Disks = (await disks).Disks,
            UserData = userData,
            Files = files,
            ConfigDrive = wish.ConfigDrive,
            AutoDiskConfig = wish.AutoDiskConfig,
            AccessIpv4 = InstanceRules.AccessIp(wish.AccessIpv4, AddressFamily.InterNetwork, "accessIPv4"),
            AccessIpv6 = InstanceRules.AccessIp(wish.AccessIpv6, AddressFamily.InterNetworkV6, "accessIPv6"),
            ReservationId = NewReservationId(),
            CreatedAt = now,
            UpdatedAt = now,
        };
    }

    private async Task<Flavor> FlavorAsync(OperationContext operation, string flavorId, CancellationToken cancellationToken)
    {
        try
        {
            return await flavors.GetAsync(operation, flavorId, cancellationToken);
        }
        catch (FaultException fault) when (fault.Reason == Protos.Errors.V1.ErrorReason.NotFound)
        {
            throw ComputeFaults.Refers("flavorRef", fault.Message);
        }
    }

    private async Task<InstanceKey?> KeyAsync(OperationContext operation, string? name, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(name))
        {
            return null;
        }
        return await keypairs.FindAsync(operation.UserId, name, cancellationToken) is { } pair
            ? new InstanceKey(pair.Name, pair.Type, pair.PublicKey)
            : throw ComputeFaults.Refers("key_name", "Invalid key_name provided.");
    }

    private async Task<IReadOnlyList<InjectedFile>> FilesAsync(string projectId, IReadOnlyList<InjectedFile> files, CancellationToken cancellationToken)
    {
        if (files.Count == 0)
        {
            return files;
        }
        var countMax = await quotas.LimitAsync(projectId, QuotaResource.InjectedFiles, cancellationToken);
        var bytesMax = await quotas.LimitAsync(projectId, QuotaResource.InjectedFileContentBytes, cancellationToken);
        if (countMax >= 0 && files.Count > countMax)
        {
            throw new FaultException(Protos.Errors.V1.ErrorReason.QuotaExceeded, $"Personality file limit exceeded: at most {countMax} files");
        }
        foreach (var file in files)
        {
            var bytes = new byte[file.ContentsBase64.Length];
            if (file.Path.Length is 0 or > 255 || !Convert.TryFromBase64String(file.ContentsBase64, bytes, out var length))
            {
                throw Faults.Invalid("personality", "needs a path of 1 to 255 characters and contents in base64");
            }
            if (bytesMax >= 0 && length > bytesMax)
            {
                throw new FaultException(Protos.Errors.V1.ErrorReason.QuotaExceeded, $"Personality file content limit exceeded: at most {bytesMax} bytes");
            }
        }
        return files;
    }

    private (string? Zone, string? Host) Place(OperationContext operation, string? asked)
    {
        if (string.IsNullOrEmpty(asked))
        {
            return (null, null);
        }
        var words = asked.Split(':');
        if (words.Length > 1)
        {
            operation.RequireAdmin("os_compute_api:servers:create:forced_host");
        }
        var zone = words[0].Length == 0 ? null : words[0];
        if (words.Length > 3 || (zone is not null && zone != options.AvailabilityZone && nodes.List().All(node => node.AvailabilityZone != zone)))
        {
            throw ComputeFaults.Refers("availability_zone", "The requested availability zone is not available");
        }
        return (zone, words.Length > 1 && words[1].Length > 0 ? words[1] : null);
    }

    private async Task<IReadOnlyList<InstanceDetails>?> FindMadeAsync(string key, CancellationToken cancellationToken)
    {
        if (await store.FindAsync(Instance.Table, "idempotency", key, cancellationToken) is not { } first)
        {
            return null;
        }
        var made = await store.ListByAsync(Instance.Table, "reservation", first.ReservationId, cancellationToken);
        return await Task.WhenAll(made.OrderBy(instance => instance.LaunchIndex).Select(instance => views.ReadAsync(instance, cancellationToken)));
    }

    private static string? IdempotencyKey(string projectId, string? key) =>
        string.IsNullOrEmpty(key) ? null : key.Length <= 255 ? $"{projectId}/{key}" : throw Faults.Invalid("idempotency_key", "at most 255 characters");

    private static (int Min, int Max) Counts(InstanceWish wish)
    {
        var min = wish.MinCount == 0 ? 1 : wish.MinCount;
        var max = wish.MaxCount == 0 ? min : wish.MaxCount;
        if (min < 1 || max < min)
        {
            throw ComputeFaults.Refers("min_count", "min_count must be <= max_count");
        }
        return max <= CountMax ? (min, max) : throw Faults.Invalid("max_count", $"at most {CountMax} instances in one request");
    }

    private static Fault NoValidHost(IReadOnlyList<string> notes, DateTimeOffset now) =>
        new(500, "No valid host was found. There are not enough hosts available.", string.Join("; ", notes), now);

    private static long ClaimedGib(Flavor flavor) => flavor.RootGib + flavor.EphemeralGib + ((flavor.SwapMib + 1023) / 1024);

    private static string NewReservationId() => $"r-{RandomNumberGenerator.GetString("0123456789abcdefghijklmnopqrstuvwxyz", 8)}";
}
