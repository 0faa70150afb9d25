using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace Nephos.Hosting.Authentication;

/// <summary>A P-256 key of the identity service: the public half everywhere, both halves where tokens are made. Thread-safe.</summary>
public sealed class TokenSigningKey : IDisposable
{
    public const int SignatureBytes = 64;

    // An ECDsa object is for one thread at a time; a key is used by many.
    private readonly ConcurrentBag<ECDsa> _idle = [];
    private readonly byte[] _key;
    private readonly bool _isPrivate;

    private TokenSigningKey(string keyId, byte[] key, bool isPrivate)
    {
        KeyId = keyId;
        _key = key;
        _isPrivate = isPrivate;
        var first = Open();
        PublicKey = first.ExportSubjectPublicKeyInfo();
        _idle.Add(first);
    }

    public string KeyId { get; }

    /// <summary>SubjectPublicKeyInfo, DER.</summary>
    public ReadOnlyMemory<byte> PublicKey { get; }

    /// <exception cref="CryptographicException">It is no P-256 key.</exception>
    public static TokenSigningKey FromPublic(string keyId, ReadOnlySpan<byte> subjectPublicKeyInfo) =>
        new(keyId, subjectPublicKeyInfo.ToArray(), isPrivate: false);

    /// <exception cref="CryptographicException">It is no P-256 key.</exception>
    public static TokenSigningKey FromPrivate(string keyId, ReadOnlySpan<byte> pkcs8) => new(keyId, pkcs8.ToArray(), isPrivate: true);

    public bool Verify(ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature)
    {
        var key = Rent();
        var isValid = key.VerifyData(data, signature, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        _idle.Add(key);
        return isValid;
    }

    /// <param name="signature">Receives <see cref="SignatureBytes"/> bytes.</param>
    public void Sign(ReadOnlySpan<byte> data, Span<byte> signature)
    {
        var key = Rent();
        key.SignData(data, signature, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        _idle.Add(key);
    }

    public void Dispose()
    {
        while (_idle.TryTake(out var key))
        {
            key.Dispose();
        }
    }

    private ECDsa Rent() => _idle.TryTake(out var key) ? key : Open();

    private ECDsa Open()
    {
        var key = ECDsa.Create();
        if (_isPrivate)
        {
            key.ImportPkcs8PrivateKey(_key, out _);
        }
        else
        {
            key.ImportSubjectPublicKeyInfo(_key, out _);
        }
        return key.KeySize == 256 ? key : throw new CryptographicException("A token signing key is a P-256 key.");
    }
}
