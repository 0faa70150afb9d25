using Nephos.Hypervisor.Instances;

namespace Nephos.Hypervisor.Qemu;

/// <summary>The serial console of a machine as files: QEMU appends to one, we move it aside when it has grown.</summary>
internal static class ConsoleLog
{
    /// <summary>Bounds the file: copied to "console.log.1", then cut to nothing. QEMU has it open for appending and goes on at the start;
    /// what it writes between the copy and the cut is lost.</summary>
    public static void Rotate(string path, long bytesMax)
    {
        if (Length(path) > bytesMax)
        {
            File.Copy(path, path + ".1.new", overwrite: true);
            File.Move(path + ".1.new", path + ".1", overwrite: true);
            using var file = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
            file.SetLength(0);
        }
    }

    public static long Length(string path)
    {
        var file = new FileInfo(path);
        return file.Exists ? file.Length : 0;
    }

    /// <summary>The last lines, across the file before when needed.</summary>
    public static byte[] Read(string path, int lineCount)
    {
        byte[] text = [.. Tail(path + ".1"), .. Tail(path)];
        return ConsoleTail.Lines(text, lineCount);
    }

    private static byte[] Tail(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            file.Seek(-Math.Min(file.Length, IHypervisor.ConsoleBytesMax), SeekOrigin.End);
            var tail = new byte[IHypervisor.ConsoleBytesMax];
            return tail[..file.ReadAtLeast(tail, tail.Length, throwOnEndOfStream: false)];
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return [];
        }
    }
}
