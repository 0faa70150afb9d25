using System.Security.Cryptography;

namespace Nephos.Hosting;

/// <summary>Random keys in files that only their owner can read.</summary>
public static class SecretFile
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>The key in a file of a directory; made, and flushed to the disk, when there is none. Several processes may ask at once.</summary>
    /// <exception cref="IOException">The directory can not be written, or the file is not of the length.</exception>
    public static byte[] ReadOrCreate(string directory, string name, int bytes)
    {
        Directory.CreateDirectory(directory, OwnerOnly | UnixFileMode.UserExecute);
        var path = Path.Combine(directory, name);
        if (!File.Exists(path)) Create(path, bytes);
        var key = File.ReadAllBytes(path);
        return key.Length == bytes ? key : throw new IOException($"The key in {path} has {key.Length} bytes, not {bytes}.");
    }

    private static void Create(string path, int bytes)
    {
        var temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        using (var file = new FileStream(temporary, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }))
        {
            file.Write(RandomNumberGenerator.GetBytes(bytes));
            file.Flush(flushToDisk: true);
        }
        try
        {
            File.Move(temporary, path, overwrite: false);
        }
        catch (IOException) when (File.Exists(path))
        {
            // Another process was first; its key is the key.
            File.Delete(temporary);
        }
    }
}
