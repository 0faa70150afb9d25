using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Nephos.Client.Volumes;

/// <summary>Encrypts the blocks of a volume with AES-XTS (IEEE 1619): each block is a data unit, its number in the volume the tweak.</summary>
/// <remarks>
/// Devices, snapshots and backups have ciphertext only. A block of zeros there is one that nobody wrote, and is read as zeros: which blocks a volume uses
/// can be seen, so that it takes no more space than a plain one. XTS keeps content secret, and does not tell whether somebody changed it. AES is the
/// platform's, which uses the instructions of the processor. Safe for use by several threads.
/// </remarks>
public sealed class BlockCipher : IDisposable
{
    public const int BlockBytes = 4096;

    private const int CipherBytes = 16, ScratchBytes = 64 << 10;
    private const ulong Polynomial = 0x87;

    private readonly Lock _gate = new();
    private readonly Aes _data = Aes.Create();
    private readonly Aes _tweak = Aes.Create();
    private readonly byte[] _tweaks = new byte[ScratchBytes];
    private readonly byte[] _seeds;
    private readonly int _unitBytes;

    /// <param name="key">The key of the data and the key of the tweaks, together 32 or 64 bytes.</param>
    public BlockCipher(ReadOnlySpan<byte> key) : this(key, BlockBytes)
    {
    }

    internal BlockCipher(ReadOnlySpan<byte> key, int unitBytes)
    {
        if (!IsKeyLength(key.Length)) throw new ArgumentException($"A key of {key.Length} bytes is none for AES-XTS.", nameof(key));
        _unitBytes = unitBytes;
        _seeds = new byte[ScratchBytes / unitBytes * CipherBytes];
        _data.SetKey(key[..(key.Length / 2)]);
        _tweak.SetKey(key[(key.Length / 2)..]);
    }

    public static bool IsKeyLength(int bytes) => bytes is 32 or 64;

    /// <summary>Encrypts whole blocks where they are.</summary>
    /// <param name="block">The number of the first one.</param>
    /// <param name="data">Whole blocks.</param>
    public void Encrypt(long block, Span<byte> data) => Transform(block, data, encrypts: true);

    /// <summary>Decrypts whole blocks where they are.</summary>
    /// <param name="block">The number of the first one.</param>
    /// <param name="data">Whole blocks.</param>
    public void Decrypt(long block, Span<byte> data)
    {
        for (var at = 0; at < data.Length;)
        {
            var end = at;
            while (end < data.Length && data.Slice(end, _unitBytes).ContainsAnyExcept((byte)0)) end += _unitBytes;
            if (end > at) Transform(block + at / _unitBytes, data[at..end], encrypts: false);
            at = end + _unitBytes;
        }
    }

    private void Transform(long unit, Span<byte> data, bool encrypts)
    {
        if (data.Length % _unitBytes != 0) throw new ArgumentException($"{data.Length} bytes are no whole blocks.", nameof(data));
        lock (_gate)
        {
            for (var at = 0; at < data.Length; at += ScratchBytes)
            {
                var part = data.Slice(at, Math.Min(ScratchBytes, data.Length - at));
                var tweaks = _tweaks.AsSpan(0, part.Length);
                FillTweaks(unit + at / _unitBytes, tweaks);
                Xor(part, tweaks);
                if (encrypts) _data.EncryptEcb(part, part, PaddingMode.None);
                else _data.DecryptEcb(part, part, PaddingMode.None);
                Xor(part, tweaks);
            }
        }
    }

    // The first tweak of a unit is its encrypted number, each further one the double of the one before in GF(2^128).
    private void FillTweaks(long unit, Span<byte> tweaks)
    {
        var seeds = _seeds.AsSpan(0, tweaks.Length / _unitBytes * CipherBytes);
        var numbers = MemoryMarshal.Cast<byte, long>(seeds);
        for (var i = 0; i < numbers.Length; i += 2) (numbers[i], numbers[i + 1]) = (unit + i / 2, 0);
        _tweak.EncryptEcb(seeds, seeds, PaddingMode.None);
        var first = MemoryMarshal.Cast<byte, ulong>(seeds);
        var words = MemoryMarshal.Cast<byte, ulong>(tweaks);
        var unitWords = _unitBytes / sizeof(ulong);
        for (var at = 0; at < words.Length; at += unitWords)
        {
            var (low, high) = (first[at / unitWords * 2], first[at / unitWords * 2 + 1]);
            for (var i = at; i < at + unitWords; i += 2)
            {
                (words[i], words[i + 1]) = (low, high);
                var carry = (ulong)((long)high >> 63) & Polynomial;
                (low, high) = (low << 1 ^ carry, high << 1 | low >> 63);
            }
        }
    }

    private static void Xor(Span<byte> data, ReadOnlySpan<byte> with)
    {
        var target = MemoryMarshal.Cast<byte, Vector<byte>>(data);
        var source = MemoryMarshal.Cast<byte, Vector<byte>>(with);
        for (var i = 0; i < target.Length; i++) target[i] ^= source[i];
    }

    public void Dispose()
    {
        _data.Dispose();
        _tweak.Dispose();
    }
}
