using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Nephos.Client.Transport;

/// <summary>Puts the head of a call together: little-endian numbers of fixed size, texts and bytes with their length in front.</summary>
public sealed class CallWriter(int sizeHint = 64)
{
    private readonly ArrayBufferWriter<byte> _bytes = new(sizeHint);

    public ReadOnlyMemory<byte> Written => _bytes.WrittenMemory;

    public CallWriter Byte(byte value)
    {
        _bytes.GetSpan(1)[0] = value;
        _bytes.Advance(1);
        return this;
    }

    public CallWriter Int32(int value)
    {
        BinaryPrimitives.WriteInt32LittleEndian(_bytes.GetSpan(sizeof(int)), value);
        _bytes.Advance(sizeof(int));
        return this;
    }

    public CallWriter UInt64(ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(_bytes.GetSpan(sizeof(ulong)), value);
        _bytes.Advance(sizeof(ulong));
        return this;
    }

    public CallWriter Guid(Guid value)
    {
        value.TryWriteBytes(_bytes.GetSpan(16));
        _bytes.Advance(16);
        return this;
    }

    public CallWriter Bytes(ReadOnlySpan<byte> value)
    {
        Int32(value.Length);
        _bytes.Write(value);
        return this;
    }

    public CallWriter Text(string value) => Bytes(Encoding.UTF8.GetBytes(value));

    /// <summary>Bytes without a length: the last field.</summary>
    public CallWriter Rest(ReadOnlySpan<byte> value)
    {
        _bytes.Write(value);
        return this;
    }
}

/// <summary>Takes the head of a call apart.</summary>
/// <remarks>Every method throws <see cref="InvalidDataException"/> when the head ends too soon. Byte fields are parts of the head, not copies.</remarks>
public struct CallReader(ReadOnlyMemory<byte> head)
{
    public byte Byte() => Take(1).Span[0];

    public int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Take(sizeof(int)).Span);

    public ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong)).Span);

    public Guid Guid() => new(Take(16).Span);

    public ReadOnlyMemory<byte> Bytes() => Take(Int32());

    public string Text() => Encoding.UTF8.GetString(Bytes().Span);

    public ReadOnlyMemory<byte> Rest() => Take(head.Length);

    private ReadOnlyMemory<byte> Take(int count)
    {
        if (count < 0 || count > head.Length)
        {
            throw new InvalidDataException("The head of a call ends too soon.");
        }

        var taken = head[..count];
        head = head[count..];
        return taken;
    }
}
