namespace Nephos.Hypervisor.Instances;

/// <summary>Cuts the end of a console.</summary>
internal static class ConsoleTail
{
    /// <summary>The last <paramref name="lineCount"/> lines (0: all), never more than <see cref="IHypervisor.ConsoleBytesMax"/>.</summary>
    public static byte[] Lines(ReadOnlySpan<byte> text, int lineCount)
    {
        if (text.Length > IHypervisor.ConsoleBytesMax)
        {
            text = text[^IHypervisor.ConsoleBytesMax..];
        }
        if (lineCount <= 0)
        {
            return text.ToArray();
        }
        var start = text.Length;
        // A newline at the very end closes the last line; it does not begin another.
        if (start > 0 && text[start - 1] == '\n')
        {
            start--;
        }
        for (var lines = 0; lines < lineCount; lines++)
        {
            var newline = text[..start].LastIndexOf((byte)'\n');
            if (newline < 0)
            {
                return text.ToArray();
            }
            start = newline;
        }
        return text[(start + 1)..].ToArray();
    }
}
