namespace Nephos.Client.ErasureCoding;

/// <summary>Arithmetic of the field with 256 elements over the polynomial 0x11D, as most storage codes use it. Addition is exclusive or.</summary>
internal static class GaloisField
{
    private const int Polynomial = 0x11D;
    private static readonly byte[] Exponents = new byte[510];
    private static readonly byte[] Logarithms = new byte[256];

    static GaloisField()
    {
        var value = 1;
        for (var power = 0; power < 255; power++)
        {
            Exponents[power] = Exponents[power + 255] = (byte)value;
            Logarithms[value] = (byte)power;
            value <<= 1;
            value = value > 255 ? value ^ Polynomial : value;
        }
    }

    public static byte Multiply(byte a, byte b) => a == 0 || b == 0 ? (byte)0 : Exponents[Logarithms[a] + Logarithms[b]];

    public static byte Inverse(byte a) =>
        a == 0 ? throw new DivideByZeroException("Zero has no inverse.") : Exponents[255 - Logarithms[a]];

    /// <summary>Multiplication by a constant as a matrix of bits, in the order that the processor's affine transform takes.</summary>
    public static ulong AffineMatrix(byte constant)
    {
        ulong matrix = 0;
        for (var column = 0; column < 8; column++)
        {
            var product = Multiply(constant, (byte)(1 << column));
            for (var row = 0; row < 8; row++)
            {
                if ((product >> row & 1) != 0)
                {
                    matrix |= 1UL << ((7 - row) * 8 + column);
                }
            }
        }

        return matrix;
    }
}
