namespace Nephos.LocalStorage.Block;

/// <summary>What is known of one block of one layer, in 64 bits that are read and written at once.</summary>
/// <remarks>The low half is the sum: 0 the layer has nothing here, 1 the block is zero, else the CRC-32C of the data (moved out of the way
/// of 0 and 1). The high half is the place: 0 in the extent file, else the slot of a journal segment in 12 bits and the place in it
/// in units of 64 bytes in 20 bits.</remarks>
internal static class BlockWord
{
    public const uint AbsentSum = 0, ZeroSum = 1;
    public const int UnitBytes = 64;
    public const int SlotsMax = 4096;
    private const int UnitBits = 20;

    public static ulong Make(uint sum, uint place) => (ulong)place << 32 | sum;

    public static uint Sum(ulong word) => (uint)word;

    public static uint Place(ulong word) => (uint)(word >> 32);

    public static bool HasData(ulong word) => (uint)word > ZeroSum;

    public static uint SumOf(uint crc) => crc <= ZeroSum ? crc + 2 : crc;

    public static uint SumOf(ReadOnlySpan<byte> block) => SumOf(Crc32C.ComputeBlock(block));

    public static uint PlaceOf(int slot, long positionBytes) => (uint)slot << UnitBits | (uint)(positionBytes / UnitBytes);

    public static int Slot(uint place) => (int)(place >> UnitBits);

    public static long Position(uint place) => (long)(place & (1 << UnitBits) - 1) * UnitBytes;
}
