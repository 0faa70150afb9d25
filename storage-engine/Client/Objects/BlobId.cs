using System.Buffers.Binary;
using System.IO.Hashing;

namespace Nephos.Client.Objects;

/// <summary>Names one immutable blob for ever: 4 bits that say how it is kept, 44 bits of milliseconds since 1970, then 80 random bits.</summary>
/// <remarks>Written big-endian everywhere, so that byte order is age order among blobs kept alike. An id is never used twice.</remarks>
public readonly record struct BlobId(ulong High, ulong Low) : IComparable<BlobId>
{
    public const int SizeBytes = 16;
    private const int SchemeShift = 60;

    /// <summary>Where the blob lives: the top bits of this hash are its partition.</summary>
    public ulong PlacementHash
    {
        get
        {
            Span<byte> bytes = stackalloc byte[SizeBytes];
            Write(bytes);
            return XxHash3.HashToUInt64(bytes);
        }
    }

    /// <summary>How the frames of the blob are kept.</summary>
    public BlobScheme Scheme => (BlobScheme)(High >> SchemeShift);

    public DateTimeOffset Created => DateTimeOffset.FromUnixTimeMilliseconds((long)((High & (1UL << SchemeShift) - 1) >> 16));

    public static BlobId New(DateTimeOffset now, Entropy entropy, BlobScheme scheme)
    {
        Span<byte> random = stackalloc byte[10];
        entropy.Fill(random);
        var high = ((ulong)scheme << SchemeShift) | ((ulong)now.ToUnixTimeMilliseconds() << 16) | BinaryPrimitives.ReadUInt16BigEndian(random);
        return new BlobId(high, BinaryPrimitives.ReadUInt64BigEndian(random[2..]));
    }

    public static BlobId Read(ReadOnlySpan<byte> source) =>
        new(BinaryPrimitives.ReadUInt64BigEndian(source), BinaryPrimitives.ReadUInt64BigEndian(source[8..]));

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, High);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], Low);
    }

    public int CompareTo(BlobId other) => High != other.High ? High.CompareTo(other.High) : Low.CompareTo(other.Low);

    public override string ToString() => $"{High:x16}{Low:x16}";
}
