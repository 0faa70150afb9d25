using Nephos.Replication.Volumes;

namespace Nephos.LocalStorage.Block;

/// <summary>What a device holds, as the log of changes says: pure, without files.</summary>
internal sealed class MetaState
{
    public uint NextHandle { get; private set; } = 1;
    public ulong OldestNeeded { get; private set; }
    public Dictionary<uint, MetaVolume> Volumes { get; } = [];
    public Dictionary<uint, MetaLayer> Layers { get; } = [];
    public Dictionary<Guid, MetaSnapshot> Snapshots { get; } = [];

    public void Apply(MetaChange change)
    {
        switch (change)
        {
            case VolumeCreated c:
                Take(c.Handle);
                AddLayer(c.Layer, c.ParentLayer);
                Volumes[c.Handle] = new MetaVolume(c.Id, c.Handle, c.SizeBytes, c.Layer, SealedEpoch: 0, Incomplete: c.Incomplete);
                break;
            case VolumeSealed c:
                Volumes[c.Handle] = Volumes[c.Handle] with { SealedEpoch = c.Epoch };
                break;
            case VolumeBegun c:
                Volumes[c.Handle] = Volumes[c.Handle] with { History = c.History, Incomplete = c.Incomplete, Unlisted = c.Unlisted };
                break;
            case VolumeResized c:
                Volumes[c.Handle] = Volumes[c.Handle] with { SizeBytes = c.SizeBytes };
                break;
            case VolumeDeleted c:
                Volumes.Remove(c.Handle);
                break;
            case SnapshotCreated c:
                var frozen = Volumes[c.Volume];
                AddLayer(c.NewLayer, frozen.Top);
                Snapshots[c.Id] = new MetaSnapshot(c.Id, frozen.Top, frozen.SizeBytes, frozen.Id, c.Sequence);
                Volumes[c.Volume] = frozen with { Top = c.NewLayer };
                break;
            case SnapshotDeleted c:
                Snapshots.Remove(c.Id);
                break;
            case VolumeRolledBack c:
                AddLayer(c.NewLayer, Snapshots[c.Snapshot].Layer);
                Volumes[c.Volume] = WithRollback(Volumes[c.Volume], c);
                break;
            case LayerMerged c:
                Layers[c.Child] = Layers[c.Child] with { Parent = Layers[c.Layer].Parent };
                Layers.Remove(c.Layer);
                break;
            case LayerDeleted c:
                Layers.Remove(c.Layer);
                break;
            case JournalTrimmed c:
                OldestNeeded = c.OldestNeeded;
                break;
            case JournalReleased c:
                foreach (var writes in c.Writes)
                    if (Volumes.TryGetValue(writes.Volume, out var written)) Volumes[writes.Volume] = WithReleased(written, writes);
                break;
            case Everything c:
                OldestNeeded = c.OldestNeeded;
                NextHandle = c.NextHandle;
                Volumes.Clear();
                Layers.Clear();
                Snapshots.Clear();
                foreach (var volume in c.Volumes) Volumes.Add(volume.Handle, volume);
                foreach (var layer in c.Layers) Layers.Add(layer.Handle, layer);
                foreach (var snapshot in c.Snapshots) Snapshots.Add(snapshot.Id, snapshot);
                break;
            default:
                throw new InvalidOperationException($"The log names a change this version does not know: {change.GetType().Name}.");
        }
    }

    /// <summary>Volumes point at layers, layers at older ones: what nobody points at can go, what one points at can be merged.</summary>
    public IEnumerable<(uint Layer, uint? OnlyChild)> Superfluous()
    {
        var children = new Dictionary<uint, (int Count, uint Last)>();
        foreach (var layer in Layers.Values)
            if (layer.Parent is { } parent) children[parent] = (children.GetValueOrDefault(parent).Count + 1, layer.Handle);
        var named = Volumes.Values.Select(volume => volume.Top).Concat(Snapshots.Values.Select(snapshot => snapshot.Layer)).ToHashSet();
        foreach (var layer in Layers.Values)
        {
            if (named.Contains(layer.Handle)) continue;
            var (count, last) = children.GetValueOrDefault(layer.Handle);
            if (count == 0) yield return (layer.Handle, null);
            else if (count == 1) yield return (layer.Handle, last);
        }
    }

    private static MetaVolume WithReleased(MetaVolume volume, ReleasedWrites writes)
    {
        var history = volume.History ?? VolumeHistory.Empty;
        return volume with
        {
            History = history.With(writes.Epoch, writes.First).With(writes.Epoch, writes.Last),
            Unlisted = Math.Max(volume.Unlisted, writes.Last),
        };
    }

    private static MetaVolume WithRollback(MetaVolume volume, VolumeRolledBack change)
    {
        volume = volume with { Top = change.NewLayer };
        return change.Sequence == 0 ? volume : WithReleased(volume, new ReleasedWrites(change.Volume, change.Epoch, change.Sequence, change.Sequence));
    }

    public Everything ToEverything() => new(NextHandle, OldestNeeded, [.. Volumes.Values], [.. Layers.Values], [.. Snapshots.Values]);

    private void AddLayer(uint handle, uint? parent)
    {
        Take(handle);
        Layers[handle] = new MetaLayer(handle, parent);
    }

    private void Take(uint handle) => NextHandle = Math.Max(NextHandle, checked(handle + 1));
}
