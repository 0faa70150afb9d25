using System.Runtime.Intrinsics.X86;

namespace Nephos.Client.ErasureCoding;

/// <summary>The inner loop of an erasure code: some fragments as sums of multiples of others. Stateless but for its tables; thread-safe.</summary>
internal abstract class CodingKernel
{
    private static readonly Lazy<CodingKernel> Chosen = new(Choose);

    /// <summary>The quickest kernel that this processor has and that passed its test.</summary>
    public static CodingKernel Best => Chosen.Value;

    public abstract string Name { get; }

    /// <summary>All that this processor can run, the quickest first.</summary>
    public static IEnumerable<CodingKernel> Supported()
    {
        if (Gfni.V512.IsSupported)
        {
            yield return new GfniKernel();
        }

        if (Avx2.IsSupported)
        {
            yield return new Avx2Kernel();
        }

        yield return new ScalarKernel();
    }

    /// <summary>
    /// Output row r becomes the sum over all columns c of <c>coefficients[r * columns + c]</c> times input c. Fragments lie one behind
    /// the other; all have <paramref name="fragmentBytes"/>, a multiple of <see cref="ErasureCode.AlignmentBytes"/>.
    /// </summary>
    public abstract void Multiply(ReadOnlySpan<byte> coefficients, ReadOnlySpan<byte> input, Span<byte> output, int fragmentBytes);

    /// <summary>Compares a kernel with the field's own arithmetic, for every coefficient and every byte.</summary>
    public static bool Passes(CodingKernel kernel)
    {
        const int Bytes = 256;
        Span<byte> input = stackalloc byte[Bytes * 2];
        Span<byte> output = stackalloc byte[Bytes * 3];
        Span<byte> coefficients = stackalloc byte[6];
        for (var n = 0; n < Bytes; n++)
        {
            (input[n], input[Bytes + n]) = ((byte)n, (byte)(255 - n * 7));
        }

        for (var constant = 0; constant < 256; constant++)
        {
            for (var n = 0; n < coefficients.Length; n++)
            {
                coefficients[n] = (byte)(constant + n * 37);
            }

            kernel.Multiply(coefficients, input, output, Bytes);
            for (var row = 0; row < 3; row++)
            {
                for (var n = 0; n < Bytes; n++)
                {
                    var wanted = GaloisField.Multiply(coefficients[row * 2], input[n])
                        ^ GaloisField.Multiply(coefficients[(row * 2) + 1], input[Bytes + n]);
                    if (output[(row * Bytes) + n] != wanted)
                    {
                        return false;
                    }
                }
            }
        }

        return true;
    }

    private static CodingKernel Choose() =>
        Supported().FirstOrDefault(Passes) ?? throw new InvalidOperationException("No erasure coding kernel gives right results on this processor.");
}
