using System.Text;
using CsCheck;
using Nephos.Kernel.State;
using Xunit;

namespace Nephos.Services.Tests.State;

public sealed class StateKeysTests
{
    // Weighted towards the places where UTF-16 and UTF-8 disagree.
    private static readonly Gen<string> GenText = Gen.Frequency(
        (3, Gen.Int['a', 'c']),
        (1, Gen.Int[0xD7F0, 0xD7FF]),
        (1, Gen.Int[0xE000, 0xE00F]),
        (1, Gen.Int[0xFFF0, 0xFFFF]),
        (1, Gen.Int[0x10000, 0x10010]),
        (1, Gen.Int[0x10FFF0, 0x10FFFF])).Select(char.ConvertFromUtf32).Array[0, 4].Select(string.Concat);

    [Fact]
    public void The_order_is_that_of_the_utf8_bytes() => Gen.Select(GenText, GenText).Sample((left, right) =>
        Math.Sign(StateKeys.Comparer.Compare(left, right)) == Math.Sign(Bytes(left).AsSpan().SequenceCompareTo(Bytes(right))));

    [Fact]
    public void The_end_of_a_prefix_comes_after_exactly_the_keys_with_the_prefix() => Gen.Select(GenText, GenText).Sample((prefix, key) =>
    {
        var end = StateKeys.PrefixEnd(prefix);
        var inRange = StateKeys.Comparer.Compare(key, prefix) >= 0 && (end.Length == 0 || StateKeys.Comparer.Compare(key, end) < 0);
        return inRange == key.StartsWith(prefix, StringComparison.Ordinal)
            && (end.Length == 0 || StateKeys.Comparer.Compare(prefix + key, end) < 0);
    });

    [Fact]
    public void There_is_nothing_between_a_key_and_what_follows_it() => Gen.Select(GenText, GenText).Sample((key, other) =>
        StateKeys.Comparer.Compare(key, StateKeys.After(key)) < 0
        && (StateKeys.Comparer.Compare(other, key) <= 0 || StateKeys.Comparer.Compare(other, StateKeys.After(key)) >= 0));

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}
