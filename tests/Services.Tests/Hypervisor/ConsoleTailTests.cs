using System.Text;
using Nephos.Hypervisor.Instances;
using Xunit;

namespace Nephos.Services.Tests.Hypervisor;

public sealed class ConsoleTailTests
{
    [Theory]
    [InlineData("a\nb\nc\n", 2, "b\nc\n")]
    [InlineData("a\nb\nc", 1, "c")]
    [InlineData("a\nb\nc", 9, "a\nb\nc")]
    [InlineData("a\nb", 0, "a\nb")]
    [InlineData("", 3, "")]
    [InlineData("\n\n", 1, "\n")]
    public void The_last_lines_are_returned(string text, int lines, string expected) =>
        Assert.Equal(expected, Encoding.UTF8.GetString(ConsoleTail.Lines(Encoding.UTF8.GetBytes(text), lines)));

    [Fact]
    public void A_long_console_is_cut_at_its_beginning()
    {
        var tail = ConsoleTail.Lines(new byte[IHypervisor.ConsoleBytesMax + 5], lineCount: 0);
        Assert.Equal(IHypervisor.ConsoleBytesMax, tail.Length);
    }
}
