using System.Buffers;
using System.Buffers.Binary;

namespace Nephos.LocalStorage.Objects;

/// <summary>Builds the body of one log entry: changes of rows, applied together.</summary>
/// <remarks>
/// A sequence of changes, each: u8 kind (1 put, 2 delete, 3 delete range), u16 key bytes (little-endian), key, and then for a put u32
/// value bytes and value, for a range u16 bytes and the exclusive end key. Keys are those of the group; each replica adds its prefix.
/// </remarks>
public sealed class IndexBatch
{
    internal const byte PutKind = 1, DeleteKind = 2, DeleteRangeKind = 3;
    private readonly ArrayBufferWriter<byte> _bytes = new();

    public int Count { get; private set; }

    public int SizeBytes => _bytes.WrittenCount;

    public ReadOnlyMemory<byte> WrittenMemory => _bytes.WrittenMemory;

    public void Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        Begin(PutKind, key);
        BinaryPrimitives.WriteInt32LittleEndian(_bytes.GetSpan(4), value.Length);
        _bytes.Advance(4);
        _bytes.Write(value);
    }

    public void Delete(ReadOnlySpan<byte> key) => Begin(DeleteKind, key);

    public void DeleteRange(ReadOnlySpan<byte> from, ReadOnlySpan<byte> toExclusive)
    {
        Begin(DeleteRangeKind, from);
        WriteKey(toExclusive);
    }

    public void Clear()
    {
        _bytes.ResetWrittenCount();
        Count = 0;
    }

    private void Begin(byte kind, ReadOnlySpan<byte> key)
    {
        _bytes.GetSpan(1)[0] = kind;
        _bytes.Advance(1);
        WriteKey(key);
        Count++;
    }

    private void WriteKey(ReadOnlySpan<byte> key)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(_bytes.GetSpan(2), checked((ushort)key.Length));
        _bytes.Advance(2);
        _bytes.Write(key);
    }
}
