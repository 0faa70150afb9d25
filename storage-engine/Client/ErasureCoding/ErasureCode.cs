namespace Nephos.Client.ErasureCoding;

/// <summary>
/// Cuts data into <see cref="DataCount"/> fragments and makes <see cref="ParityCount"/> more, so that any <see cref="DataCount"/> of all give
/// back the data. Fragments are numbered, data first. Immutable; thread-safe.
/// </summary>
public sealed class ErasureCode
{
    /// <summary>Sizes of fragments are multiples of this.</summary>
    public const int AlignmentBytes = 64;

    /// <summary>Data and parity together.</summary>
    public const int FragmentsMax = 16;

    private readonly CodingKernel _kernel;
    private readonly byte[][] _parity;
    private readonly byte[] _parityFlat;

    public ErasureCode(int data, int parity)
        : this(data, parity, CodingKernel.Best)
    {
    }

    internal ErasureCode(int data, int parity, CodingKernel kernel)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(data, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(parity, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(data + parity, FragmentsMax);
        (DataCount, ParityCount, _kernel) = (data, parity, kernel);
        _parity = CodingMatrix.Parity(data, parity);
        _parityFlat = [.. _parity.SelectMany(row => row)];
    }

    public int DataCount { get; }

    public int ParityCount { get; }

    public int FragmentCount => DataCount + ParityCount;

    /// <summary>Size of each fragment of so many bytes of data; what is left of the last one is zeros.</summary>
    public int FragmentBytes(int dataBytes) =>
        ((dataBytes + DataCount - 1) / DataCount + AlignmentBytes - 1) / AlignmentBytes * AlignmentBytes;

    /// <summary>Fills the parity fragments; fragments lie one behind the other.</summary>
    public void Encode(ReadOnlySpan<byte> data, Span<byte> parity, int fragmentBytes)
    {
        Check(data.Length, DataCount, fragmentBytes, nameof(data));
        Check(parity.Length, ParityCount, fragmentBytes, nameof(parity));
        _kernel.Multiply(_parityFlat, data, parity, fragmentBytes);
    }

    /// <summary>Makes some fragments of any <see cref="DataCount"/> others.</summary>
    /// <param name="numbers">Which fragments <paramref name="given"/> holds, one behind the other; <see cref="DataCount"/> different ones.</param>
    /// <param name="wanted">The numbers of those to make.</param>
    public void Reconstruct(ReadOnlySpan<int> numbers, ReadOnlySpan<byte> given, ReadOnlySpan<int> wanted, Span<byte> made, int fragmentBytes)
    {
        Check(given.Length, DataCount, fragmentBytes, nameof(given));
        Check(made.Length, wanted.Length, fragmentBytes, nameof(made));
        ArgumentOutOfRangeException.ThrowIfNotEqual(numbers.Length, DataCount);
        var rows = new byte[DataCount][];
        for (var n = 0; n < rows.Length; n++)
        {
            rows[n] = RowOf(numbers[n]);
        }

        var toData = CodingMatrix.Invert(rows);
        Span<byte> coefficients = stackalloc byte[wanted.Length * DataCount];
        for (var n = 0; n < wanted.Length; n++)
        {
            CodingMatrix.Multiply(RowOf(wanted[n]), toData).CopyTo(coefficients[(n * DataCount)..]);
        }

        _kernel.Multiply(coefficients, given, made, fragmentBytes);
    }

    /// <summary>How a fragment is made of the data.</summary>
    private byte[] RowOf(int fragment)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(fragment);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(fragment, FragmentCount);
        if (fragment >= DataCount)
        {
            return _parity[fragment - DataCount];
        }

        var row = new byte[DataCount];
        row[fragment] = 1;
        return row;
    }

    private static void Check(int length, int count, int fragmentBytes, string what)
    {
        if (fragmentBytes <= 0 || fragmentBytes % AlignmentBytes != 0 || length != (long)count * fragmentBytes)
        {
            throw new ArgumentException($"{count} fragments of {fragmentBytes} bytes are wanted, a multiple of {AlignmentBytes} each.", what);
        }
    }
}
