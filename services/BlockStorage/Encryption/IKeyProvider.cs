namespace Nephos.BlockStorage.Encryption;

/// <summary>Keeps what keys of volumes are wrapped with, so that the records alone are worth nothing.</summary>
internal interface IKeyProvider
{
    /// <param name="key">The key of a volume.</param>
    /// <param name="keyId">What it is the key of; it can be unwrapped under no other name.</param>
    byte[] Wrap(ReadOnlySpan<byte> key, string keyId);

    /// <exception cref="System.Security.Cryptography.CryptographicException">Wrapped by somebody else, under another name, or damaged.</exception>
    byte[] Unwrap(ReadOnlySpan<byte> wrapped, string keyId);
}
