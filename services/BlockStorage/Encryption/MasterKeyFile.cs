using System.Security.Cryptography;
using System.Text;
using Nephos.Hosting;

namespace Nephos.BlockStorage.Encryption;

/// <summary>Wraps with one master key, in a file that only its owner can read. Whoever loses the file loses every encrypted volume.</summary>
/// <remarks>Wrapped form: 1 byte version (1) | 12 bytes nonce | ciphertext | 16 bytes tag of AES-256-GCM with the id of the key as associated data.</remarks>
internal sealed class MasterKeyFile(string directory) : IKeyProvider
{
    public const string FileName = "volumes.key";

    private const int KeyBytes = 32, NonceBytes = 12, TagBytes = 16, Version = 1;
    private const UnixFileMode Others =
        UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    // A cloud without encrypted volumes has no such file.
    private readonly Lazy<byte[]> _master = new(() => Read(directory));

    private static byte[] Read(string directory)
    {
        var key = SecretFile.ReadOrCreate(directory, FileName, KeyBytes);
        var path = Path.Combine(directory, FileName);
        if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(path) & Others) != 0) throw new IOException($"{path} must be readable by its owner only.");
        return key;
    }

    public byte[] Wrap(ReadOnlySpan<byte> key, string keyId)
    {
        var wrapped = new byte[1 + NonceBytes + key.Length + TagBytes];
        wrapped[0] = Version;
        var nonce = wrapped.AsSpan(1, NonceBytes);
        RandomNumberGenerator.Fill(nonce);
        using var cipher = new AesGcm(_master.Value, TagBytes);
        cipher.Encrypt(nonce, key, wrapped.AsSpan(1 + NonceBytes, key.Length), wrapped.AsSpan(wrapped.Length - TagBytes), Encoding.UTF8.GetBytes(keyId));
        return wrapped;
    }

    public byte[] Unwrap(ReadOnlySpan<byte> wrapped, string keyId)
    {
        if (wrapped.Length < 1 + NonceBytes + TagBytes || wrapped[0] != Version) throw new CryptographicException("This is no wrapped key.");
        var key = new byte[wrapped.Length - 1 - NonceBytes - TagBytes];
        using var cipher = new AesGcm(_master.Value, TagBytes);
        cipher.Decrypt(wrapped.Slice(1, NonceBytes), wrapped.Slice(1 + NonceBytes, key.Length), wrapped[^TagBytes..], key, Encoding.UTF8.GetBytes(keyId));
        return key;
    }
}
