using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Nephos.Client.ErasureCoding;

/// <summary>32 bytes at a time: a product is the sum of what two tables of sixteen say about the halves of a byte.</summary>
internal sealed class Avx2Kernel : CodingKernel
{
    /// <summary>For each constant the products of the low halves, then of the high halves.</summary>
    private static readonly Vector128<byte>[] Tables = MakeTables();

    public override string Name => "AVX2";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Multiply(ReadOnlySpan<byte> coefficients, ReadOnlySpan<byte> input, Span<byte> output, int fragmentBytes)
    {
        var columns = input.Length / fragmentBytes;
        var rows = output.Length / fragmentBytes;
        ref var from = ref MemoryMarshal.GetReference(input);
        ref var to = ref MemoryMarshal.GetReference(output);
        var half = Vector256.Create((byte)0x0F);
        for (var row = 0; row < rows; row++)
        {
            // SAFETY: positions stay below the fragment's size, a multiple of the vector's, and fragments lie inside their spans.
            for (var position = 0; position < fragmentBytes; position += Vector256<byte>.Count)
            {
                var sum = Vector256<byte>.Zero;
                for (var column = 0; column < columns; column++)
                {
                    var table = coefficients[(row * columns) + column] * 2;
                    var value = Vector256.LoadUnsafe(ref from, (nuint)((column * fragmentBytes) + position));
                    var low = Avx2.Shuffle(Vector256.Create(Tables[table], Tables[table]), value & half);
                    var high = Avx2.Shuffle(
                        Vector256.Create(Tables[table + 1], Tables[table + 1]), Vector256.ShiftRightLogical(value.AsUInt16(), 4).AsByte() & half);
                    sum ^= low ^ high;
                }

                sum.StoreUnsafe(ref to, (nuint)((row * fragmentBytes) + position));
            }
        }
    }

    private static Vector128<byte>[] MakeTables()
    {
        var tables = new Vector128<byte>[512];
        Span<byte> low = stackalloc byte[16];
        Span<byte> high = stackalloc byte[16];
        for (var constant = 0; constant < 256; constant++)
        {
            for (var n = 0; n < 16; n++)
            {
                low[n] = GaloisField.Multiply((byte)constant, (byte)n);
                high[n] = GaloisField.Multiply((byte)constant, (byte)(n << 4));
            }

            (tables[constant * 2], tables[(constant * 2) + 1]) = (Vector128.Create<byte>(low), Vector128.Create<byte>(high));
        }

        return tables;
    }
}
