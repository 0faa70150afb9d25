using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Nephos.Hosting;

/// <summary>Secrets in files that only their owner can read, each written once and durably. Several processes may ask at once.</summary>
public static class SecretFile
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>The random key in a file of a directory; made, and on disk on return, when there is none.</summary>
    /// <exception cref="IOException">The directory can not be written, or the file is not of the length.</exception>
    public static byte[] ReadOrCreate(string directory, string name, int bytes)
    {
        var key = ReadOrCreate(directory, name, () => RandomNumberGenerator.GetBytes(bytes));
        return key.Length == bytes ? key : throw new IOException($"The key in {Path.Combine(directory, name)} has {key.Length} bytes, not {bytes}.");
    }

    /// <summary>What the file holds; when there is none it is made of <paramref name="create"/> first, and is on disk on return.</summary>
    /// <exception cref="IOException">The directory can not be written.</exception>
    public static byte[] ReadOrCreate(string directory, string name, Func<byte[]> create)
    {
        Directory.CreateDirectory(directory, OwnerOnly | UnixFileMode.UserExecute);
        var path = Path.Combine(directory, name);
        if (!File.Exists(path)) Write(directory, path, create());
        return File.ReadAllBytes(path);
    }

    private static void Write(string directory, string path, byte[] content)
    {
        var temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        using (var file = new FileStream(temporary, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }))
        {
            file.Write(content);
            file.Flush(flushToDisk: true);
        }
        try
        {
            File.Move(temporary, path, overwrite: false);
        }
        catch (IOException) when (File.Exists(path))
        {
            // Another process was first; its secret is the secret.
            File.Delete(temporary);
        }
        Native.SyncDirectory(directory);
    }

    private static class Native
    {
        private const int ReadOnlyDirectory = 0x10000;

        public static void SyncDirectory(string path)
        {
            if (!OperatingSystem.IsLinux())
            {
                return;
            }
            var descriptor = Open(path, ReadOnlyDirectory);
            if (descriptor < 0)
            {
                throw new IOException($"Cannot open {path}.", new Win32Exception(Marshal.GetLastPInvokeError()));
            }
            var result = Sync(descriptor);
            var error = Marshal.GetLastPInvokeError();
            _ = Close(descriptor);
            if (result != 0)
            {
                throw new IOException($"Cannot sync {path}.", new Win32Exception(error));
            }
        }

        [DllImport("libc", EntryPoint = "open", SetLastError = true)]
        private static extern int Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

        [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
        private static extern int Sync(int descriptor);

        [DllImport("libc", EntryPoint = "close", SetLastError = true)]
        private static extern int Close(int descriptor);
    }
}
