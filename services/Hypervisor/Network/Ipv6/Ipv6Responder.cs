using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Nephos.Hypervisor.Network.Dhcp;
using Nephos.Hypervisor.Network.Namespaces;

namespace Nephos.Hypervisor.Network.Ipv6;

/// <summary>Advertises routers and answers DHCPv6 on the taps of guests.</summary>
internal sealed class Ipv6Responder : TapResponder<Ipv6Lease>
{
    private readonly Mac _nodeMac;
    private readonly ITimer _repeat;

    public Ipv6Responder(Mac nodeMac, TimeProvider clock, ILogger<Ipv6Responder> logger)
        : base(clock, logger)
    {
        _nodeMac = nodeMac;
        _repeat = clock.CreateTimer(_ => Advertise(again: true), null, RouterAdvertisement.Interval, RouterAdvertisement.Interval);
    }

    protected override int AnswerBytesMax => Math.Max(RouterAdvertisement.FrameBytesMax, Dhcpv6Reply.FrameBytesMax);

    /// <summary>Tells guests their router and their prefixes, unasked: those that are up already learn of changes.</summary>
    /// <param name="again">Also those for whom nothing changed.</param>
    public void Advertise(bool again) => SendToAll((lease, frame) => RouterAdvertisement.Build(lease, _nodeMac, frame), again);

    public override async ValueTask DisposeAsync()
    {
        await _repeat.DisposeAsync();
        await base.DisposeAsync();
    }

    protected override Socket Open(int deviceIndex) => PacketSocket.OpenForIpv6Requests(deviceIndex);

    protected override int Answer(ReadOnlySpan<byte> frame, Ipv6Lease lease, Span<byte> answer)
    {
        if (frame.Length > Ipv6Frame.HeaderBytes && frame[Ipv6Frame.EthernetBytes + 6] == Ipv6Frame.Icmp)
        {
            // From another link there is no way to here with all hops left (RFC 4861, section 6.1.1).
            return frame[Ipv6Frame.HeaderBytes] == RouterAdvertisement.SolicitationType && frame[Ipv6Frame.EthernetBytes + 7] == 255
                ? RouterAdvertisement.Build(lease, _nodeMac, answer)
                : 0;
        }

        return Dhcpv6Request.TryParse(frame, out var request) ? Dhcpv6Reply.Build(request, lease, _nodeMac, answer) : 0;
    }
}
