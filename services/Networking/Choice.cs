namespace Nephos.Networking;

/// <summary>Random choices among addresses and identifiers that are free. Thread-safe; the same seed chooses the same.</summary>
internal sealed class Choice(int seed)
{
    private readonly Random _random = new(seed);
    private readonly Lock _gate = new();

    /// <summary>From 0 up to, and without, the bound.</summary>
    public UInt128 Below(UInt128 bound)
    {
        lock (_gate)
        {
            return bound <= long.MaxValue
                ? (UInt128)_random.NextInt64((long)bound)
                : new UInt128((ulong)_random.NextInt64(), (ulong)_random.NextInt64() << 1) % bound;
        }
    }

    public string Mac(string prefix)
    {
        lock (_gate)
        {
            return Addressing.MacAddress.Random(prefix, _random);
        }
    }
}
