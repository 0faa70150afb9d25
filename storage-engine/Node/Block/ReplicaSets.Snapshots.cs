using System.Collections.Concurrent;
using Nephos.LocalStorage.Block;

namespace Nephos.Node.Block;

/// <summary>Snapshots of volumes that may be written meanwhile: all replicas freeze behind the same write.</summary>
internal sealed partial class ReplicaSets
{
    /// <summary>How long writes may be held for a common moment.</summary>
    private static readonly TimeSpan HoldTime = TimeSpan.FromSeconds(2);

    /// <summary>Freezes several volumes of a set at one moment.</summary>
    /// <remarks>Writes of the volumes are held at each replica; the greatest sequence that one has taken is the moment. A replica that is a little
    /// behind takes what it lacks up to there from its head, and freezes then. Holds end by themselves when this process dies.</remarks>
    public void CreateSnapshots(string name, IReadOnlyList<(Guid VolumeId, Guid SnapshotId)> wanted)
    {
        var members = Find(name);
        if (members.Count == 1)
        {
            members.Devices[0].CreateSnapshots(wanted, heldAt: null);
            return;
        }
        if (AreTaken(members, wanted)) return;
        // What is there is of an attempt that was cut off, or of another moment.
        foreach (var (_, snapshotId) in wanted)
            foreach (var device in members.Devices) TryDo(device, one => one.DeleteSnapshot(snapshotId));
        foreach (var (volumeId, _) in wanted) TrySettle(name, volumeId);
        try
        {
            var moments = Hold(members, wanted);
            members.Do(device => device.CreateSnapshots(wanted, moments));
        }
        finally
        {
            foreach (var (volumeId, _) in wanted)
                foreach (var device in members.Devices) TryDo(device, one => one.EndHold(volumeId));
        }
    }

    private static bool AreTaken(Members members, IReadOnlyList<(Guid VolumeId, Guid SnapshotId)> wanted) => wanted.All(pair =>
    {
        var sequences = members.Ask(device => device.FindSnapshot(pair.SnapshotId)).Select(found => found.Known.Sequence);
        return sequences.GroupBy(sequence => sequence).Any(same => same.Count() >= members.Majority);
    });

    private static List<long> Hold(Members members, IReadOnlyList<(Guid VolumeId, Guid SnapshotId)> wanted)
    {
        var moments = new List<long>();
        foreach (var (volumeId, _) in wanted)
        {
            var held = new ConcurrentBag<VolumeInfo>();
            members.Do(device => held.Add(device.Hold(volumeId, HoldTime)));
            var complete = held.Where(info => info.Complete).ToList();
            if (complete.Count < members.Majority)
                throw new BlockStoreException(BlockStoreError.Failed, $"{complete.Count} of {members.Count} replicas of volume {volumeId} are complete; {members.Majority} are needed.");
            var best = complete.Aggregate((one, other) => one.History.IsBehind(other.History) ? other : one);
            moments.Add(best.History.Sequence);
        }
        return moments;
    }
}
