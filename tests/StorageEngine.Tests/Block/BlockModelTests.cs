using CsCheck;
using Nephos.LocalStorage.Block;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

/// <summary>The store against a model that is nothing but arrays, through writes, snapshots, clones, merges, restarts and crashes.</summary>
public sealed class BlockModelTests
{
    private const int BlocksMax = 2600; // Two extents and a half.

    private enum Step { Fill, FillMuch, Zero, Snapshot, Clone, Rollback, DeleteVolume, DeleteSnapshot, Grow, Apply, Drain, Reopen, Crash, Check }

    private sealed record Action(Step Step, int A, int B, int Count);

    private static readonly Gen<Action> GenAction = Gen.Select(
        Gen.Frequency(
            (8, Gen.Const(Step.Fill)), (2, Gen.Const(Step.FillMuch)), (4, Gen.Const(Step.Zero)), (3, Gen.Const(Step.Snapshot)), (2, Gen.Const(Step.Clone)),
            (1, Gen.Const(Step.Rollback)), (1, Gen.Const(Step.DeleteVolume)), (3, Gen.Const(Step.DeleteSnapshot)), (1, Gen.Const(Step.Grow)),
            (2, Gen.Const(Step.Apply)), (2, Gen.Const(Step.Drain)), (1, Gen.Const(Step.Reopen)), (1, Gen.Const(Step.Crash)), (2, Gen.Const(Step.Check))),
        Gen.Int[0, 1000], Gen.Int[0, BlocksMax - 1], Gen.Int[1, 40]).Select(t => new Action(t.Item1, t.Item2, t.Item3, t.Item4));

    [Fact]
    public void Whatever_is_done_volumes_and_snapshots_hold_what_was_written()
    {
        GenAction.Array[5, 60].Sample(Run, iter: 30, threads: 1);
    }

    private static void Run(Action[] actions)
    {
        var devices = new List<BlockDevice> { new() };
        try
        {
            var volumes = new SortedDictionary<int, (Guid Id, int[] Values)>();
            var snapshots = new SortedDictionary<int, (Guid Id, int Volume, int[] Values)>();
            var next = 1;
            var store = () => devices[^1].Store;
            AddVolume(2000);
            foreach (var action in actions)
            {
                if (volumes.Count == 0) AddVolume(2000);
                var key = volumes.Keys.ElementAt(action.A % volumes.Count);
                var (id, values) = volumes[key];
                var volume = store().GetVolume(id);
                var block = action.B % values.Length;
                var count = Math.Min(action.Count, values.Length - block);
                switch (action.Step)
                {
                    case Step.Fill:
                    case Step.FillMuch:
                        if (action.Step == Step.FillMuch) count = Math.Min(count * 8, values.Length - block);
                        Assert.Equal(BlockStatus.Ok, volume.Fill(block, count, next));
                        values.AsSpan(block, count).Fill(next++);
                        store().RunBackgroundStep(drain: false); // Nobody else would free segments.
                        break;
                    case Step.Zero:
                        count = Math.Min(count * 20, values.Length - block);
                        Assert.Equal(BlockStatus.Ok, volume.Zero(block, count));
                        values.AsSpan(block, count).Clear();
                        break;
                    case Step.Snapshot:
                        var snapshotId = Guid.NewGuid();
                        store().CreateSnapshot(id, snapshotId);
                        snapshots[next++] = (snapshotId, key, [.. values]);
                        break;
                    case Step.Clone when snapshots.Count > 0:
                        var origin = snapshots.Values.ElementAt(action.B % snapshots.Count);
                        var clone = Guid.NewGuid();
                        store().CreateVolume(clone, (long)origin.Values.Length * BlockDevice.Block, origin.Id);
                        volumes[next++] = (clone, [.. origin.Values]);
                        break;
                    case Step.Rollback when snapshots.Values.FirstOrDefault(s => s.Volume == key) is { Values: not null } to:
                        store().Rollback(id, to.Id, epoch: 0);
                        var grown = new int[values.Length];
                        to.Values.CopyTo(grown, 0);
                        volumes[key] = (id, grown);
                        break;
                    case Step.DeleteVolume:
                        store().DeleteVolume(id);
                        volumes.Remove(key);
                        break;
                    case Step.DeleteSnapshot when snapshots.Count > 0:
                        var gone = snapshots.ElementAt(action.B % snapshots.Count);
                        store().DeleteSnapshot(gone.Value.Id);
                        snapshots.Remove(gone.Key);
                        break;
                    case Step.Grow when values.Length < BlocksMax:
                        store().ResizeVolume(id, (long)BlocksMax * BlockDevice.Block);
                        Array.Resize(ref values, BlocksMax);
                        volumes[key] = (id, values);
                        break;
                    case Step.Apply:
                        store().RunBackgroundStep(drain: false);
                        break;
                    case Step.Drain:
                        store().RunBackgroundStep(drain: true);
                        break;
                    case Step.Reopen:
                        devices[^1].Reopen();
                        break;
                    case Step.Crash:
                        devices.Add(devices[^1].Crash());
                        break;
                    case Step.Check:
                        Check();
                        break;
                }
            }
            Check();
            store().RunBackgroundStep(drain: true);
            Check();

            void AddVolume(int blocks)
            {
                var made = Guid.NewGuid();
                store().CreateVolume(made, (long)blocks * BlockDevice.Block, null);
                volumes[next++] = (made, new int[blocks]);
            }

            void Check()
            {
                foreach (var (id, values) in volumes.Values) Assert.Equal(values, store().GetVolume(id).Values());
                foreach (var (id, _, values) in snapshots.Values)
                {
                    var data = new byte[values.Length * BlockDevice.Block];
                    Assert.Equal(BlockStatus.Ok, store().ReadSnapshot(id, 0, data));
                    Assert.Equal(values, VolumeTesting.Values(data));
                }
            }
        }
        finally
        {
            foreach (var device in devices) device.Dispose();
        }
    }
}
