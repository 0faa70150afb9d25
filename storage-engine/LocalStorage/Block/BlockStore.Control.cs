namespace Nephos.LocalStorage.Block;

/// <summary>Making, freezing and deleting. Each operation is durable when it returns; repeating one that was done changes nothing.</summary>
public sealed partial class BlockStore
{
    public BlockVolume? FindVolume(Guid id)
    {
        lock (_structure) return _volumes.GetValueOrDefault(id);
    }

    /// <exception cref="BlockStoreException"><c>NotFound</c>.</exception>
    public BlockVolume GetVolume(Guid id) =>
        FindVolume(id) ?? throw new BlockStoreException(BlockStoreError.NotFound, $"Device {DeviceId} has no volume {id}.");

    public IReadOnlyList<Guid> VolumeIds
    {
        get { lock (_structure) return [.. _volumes.Keys]; }
    }

    public IReadOnlyList<Guid> SnapshotIds
    {
        get { lock (_structure) return [.. _meta.Snapshots.Keys]; }
    }

    public VolumeInfo Describe(BlockVolume volume)
    {
        lock (_structure)
        {
            var layers = 0;
            for (var layer = volume.Top; layer is not null; layer = layer.Parent) layers++;
            lock (_journal.Gate) return new VolumeInfo(volume.Id, volume.SizeBytes, volume.SealedEpoch, volume.History, volume.Complete, volume.Begins, layers);
        }
    }

    /// <summary>Bytes of data in the top layer of a volume. Reads all its checksums.</summary>
    public long AllocatedBytes(BlockVolume volume)
    {
        using var visit = _readers.Enter();
        var layer = volume.Top;
        long bytes;
        lock (_journal.Gate) bytes = layer.JournalCount * BlockGeometry.BlockBytes;
        foreach (var path in Directory.Exists(layer.DirectoryPath) ? Directory.GetFiles(layer.DirectoryPath, "*.sums") : [])
        {
            var number = int.Parse(Path.GetFileNameWithoutExtension(path), System.Globalization.NumberStyles.HexNumber);
            var group = layer.Group(number);
            for (var index = 0; index < BlockGeometry.GroupExtents; index++)
            {
                var extent = group.Get(index);
                if (ReferenceEquals(extent, LayerExtent.Empty)) continue;
                foreach (var word in extent.Words)
                    if (BlockWord.HasData(word) && BlockWord.Place(word) == 0) bytes += BlockGeometry.BlockBytes;
            }
        }
        return bytes;
    }

    /// <summary>Makes a volume: empty, or over the layers of a snapshot.</summary>
    /// <param name="id">Chosen by the caller; making the same again is no change.</param>
    /// <param name="sizeBytes">A multiple of 4096.</param>
    /// <param name="snapshotId">What it stands on, or null.</param>
    /// <param name="complete">False for a replica whose content is still to come from others.</param>
    /// <exception cref="BlockStoreException"><c>NotFound</c> for the snapshot, <c>InvalidArgument</c> for the size, <c>Conflict</c> when the id is in
    /// use with another size.</exception>
    public BlockVolume CreateVolume(Guid id, long sizeBytes, Guid? snapshotId, bool complete = true)
    {
        CheckSize(sizeBytes);
        lock (_structure)
        {
            if (_volumes.TryGetValue(id, out var existing))
            {
                return existing.SizeBytes >= sizeBytes
                    ? existing
                    : throw new BlockStoreException(BlockStoreError.Conflict, $"Volume {id} exists with {existing.SizeBytes} bytes.");
            }
            uint? parent = null;
            if (snapshotId is { } wanted)
            {
                var snapshot = FindSnapshot(wanted);
                if (snapshot.SizeBytes > sizeBytes)
                {
                    throw new BlockStoreException(
                        BlockStoreError.InvalidArgument, $"A volume of {sizeBytes} bytes is smaller than snapshot {wanted} of {snapshot.SizeBytes} bytes.");
                }
                parent = snapshot.Layer;
            }
            var handle = _meta.NextHandle;
            Append(new VolumeCreated(id, handle, sizeBytes, handle + 1, parent, Incomplete: !complete));
            var top = MakeLayer(handle + 1, parent is { } p ? _layers[p] : null);
            _layers[top.Handle] = top;
            var volume = new BlockVolume(this, _meta.Volumes[handle], top);
            AddVolume(volume);
            return volume;
        }
    }

    private static void CheckSize(long sizeBytes)
    {
        if (sizeBytes <= 0 || sizeBytes > BlockGeometry.VolumeBytesMax || sizeBytes % BlockGeometry.BlockBytes != 0)
        {
            throw new BlockStoreException(
                BlockStoreError.InvalidArgument,
                $"A size of {sizeBytes} bytes is not between 4096 and {BlockGeometry.VolumeBytesMax}, or not a multiple of 4096.");
        }
    }

    private MetaSnapshot FindSnapshot(Guid id) =>
        _meta.Snapshots.GetValueOrDefault(id)
        ?? throw new BlockStoreException(BlockStoreError.NotFound, $"Device {DeviceId} has no snapshot {id}.");

    /// <summary>Deletes a volume. Its requests are answered with <c>NotFound</c> from then on.</summary>
    public void DeleteVolume(Guid id)
    {
        lock (_structure)
        {
            if (!_volumes.TryGetValue(id, out var volume)) return;
            Append(new VolumeDeleted(volume.Handle));
            lock (_journal.Gate) volume.Deleted = true;
            _volumes.Remove(id);
            _volumesByHandle.Remove(volume.Handle);
        }
        WakeBackground();
    }

    /// <summary>Grows a volume. A size below the present one is refused.</summary>
    public void ResizeVolume(Guid id, long sizeBytes)
    {
        CheckSize(sizeBytes);
        lock (_structure)
        {
            var volume = GetVolume(id);
            if (sizeBytes == volume.SizeBytes) return;
            if (sizeBytes < volume.SizeBytes)
            {
                throw new BlockStoreException(
                    BlockStoreError.InvalidArgument, $"Volume {id} has {volume.SizeBytes} bytes and can not shrink to {sizeBytes}.");
            }
            Append(new VolumeResized(volume.Handle, sizeBytes));
            volume.SizeBytes = sizeBytes;
        }
    }

    /// <summary>Freezes what the volume holds now under an id. Every write that was acknowledged before the call is in it, none that begins after.</summary>
    public void CreateSnapshot(Guid volumeId, Guid snapshotId) => CreateSnapshots([(volumeId, snapshotId)]);

    /// <summary>Freezes several volumes at one moment: no write of one is in its snapshot that began after a write missing in another's.</summary>
    /// <remarks>When only some of the snapshots exist, a call before this one was cut off and never acknowledged: they are taken anew.</remarks>
    public void CreateSnapshots(IReadOnlyList<(Guid VolumeId, Guid SnapshotId)> wanted) => CreateSnapshots(wanted, heldAt: null);

    /// <summary>As above, of volumes that are held, each just behind the write with the sequence given: so all replicas freeze the same.</summary>
    /// <exception cref="BlockStoreException"><c>Conflict</c> when a replica has not all writes up to there, or its hold has ended.</exception>
    public void CreateSnapshots(IReadOnlyList<(Guid VolumeId, Guid SnapshotId)> wanted, IReadOnlyList<long>? heldAt)
    {
        try
        {
            for (var i = 0; i < wanted.Count && heldAt is not null; i++) WaitForHeld(GetVolume(wanted[i].VolumeId), heldAt[i]);
            lock (_structure) Freeze(wanted, heldAt);
        }
        finally
        {
            if (heldAt is not null)
                foreach (var (volumeId, _) in wanted) EndHold(volumeId);
        }
        if (!_journal.Sync()) throw new BlockStoreException(BlockStoreError.Failed, $"Device {DeviceId} failed.", _journal.Failure);
    }

    private void Freeze(IReadOnlyList<(Guid VolumeId, Guid SnapshotId)> wanted, IReadOnlyList<long>? heldAt)
    {
        if (wanted.All(pair => _meta.Snapshots.ContainsKey(pair.SnapshotId))) return;
        if (wanted.DistinctBy(pair => pair.VolumeId).Count() < wanted.Count)
            throw new BlockStoreException(BlockStoreError.InvalidArgument, "A volume is named twice.");
        var volumes = wanted.Select(pair => GetVolume(pair.VolumeId)).ToList();
        foreach (var (_, snapshotId) in wanted)
            if (_meta.Snapshots.ContainsKey(snapshotId)) Append(new SnapshotDeleted(snapshotId));
        var tops = new List<Layer>(wanted.Count);
        for (var i = 0; i < wanted.Count; i++)
        {
            var newLayer = _meta.NextHandle;
            // Recorded first: a crash between here and the switch leaves a snapshot that was never acknowledged, of just this moment.
            Append(new SnapshotCreated(wanted[i].SnapshotId, volumes[i].Handle, newLayer, heldAt?[i] ?? 0));
            tops.Add(_layers[newLayer] = MakeLayer(newLayer, volumes[i].Top));
        }
        lock (_journal.Gate)
            for (var i = 0; i < tops.Count; i++) volumes[i].Top = tops[i];
    }

    public void DeleteSnapshot(Guid snapshotId)
    {
        lock (_structure)
        {
            if (!_meta.Snapshots.ContainsKey(snapshotId)) return;
            Append(new SnapshotDeleted(snapshotId));
        }
        WakeBackground();
    }

    /// <summary>The write behind which a snapshot was taken of a held volume; 0 for others, null when there is no such snapshot.</summary>
    public long? FindSnapshotSequence(Guid snapshotId)
    {
        lock (_structure) return _meta.Snapshots.GetValueOrDefault(snapshotId)?.Sequence;
    }

    /// <summary>Puts the content of a snapshot back: a new empty layer over it. The size of the volume stays.</summary>
    /// <param name="volumeId">The volume that the snapshot is of.</param>
    /// <param name="snapshotId">What it shall hold again.</param>
    /// <param name="epoch">It counts as a write of this epoch, so that a replica which missed it is known to lack something.</param>
    public void Rollback(Guid volumeId, Guid snapshotId, long epoch)
    {
        lock (_structure)
        {
            var volume = GetVolume(volumeId);
            var snapshot = FindSnapshot(snapshotId);
            if (snapshot.VolumeId != volumeId)
            {
                throw new BlockStoreException(
                    BlockStoreError.InvalidArgument, $"Snapshot {snapshotId} is of volume {snapshot.VolumeId}, not of {volumeId}.");
            }
            if (epoch < volume.SealedEpoch)
                throw new BlockStoreException(BlockStoreError.Conflict, $"Volume {volumeId} is sealed at {volume.SealedEpoch}, above {epoch}.");
            var newLayer = _meta.NextHandle;
            var sequence = volume.LastSequence + 1;
            Append(new VolumeRolledBack(volume.Handle, snapshotId, newLayer, epoch, sequence));
            var top = MakeLayer(newLayer, _layers[snapshot.Layer]);
            _layers[newLayer] = top;
            lock (_journal.Gate)
            {
                volume.Top = top;
                volume.Took(epoch, sequence);
                volume.Unlisted = sequence;
            }
        }
        WakeBackground();
    }

    /// <summary>Reads whole blocks of a snapshot.</summary>
    public BlockStatus ReadSnapshot(Guid snapshotId, long offset, Span<byte> buffer)
    {
        using var visit = _readers.Enter();
        Layer layer;
        lock (_structure)
        {
            var snapshot = FindSnapshot(snapshotId);
            if (!InRange(offset, buffer.Length, snapshot.SizeBytes)) return BlockStatus.OutOfRange;
            layer = _layers[snapshot.Layer];
        }
        return ReadLayers(layer, offset, buffer);
    }

    public BlockStatus GetSnapshotRanges(Guid snapshotId, long offset, long length, Span<LayerRange> ranges, out int count)
    {
        count = 0;
        using var visit = _readers.Enter();
        Layer layer;
        lock (_structure)
        {
            var snapshot = FindSnapshot(snapshotId);
            if (!InRange(offset, length, snapshot.SizeBytes)) return BlockStatus.OutOfRange;
            layer = _layers[snapshot.Layer];
        }
        return GetRanges(layer, offset, length, ranges, out count);
    }

    /// <exception cref="BlockStoreException"><c>NotFound</c>.</exception>
    public long SnapshotSizeBytes(Guid snapshotId)
    {
        lock (_structure) return FindSnapshot(snapshotId).SizeBytes;
    }

    internal BlockStatus Seal(BlockVolume volume, long epoch)
    {
        lock (_structure)
        {
            if (volume.Deleted) return BlockStatus.NotFound;
            if (epoch < volume.SealedEpoch) return BlockStatus.Fenced;
            if (epoch == volume.SealedEpoch) return BlockStatus.Ok;
            try
            {
                Append(new VolumeSealed(volume.Handle, epoch));
            }
            catch (BlockStoreException e)
            {
                return e.Error == BlockStoreError.NoSpace ? BlockStatus.NoSpace : BlockStatus.Failed;
            }
            // Writes look at the epoch under the gate: when it is left, none of an older epoch is on its way.
            lock (_journal.Gate) volume.SealedEpoch = epoch;
            return BlockStatus.Ok;
        }
    }
}
