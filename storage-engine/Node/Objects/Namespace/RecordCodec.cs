using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;
using Nephos.Client.Objects;

namespace Nephos.Node.Objects.Namespace;

/// <summary>Writes the value of a row: a version byte, then fields in a fixed order; numbers as variable-length integers, texts as length and UTF-8.</summary>
internal sealed class RecordWriter
{
    private readonly ArrayBufferWriter<byte> _bytes = new(256);

    public RecordWriter(byte version) => Byte(version);

    public int Length => _bytes.WrittenCount;

    public byte[] ToArray() => _bytes.WrittenSpan.ToArray();

    public ReadOnlySpan<byte> WrittenSpan => _bytes.WrittenSpan;

    public void Byte(byte value)
    {
        _bytes.GetSpan(1)[0] = value;
        _bytes.Advance(1);
    }

    public void Number(ulong value)
    {
        var span = _bytes.GetSpan(10);
        var length = 0;
        while (value >= 0x80)
        {
            span[length++] = (byte)(value | 0x80);
            value >>= 7;
        }

        span[length++] = (byte)value;
        _bytes.Advance(length);
    }

    public void Number(long value) => Number((ulong)value);

    public void Text(string value)
    {
        var length = Encoding.UTF8.GetByteCount(value);
        Number((ulong)length);
        Encoding.UTF8.GetBytes(value, _bytes.GetSpan(length));
        _bytes.Advance(length);
    }

    public void Time(DateTimeOffset value) => Number((ulong)value.UtcTicks);

    public void Map(ImmutableSortedDictionary<string, string> map)
    {
        Number((ulong)map.Count);
        foreach (var (name, value) in map)
        {
            Text(name);
            Text(value);
        }
    }

    public void Extents(ImmutableArray<Extent> extents)
    {
        Number((ulong)extents.Length);
        foreach (var extent in extents)
        {
            var span = _bytes.GetSpan(BlobId.SizeBytes);
            extent.Blob.Write(span);
            _bytes.Advance(BlobId.SizeBytes);
            Number(extent.LengthBytes);
        }
    }

    public void Raw(ReadOnlySpan<byte> bytes) => _bytes.Write(bytes);
}

/// <summary>Reads what <see cref="RecordWriter"/> wrote; throws <see cref="InvalidDataException"/> on anything else.</summary>
internal ref struct RecordReader
{
    private ReadOnlySpan<byte> _bytes;

    public RecordReader(ReadOnlySpan<byte> bytes, byte version)
    {
        _bytes = bytes;
        var found = Byte();
        if (found != version)
        {
            throw new InvalidDataException($"A row has format {found}; this version knows {version}.");
        }
    }

    /// <summary>Nothing follows: what later versions write behind it is not there.</summary>
    public readonly bool IsAtEnd => _bytes.IsEmpty;

    public byte Byte()
    {
        return Take(1)[0];
    }

    public ulong Number()
    {
        ulong value = 0;
        for (var shift = 0; shift < 70; shift += 7)
        {
            var part = Take(1)[0];
            value |= (ulong)(part & 0x7F) << shift;
            if (part < 0x80)
            {
                return value;
            }
        }

        throw new InvalidDataException("A number in a row is too long.");
    }

    public long Signed() => (long)Number();

    public string Text()
    {
        var length = Count();
        return length == 0 ? "" : Encoding.UTF8.GetString(Take(length));
    }

    public DateTimeOffset Time() => new((long)Number(), TimeSpan.Zero);

    public ImmutableSortedDictionary<string, string> Map()
    {
        var count = Count();
        if (count == 0)
        {
            return RecordMetadata.Empty;
        }

        var map = RecordMetadata.Empty.ToBuilder();
        for (var n = 0; n < count; n++)
        {
            map[Text()] = Text();
        }

        return map.ToImmutable();
    }

    public ImmutableArray<Extent> Extents()
    {
        var count = Count();
        if (count == 0)
        {
            return [];
        }

        var extents = ImmutableArray.CreateBuilder<Extent>(count);
        for (var n = 0; n < count; n++)
        {
            extents.Add(new Extent(BlobId.Read(Take(BlobId.SizeBytes)), Signed()));
        }

        return extents.MoveToImmutable();
    }

    /// <summary>Bytes with their length in front.</summary>
    public ReadOnlySpan<byte> Bytes() => Take(Count());

    /// <summary>A count of things that take at least a byte each.</summary>
    public int Count()
    {
        var count = Number();
        return count <= (ulong)_bytes.Length ? (int)count : throw new InvalidDataException("A row ends too soon.");
    }

    private ReadOnlySpan<byte> Take(int length)
    {
        if (length > _bytes.Length)
        {
            throw new InvalidDataException("A row ends too soon.");
        }

        var taken = _bytes[..length];
        _bytes = _bytes[length..];
        return taken;
    }
}
