using System.Buffers.Binary;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;

namespace Nephos.Hypervisor.Network.Netlink;

/// <summary>Builds one netlink request (RFC 3549): a 16-byte header, a fixed part, attributes. Numbers are the machine's own byte
/// order except where a method says otherwise.</summary>
internal sealed class NetlinkMessage
{
    private const int HeaderBytes = 16;

    private byte[] _bytes = new byte[256];
    private int _length = HeaderBytes;

    public NetlinkMessage(ushort type, NetlinkFlags flags)
    {
        MemoryMarshal.Write(_bytes.AsSpan(4), type);
        MemoryMarshal.Write(_bytes.AsSpan(6), (ushort)(flags | NetlinkFlags.Request));
    }

    /// <summary>Appends a part of fixed layout.</summary>
    public NetlinkMessage Fixed<T>(in T part)
        where T : unmanaged
    {
        MemoryMarshal.Write(Grow(Align(Marshal.SizeOf<T>())), part);
        return this;
    }

    public NetlinkMessage Bytes(ushort type, ReadOnlySpan<byte> value)
    {
        var space = Grow(Align(4 + value.Length));
        space.Clear();
        MemoryMarshal.Write(space, (ushort)(4 + value.Length));
        MemoryMarshal.Write(space[2..], type);
        value.CopyTo(space[4..]);
        return this;
    }

    public NetlinkMessage UInt8(ushort type, byte value) => Bytes(type, [value]);

    public NetlinkMessage UInt32(ushort type, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        MemoryMarshal.Write(bytes, value);
        return Bytes(type, bytes);
    }

    /// <summary>Network byte order.</summary>
    public NetlinkMessage UInt16BigEndian(ushort type, ushort value)
    {
        Span<byte> bytes = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, value);
        return Bytes(type, bytes);
    }

    /// <summary>With the terminating zero.</summary>
    public NetlinkMessage Text(ushort type, string value) => Bytes(type, Encoding.UTF8.GetBytes(value + "\0"));

    public NetlinkMessage Address(ushort type, IPAddress value) => Bytes(type, value.GetAddressBytes());

    public NetlinkMessage Nested(ushort type, Action<NetlinkMessage> content)
    {
        var start = _length;
        Bytes(type, []);
        content(this);
        MemoryMarshal.Write(_bytes.AsSpan(start), (ushort)(_length - start));
        return this;
    }

    /// <summary>The finished request.</summary>
    public Span<byte> Finish(uint sequence)
    {
        MemoryMarshal.Write(_bytes.AsSpan(0), (uint)_length);
        MemoryMarshal.Write(_bytes.AsSpan(8), sequence);
        return _bytes.AsSpan(0, _length);
    }

    private static int Align(int length) => (length + 3) & ~3;

    private Span<byte> Grow(int count)
    {
        if (_length + count > _bytes.Length)
        {
            Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, _length + count));
        }

        var space = _bytes.AsSpan(_length, count);
        _length += count;
        return space;
    }
}

[Flags]
internal enum NetlinkFlags : ushort
{
    None = 0,
    Request = 0x1,
    Ack = 0x4,
    Replace = 0x100,
    Exclusive = 0x200,
    Dump = 0x300,
    Create = 0x400,
    Append = 0x800,
}
