using System.Buffers.Binary;
using System.IO.Hashing;
using Nephos.LocalStorage.Objects;

namespace Nephos.Fuzzing.Targets;

/// <summary>The volumes of a device, as recovery and salvage read them after any damage.</summary>
internal sealed class NeedleTarget : FuzzTarget
{
    private const ulong VolumeId = 7;

    public override string Name => "needle";

    public override string About => "the scanner of volumes (needles)";

    public override int BytesMax => 32 * 1024;

    public override IReadOnlyList<byte[]> Words { get; } = WordsOf("NEDL", "\0\0\0\0", "\u0001\0", new string('\0', 512));

    public override byte[] Make(Random random)
    {
        var volume = new List<byte>();
        var checksums = new ulong[NeedleHeader.BlockCountMax];
        for (var left = random.Next(1, 4); left > 0; left--)
        {
            var payload = new byte[random.Next(3) == 0 ? 0 : random.Next(1, 3000)];
            random.NextBytes(payload);
            Array.Clear(checksums);
            NeedleHeader.HashBlocks(payload, checksums);
            var header = new NeedleHeader
            {
                VolumeId = random.Next(8) == 0 ? VolumeId + 1 : VolumeId,
                Sequence = (ulong)random.Next(),
                Batch = 1,
                Key = new NeedleKey(1, 2, 3, 4),
                Flags = (NeedleFlags)random.Next(8),
                PayloadBytes = payload.Length,
            };
            var needle = new byte[header.TotalBytes];
            header.Write(needle, checksums, "account/bucket/key"u8);
            payload.CopyTo(needle.AsSpan(NeedleHeader.SizeBytes));
            volume.AddRange(needle);
        }
        return [.. volume];
    }

    /// <summary>Makes the checksum of every header right, so that what stands in it is believed.</summary>
    public override void Repair(byte[] input)
    {
        for (var at = 0; at + NeedleHeader.SizeBytes <= input.Length; at += NeedleHeader.SizeBytes)
        {
            if (input.AsSpan(at).StartsWith("NEDL"u8))
            {
                BinaryPrimitives.WriteUInt64LittleEndian(input.AsSpan(at + 504), XxHash3.HashToUInt64(input.AsSpan(at, 504)));
            }
        }
    }

    public override void Run(byte[] input)
    {
        using var file = new MemorySegment(input);
        var last = -1L;
        var stopped = VolumeScanner.Scan(file, 0, (in NeedleHeader header, long offset, bool isIntact, ReadOnlySpan<byte> sector, ReadOnlySpan<byte> payload) =>
        {
            if (offset <= last || header.VolumeId != VolumeId || (isIntact && payload.Length != header.PayloadBytes))
            {
                throw new InvalidDataException($"A needle at {offset} after {last}, of volume {header.VolumeId}, with {payload.Length} of {header.PayloadBytes} bytes.");
            }
            last = offset;
            _ = NeedleHeader.HintOf(sector);
            return true;
        });
        // Up to one needle may reach beyond the end of a file that was cut.
        if (stopped > input.Length + NeedleHeader.TotalBytesFor(NeedleHeader.PayloadBytesMax))
        {
            throw new InvalidDataException($"The scan of {input.Length} bytes stopped at {stopped}.");
        }
    }

    private sealed class MemorySegment(byte[] bytes)
        : SegmentFile("fuzz", new SegmentHeader(SegmentKind.Volume, VolumeId, 0, Guid.Empty, bytes.Length, 0))
    {
        public override void Write(Span<IoVector> pieces, long offset) => throw new NotSupportedException("A scan writes nothing.");

        public override int Read(long offset, Span<byte> destination)
        {
            var count = (int)Math.Max(0, Math.Min(destination.Length, bytes.Length - offset));
            bytes.AsSpan((int)Math.Min(offset, bytes.Length), count).CopyTo(destination);
            return count;
        }

        public override int Read(long offset, Span<byte> first, Span<byte> second) => Read(offset, first) is var read && read < first.Length ? read : read + Read(offset + read, second);

        public override void Dispose()
        {
        }
    }
}
