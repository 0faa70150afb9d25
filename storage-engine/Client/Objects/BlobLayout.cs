using Nephos.Client.ErasureCoding;
using Nephos.Placement;

namespace Nephos.Client.Objects;

/// <summary>
/// What a scheme means: each frame of a blob becomes pieces (copies, or the fragments of an erasure code), each on a device of its own.
/// Immutable; thread-safe.
/// </summary>
public sealed class BlobLayout
{
    private static readonly BlobLayout Copies = new(null);
    private static readonly BlobLayout[] Coded = [new(new ErasureCode(2, 1)), new(new ErasureCode(4, 2)), new(new ErasureCode(8, 3))];

    private BlobLayout(ErasureCode? code) => Code = code;

    /// <summary>Null for whole copies.</summary>
    public ErasureCode? Code { get; }

    /// <exception cref="ArgumentOutOfRangeException">A scheme of a later version.</exception>
    public static BlobLayout Of(BlobScheme scheme) => scheme switch
    {
        BlobScheme.Replicated => Copies,
        <= BlobScheme.Coded8And3 => Coded[(int)scheme - 1],
        _ => throw new ArgumentOutOfRangeException(nameof(scheme), scheme, "This version does not know how the blob is kept."),
    };

    /// <summary>Pieces of each frame, and the devices they are on.</summary>
    public int PieceCount(Ring ring) => Code?.FragmentCount ?? ring.ReplicaCount;

    /// <summary>Pieces that give back the frame.</summary>
    public int NeededCount => Code?.DataCount ?? 1;

    /// <summary>Pieces that are durable before a write is answered: a majority of copies; of fragments half the parity, rounded up, beyond the data.</summary>
    public int QuorumOf(int pieces) => Code is null ? (pieces / 2) + 1 : Code.DataCount + ((Code.ParityCount + 1) / 2);

    public int PieceBytes(int frameBytes) => Code?.FragmentBytes(frameBytes) ?? frameBytes;

    /// <summary>The number under which a device keeps a piece of a frame.</summary>
    public uint NumberOf(uint frame, int piece) => Code is null ? frame : (frame * ErasureCode.FragmentsMax) + (uint)piece;

    /// <summary>The devices where the pieces of a blob belong, each of which may have any one piece of a frame.</summary>
    public int[] Homes(Ring ring, BlobId blob)
    {
        var partition = ring.PartitionOf(blob.PlacementHash);
        if (Code is not null)
        {
            return [.. Sequence(ring, partition).Take(PieceCount(ring))];
        }

        var primaries = new int[ring.ReplicaCount];
        ring.Primaries(partition, primaries);
        return primaries;
    }

    /// <summary>The devices that stand in for a home, in order.</summary>
    public IEnumerable<int> StandIns(Ring ring, BlobId blob)
    {
        var partition = ring.PartitionOf(blob.PlacementHash);
        return Code is null ? ring.Handoffs(partition) : Sequence(ring, partition).Skip(PieceCount(ring));
    }

    /// <summary>True when there are devices enough for every piece to have its own.</summary>
    public bool Fits(Ring ring) => Code is null || ring.Devices.Count(d => d.Weight > 0) >= PieceCount(ring);

    private static IEnumerable<int> Sequence(Ring ring, int partition) =>
        [.. Enumerable.Range(0, ring.ReplicaCount).Select(replica => ring.Primary(partition, replica)), .. ring.Handoffs(partition)];
}
