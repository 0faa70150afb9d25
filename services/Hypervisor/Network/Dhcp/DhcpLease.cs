using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Text;

namespace Nephos.Hypervisor.Network.Dhcp;

/// <summary>What DHCP tells the guest of one port: a function of the port and its subnets, so there is no lease to keep.</summary>
/// <param name="Server">The server's name in the protocol and the source of its packets.</param>
internal sealed record DhcpLease(
    Mac Mac, IPAddress Address, int PrefixLength, IPAddress Server, int Mtu, TimeSpan Duration, IReadOnlyList<DhcpOption> Options)
{
    public static readonly TimeSpan DefaultDuration = TimeSpan.FromDays(1);

    private const int RoutesMax = 40;
    private const int ServersMax = 16;

    /// <summary>The lease of a port; null when none of its addresses is given by DHCP.</summary>
    public static DhcpLease? Create(PortSpec port, NodeState state)
    {
        if (!state.Networks.TryGetValue(port.NetworkId, out var network))
        {
            return null;
        }

        foreach (var fixedIp in port.FixedIps.Where(ip => ip.Address.IsIpv4()))
        {
            if (state.Subnets.TryGetValue(fixedIp.SubnetId, out var subnet) && subnet is { EnableDhcp: true })
            {
                return new DhcpLease(port.Mac, fixedIp.Address, subnet.Cidr.PrefixLength, GuestServices.MetadataAddress, network.Mtu, DefaultDuration,
                    Describe(port, network, subnet));
            }
        }

        return null;
    }

    /// <summary>In order of importance: what does not fit into a small answer is left out from the end.</summary>
    private static List<DhcpOption> Describe(PortSpec port, NetworkSpec network, SubnetSpec subnet)
    {
        var options = new List<DhcpOption> { DhcpOption.Address(DhcpOption.SubnetMask, Addresses.FromUInt32(Addresses.Mask(subnet.Cidr.PrefixLength))) };
        if (subnet.GatewayIp is { } gateway)
        {
            options.Add(DhcpOption.Address(DhcpOption.Router, gateway));
        }

        // Unasked: a guest without these two loses its metadata or its large packets. A client that takes 121 ignores the
        // router option (RFC 3442), so the default route is in it again. The next hop 0.0.0.0 means: on the link itself.
        var routes = subnet.HostRoutes.Where(route => route.NextHop.IsIpv4()).Take(RoutesMax)
            .Append(new RouteSpec(GuestServices.MetadataAddress.AsHost(), IPAddress.Any)).ToList();
        if (subnet.GatewayIp is { } next && !routes.Exists(route => route.Destination.PrefixLength == 0))
        {
            routes.Add(new RouteSpec(IPNetwork.Parse("0.0.0.0/0"), next));
        }

        var encoded = EncodeRoutes(routes);
        options.Add(new DhcpOption(DhcpOption.ClasslessRoutes, encoded));
        options.Add(DhcpOption.Number(DhcpOption.InterfaceMtu, (ushort)Math.Clamp(network.Mtu, 68, ushort.MaxValue)));
        var servers = subnet.DnsNameservers.Where(server => server.IsIpv4()).Take(ServersMax).SelectMany(server => server.GetAddressBytes()).ToArray();
        if (servers.Length > 0)
        {
            options.Add(new DhcpOption(DhcpOption.DomainNameServers, servers));
        }

        AddText(options, DhcpOption.HostName, port.DnsName);
        AddText(options, DhcpOption.DomainName, network.DnsDomain.TrimEnd('.'));
        foreach (var (name, value) in port.ExtraDhcpOptions)
        {
            if (DhcpOption.TryParse(name, value, out var option))
            {
                options.RemoveAll(other => other.Code == option.Code);
                options.Add(option);
            }
        }

        options.Add(new DhcpOption(DhcpOption.MicrosoftClasslessRoutes, encoded));
        return options;
    }

    private static void AddText(List<DhcpOption> options, byte code, string text)
    {
        if (text.Length is > 0 and <= 253)
        {
            options.Add(new DhcpOption(code, Encoding.ASCII.GetBytes(text)));
        }
    }

    /// <summary>RFC 3442: prefix length, the significant bytes of the destination, the router.</summary>
    internal static byte[] EncodeRoutes(IEnumerable<RouteSpec> routes)
    {
        var bytes = new List<byte>();
        foreach (var route in routes.Where(route => route.Destination.IsIpv4()))
        {
            bytes.Add((byte)route.Destination.PrefixLength);
            bytes.AddRange(route.Destination.BaseAddress.GetAddressBytes().AsSpan(0, (route.Destination.PrefixLength + 7) / 8));
            bytes.AddRange(route.NextHop.GetAddressBytes());
        }

        return [.. bytes];
    }
}

/// <summary>One option of RFC 2132 and its successors, longer than 255 bytes when need be (RFC 3396).</summary>
internal sealed record DhcpOption(byte Code, byte[] Value)
{
    public const byte SubnetMask = 1;
    public const byte Router = 3;
    public const byte DomainNameServers = 6;
    public const byte HostName = 12;
    public const byte DomainName = 15;
    public const byte InterfaceMtu = 26;
    public const byte RequestedAddress = 50;
    public const byte LeaseTime = 51;
    public const byte MessageType = 53;
    public const byte ServerIdentifier = 54;
    public const byte MaximumSize = 57;
    public const byte RenewalTime = 58;
    public const byte RebindingTime = 59;
    public const byte ClasslessRoutes = 121;
    public const byte MicrosoftClasslessRoutes = 249;
    public const byte End = 255;

    public const int ValueBytesMax = 1024;

    public static DhcpOption Address(byte code, IPAddress address) => new(code, address.GetAddressBytes());

    public static DhcpOption Number(byte code, ushort value)
    {
        var bytes = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, value);
        return new DhcpOption(code, bytes);
    }

    public static DhcpOption Number(byte code, uint value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return new DhcpOption(code, bytes);
    }

    /// <summary>Reads an option that a tenant gave by name or number. Those that the protocol itself needs cannot be given.</summary>
    public static bool TryParse(string name, string value, out DhcpOption option)
    {
        option = new DhcpOption(0, []);
        var (code, isAddress) = name.ToLowerInvariant() switch
        {
            "router" => (Router, true),
            "dns-server" or "domain-name-servers" => (DomainNameServers, true),
            "hostname" or "host-name" => (HostName, false),
            "domain-name" => (DomainName, false),
            "mtu" or "interface-mtu" => (InterfaceMtu, false),
            "ntp-server" or "ntp-servers" => ((byte)42, true),
            "tftp-server" or "tftp-server-name" => ((byte)66, false),
            "bootfile-name" => ((byte)67, false),
            "server-ip-address" => ((byte)150, true),
            _ when byte.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var number) => (number, false),
            _ => ((byte)0, false),
        };
        if (code is 0 or End or MessageType or ServerIdentifier or LeaseTime or RenewalTime or RebindingTime or RequestedAddress
            || value.Length is 0 or > ValueBytesMax)
        {
            return false;
        }

        if (code == InterfaceMtu)
        {
            return ushort.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var mtu) && Set(Number(code, mtu), out option);
        }

        if (isAddress)
        {
            var parts = value.Split(',', StringSplitOptions.TrimEntries);
            return parts.All(part => IPAddress.TryParse(part, out var address) && address.IsIpv4())
                && Set(new DhcpOption(code, [.. parts.SelectMany(part => IPAddress.Parse(part).GetAddressBytes())]), out option);
        }

        return Set(new DhcpOption(code, Encoding.ASCII.GetBytes(value)), out option);
    }

    private static bool Set(DhcpOption from, out DhcpOption to)
    {
        to = from;
        return true;
    }
}
