using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Nephos.Hypervisor.Network.Namespaces;

namespace Nephos.Hypervisor.Network.Dhcp;

/// <summary>Answers DHCP of IPv4.</summary>
internal sealed class DhcpResponder(Mac serverMac, TimeProvider clock, ILogger<DhcpResponder> logger) : TapResponder<DhcpLease>(clock, logger)
{
    protected override int AnswerBytesMax => DhcpReply.FrameBytesMax;

    protected override Socket Open(int deviceIndex) => PacketSocket.OpenForDhcp(deviceIndex);

    protected override int Answer(ReadOnlySpan<byte> frame, DhcpLease lease, Span<byte> answer) =>
        DhcpRequest.TryParse(frame, out var request) ? DhcpReply.Build(request, lease, serverMac, answer) : 0;
}
