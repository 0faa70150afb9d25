using Nephos.Hosting;

namespace Nephos.Host.Storage;

/// <summary>The secret by which the storage processes of a cloud know each other: 32 random bytes in a file of its owner.</summary>
internal static class StorageKey
{
    /// <exception cref="IOException">The directory cannot be written.</exception>
    public static byte[] ReadOrCreate(string directory) => SecretFile.ReadOrCreate(directory, "storage.key", bytes: 32);
}
