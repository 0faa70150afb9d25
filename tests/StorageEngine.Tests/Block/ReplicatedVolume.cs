using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Client.Nbd;
using Nephos.Client.Volumes;
using Nephos.LocalStorage.Block;
using Nephos.Node.Block;
using Nephos.Replication.Volumes;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

/// <summary>Three devices with a volume, and heads of it. Each way to a replica can be made to fail or to hang.</summary>
internal sealed class ReplicatedVolume : IReplicaConnector, IAsyncDisposable
{
    public const int Blocks = 1024;

    public ReplicatedVolume(BlockStoreOptions? options = null)
    {
        Devices = [.. Enumerable.Range(0, 3).Select(_ => new BlockDevice(options))];
        foreach (var device in Devices) device.Store.CreateVolume(Id, Blocks * BlockDevice.Block, null);
        Ways = [.. Devices.Select(_ => new Way())];
        Heads = new VolumeHeads(this, TimeProvider.System, NullLogger<VolumeHeads>.Instance);
    }

    public Guid Id { get; } = Guid.NewGuid();
    public BlockDevice[] Devices { get; }
    public Way[] Ways { get; }
    public VolumeHeads Heads { get; }
    public IReadOnlyList<ReplicaEndpoint> Endpoints => [.. Devices.Select(device => new ReplicaEndpoint(device.Store.DeviceId.ToString(), ""))];

    /// <summary>What can go wrong between a head and one replica.</summary>
    public sealed class Way
    {
        /// <summary>The replica is not reached.</summary>
        public volatile bool IsCut;

        /// <summary>Calls wait while it is not set.</summary>
        public ManualResetEventSlim Open { get; } = new(true);

        /// <summary>Answers another status than the replica would, or null.</summary>
        public Func<string, ReplicaStatus?> Answer { get; set; } = _ => null;

        public int Writes;
    }

    public BlockVolume Volume(int index) => Devices[index].Store.GetVolume(Id);

    public IBlockReplica Replica(int index) => new WatchedReplica(new LocalReplica(Volume(index)), Ways[index]);

    /// <summary>A group without threads, over the replicas that are not cut.</summary>
    public VolumeGroup OpenGroup(long epoch) => VolumeGroup.Open(
        Id, epoch, Blocks * BlockDevice.Block, Endpoints, [.. Enumerable.Range(0, 3).Select(index => Ways[index].IsCut ? null : Replica(index))], TimeProvider.System);

    public OpenedVolume Opened(long epoch) => new()
    {
        AttachmentId = Guid.NewGuid(), VolumeId = Id, Epoch = epoch, SizeBytes = Blocks * BlockDevice.Block, ReadOnly = false,
        ExportName = $"attachment-{epoch}", Replicas = Endpoints,
    };

    public string SocketPath(long epoch) => Path.Combine(Devices[0].Directory, $"nbd-{epoch}.sock");

    public async Task<NbdTestClient> AttachAsync(long epoch)
    {
        await Heads.OpenAsync(Opened(epoch), SocketPath(epoch), CancellationToken.None);
        return NbdTestClient.Connect(SocketPath(epoch), $"attachment-{epoch}");
    }

    public GroupStatus Status => Heads.List().Single().Group;

    public async Task UntilAsync(Func<GroupStatus, bool> condition)
    {
        for (var i = 0; !condition(Status); i++)
        {
            Assert.True(i < 1500, $"Not reached within 30 s: {string.Join(", ", Status.Replicas)}");
            await Task.Delay(20);
        }
    }

    public ValueTask<IBlockReplica> ConnectAsync(ReplicaEndpoint endpoint, Guid volumeId, long newSizeBytes, CancellationToken cancellationToken)
    {
        var index = Array.FindIndex(Devices, device => device.Store.DeviceId.ToString() == endpoint.DeviceId);
        return Ways[index].IsCut ? throw new VolumeHeadException("cut") : ValueTask.FromResult(Replica(index));
    }

    public void AssertEqualReplicas()
    {
        var first = Content(0);
        Assert.Equal(first, Content(1));
        Assert.Equal(first, Content(2));
    }

    public int[] Content(int index) => Volume(index).Values(Volume(index).SealedEpoch);

    public async ValueTask DisposeAsync()
    {
        foreach (var way in Ways) way.Open.Set();
        await Heads.DisposeAsync();
        foreach (var device in Devices) device.Dispose();
    }

    private sealed class WatchedReplica(IBlockReplica inner, Way way) : IBlockReplica
    {
        private ReplicaStatus Call(string name, Func<ReplicaStatus> call)
        {
            if (way.IsCut) throw new VolumeHeadException("cut");
            way.Open.Wait();
            return way.Answer(name) ?? call();
        }

        public ReplicaDescription Describe() => way.IsCut ? throw new VolumeHeadException("cut") : inner.Describe();
        public ReplicaStatus Seal(long epoch) => Call("seal", () => inner.Seal(epoch));
        public ReplicaStatus Begin(VolumeHistory history, bool complete) => Call("begin", () => inner.Begin(history, complete));
        public ReplicaStatus Flush(long epoch) => Call("flush", () => inner.Flush(epoch));

        public ReplicaStatus Read(long epoch, long offset, Span<byte> buffer)
        {
            var status = Call("read", () => ReplicaStatus.Ok);
            return status == ReplicaStatus.Ok ? inner.Read(epoch, offset, buffer) : status;
        }

        public ReplicaStatus Write(long epoch, ReadOnlySpan<BlockWrite> writes)
        {
            var status = Call("write", () => ReplicaStatus.Ok);
            Interlocked.Increment(ref way.Writes);
            return status == ReplicaStatus.Ok ? inner.Write(epoch, writes) : status;
        }

        public ReplicaStatus GetRanges(long epoch, long offset, long length, Span<BlockRange> ranges, out int count)
        {
            count = 0;
            var status = Call("ranges", () => ReplicaStatus.Ok);
            return status == ReplicaStatus.Ok ? inner.GetRanges(epoch, offset, length, ranges, out count) : status;
        }

        public ReplicaStatus GetSums(long epoch, long offset, Span<uint> sums)
        {
            var status = Call("sums", () => ReplicaStatus.Ok);
            return status == ReplicaStatus.Ok ? inner.GetSums(epoch, offset, sums) : status;
        }

        public bool TryListWritten(long epoch, long sequence, Action<long, long> found) => inner.TryListWritten(epoch, sequence, found);

        public void Dispose() => inner.Dispose();
    }
}

internal static class GroupTesting
{
    /// <summary>Writes blocks through a group without threads: every lane is worked off by the caller.</summary>
    public static ReplicaStatus Fill(this VolumeGroup group, long block, int count, int value, params int[] lanes)
    {
        var buffer = new NativeBuffer(count * BlockDevice.Block);
        VolumeTesting.Pattern(block, count, value).CopyTo(buffer.Span);
        var batch = new WriteBatch(1) { Memory = buffer };
        batch.Add(new BlockWrite { Offset = block * BlockDevice.Block, Length = count * BlockDevice.Block, Data = buffer.Address(0) });
        group.Submit(batch);
        foreach (var lane in lanes.Length > 0 ? lanes : [0, 1, 2]) group.RunLane(lane);
        GC.KeepAlive(buffer);
        return batch.IsDone ? batch.Status : ReplicaStatus.Unreachable;
    }

    public static int Value(this VolumeGroup group, long block)
    {
        var data = new byte[BlockDevice.Block];
        Assert.Equal(ReplicaStatus.Ok, group.Read(block * BlockDevice.Block, data));
        return data.AsSpan().ContainsAnyExcept((byte)0) ? (int)(BitConverter.ToInt64(data) - block * 1_000_003L) : 0;
    }

    public static void Repair(this VolumeGroup group)
    {
        using var buffer = new NativeBuffer(VolumeGroup.RepairBytes);
        while (group.RunRepairStep(buffer)) { }
    }
}
