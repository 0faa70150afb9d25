using System.Security.Cryptography;

namespace Nephos.Host.Storage;

/// <summary>The secret by which the storage processes of a cloud know each other: 32 random bytes in a file of its owner.</summary>
internal static class StorageKey
{
    private const string FileName = "storage.key";
    private const int KeyBytes = 32;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <exception cref="IOException">The directory cannot be written.</exception>
    public static byte[] ReadOrCreate(string directory)
    {
        Directory.CreateDirectory(directory, OwnerOnly | UnixFileMode.UserExecute);
        var path = Path.Combine(directory, FileName);
        if (!File.Exists(path))
        {
            var temporary = $"{path}.{Guid.NewGuid():N}.tmp";
            using (var file = new FileStream(
                temporary, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }))
            {
                file.Write(RandomNumberGenerator.GetBytes(KeyBytes));
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

        return File.ReadAllBytes(path);
    }
}
