using Nephos.Networking.Addressing;
using Nephos.Networking.Sharing;

namespace Nephos.Networking.AddressGroups;

/// <summary>Addresses that rules of security groups name together; changing it changes what the rules let through.</summary>
internal sealed record AddressGroup : SharedResource
{
    /// <summary>In order, each once; of both IP versions.</summary>
    public IReadOnlyList<Cidr> Addresses { get; init; } = [];
}
