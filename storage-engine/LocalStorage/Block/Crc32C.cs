using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Arm = System.Runtime.Intrinsics.Arm;

namespace Nephos.LocalStorage.Block;

/// <summary>CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), the checksum of journals and blocks.</summary>
/// <remarks>A block of 4096 bytes is computed in three independent lanes, because one step of the CRC instruction waits three
/// cycles for the one before; the lanes are then joined with tables that shift a CRC over a fixed number of zero bytes.</remarks>
public static class Crc32C
{
    public const int BlockBytes = 4096;
    private const int LaneBytes = 1360; // Three lanes and 16 bytes are a block.
    private static readonly uint[] ByteTable = MakeByteTable();
    private static readonly uint[] ShiftLane = MakeShiftTable(LaneBytes);
    private static readonly uint[] ShiftBlock = MakeShiftTable(BlockBytes);

    public static uint Compute(ReadOnlySpan<byte> data) => ~Update(uint.MaxValue, data);

    /// <summary>The CRC of exactly one block.</summary>
    public static uint ComputeBlock(ReadOnlySpan<byte> block)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(block.Length, BlockBytes);
        if (!Sse42.X64.IsSupported) return Compute(block);
        ref var start = ref System.Runtime.InteropServices.MemoryMarshal.GetReference(block);
        ulong a = uint.MaxValue, b = 0, c = 0;
        for (var i = 0; i < LaneBytes; i += 8)
        {
            a = Sse42.X64.Crc32(a, Word(ref start, i));
            b = Sse42.X64.Crc32(b, Word(ref start, i + LaneBytes));
            c = Sse42.X64.Crc32(c, Word(ref start, i + 2 * LaneBytes));
        }
        var joined = Shift(ShiftLane, Shift(ShiftLane, (uint)a) ^ (uint)b) ^ (uint)c;
        ulong tail = joined;
        tail = Sse42.X64.Crc32(tail, Word(ref start, 3 * LaneBytes));
        tail = Sse42.X64.Crc32(tail, Word(ref start, 3 * LaneBytes + 8));
        return ~(uint)tail;
    }

    /// <summary>The CRC of some data followed by one block, from the CRCs of the two.</summary>
    public static uint AppendBlock(uint crc, uint blockCrc) => Shift(ShiftBlock, crc) ^ blockCrc;

    private static ulong Word(ref byte start, int offset) => Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref start, offset));

    private static uint Update(uint state, ReadOnlySpan<byte> data)
    {
        if (Sse42.X64.IsSupported)
        {
            ulong wide = state;
            for (; data.Length >= 8; data = data[8..]) wide = Sse42.X64.Crc32(wide, BinaryPrimitives.ReadUInt64LittleEndian(data));
            state = (uint)wide;
            foreach (var value in data) state = Sse42.Crc32(state, value);
            return state;
        }
        if (Arm.Crc32.Arm64.IsSupported)
        {
            for (; data.Length >= 8; data = data[8..])
                state = Arm.Crc32.Arm64.ComputeCrc32C(state, BinaryPrimitives.ReadUInt64LittleEndian(data));
            foreach (var value in data) state = Arm.Crc32.ComputeCrc32C(state, value);
            return state;
        }
        return UpdateByTable(state, data);
    }

    internal static uint UpdateByTable(uint state, ReadOnlySpan<byte> data)
    {
        foreach (var value in data) state = (state >> 8) ^ ByteTable[(byte)(state ^ value)];
        return state;
    }

    private static uint[] MakeByteTable()
    {
        var table = new uint[256];
        for (uint i = 0; i < 256; i++)
        {
            var value = i;
            for (var bit = 0; bit < 8; bit++) value = (value & 1) != 0 ? (value >> 1) ^ 0x82F63B78u : value >> 1;
            table[i] = value;
        }
        return table;
    }

    // The shift over n zero bytes is linear, so a state is shifted byte by byte: four tables of 256 entries.
    private static uint[] MakeShiftTable(int zeroBytes)
    {
        var bits = new uint[32];
        for (var bit = 0; bit < 32; bit++)
        {
            var value = 1u << bit;
            for (var i = 0; i < zeroBytes; i++) value = (value >> 8) ^ ByteTable[(byte)value];
            bits[bit] = value;
        }
        var table = new uint[4 * 256];
        for (var position = 0; position < 4; position++)
        {
            for (var value = 0; value < 256; value++)
            {
                var sum = 0u;
                for (var bit = 0; bit < 8; bit++)
                    if ((value >> bit & 1) != 0) sum ^= bits[position * 8 + bit];
                table[position * 256 + value] = sum;
            }
        }
        return table;
    }

    private static uint Shift(uint[] table, uint state) =>
        table[(byte)state] ^ table[256 + (byte)(state >> 8)] ^ table[512 + (byte)(state >> 16)] ^ table[768 + (state >> 24)];
}
