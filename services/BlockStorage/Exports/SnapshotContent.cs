using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Snapshots;
using Nephos.Client.Volumes;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.BlockStorage.Exports;

/// <summary>A snapshot on its devices.</summary>
/// <param name="snapshot">It was taken.</param>
/// <param name="bases">Snapshots of the same volume that it is compared with, by id.</param>
/// <param name="cipher">Null when the volume is not encrypted. Belongs to this from now on.</param>
internal sealed class SnapshotContent(IBlockDevices devices, Snapshot snapshot, IReadOnlyList<string> bases, BlockCipher? cipher) : IFrozenContent
{
    public long SizeBytes => snapshot.SizeBytes;

    public int ChunkBytes => 1 << 20;

    public IReadOnlyList<string> Bases => bases;

    public async Task<byte[]> ReadAsync(long chunk, CancellationToken cancellationToken)
    {
        var start = chunk * ChunkBytes;
        var content = new byte[Math.Min(ChunkBytes, SizeBytes - start)];
        var (_, pieces) = await devices.ReadAsync(
            snapshot.DeviceId, snapshot.VolumeId, snapshot.Id, new BlockSpan(start, content.Length), cancellationToken);
        await foreach (var piece in pieces.WithCancellation(cancellationToken)) piece.Data.CopyTo(content.AsMemory((int)(piece.Offset - start)));
        cipher?.Decrypt(start / BlockCipher.BlockBytes, content);
        return content;
    }

    public async Task<IReadOnlyList<BlockRange>> DescribeAsync(string? baseName, long offset, CancellationToken cancellationToken)
    {
        var ranges = await devices.DescribeAsync(
            snapshot.DeviceId, snapshot.VolumeId, snapshot.Id, baseName, new BlockSpan(offset, SizeBytes - offset), cancellationToken);
        return ranges.Count > 0 ? ranges : throw new FaultException(ErrorReason.DataLoss, $"The device does not say what snapshot {snapshot.Id} holds at {offset}.");
    }

    public void Dispose() => cipher?.Dispose();
}
