using Nephos.Placement;

namespace Nephos.Client.Objects;

/// <summary>Where the frames of a new blob go, by one ring.</summary>
internal sealed class BlobPlace(Ring ring, BlobId blob)
{
    private int[]? _standIns;

    public Ring Ring => ring;

    public BlobLayout Layout { get; } = BlobLayout.Of(blob.Scheme);

    public int[] Homes { get; } = BlobLayout.Of(blob.Scheme).Homes(ring, blob);

    public int PieceCount { get; } = BlobLayout.Of(blob.Scheme).PieceCount(ring);

    public int Quorum => Layout.QuorumOf(PieceCount);

    /// <summary>A device that stands in, by how many did so before; null when there is none left.</summary>
    public int? StandIn(int index)
    {
        _standIns ??= [.. Layout.StandIns(ring, blob)];
        return index < _standIns.Length ? _standIns[index] : null;
    }
}
