using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Nephos.Hosting;

namespace Nephos.Identity.Shared;

/// <summary>Secrets in files that only the owner of the process may read, each written once and durably.</summary>
internal sealed class SecretFiles(NephosOptions options)
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    public string Directory => options.SecretsDirectory;

    /// <summary>What the file holds; when there is none it is made of <paramref name="create"/> first, and is on disk on return.</summary>
    public string ReadOrCreate(string name, Func<string> create)
    {
        System.IO.Directory.CreateDirectory(Directory, OwnerOnly | UnixFileMode.UserExecute);
        var path = Path.Combine(Directory, name);
        if (!File.Exists(path))
        {
            Write(path, create());
        }
        return File.ReadAllText(path).Trim();
    }

    /// <summary>Random letters and digits, easy to copy: 190 bits.</summary>
    public static string NewPassword() => RandomNumberGenerator.GetString("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", 32);

    private void Write(string path, string content)
    {
        var temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        using (var file = new FileStream(temporary, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = OwnerOnly,
        }))
        {
            file.Write(System.Text.Encoding.UTF8.GetBytes(content + "\n"));
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
        Native.SyncDirectory(Directory);
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
