using Nephos.Client.ErasureCoding;

namespace Nephos.Client.Objects;

/// <summary>Reads a range of one frame that is kept in fragments: those of data that it touches, or any others to make them from.</summary>
internal sealed class CodedFrameReader
{
    private readonly PayloadStore _store;
    private readonly Extent _extent;
    private readonly uint _frame;
    private readonly BlobLayout _layout;
    private readonly ErasureCode _code;
    private readonly int _pieceBytes;
    private readonly int[] _devices;

    public CodedFrameReader(PayloadStore store, Extent extent, uint frame)
    {
        (_store, _extent, _frame) = (store, extent, frame);
        _layout = BlobLayout.Of(extent.Blob.Scheme);
        _code = _layout.Code!;
        _pieceBytes = _layout.PieceBytes(Frames.SizeOf(extent.LengthBytes, frame));
        var ring = store.Node.Ring;
        var partition = ring.PartitionOf(extent.Blob.PlacementHash);
        var primaries = new int[ring.ReplicaCount];
        ring.Primaries(partition, primaries);
        _devices = [.. primaries, .. ring.Others(partition)];
    }

    public bool AnyCorrupt { get; private set; }

    public bool AnyAway { get; private set; }

    /// <summary>Fills the bytes of a range at their place in the frame; false when too few fragments are left.</summary>
    public async ValueTask<bool> TryReadAsync(int start, int length, Memory<byte> target)
    {
        var (first, last) = (start / _pieceBytes, (start + length - 1) / _pieceBytes);
        for (var piece = first; piece <= last; piece++)
        {
            var at = piece * _pieceBytes;
            var firstBlock = Math.Max(start - at, 0) / Frames.BlockBytes;
            var from = firstBlock * Frames.BlockBytes;
            var blocks = ((start + length - at - 1) / Frames.BlockBytes) + 1 - firstBlock;
            var to = Math.Min(from + (blocks * Frames.BlockBytes), _pieceBytes);
            if (!await TryReadPieceAsync(piece, firstBlock, target[(at + from)..(at + to)]))
            {
                _store.Node.NoteAtRisk(_extent.Blob, _extent.LengthBytes);
                return await TryMakeAsync(first, last, missing: piece, target);
            }
        }

        return true;
    }

    /// <summary>Fills fragments of data, whole, from as many others as it takes.</summary>
    private async ValueTask<bool> TryMakeAsync(int first, int last, int missing, Memory<byte> target)
    {
        var others = _store.Pool.Rent();
        try
        {
            var numbers = new int[_code.DataCount];
            var count = 0;
            for (var piece = 0; piece < _code.FragmentCount && count < numbers.Length; piece++)
            {
                if (piece != missing && await TryReadPieceAsync(piece, 0, others.Memory.Slice(count * _pieceBytes, _pieceBytes)))
                {
                    numbers[count++] = piece;
                }
            }

            if (count < numbers.Length)
            {
                return false;
            }

            int[] wanted = [.. Enumerable.Range(first, last - first + 1)];
            _code.Reconstruct(
                numbers, others.Memory.Span[..(count * _pieceBytes)], wanted,
                target.Span.Slice(first * _pieceBytes, wanted.Length * _pieceBytes), _pieceBytes);
            return true;
        }
        finally
        {
            others.Release();
        }
    }

    /// <summary>Looks first where the fragment was put at first, then everywhere: it may have been made again on another home.</summary>
    private async ValueTask<bool> TryReadPieceAsync(int piece, int firstBlock, Memory<byte> target)
    {
        // Those that lately did not answer come last.
        for (var doubtful = 0; doubtful < 2; doubtful++)
        {
            for (var turn = 0; turn < _devices.Length; turn++)
            {
                var device = _devices[(piece + turn) % _devices.Length];
                if (_store.Node.IsDoubtful(device) == (doubtful == 1) && await TryFromAsync(device, piece, firstBlock, target))
                {
                    return true;
                }
            }
        }

        return false;
    }

    private async ValueTask<bool> TryFromAsync(int device, int piece, int firstBlock, Memory<byte> target)
    {
        var read = await _store.Node.ReadFrameAsync(device, _extent.Blob, _layout.NumberOf(_frame, piece), firstBlock, target);
        AnyCorrupt |= read.Status == BlobStatus.Corrupt || (read.Status == BlobStatus.Ok && read.PayloadBytes != _pieceBytes);
        AnyAway |= read.Status == BlobStatus.Unavailable;
        return read.Status == BlobStatus.Ok && read.PayloadBytes == _pieceBytes && read.ReadBytes == target.Length;
    }
}
