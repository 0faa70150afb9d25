using System.Text;
using Nephos.ObjectStorage.Objects;

namespace Nephos.Fuzzing.Targets;

/// <summary>The Range header.</summary>
internal sealed class RangeTarget : FuzzTarget
{
    private static readonly long[] Lengths = [0, 1, 10, 1000, long.MaxValue];

    public override string Name => "range";

    public override string About => "the Range header of both faces of the object store";

    public override IReadOnlyList<byte[]> Words { get; } = WordsOf("bytes=", "0-0", "-5", "5-", ",", "-", "9-3", "Bytes=", " ");

    public override byte[] Make(Random random)
    {
        var ranges = Enumerable.Range(0, random.Next(1, random.Next(8) == 0 ? 60 : 4)).Select(_ => random.Next(3) switch
        {
            0 => $"{random.Next(100)}-{random.Next(100)}",
            1 => $"{random.Next(100)}-",
            _ => $"-{random.Next(100)}",
        });
        return Encoding.UTF8.GetBytes("bytes=" + string.Join(Pick(random, ",", ", "), ranges));
    }

    public override void Run(byte[] input)
    {
        var text = Encoding.UTF8.GetString(input);
        foreach (var length in Lengths)
        {
            var ranges = ByteRanges.Parse(text, length);
            if (ranges is not null && (ranges.Count > ByteRanges.MaxRanges || ranges.Any(range => range.Offset < 0 || range.Length <= 0 || range.Offset > length - range.Length)))
            {
                throw new InvalidDataException($"'{text}' of {length} bytes gave {string.Join(' ', ranges)}.");
            }
        }
    }
}
