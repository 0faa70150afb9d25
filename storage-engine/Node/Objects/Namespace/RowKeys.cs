using System.Buffers.Binary;
using System.Text;
using Nephos.Client.Objects;

namespace Nephos.Node.Objects.Namespace;

/// <summary>The keys of the rows of a shard.</summary>
/// <remarks>
/// The first byte is the table; numbers are big-endian so that byte order is their order; texts are UTF-8 with 00 written as 00 FF
/// and end with 00 01, so that byte order is the order of the texts and no text is the beginning of another.
/// <code>
/// a account                          settings of an account
/// A account                          its usage
/// b account, name                    settings of a bucket
/// c uid                              usage of a bucket
/// o uid, key, 8 zero bytes           current version of an object, as listings need it
/// o uid, key, ~sequence              an older version: newest first, behind the current one
/// x uid, sequence                    the rest of a version's record, when it is large
/// i uid, sequence                    inline payload
/// u uid, key, upload id              an upload
/// p uid, upload id, number           a part
/// f uid, number                      a change of an object, when the bucket keeps them; of number 0, which numbers there are
/// r placement hash, blob             a blob that is referred to
/// g sequence                         blobs released by one operation, until they are removed everywhere
/// t milliseconds, sequence           what expires then
/// d blob                             removed before any record referred to it; none may any more
/// n                                  the last sequence given out
/// m                                  the change of the shard map that closed the shard
/// </code>
/// </remarks>
internal static class RowKeys
{
    public const byte AccountTable = (byte)'a', AccountUsageTable = (byte)'A', BucketTable = (byte)'b', UsageTable = (byte)'c';
    public const byte ObjectTable = (byte)'o', ExtraTable = (byte)'x', InlineTable = (byte)'i', UploadTable = (byte)'u', PartTable = (byte)'p';
    public const byte ChangeTable = (byte)'f';
    public const byte ReferenceTable = (byte)'r', ReleasedTable = (byte)'g', ExpiryTable = (byte)'t', SequenceTable = (byte)'n', CondemnedTable = (byte)'d', ClosedTable = (byte)'m';

    /// <summary>Bytes behind the terminator of an object's key.</summary>
    public const int SuffixBytes = 8;

    public static readonly byte[] Sequence = [SequenceTable];

    public static readonly byte[] Closed = [ClosedTable];

    public static byte[] Account(string name) => new KeyBuilder(AccountTable).Text(name).ToArray();

    public static byte[] AccountUsage(string name) => new KeyBuilder(AccountUsageTable).Text(name).ToArray();

    public static byte[] Bucket(BucketName bucket) => new KeyBuilder(BucketTable).Text(bucket.Account).Text(bucket.Name).ToArray();

    public static byte[] Usage(ulong bucket) => new KeyBuilder(UsageTable).Number(bucket).ToArray();

    public static byte[] Current(ulong bucket, string key) => new KeyBuilder(ObjectTable).Number(bucket).Text(key).Number(0).ToArray();

    public static byte[] Noncurrent(ulong bucket, string key, ulong sequence) =>
        new KeyBuilder(ObjectTable).Number(bucket).Text(key).Number(~sequence).ToArray();

    public static byte[] Extra(ulong bucket, ulong sequence) => new KeyBuilder(ExtraTable).Number(bucket).Number(sequence).ToArray();

    public static byte[] Inline(ulong bucket, ulong sequence) => new KeyBuilder(InlineTable).Number(bucket).Number(sequence).ToArray();

    public static byte[] Change(ulong bucket, ulong number) => new KeyBuilder(ChangeTable).Number(bucket).Number(number).ToArray();

    public static byte[] Upload(ulong bucket, string key, UploadId upload) =>
        new KeyBuilder(UploadTable).Number(bucket).Text(key).Text(upload.Value).ToArray();

    public static byte[] Part(ulong bucket, UploadId upload, int number) =>
        new KeyBuilder(PartTable).Number(bucket).Text(upload.Value).Number((ulong)number).ToArray();

    public static byte[] Parts(ulong bucket, UploadId upload) => new KeyBuilder(PartTable).Number(bucket).Text(upload.Value).ToArray();

    public static byte[] Reference(BlobId blob) =>
        new KeyBuilder(ReferenceTable).Number(blob.PlacementHash).Number(blob.High).Number(blob.Low).ToArray();

    public static byte[] Condemned(BlobId blob) => new KeyBuilder(CondemnedTable).Number(blob.High).Number(blob.Low).ToArray();

    public static byte[] Released(ulong sequence) => new KeyBuilder(ReleasedTable).Number(sequence).ToArray();

    public static byte[] Expiry(DateTimeOffset at, ulong sequence) =>
        new KeyBuilder(ExpiryTable).Number((ulong)Math.Max(0, at.ToUnixTimeMilliseconds())).Number(sequence).ToArray();

    /// <summary>The first key that does not begin with these bytes.</summary>
    public static byte[] After(ReadOnlySpan<byte> prefix)
    {
        var end = prefix.ToArray();
        for (var at = end.Length - 1; at >= 0; at--)
        {
            if (end[at] != 0xFF)
            {
                end[at]++;
                return end[..(at + 1)];
            }
        }

        return [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    }

    /// <summary>Reads a text that was written at the start of <paramref name="bytes"/>; <paramref name="length"/> covers its terminator.</summary>
    public static string ReadText(ReadOnlySpan<byte> bytes, out int length)
    {
        var end = TextEnd(bytes);
        length = end + 2;
        var raw = bytes[..end];
        if (!raw.Contains((byte)0))
        {
            return Encoding.UTF8.GetString(raw);
        }

        var plain = new byte[raw.Length];
        var count = 0;
        for (var at = 0; at < raw.Length; at++)
        {
            plain[count++] = raw[at];
            at += raw[at] == 0 ? 1 : 0;
        }

        return Encoding.UTF8.GetString(plain.AsSpan(0, count));
    }

    /// <summary>Where the terminator of a text begins.</summary>
    public static int TextEnd(ReadOnlySpan<byte> bytes)
    {
        for (var at = 0; ; at += 2)
        {
            at += bytes[at..].IndexOf((byte)0);
            if (bytes[at + 1] == 1)
            {
                return at;
            }
        }
    }
}

/// <summary>Puts a key together.</summary>
internal sealed class KeyBuilder
{
    private byte[] _bytes = new byte[64];
    private int _length;

    public KeyBuilder(byte table) => Byte(table);

    public KeyBuilder Byte(byte value)
    {
        Space(1)[0] = value;
        _length++;
        return this;
    }

    public KeyBuilder Number(ulong value)
    {
        BinaryPrimitives.WriteUInt64BigEndian(Space(8), value);
        _length += 8;
        return this;
    }

    public KeyBuilder Raw(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Space(bytes.Length));
        _length += bytes.Length;
        return this;
    }

    /// <summary>A whole text, with its terminator.</summary>
    public KeyBuilder Text(string text) => Begin(text).Byte(0).Byte(1);

    /// <summary>The beginning of a text.</summary>
    public KeyBuilder Begin(string text)
    {
        var space = Space(Encoding.UTF8.GetMaxByteCount(text.Length) * 2);
        var count = Encoding.UTF8.GetBytes(text, space);
        if (space[..count].Contains((byte)0))
        {
            var plain = space[..count].ToArray();
            count = 0;
            foreach (var value in plain)
            {
                space[count++] = value;
                if (value == 0)
                {
                    space[count++] = 0xFF;
                }
            }
        }

        _length += count;
        return this;
    }

    public byte[] ToArray() => _bytes.AsSpan(0, _length).ToArray();

    private Span<byte> Space(int count)
    {
        if (_bytes.Length - _length < count)
        {
            Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, _length + count));
        }

        return _bytes.AsSpan(_length);
    }
}
