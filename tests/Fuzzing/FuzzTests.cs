using System.Text;
using Xunit;

namespace Nephos.Fuzzing;

/// <summary>A short run of every target, and the inputs that once were too much for one.</summary>
public sealed class FuzzTests
{
    private const int Inputs = 3000;

    public static TheoryData<string> Targets => [.. FuzzTargets.All.Select(target => target.Name)];

    [Theory]
    [MemberData(nameof(Targets))]
    public void A_short_run_finds_nothing(string name)
    {
        var target = FuzzTargets.All.Single(target => target.Name == name);

        var finding = new FuzzRun(target, 1, TimeProvider.System).Run(0, Inputs, hang => Assert.Fail(hang.What));

        Assert.True(finding is null, $"{finding?.What}\n./nephos fuzz {name} --input {Convert.ToBase64String(finding?.Input ?? [])}");
    }

    [Fact]
    public void A_number_names_one_input()
    {
        foreach (var target in FuzzTargets.All)
        {
            Assert.Equal(Mutator.InputOf(target, 7, 42), Mutator.InputOf(target, 7, 42));
        }
        Assert.NotEqual(Mutator.InputOf(FuzzTargets.All[0], 1, 1), Mutator.InputOf(FuzzTargets.All[0], 1, 2));
    }

    [Fact]
    public void What_throws_and_what_takes_too_long_is_found()
    {
        Assert.Contains("InvalidOperationException", new FuzzRun(new Fragile(), 1, TimeProvider.System).Run(0, 10_000, _ => { })!.What, StringComparison.Ordinal);
        Assert.Contains("processor time", new FuzzRun(new Fragile(), 1, TimeProvider.System).Try("slow"u8.ToArray(), out _), StringComparison.Ordinal);
        Assert.Null(new FuzzRun(new Fragile(), 1, TimeProvider.System).Try("fine"u8.ToArray(), out _));
    }

    private sealed class Fragile : FuzzTarget
    {
        public override string Name => "fragile";

        public override string About => "breaks at a word that mutations have to find";

        public override IReadOnlyList<byte[]> Words { get; } = WordsOf("bang");

        public override TimeSpan Limit => TimeSpan.FromMilliseconds(5);

        public override byte[] Make(Random random) => "harmless"u8.ToArray();

        public override void Run(byte[] input)
        {
            var text = Encoding.UTF8.GetString(input);
            if (text.Contains("bang", StringComparison.Ordinal))
            {
                throw new InvalidOperationException("Bang.");
            }
            for (var round = 0L; text == "slow" && round < 100_000_000; round++)
            {
                GC.KeepAlive(text);
            }
        }
    }
}
