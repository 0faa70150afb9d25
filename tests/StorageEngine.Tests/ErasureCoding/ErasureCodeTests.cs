using Nephos.Client.ErasureCoding;
using Xunit;

namespace Nephos.StorageEngine.Tests.ErasureCoding;

/// <summary>Each kernel of this processor against the arithmetic of the field and against the others; codes against loss.</summary>
public sealed class ErasureCodeTests
{
    public static TheoryData<string> Kernels => [.. CodingKernel.Supported().Select(kernel => kernel.Name)];

    [Theory]
    [MemberData(nameof(Kernels))]
    public void A_kernel_multiplies_as_the_field_does(string name) => Assert.True(CodingKernel.Passes(Kernel(name)));

    [Fact]
    public void A_kernel_that_is_wrong_in_one_bit_does_not_pass() => Assert.False(CodingKernel.Passes(new BrokenKernel()));

    [Theory]
    [InlineData(4, 2)]
    [InlineData(8, 3)]
    [InlineData(12, 4)]
    [InlineData(2, 5)]
    public void All_kernels_give_the_same_parity(int data, int parity)
    {
        var random = new Random(data * 100 + parity);
        foreach (var fragmentBytes in new[] { 64, 128, 4096, 64 * 37 })
        {
            var bytes = new byte[data * fragmentBytes];
            random.NextBytes(bytes);
            var expected = new byte[parity * fragmentBytes];
            new ErasureCode(data, parity, new ScalarKernel()).Encode(bytes, expected, fragmentBytes);
            foreach (var kernel in CodingKernel.Supported())
            {
                var made = new byte[parity * fragmentBytes];
                new ErasureCode(data, parity, kernel).Encode(bytes, made, fragmentBytes);
                Assert.True(expected.AsSpan().SequenceEqual(made), $"{kernel.Name} differs at {data}+{parity}, {fragmentBytes} bytes.");
            }
        }
    }

    [Theory]
    [InlineData(4, 2)]
    [InlineData(8, 3)]
    public void Any_loss_up_to_the_parity_is_made_good(int data, int parity)
    {
        const int FragmentBytes = 192;
        var code = new ErasureCode(data, parity);
        var all = new byte[code.FragmentCount * FragmentBytes];
        new Random(7).NextBytes(all.AsSpan(0, data * FragmentBytes));
        code.Encode(all.AsSpan(0, data * FragmentBytes), all.AsSpan(data * FragmentBytes), FragmentBytes);
        for (var lost = 0; lost < 1 << code.FragmentCount; lost++)
        {
            if (int.PopCount(lost) != parity)
            {
                continue;
            }

            int[] missing = [.. Enumerable.Range(0, code.FragmentCount).Where(n => (lost >> n & 1) != 0)];
            int[] given = [.. Enumerable.Range(0, code.FragmentCount).Except(missing)];
            byte[] left = [.. given.SelectMany(n => all[(n * FragmentBytes)..((n + 1) * FragmentBytes)])];
            var made = new byte[missing.Length * FragmentBytes];
            code.Reconstruct(given, left, missing, made, FragmentBytes);
            byte[] wanted = [.. missing.SelectMany(n => all[(n * FragmentBytes)..((n + 1) * FragmentBytes)])];
            Assert.True(wanted.AsSpan().SequenceEqual(made), $"Without {string.Join(", ", missing)} the rest is not what it was.");
        }
    }

    [Fact]
    public void Parity_has_the_values_that_are_on_disks()
    {
        // The matrix is part of the format: stored fragments were made with it.
        var code = new ErasureCode(4, 2);
        var data = new byte[4 * 64];
        for (var fragment = 0; fragment < 4; fragment++)
        {
            data[fragment * 64] = 1;
            data[(fragment * 64) + 1 + fragment] = 1;
        }

        var parity = new byte[2 * 64];
        code.Encode(data, parity, 64);
        Assert.Equal("2047A77ABA", Convert.ToHexString(parity.AsSpan(0, 5)));
        Assert.Equal("20A747BA7A", Convert.ToHexString(parity.AsSpan(64, 5)));
    }

    [Fact]
    public void Every_element_but_zero_has_an_inverse()
    {
        for (var value = 1; value < 256; value++)
        {
            Assert.Equal(1, GaloisField.Multiply((byte)value, GaloisField.Inverse((byte)value)));
        }

        Assert.Throws<DivideByZeroException>(() => GaloisField.Inverse(0));
    }

    [Theory]
    [InlineData(1 << 20, 4, 262144)]
    [InlineData(1 << 20, 8, 131072)]
    [InlineData(1, 4, 64)]
    [InlineData(257, 4, 128)]
    public void Fragments_are_as_large_as_their_share_rounded_up(int dataBytes, int data, int fragmentBytes) =>
        Assert.Equal(fragmentBytes, new ErasureCode(data, 2).FragmentBytes(dataBytes));

    private static CodingKernel Kernel(string name) => CodingKernel.Supported().Single(kernel => kernel.Name == name);

    private sealed class BrokenKernel : CodingKernel
    {
        private readonly ScalarKernel _right = new();

        public override string Name => "broken";

        public override void Multiply(ReadOnlySpan<byte> coefficients, ReadOnlySpan<byte> input, Span<byte> output, int fragmentBytes)
        {
            _right.Multiply(coefficients, input, output, fragmentBytes);
            output[77] ^= coefficients[0] == 200 ? (byte)1 : (byte)0;
        }
    }
}
