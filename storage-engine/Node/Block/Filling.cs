using System.Runtime.InteropServices;
using Nephos.Client.Volumes;

namespace Nephos.Node.Block;

/// <summary>A volume that is being filled, in step at all its replicas. One that fails is left behind.</summary>
/// <param name="majority">So many replicas are needed.</param>
/// <param name="replicas">Each with its last sequence.</param>
/// <param name="epoch">Of control.</param>
internal sealed class Filling(int majority, IReadOnlyList<(IBlockReplica Replica, long Sequence)> replicas, long epoch)
{
    private readonly List<Target> _targets = [.. replicas.Select(replica => new Target(replica.Replica, replica.Sequence))];

    public ReplicaStatus Write(long offset, ReadOnlyMemory<byte> data) => Everywhere(target => target.Write(epoch, offset, data.Span));

    public ReplicaStatus Flush() => Everywhere(target => target.Flush(epoch));

    private ReplicaStatus Everywhere(Func<Target, ReplicaStatus> action)
    {
        var refusal = ReplicaStatus.NotFound;
        Parallel.ForEach(_targets, target =>
        {
            target.Status = action(target);
            if (target.Status != ReplicaStatus.Ok) refusal = target.Status;
        });
        _targets.RemoveAll(target => target.Status != ReplicaStatus.Ok);
        return _targets.Count >= majority ? ReplicaStatus.Ok : refusal;
    }

    private sealed class Target(IBlockReplica replica, long sequence)
    {
        public ReplicaStatus Status { get; set; }

        public unsafe ReplicaStatus Write(long epoch, long offset, ReadOnlySpan<byte> bytes)
        {
            // SAFETY: the bytes are pinned until the write has returned.
            fixed (byte* data = bytes)
            {
                var write = new BlockWrite { Sequence = sequence + 1, Offset = offset, Length = bytes.Length, Data = (nint)data };
                sequence += write.Records;
                return Try(() => replica.Write(epoch, MemoryMarshal.CreateReadOnlySpan(ref write, 1)));
            }
        }

        public ReplicaStatus Flush(long epoch) => Try(() => replica.Flush(epoch));

        private static ReplicaStatus Try(Func<ReplicaStatus> call)
        {
            try
            {
                return call();
            }
            catch (VolumeHeadException)
            {
                return ReplicaStatus.Unreachable;
            }
        }
    }
}
