using System.Security.Cryptography;
using System.Text;

namespace Nephos.Identity.Shared;

/// <summary>The one key of the cloud that everything secret in the store is sealed with; kept in a file beside the store.</summary>
/// <remarks>Sealed form: 1 byte version (1) | 12 bytes nonce | ciphertext | 16 bytes tag of AES-256-GCM.</remarks>
internal sealed class CloudKey
{
    public const string FileName = "identity.key";

    private const int KeyBytes = 32, NonceBytes = 12, TagBytes = 16, Version = 1;

    private readonly byte[] _sealingKey;
    private readonly byte[] _secretKey;

    public CloudKey(SecretFiles files)
        : this(Convert.FromBase64String(files.ReadOrCreate(FileName, () => Convert.ToBase64String(RandomNumberGenerator.GetBytes(KeyBytes)))))
    {
    }

    public CloudKey(byte[] master)
    {
        if (master.Length != KeyBytes)
        {
            throw new InvalidDataException($"The key of the cloud has {master.Length} bytes, not {KeyBytes}.");
        }
        _sealingKey = Derive(master, "seal");
        Pepper = Derive(master, "pepper");
        _secretKey = Derive(master, "secret");
    }

    /// <summary>Goes into every password hash, so that the store alone is worth nothing to a guesser.</summary>
    public byte[] Pepper { get; }

    /// <param name="plain">Any bytes.</param>
    /// <param name="context">What the value belongs to; it opens in no other place.</param>
    public byte[] Seal(ReadOnlySpan<byte> plain, string context)
    {
        var box = new byte[1 + NonceBytes + plain.Length + TagBytes];
        box[0] = Version;
        var nonce = box.AsSpan(1, NonceBytes);
        RandomNumberGenerator.Fill(nonce);
        using var cipher = new AesGcm(_sealingKey, TagBytes);
        cipher.Encrypt(nonce, plain, box.AsSpan(1 + NonceBytes, plain.Length), box.AsSpan(box.Length - TagBytes), Encoding.UTF8.GetBytes(context));
        return box;
    }

    /// <exception cref="CryptographicException">Sealed with another key, for another context, or damaged.</exception>
    public byte[] Open(ReadOnlySpan<byte> box, string context)
    {
        if (box.Length < 1 + NonceBytes + TagBytes || box[0] != Version)
        {
            throw new CryptographicException("This is no sealed value.");
        }
        var plain = new byte[box.Length - 1 - NonceBytes - TagBytes];
        using var cipher = new AesGcm(_sealingKey, TagBytes);
        cipher.Decrypt(
            box.Slice(1, NonceBytes), box.Slice(1 + NonceBytes, plain.Length), box[^TagBytes..], plain, Encoding.UTF8.GetBytes(context));
        return plain;
    }

    /// <summary>A hash of a secret that is random already.</summary>
    public byte[] HashSecret(string secret) => HMACSHA256.HashData(_secretKey, Encoding.UTF8.GetBytes(secret));

    private static byte[] Derive(byte[] master, string purpose) =>
        HKDF.DeriveKey(HashAlgorithmName.SHA256, master, KeyBytes, info: Encoding.ASCII.GetBytes("nephos identity " + purpose));
}
