namespace Nephos.Networking.Addressing;

/// <summary>Addresses from one to another, both included: an allocation pool.</summary>
internal readonly record struct AddressRange(IpAddress Start, IpAddress End)
{
    public UInt128 Count => End.Number - Start.Number + 1;

    public bool Contains(IpAddress address) => address >= Start && address <= End;

    public bool Overlaps(AddressRange other) => Start <= other.End && other.Start <= End;

    /// <summary>What is left of the range when one address is taken out: none, one or two ranges.</summary>
    public IEnumerable<AddressRange> Without(IpAddress? address)
    {
        if (address is not { } hole || !Contains(hole))
        {
            yield return this;
            yield break;
        }

        if (hole > Start)
        {
            yield return this with { End = hole with { Number = hole.Number - 1 } };
        }

        if (hole < End)
        {
            yield return this with { Start = hole.Plus(1) };
        }
    }

    public override string ToString() => $"{Start}-{End}";
}
