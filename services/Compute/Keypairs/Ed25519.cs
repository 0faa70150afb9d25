using System.Numerics;
using System.Security.Cryptography;

namespace Nephos.Compute.Keypairs;

/// <summary>The public key of an Ed25519 secret (RFC 8032, section 5.1.5), which the framework does not offer.</summary>
/// <remarks>Only for making keys: it takes as long as the bits of the secret make it take, so it must not be used to sign.</remarks>
internal static class Ed25519
{
    private static readonly BigInteger P = BigInteger.Pow(2, 255) - 19;
    private static readonly BigInteger D = Mod(-121665 * Inverse(121666));
    private static readonly Point Base = BasePoint();

    /// <param name="seed">32 random bytes.</param>
    public static byte[] PublicKeyOf(ReadOnlySpan<byte> seed)
    {
        var hash = SHA512.HashData(seed);
        var scalar = hash[..32];
        scalar[0] &= 0xF8;
        scalar[31] = (byte)((scalar[31] & 0x7F) | 0x40);
        return Encode(Multiply(Base, new BigInteger(scalar, isUnsigned: true)));
    }

    private static BigInteger Mod(BigInteger value)
    {
        var rest = value % P;
        return rest.Sign < 0 ? rest + P : rest;
    }

    private static BigInteger Inverse(BigInteger value) => BigInteger.ModPow(((value % P) + P) % P, P - 2, P);

    private static Point BasePoint()
    {
        var y = Mod(4 * Inverse(5));
        var square = Mod((y * y - 1) * Inverse(D * y * y + 1));
        var x = BigInteger.ModPow(square, (P + 3) / 8, P);
        if (Mod(x * x - square) != 0)
        {
            x = Mod(x * BigInteger.ModPow(2, (P - 1) / 4, P));
        }
        return Point.Of(x.IsEven ? x : P - x, y);
    }

    private static Point Multiply(Point point, BigInteger scalar)
    {
        var sum = Point.Of(BigInteger.Zero, BigInteger.One);
        for (; scalar > 0; scalar >>= 1)
        {
            if (!scalar.IsEven)
            {
                sum = Add(sum, point);
            }
            point = Add(point, point);
        }
        return sum;
    }

    // The complete addition of section 5.1.4, in extended coordinates.
    private static Point Add(Point p, Point q)
    {
        var a = Mod((p.Y - p.X) * (q.Y - q.X));
        var b = Mod((p.Y + p.X) * (q.Y + q.X));
        var c = Mod(2 * p.T * q.T * D);
        var d = Mod(2 * p.Z * q.Z);
        var (e, f, g, h) = (b - a, d - c, d + c, b + a);
        return new Point(Mod(e * f), Mod(g * h), Mod(f * g), Mod(e * h));
    }

    private static byte[] Encode(Point point)
    {
        var inverse = Inverse(point.Z);
        var (x, y) = (Mod(point.X * inverse), Mod(point.Y * inverse));
        var bytes = new byte[32];
        y.TryWriteBytes(bytes, out _, isUnsigned: true);
        bytes[31] |= x.IsEven ? (byte)0 : (byte)0x80;
        return bytes;
    }

    private readonly record struct Point(BigInteger X, BigInteger Y, BigInteger Z, BigInteger T)
    {
        public static Point Of(BigInteger x, BigInteger y) => new(x, y, BigInteger.One, Mod(x * y));
    }
}
