using System.Buffers.Binary;

namespace Nephos.LocalStorage.Block;

/// <summary>Layers that nobody names any more: deleted when nothing stands on them, merged into the one layer that does otherwise.</summary>
public sealed partial class BlockStore
{
    // Does one bounded thing; false when there is nothing to do. Only the background step calls it, after everything closed was applied.
    private bool RemoveOneLayer()
    {
        Layer layer;
        Layer? child = null;
        lock (_structure)
        {
            using var candidates = _meta.Superfluous().GetEnumerator();
            if (!candidates.MoveNext()) return false;
            layer = _layers[candidates.Current.Layer];
            if (candidates.Current.OnlyChild is { } handle) child = _layers[handle];
            if (child is null)
            {
                Append(new LayerDeleted(layer.Handle));
                Retire(layer);
                return true;
            }
        }
        if (!Drain(layer)) return true;
        MoveBlocks(layer, child);
        lock (_structure)
        {
            // Meanwhile the child may have been deleted or the layer been given a second one by nobody: it has no name. Look again.
            if (!_layers.ContainsKey(child.Handle) || !ReferenceEquals(child.Parent, layer)) return true;
            Append(new LayerMerged(layer.Handle, child.Handle));
            _clock.Change(() => child.Parent = layer.Parent);
            Retire(layer);
        }
        return true;
    }

    // The frozen layer's own blocks must all be in its files. False when the current segment had to be applied first.
    private bool Drain(Layer layer)
    {
        lock (_journal.Gate)
        {
            if (layer.JournalCount == 0) return true;
            _journal.Close();
        }
        ApplyClosed();
        return false;
    }

    private void MoveBlocks(Layer layer, Layer child)
    {
        foreach (var (number, group) in layer.Groups.Concat(FileGroups(layer)).DistinctBy(pair => pair.Number).ToArray())
        {
            for (var index = 0; index < BlockGeometry.GroupExtents && !_stopping; index++)
            {
                // Writers never wait for a merge.
                ApplyClosed();
                MoveExtent(layer, child, (long)number * BlockGeometry.GroupExtents + index, group, index);
            }
        }
        if (_stopping) throw new IOException("The store is closing; merging goes on when it is opened again.");
    }

    private static IEnumerable<(int Number, LayerGroup Group)> FileGroups(Layer layer)
    {
        if (!Directory.Exists(layer.DirectoryPath)) yield break;
        foreach (var path in Directory.GetFiles(layer.DirectoryPath, "*.sums"))
        {
            var number = int.Parse(Path.GetFileNameWithoutExtension(path), System.Globalization.NumberStyles.HexNumber);
            yield return (number, layer.Group(number));
        }
    }

    private void MoveExtent(Layer layer, Layer child, long number, LayerGroup from, int index)
    {
        var source = from.Get(index);
        if (ReferenceEquals(source, LayerExtent.Empty)) return;
        var moving = new List<int>();
        var present = child.Extent(number);
        for (var block = 0; block < BlockGeometry.ExtentBlocks; block++)
        {
            var sum = BlockWord.Sum(source[block]);
            // A zero of the lowest layer hides nothing.
            if (sum == BlockWord.AbsentSum || sum == BlockWord.ZeroSum && layer.Parent is null) continue;
            if (BlockWord.Sum(present[block]) == BlockWord.AbsentSum) moving.Add(block);
        }
        if (moving.Count == 0) return;
        var to = child.Group((int)(number / BlockGeometry.GroupExtents));
        to.OpenFiles(create: true);
        Span<byte> sourceSums = stackalloc byte[LayerGroup.ExtentSumsBytes];
        Span<byte> targetSums = stackalloc byte[LayerGroup.ExtentSumsBytes];
        from.Sums!.Read(LayerGroup.SumsPosition(index), sourceSums);
        to.Sums!.Read(LayerGroup.SumsPosition(index), targetSums);
        var data = new byte[BlockGeometry.BlockBytes];
        foreach (var block in moving)
        {
            var sum = BlockWord.Sum(source[block]);
            if (sum != BlockWord.ZeroSum)
            {
                // A damaged block moves with the sum it should have, and so stays known as damaged.
                from.Data!.Read(DataPosition(index, block), data);
                to.Data!.Write(DataPosition(index, block), data);
            }
            PutSum(targetSums, block, sum, BinaryPrimitives.ReadUInt32LittleEndian(sourceSums[(block * LayerGroup.SumEntryBytes + 4)..]));
        }
        to.Sums.Write(LayerGroup.SumsPosition(index), targetSums);
        to.Data!.Sync();
        to.Sums.Sync();
        SyncNewDirectories([to]);
        lock (_journal.Gate)
        {
            foreach (var block in moving)
            {
                // Written meanwhile: the newer block is in the journal and comes over this one.
                var extent = to.GetForWrite(index);
                if (BlockWord.Sum(extent[block]) == BlockWord.AbsentSum) Volatile.Write(ref extent.Words[block], BlockWord.Sum(source[block]));
            }
        }
    }

    // Under the structure's lock. Readers that have begun may still open and use the files: those go when the last of these readers left.
    private void Retire(Layer layer)
    {
        _layers.Remove(layer.Handle);
        lock (_journal.Gate)
        {
            layer.Deleted = true;
            _journalBlocks -= layer.JournalCount;
            layer.JournalCount = 0;
        }
        _retired.Enqueue((layer, _readers.Phase));
    }

    private void DeleteRetired()
    {
        while (_retired.TryPeek(out var oldest) && _readers.IsOver(oldest.Phase))
        {
            CloseFiles(oldest.Layer);
            if (Directory.Exists(oldest.Layer.DirectoryPath)) Directory.Delete(oldest.Layer.DirectoryPath, recursive: true);
            _retired.Dequeue();
        }
    }
}
