using System.Security.Cryptography;

namespace Nephos.Client.Objects;

/// <summary>Where new ids come from: the system's generator, or a seeded one under the simulator. Thread-safe.</summary>
public class Entropy
{
    public static Entropy System { get; } = new();

    public virtual void Fill(Span<byte> destination) => RandomNumberGenerator.Fill(destination);

    public Guid NewGuid()
    {
        Span<byte> bytes = stackalloc byte[16];
        Fill(bytes);
        return new Guid(bytes);
    }

    public uint NewNumber()
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        Fill(bytes);
        return BitConverter.ToUInt32(bytes);
    }
}
