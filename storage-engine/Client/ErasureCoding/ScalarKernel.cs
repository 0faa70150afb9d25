namespace Nephos.Client.ErasureCoding;

/// <summary>One byte at a time through a table of products; runs everywhere.</summary>
internal sealed class ScalarKernel : CodingKernel
{
    private static readonly byte[][] Products = MakeProducts();

    public override string Name => "scalar";

    public override void Multiply(ReadOnlySpan<byte> coefficients, ReadOnlySpan<byte> input, Span<byte> output, int fragmentBytes)
    {
        var columns = input.Length / fragmentBytes;
        output.Clear();
        for (var row = 0; row < output.Length / fragmentBytes; row++)
        {
            var target = output.Slice(row * fragmentBytes, fragmentBytes);
            for (var column = 0; column < columns; column++)
            {
                var products = Products[coefficients[(row * columns) + column]];
                var source = input.Slice(column * fragmentBytes, fragmentBytes);
                for (var n = 0; n < target.Length; n++)
                {
                    target[n] ^= products[source[n]];
                }
            }
        }
    }

    private static byte[][] MakeProducts()
    {
        var products = new byte[256][];
        for (var a = 0; a < 256; a++)
        {
            products[a] = new byte[256];
            for (var b = 0; b < 256; b++)
            {
                products[a][b] = GaloisField.Multiply((byte)a, (byte)b);
            }
        }

        return products;
    }
}
