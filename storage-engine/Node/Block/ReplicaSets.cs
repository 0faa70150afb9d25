using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Nephos.Client.Volumes;
using Nephos.LocalStorage.Block;

namespace Nephos.Node.Block;

/// <summary>Control of volumes whose replicas are on several devices: each operation is done when a majority of the set has done it.</summary>
/// <remarks>A device that is away misses the operation. For content that shows by itself, as its history is behind; a snapshot that was taken meanwhile has
/// fewer copies. Every operation may be repeated.</remarks>
internal sealed partial class ReplicaSets(BlockDeviceSet devices, TimeProvider time, ILogger<ReplicaSets> logger)
{
    /// <summary>The sets that volumes are placed on: of three devices each, as many as there are devices; single devices when there are fewer than three.</summary>
    public IReadOnlyList<IReadOnlyList<BlockStore>> Placements
    {
        get
        {
            BlockStore[] all = [.. devices.Devices.OrderBy(store => store.DeviceId)];
            if (all.Length < ReplicaSet.Replicas) return [.. all.Select(store => new[] { store })];
            var sets = all.Length == ReplicaSet.Replicas ? 1 : all.Length;
            return [.. Enumerable.Range(0, sets).Select(first => Enumerable.Range(first, ReplicaSet.Replicas).Select(index => all[index % all.Length]).ToArray())];
        }
    }

    /// <summary>The devices of a set that are here and in order.</summary>
    /// <exception cref="BlockStoreException"><c>NotFound</c> when none is known; <c>Failed</c> when less than a majority is in order.</exception>
    public Members Find(string name)
    {
        var names = ReplicaSet.Members(name);
        BlockStore[] known = [.. names.Select(devices.Find).OfType<BlockStore>()];
        if (known.Length == 0) throw new BlockStoreException(BlockStoreError.NotFound, $"There is no block device {name} here.");
        BlockStore[] healthy = [.. known.Where(store => store.Failure is null)];
        var set = new Members(healthy, names.Count);
        return healthy.Length >= set.Majority || names.Count == 1
            ? new Members(names.Count == 1 ? known : healthy, names.Count)
            : throw new BlockStoreException(BlockStoreError.Failed, $"{healthy.Length} of the devices {name} are in working order; {set.Majority} are needed.");
    }

    /// <param name="Stores">Those that can be used now.</param>
    /// <param name="Count">All members.</param>
    internal sealed record Members(IReadOnlyList<BlockStore> Stores, int Count)
    {
        public int Majority => Count / 2 + 1;

        /// <summary>Does something at each; done when a majority has done it, else the first refusal is thrown.</summary>
        public int Do(Action<BlockStore> action, int? needed = null)
        {
            var done = 0;
            BlockStoreException? refusal = null;
            foreach (var store in Stores)
            {
                try
                {
                    action(store);
                    done++;
                }
                catch (BlockStoreException e)
                {
                    refusal ??= e;
                }
            }
            return done >= (needed ?? Majority) ? done : throw refusal ?? new BlockStoreException(BlockStoreError.Failed, "Too few devices answered.");
        }

        /// <summary>The first member that answers.</summary>
        public T First<T>(Func<BlockStore, T> question)
        {
            BlockStoreException? refusal = null;
            foreach (var store in Stores)
            {
                try
                {
                    return question(store);
                }
                catch (BlockStoreException e)
                {
                    refusal ??= e;
                }
            }
            throw refusal!;
        }
    }

    public void Create(string name, Guid id, long sizeBytes, Guid? snapshotId)
    {
        var members = Find(name);
        // An empty replica beside ones that were written would count as one that has everything.
        var used = members.Stores.Any(store => store.FindVolume(id) is { } volume && (volume.LastSequence > 0 || volume.SealedEpoch > 0));
        if (!used) members.Do(store => store.CreateVolume(id, sizeBytes, snapshotId));
        if (members.Count == 1) return;
        // A device that missed the snapshot gets the content from the others.
        foreach (var store in members.Stores.Where(store => store.FindVolume(id) is null)) store.CreateVolume(id, sizeBytes, snapshotId: null, complete: false);
    }

    public void Delete(string name, Guid id) => Find(name).Do(store => store.DeleteVolume(id));

    public void Resize(string name, Guid id, long sizeBytes) => Find(name).Do(store => store.ResizeVolume(id, sizeBytes));

    public void DeleteSnapshot(string name, Guid snapshotId) => Find(name).Do(store => store.DeleteSnapshot(snapshotId));

    /// <summary>The replica that knows most of a volume; null when no device has it.</summary>
    public (BlockStore Store, BlockVolume Volume)? FindBest(string name, Guid id)
    {
        (BlockStore Store, BlockVolume Volume, VolumeInfo Info)? best = null;
        foreach (var store in Find(name).Stores)
        {
            if (store.FindVolume(id) is not { } volume) continue;
            var info = volume.Describe();
            if (best is null || (info.Complete && (!best.Value.Info.Complete || best.Value.Info.History.IsBehind(info.History)))) best = (store, volume, info);
        }
        return best is { } found ? (found.Store, found.Volume) : null;
    }

    /// <summary>A volume or a snapshot to read from.</summary>
    public BlockSource OpenSource(string name, Guid volumeId, Guid? snapshotId)
    {
        if (snapshotId is { } id) return new BlockSource(Find(name).Stores, id);
        var best = FindBest(name, volumeId) ?? throw new BlockStoreException(BlockStoreError.NotFound, $"The devices {name} have no volume {volumeId}.");
        return new BlockSource(best.Volume);
    }

    /// <summary>Refuses every head of this epoch's attachments and before, at a majority. Then makes the replicas the same, if that is quick.</summary>
    /// <exception cref="BlockStoreException"><c>Conflict</c>: a newer epoch is sealed.</exception>
    public void Seal(string name, Guid id, long granted)
    {
        var epoch = ReplicaEpochs.OfControl(granted);
        Find(name).Do(store => SealOne(store, id, epoch));
        TrySettle(name, id);
    }

    private static void SealOne(BlockStore store, Guid id, long epoch)
    {
        switch (store.GetVolume(id).Seal(epoch))
        {
            case BlockStatus.Ok: return;
            case BlockStatus.Fenced: throw new BlockStoreException(BlockStoreError.Conflict, "A newer epoch of the volume is sealed.");
            case var status: throw new BlockStoreException(BlockStoreError.Failed, $"Device {store.DeviceId} answered {status}.");
        }
    }

    /// <summary>Puts the content of a snapshot back at every replica that has it; the others get it later.</summary>
    public void Rollback(string name, Guid id, Guid snapshotId)
    {
        var members = Find(name);
        // An epoch that no head was granted: the rollback must not be taken for a write of one.
        var sealedEpoch = members.Stores.Max(store => store.FindVolume(id)?.SealedEpoch ?? 0);
        var epoch = sealedEpoch + sealedEpoch % 2;
        members.Do(store => SealOne(store, id, epoch));
        TrySettle(name, id);
        members.Do(store => store.Rollback(id, snapshotId, epoch));
        TrySettle(name, id);
    }

    /// <summary>Brings the replicas of a volume without a head to the same content, as a head that opened it would.</summary>
    public void TrySettle(string name, Guid id)
    {
        var names = ReplicaSet.Members(name);
        if (names.Count == 1) return;
        BlockVolume?[] volumes = [.. names.Select(device => devices.Find(device)?.FindVolume(id))];
        VolumeInfo[] infos = [.. volumes.OfType<BlockVolume>().Select(volume => volume.Describe())];
        if (infos.Length == 0 || Array.TrueForAll(infos, info => info.Complete && info.History.Equals(infos[0].History))) return;
        var epoch = infos.Max(info => info.SealedEpoch);
        // A head has it, and repairs it itself.
        if (epoch % 2 != 0) return;
        try
        {
            VolumeSettling.Settle(
                id, epoch, infos.Max(info => info.SizeBytes), [.. names.Select(device => new ReplicaEndpoint(device, ""))],
                [.. volumes.Select(volume => volume is null ? null : new LocalReplica(volume))], time);
        }
        catch (VolumeHeadException e)
        {
            LogNotSettled(e, id);
        }
    }

    /// <summary>Writes at all replicas of a volume that no head serves.</summary>
    public Filling Fill(string name, Guid id, long granted) => new(Find(name), id, ReplicaEpochs.OfControl(granted));

    /// <summary>A volume that is being filled, in step at all its replicas. One that fails is left behind.</summary>
    internal sealed class Filling(Members members, Guid id, long epoch)
    {
        private readonly List<BlockVolume> _volumes = [.. members.Stores.Select(store => store.FindVolume(id)).OfType<BlockVolume>()];

        public BlockStatus Write(long offset, ReadOnlySpan<byte> data)
        {
            var status = BlockStatus.NotFound;
            for (var i = _volumes.Count - 1; i >= 0; i--)
            {
                status = WriteOne(_volumes[i], offset, data);
                if (status != BlockStatus.Ok && _volumes.Count <= members.Majority) return status;
                if (status != BlockStatus.Ok) _volumes.RemoveAt(i);
            }
            return _volumes.Count >= members.Majority ? BlockStatus.Ok : status;
        }

        private unsafe BlockStatus WriteOne(BlockVolume volume, long offset, ReadOnlySpan<byte> bytes)
        {
            // SAFETY: the bytes are pinned until the write has returned.
            fixed (byte* data = bytes)
            {
                var write = new JournalWrite { Sequence = volume.LastSequence + 1, Offset = offset, Length = bytes.Length, Data = (nint)data };
                return volume.Write(epoch, MemoryMarshal.CreateReadOnlySpan(ref write, 1));
            }
        }

        public BlockStatus Flush()
        {
            if (_volumes.Count < members.Majority) return BlockStatus.NotFound;
            var flushed = 0;
            var last = BlockStatus.Ok;
            foreach (var volume in _volumes)
            {
                var status = volume.Flush(epoch);
                if (status == BlockStatus.Ok) flushed++;
                else last = status;
            }
            return flushed >= members.Majority ? BlockStatus.Ok : last;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The replicas of volume {VolumeId} can not be made the same now")]
    private partial void LogNotSettled(Exception exception, Guid volumeId);
}
