using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using Nephos.BlockStorage.Backups;
using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Volumes;
using Nephos.BlockStorage.VolumeTypes;
using Nephos.Client.Volumes;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.BlockStorage.Encryption;

/// <summary>The keys of encrypted volumes: made with the first volume, handed to its head, used where this service itself moves content.</summary>
internal sealed class VolumeKeys(IStateStore store, IKeyProvider provider, TimeProvider time)
{
    /// <summary>The one cipher there is; its units are blocks of 4 KiB.</summary>
    public const string Cipher = "aes-xts-plain64";

    private const int KeyBitsDefault = 512;

    /// <summary>A new key as a type asks for it, to be inserted with its volume.</summary>
    /// <exception cref="FaultException">InvalidVolume for what can not be done.</exception>
    public VolumeKey Make(TypeEncryption wanted)
    {
        var bits = wanted.KeySize ?? KeyBitsDefault;
        if ((wanted.Cipher ?? Cipher) != Cipher) throw BlockStorageFaults.InvalidVolume($"The cipher {wanted.Cipher} is not offered; {Cipher} is.");
        if (!BlockCipher.IsKeyLength(bits / 8)) throw BlockStorageFaults.InvalidVolume($"A key of {bits} bits is not offered; 256 and 512 are.");
        var key = RandomNumberGenerator.GetBytes(bits / 8);
        var id = Ids.NewUuid();
        var made = new VolumeKey { Id = id, Wrapped = provider.Wrap(key, id), Cipher = Cipher, KeyBits = bits, CreatedAt = time.GetUtcNow() };
        CryptographicOperations.ZeroMemory(key);
        return made;
    }

    /// <summary>The key itself; empty for none.</summary>
    /// <exception cref="FaultException">DataLoss when nobody can unwrap it.</exception>
    public async Task<byte[]> UnwrapAsync(string? keyId, CancellationToken cancellationToken)
    {
        if (keyId is null) return [];
        var key = await store.GetAsync(VolumeKey.Table, keyId, cancellationToken) ?? throw new FaultException(ErrorReason.DataLoss, $"Key {keyId} of an encrypted volume is missing.");
        try
        {
            return provider.Unwrap(key.Wrapped, keyId);
        }
        catch (CryptographicException e)
        {
            throw new FaultException(ErrorReason.DataLoss, $"Key {keyId} of an encrypted volume can not be unwrapped: {e.Message}");
        }
    }

    public ValueTask<VolumeKey?> FindAsync(string keyId, CancellationToken cancellationToken) => store.GetAsync(VolumeKey.Table, keyId, cancellationToken);

    /// <summary>Destroys a key when nothing but what is going now was encrypted with it.</summary>
    /// <param name="transaction">The one that deletes the volume or the backup.</param>
    /// <param name="keyId">Null for none.</param>
    /// <param name="goingId">The volume or backup.</param>
    public static async Task ReleaseAsync(StateTransaction transaction, string? keyId, string goingId, CancellationToken cancellationToken)
    {
        if (keyId is null) return;
        var volumes = await transaction.ListByAsync(Volume.Table, "key", keyId, cancellationToken);
        var backups = await transaction.ListByAsync(Backup.Table, "key", keyId, cancellationToken);
        if (volumes.All(volume => volume.Id == goingId) && backups.All(backup => backup.Id == goingId)) transaction.Delete(VolumeKey.Table, keyId);
    }

    /// <summary>Chunks of whole blocks, encrypted.</summary>
    public async IAsyncEnumerable<BlockChunk> EncryptAsync(
        string keyId, IAsyncEnumerable<BlockChunk> chunks, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var cipher = new BlockCipher(await UnwrapAsync(keyId, cancellationToken));
        await foreach (var chunk in chunks.WithCancellation(cancellationToken))
        {
            var data = chunk.Data.ToArray();
            cipher.Encrypt(chunk.Offset / BlockCipher.BlockBytes, data);
            yield return chunk with { Data = data };
        }
    }

    /// <summary>Chunks of whole blocks, decrypted; as they are without a key.</summary>
    public async IAsyncEnumerable<BlockChunk> DecryptAsync(
        string? keyId, IAsyncEnumerable<BlockChunk> chunks, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var cipher = keyId is null ? null : new BlockCipher(await UnwrapAsync(keyId, cancellationToken));
        await foreach (var chunk in chunks.WithCancellation(cancellationToken))
        {
            if (cipher is null)
            {
                yield return chunk;
                continue;
            }
            var data = chunk.Data.ToArray();
            cipher.Decrypt(chunk.Offset / BlockCipher.BlockBytes, data);
            yield return chunk with { Data = data };
        }
    }
}
