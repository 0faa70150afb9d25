namespace Nephos.Client.ErasureCoding;

/// <summary>Matrices over the field, as rows of coefficients.</summary>
internal static class CodingMatrix
{
    /// <summary>
    /// The rows that make parity of data: a Cauchy matrix, of which every square part can be inverted, so that any
    /// <paramref name="data"/> fragments give back the others.
    /// </summary>
    public static byte[][] Parity(int data, int parity)
    {
        var rows = new byte[parity][];
        for (var row = 0; row < parity; row++)
        {
            rows[row] = new byte[data];
            for (var column = 0; column < data; column++)
            {
                rows[row][column] = GaloisField.Inverse((byte)((data + row) ^ column));
            }
        }

        return rows;
    }

    /// <summary>The inverse of a square matrix, by elimination.</summary>
    /// <exception cref="ArgumentException">It has none.</exception>
    public static byte[][] Invert(byte[][] matrix)
    {
        var size = matrix.Length;
        var left = Array.ConvertAll(matrix, row => (byte[])row.Clone());
        var right = new byte[size][];
        for (var row = 0; row < size; row++)
        {
            right[row] = new byte[size];
            right[row][row] = 1;
        }

        for (var pivot = 0; pivot < size; pivot++)
        {
            var found = Array.FindIndex(left, pivot, row => row[pivot] != 0);
            if (found < 0)
            {
                throw new ArgumentException("The matrix has no inverse.", nameof(matrix));
            }

            (left[pivot], left[found]) = (left[found], left[pivot]);
            (right[pivot], right[found]) = (right[found], right[pivot]);
            var scale = GaloisField.Inverse(left[pivot][pivot]);
            Scale(left[pivot], scale);
            Scale(right[pivot], scale);
            for (var row = 0; row < size; row++)
            {
                var factor = left[row][pivot];
                if (row != pivot && factor != 0)
                {
                    Subtract(left[row], left[pivot], factor);
                    Subtract(right[row], right[pivot], factor);
                }
            }
        }

        return right;
    }

    public static byte[] Multiply(byte[] row, byte[][] matrix)
    {
        var product = new byte[matrix[0].Length];
        for (var n = 0; n < row.Length; n++)
        {
            Subtract(product, matrix[n], row[n]);
        }

        return product;
    }

    private static void Scale(byte[] row, byte factor)
    {
        for (var n = 0; n < row.Length; n++)
        {
            row[n] = GaloisField.Multiply(row[n], factor);
        }
    }

    /// <summary>In this field subtraction and addition are the same.</summary>
    private static void Subtract(byte[] target, byte[] row, byte factor)
    {
        for (var n = 0; n < target.Length; n++)
        {
            target[n] ^= GaloisField.Multiply(row[n], factor);
        }
    }
}
