using System.Diagnostics;

namespace Nephos.Testing;

/// <summary>A small file system in memory that goes with it: for filling a disk.</summary>
public sealed class TinyDisk : IDisposable
{
    private static readonly Lazy<string?> Refusal = new(Try);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-disk-");

    /// <exception cref="InvalidOperationException">It cannot be mounted; see <see cref="WhyNot"/>.</exception>
    public TinyDisk(int mebibytes)
    {
        if (Run("mount", "-t", "tmpfs", "-o", $"size={mebibytes}m", "nephos-test", Path) is { } refusal)
        {
            _folder.Delete();
            throw new InvalidOperationException(refusal);
        }
    }

    /// <summary>Why there are none on this machine, or null.</summary>
    public static string? WhyNot => Refusal.Value;

    public string Path => _folder.FullName;

    private string Filler => System.IO.Path.Combine(Path, "filler");

    public long FreeBytes => new DriveInfo(Path).AvailableFreeSpace;

    /// <summary>Fills it up to so many bytes.</summary>
    public void Fill(long leaveFreeBytes = 0)
    {
        using var file = new FileStream(Filler, FileMode.Append, FileAccess.Write, FileShare.None, bufferSize: 0);
        var block = new byte[64 * 1024];
        while (FreeBytes > leaveFreeBytes)
        {
            file.Write(block.AsSpan(0, (int)Math.Min(block.Length, FreeBytes - leaveFreeBytes)));
        }
    }

    /// <summary>Takes away what <see cref="Fill"/> put there.</summary>
    public void Free() => File.Delete(Filler);

    public void Dispose()
    {
        Run("umount", "-l", Path);
        _folder.Delete();
    }

    private static string? Try()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            return "mounting a small tmpfs needs root";
        }

        try
        {
            new TinyDisk(1).Dispose();
            return null;
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            return $"a small tmpfs cannot be mounted here: {e.Message}";
        }
    }

    /// <returns>What it says when it fails, or null.</returns>
    private static string? Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        var said = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? null : said.Trim();
    }
}
