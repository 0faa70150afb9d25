using Microsoft.Extensions.Logging;
using Nephos.Client.Volumes;
using Nephos.LocalStorage.Block;
using Nephos.Node.Block.Cluster;

namespace Nephos.Node.Block;

/// <summary>Control of volumes whose replicas are on several devices: each operation is done when a majority of the set has done it.</summary>
/// <remarks>A device that is away misses the operation. For content that shows by itself, as its history is behind; a snapshot that was taken meanwhile has
/// fewer copies. Every operation may be repeated.</remarks>
internal sealed partial class ReplicaSets(BlockNodes nodes, TimeProvider time, ILogger<ReplicaSets> logger)
{
    /// <summary>The sets that volumes are placed on: of three devices each, in different zones and processes as far as there are, one set beginning with each
    /// device; single devices when there are fewer than three.</summary>
    public IReadOnlyList<IReadOnlyList<IBlockDevice>> Placements
    {
        get
        {
            if (!nodes.HasEnough) return [];
            IBlockDevice[] all = [.. nodes.Devices.OrderBy(device => device.Id)];
            if (all.Length < ReplicaSet.Replicas) return [.. all.Select(device => new[] { device })];
            var sets = all.Length == ReplicaSet.Replicas ? 1 : all.Length;
            return [.. Enumerable.Range(0, sets).Select(first => SetFrom(all, first)).DistinctBy(set => string.Concat(set.Select(device => device.Id).Order()))];
        }
    }

    private static IReadOnlyList<IBlockDevice> SetFrom(IBlockDevice[] all, int first)
    {
        var set = new List<IBlockDevice> { all[first] };
        while (set.Count < ReplicaSet.Replicas)
        {
            set.Add(Enumerable.Range(first + 1, all.Length - 1).Select(index => all[index % all.Length]).Where(device => !set.Contains(device))
                .MinBy(device => (set.Exists(other => other.Zone == device.Zone), set.Exists(other => other.Node == device.Node)))!);
        }
        return set;
    }

    /// <summary>Where the members of a set are.</summary>
    public IEnumerable<ReplicaEndpoint> Locate(string name) => ReplicaSet.Members(name).Select(id => new ReplicaEndpoint(id, nodes.Find(id)?.Address ?? ""));

    /// <summary>The devices of a set that can be used.</summary>
    /// <exception cref="BlockStoreException"><c>NotFound</c> when none is known; <c>Failed</c> when less than a majority is in order.</exception>
    public Members Find(string name)
    {
        var names = ReplicaSet.Members(name);
        IBlockDevice[] known = [.. names.Select(nodes.Find).OfType<IBlockDevice>()];
        if (known.Length == 0) throw new BlockStoreException(BlockStoreError.NotFound, $"There is no block device {name} here.");
        IBlockDevice[] usable = [.. known.Where(device => device.IsUsable)];
        var set = new Members(usable, names.Count);
        return usable.Length >= set.Majority || names.Count == 1
            ? new Members(names.Count == 1 ? known : usable, names.Count)
            : throw new BlockStoreException(BlockStoreError.Failed, $"{usable.Length} of the devices {name} are in working order; {set.Majority} are needed.");
    }

    /// <param name="Devices">Those that can be used now.</param>
    /// <param name="Count">All members.</param>
    internal sealed record Members(IReadOnlyList<IBlockDevice> Devices, int Count)
    {
        public int Majority => Count / 2 + 1;

        /// <summary>Does something at each, at the same time; done when a majority has done it, else a refusal is thrown.</summary>
        public void Do(Action<IBlockDevice> action)
        {
            var (done, refusal) = (0, (BlockStoreException?)null);
            Parallel.ForEach(Devices, device =>
            {
                try
                {
                    action(device);
                    Interlocked.Increment(ref done);
                }
                catch (BlockStoreException e)
                {
                    Interlocked.CompareExchange(ref refusal, e, null);
                }
            });
            if (done < Majority) throw refusal ?? new BlockStoreException(BlockStoreError.Failed, "Too few devices answered.");
        }

        /// <summary>What each knows of something; one that can not be asked knows nothing.</summary>
        public IEnumerable<(IBlockDevice Device, T Known)> Ask<T>(Func<IBlockDevice, T?> question)
            where T : class => Devices.Select(device => (Device: device, Known: TryAsk(device, question))).Where(pair => pair.Known is not null)!;
    }

    /// <summary>What the first device says that can answer.</summary>
    public static T First<T>(IReadOnlyList<IBlockDevice> devices, Func<IBlockDevice, T> question)
    {
        BlockStoreException? refusal = null;
        foreach (var device in devices)
        {
            try
            {
                return question(device);
            }
            catch (BlockStoreException e)
            {
                refusal ??= e;
            }
        }
        throw refusal ?? new BlockStoreException(BlockStoreError.Failed, "No device can answer.");
    }

    // A replica that can not be asked is as good as none, for now.
    private static T? TryAsk<T>(IBlockDevice device, Func<IBlockDevice, T?> question)
        where T : class
    {
        try
        {
            return question(device);
        }
        catch (BlockStoreException e) when (e.Error == BlockStoreError.Failed)
        {
            return null;
        }
    }

    private static void TryDo(IBlockDevice device, Action<IBlockDevice> action) => TryAsk(device, one =>
    {
        action(one);
        return one;
    });

    public void Create(string name, Guid id, long sizeBytes, Guid? snapshotId)
    {
        var members = Find(name);
        if (members.Count == 1)
        {
            members.Do(device => device.CreateVolume(id, sizeBytes, snapshotId, complete: true));
            return;
        }
        // An empty replica beside ones that were written would count as one that has everything.
        var used = members.Ask(device => device.FindVolume(id)).Any(found => found.Known.History.Sequence > 0 || found.Known.SealedEpoch > 0);
        if (!used) members.Do(device => device.CreateVolume(id, sizeBytes, snapshotId, complete: true));
        // A device that missed the snapshot gets the content from the others.
        var having = members.Ask(device => device.FindVolume(id)).Select(found => found.Device).ToHashSet();
        foreach (var device in members.Devices.Where(device => !having.Contains(device)))
            TryDo(device, lacking => lacking.CreateVolume(id, sizeBytes, snapshotId: null, complete: false));
    }

    public void Delete(string name, Guid id) => Find(name).Do(device => device.DeleteVolume(id));

    public void Resize(string name, Guid id, long sizeBytes) => Find(name).Do(device => device.ResizeVolume(id, sizeBytes));

    public void DeleteSnapshot(string name, Guid snapshotId) => Find(name).Do(device => device.DeleteSnapshot(snapshotId));

    /// <summary>The replica that knows most of a volume; null when no device has it.</summary>
    public (IBlockDevice Device, VolumeInfo Info)? FindBest(string name, Guid id)
    {
        (IBlockDevice Device, VolumeInfo Info)? best = null;
        foreach (var (device, info) in Find(name).Ask(device => device.FindVolume(id)))
            if (best is null || (info.Complete && (!best.Value.Info.Complete || best.Value.Info.History.IsBehind(info.History)))) best = (device, info);
        return best;
    }

    /// <summary>A volume or a snapshot to read from.</summary>
    public BlockSource OpenSource(string name, Guid volumeId, Guid? snapshotId)
    {
        if (snapshotId is { } id) return new BlockSource(Find(name), id);
        var (device, info) = FindBest(name, volumeId) ?? throw new BlockStoreException(BlockStoreError.NotFound, $"The devices {name} have no volume {volumeId}.");
        return new BlockSource(device.OpenReplica(volumeId), info.SizeBytes);
    }

    /// <summary>Refuses every head of this epoch's attachments and before, at a majority. Then makes the replicas the same, if that is quick.</summary>
    /// <exception cref="BlockStoreException"><c>Conflict</c>: a newer epoch is sealed.</exception>
    public void Seal(string name, Guid id, long granted)
    {
        var epoch = ReplicaEpochs.OfControl(granted);
        Find(name).Do(device => device.Seal(id, epoch));
        TrySettle(name, id);
    }

    /// <summary>Puts the content of a snapshot back at every replica that has it; the others get it later.</summary>
    public void Rollback(string name, Guid id, Guid snapshotId)
    {
        var members = Find(name);
        // An epoch that no head was granted: the rollback must not be taken for a write of one.
        var sealedEpoch = members.Ask(device => device.FindVolume(id)).Select(found => found.Known.SealedEpoch).DefaultIfEmpty(0).Max();
        var epoch = sealedEpoch + sealedEpoch % 2;
        members.Do(device => device.Seal(id, epoch));
        TrySettle(name, id);
        members.Do(device => device.Rollback(id, snapshotId, epoch));
        TrySettle(name, id);
    }

    /// <summary>Brings the replicas of a volume without a head to the same content, as a head that opened it would.</summary>
    public void TrySettle(string name, Guid id)
    {
        var names = ReplicaSet.Members(name);
        if (names.Count == 1) return;
        var found = names.Select(nodes.Find).OfType<IBlockDevice>().Where(device => device.IsUsable)
            .Select(device => (Device: device, Info: TryAsk(device, one => one.FindVolume(id)))).Where(pair => pair.Info is not null).ToDictionary(pair => $"{pair.Device.Id}");
        VolumeInfo[] infos = [.. found.Values.Select(pair => pair.Info!)];
        if (infos.Length == 0 || Array.TrueForAll(infos, info => info.Complete && info.History.Equals(infos[0].History))) return;
        var epoch = infos.Max(info => info.SealedEpoch);
        // A head has it, and repairs it itself.
        if (epoch % 2 != 0) return;
        try
        {
            VolumeSettling.Settle(
                id, epoch, infos.Max(info => info.SizeBytes), [.. Locate(name)], [.. names.Select(device => found.GetValueOrDefault(device).Device?.OpenReplica(id))], time);
        }
        catch (VolumeHeadException e)
        {
            LogNotSettled(e, id);
        }
    }

    /// <summary>Writes at all replicas of a volume that no head serves.</summary>
    public Filling Fill(string name, Guid id, long granted)
    {
        var members = Find(name);
        return new Filling(members.Majority, [.. members.Ask(device => device.FindVolume(id)).Select(found => (found.Device.OpenReplica(id), found.Known.History.Sequence))], ReplicaEpochs.OfControl(granted));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The replicas of volume {VolumeId} can not be made the same now")]
    private partial void LogNotSettled(Exception exception, Guid volumeId);
}
