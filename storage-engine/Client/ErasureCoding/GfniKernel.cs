using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Nephos.Client.ErasureCoding;

/// <summary>64 bytes at a time: multiplication by a constant is linear over bits, and the processor multiplies bytes by bit matrices.</summary>
internal sealed class GfniKernel : CodingKernel
{
    private static readonly ulong[] Matrices = MakeMatrices();

    public override string Name => "GFNI";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Multiply(ReadOnlySpan<byte> coefficients, ReadOnlySpan<byte> input, Span<byte> output, int fragmentBytes)
    {
        var columns = input.Length / fragmentBytes;
        var rows = output.Length / fragmentBytes;
        ref var from = ref MemoryMarshal.GetReference(input);
        ref var to = ref MemoryMarshal.GetReference(output);
        Span<ulong> matrices = stackalloc ulong[rows * columns];
        for (var n = 0; n < matrices.Length; n++)
        {
            matrices[n] = Matrices[coefficients[n]];
        }

        // Up to four rows for one reading of the input.
        for (var row = 0; row < rows; row += 4)
        {
            var (first, second, third, fourth) = (row, Math.Min(row + 1, rows - 1), Math.Min(row + 2, rows - 1), Math.Min(row + 3, rows - 1));
            // SAFETY: positions stay below the fragment's size, a multiple of the vector's, and fragments lie inside their spans.
            for (var position = 0; position < fragmentBytes; position += Vector512<byte>.Count)
            {
                var (a, b, c, d) = (Vector512<byte>.Zero, Vector512<byte>.Zero, Vector512<byte>.Zero, Vector512<byte>.Zero);
                for (var column = 0; column < columns; column++)
                {
                    var value = Vector512.LoadUnsafe(ref from, (nuint)((column * fragmentBytes) + position));
                    a ^= Times(value, matrices[(first * columns) + column]);
                    b ^= Times(value, matrices[(second * columns) + column]);
                    c ^= Times(value, matrices[(third * columns) + column]);
                    d ^= Times(value, matrices[(fourth * columns) + column]);
                }

                // A row that stands in for one that is not there is written again with the same bytes.
                a.StoreUnsafe(ref to, (nuint)((first * fragmentBytes) + position));
                b.StoreUnsafe(ref to, (nuint)((second * fragmentBytes) + position));
                c.StoreUnsafe(ref to, (nuint)((third * fragmentBytes) + position));
                d.StoreUnsafe(ref to, (nuint)((fourth * fragmentBytes) + position));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> Times(Vector512<byte> value, ulong matrix) =>
        Gfni.V512.GaloisFieldAffineTransform(value, Vector512.Create(matrix).AsByte(), 0);

    private static ulong[] MakeMatrices()
    {
        var matrices = new ulong[256];
        for (var constant = 0; constant < 256; constant++)
        {
            matrices[constant] = GaloisField.AffineMatrix((byte)constant);
        }

        return matrices;
    }
}
