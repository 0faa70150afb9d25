using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Nephos.Hypervisor.Network.Netlink;

/// <summary>A device as the kernel lists it.</summary>
/// <param name="Kind">bridge, vxlan, veth, tun, …; empty for others.</param>
/// <param name="Master">Index of the bridge it is a port of; 0 for none.</param>
internal sealed record Link(int Index, string Name, string Kind, string Alias, Mac Mac, int Mtu, int Master, bool Up);

internal readonly record struct InterfaceAddress(int Index, IPAddress Address, int PrefixLength);

/// <param name="Metric">0 is what IPv4 routes have by default.</param>
internal readonly record struct Route(IPNetwork Destination, IPAddress? Gateway, int Index, uint Metric);

/// <summary>Devices, addresses and routes of the namespace in which the object was made (rtnetlink). Thread safe.</summary>
internal sealed partial class RouteNetlink : IDisposable
{
    private const byte FamilyIpv4 = 2;
    private const byte FamilyIpv6 = 10;
    private const byte FamilyBridge = 7;
    private const uint FlagUp = 1;
    private const byte TableMain = 254;
    private const byte ProtocolStatic = 4;
    private const byte ScopeUniverse = 0;
    private const byte ScopeLink = 253;
    private const byte TypeUnicast = 1;

    private readonly NetlinkSocket _socket = new(NetlinkSocket.Route);

    public void Dispose() => _socket.Dispose();

    public List<Link> Links()
    {
        var links = new List<Link>();
        _socket.Dump(new NetlinkMessage(RouteType.GetLink, NetlinkFlags.Dump).Fixed(new LinkHeader()), "list links", (type, payload) =>
        {
            if (type == RouteType.NewLink)
            {
                links.Add(ParseLink(payload));
            }
        });
        return links;
    }

    /// <summary>Null when there is none of that name.</summary>
    public Link? FindLink(string name)
    {
        Link? found = null;
        try
        {
            _socket.Dump(new NetlinkMessage(RouteType.GetLink, NetlinkFlags.Ack).Fixed(new LinkHeader()).Text(LinkAttribute.Name, name), "find link",
                (type, payload) => found = type == RouteType.NewLink ? ParseLink(payload) : found);
        }
        catch (NetlinkException error) when (error.Errno == NetlinkException.NoDevice)
        {
            return null;
        }

        return found;
    }

    public void CreateBridge(string name, Mac mac, string alias) => Create(name, "bridge", alias, "create bridge", message => message
        .Bytes(LinkAttribute.Address, mac.ToArray()), data => data
        .UInt32(LinkAttribute.BridgeAgeingTime, 30000)
        .UInt32(LinkAttribute.BridgeStpState, 0)
        .UInt8(LinkAttribute.BridgeMulticastSnooping, 0));

    /// <summary>Made where the underlay is; move it afterwards with <see cref="Move"/>, its outer packets stay behind.</summary>
    public void CreateVxlan(string name, uint vni, IPAddress local, string alias) => Create(name, "vxlan", alias, "create vxlan", _ => { }, data => data
        .UInt32(LinkAttribute.VxlanId, vni)
        .Address(LinkAttribute.VxlanLocal, local)
        .UInt8(LinkAttribute.VxlanTtl, 64)
        .UInt8(LinkAttribute.VxlanLearning, 0)
        .UInt16BigEndian(LinkAttribute.VxlanPort, 4789));

    /// <param name="peerNamespace">Descriptor of the namespace in which the other end appears.</param>
    public void CreateVeth(string name, string alias, string peerName, string peerAlias, Mac peerMac, int peerNamespace) =>
        Create(name, "veth", alias, "create veth", _ => { }, data => data
            .Nested(LinkAttribute.VethPeer, peer => peer
                .Fixed(new LinkHeader())
                .Text(LinkAttribute.Name, peerName)
                .Text(LinkAttribute.Alias, peerAlias)
                .Bytes(LinkAttribute.Address, peerMac.ToArray())
                .UInt32(LinkAttribute.NamespaceDescriptor, (uint)peerNamespace)));

    /// <summary>Moves a device into another namespace; it is down there.</summary>
    public void Move(int index, int namespaceDescriptor) => Change(index, "move link", message => message
        .UInt32(LinkAttribute.NamespaceDescriptor, (uint)namespaceDescriptor));

    public void SetMtu(int index, int mtu) => Change(index, "set MTU", message => message.UInt32(LinkAttribute.Mtu, (uint)mtu));

    public void SetMac(int index, Mac mac) => Change(index, "set MAC", message => message.Bytes(LinkAttribute.Address, mac.ToArray()));

    public void SetMaster(int index, int master) => Change(index, "set bridge", message => message.UInt32(LinkAttribute.Master, (uint)master));

    public void SetAlias(int index, string alias) => Change(index, "set alias", message => message.Text(LinkAttribute.Alias, alias));

    public void SetUp(int index, bool up) => _socket.Request(
        new NetlinkMessage(RouteType.NewLink, NetlinkFlags.Ack)
            .Fixed(new LinkHeader { Index = index, Flags = up ? FlagUp : 0, ChangeMask = FlagUp }), up ? "set link up" : "set link down");

    /// <summary>For the tunnel port of a bridge: addresses come from us, known ones are answered here instead of flooded.</summary>
    public void SetTunnelPort(int index) => _socket.Request(
        new NetlinkMessage(RouteType.SetLink, NetlinkFlags.Ack)
            .Fixed(new LinkHeader { Family = FamilyBridge, Index = index })
            .Nested(LinkAttribute.ProtocolInfo | 0x8000, info => info
                .UInt8(LinkAttribute.BridgePortLearning, 0)
                .UInt8(LinkAttribute.BridgePortNeighbourSuppress, 1)), "set tunnel port");

    /// <summary>Harmless when the device is gone.</summary>
    public void DeleteLink(int index) => Tolerate(NetlinkException.NoDevice, () => _socket.Request(
        new NetlinkMessage(RouteType.DeleteLink, NetlinkFlags.Ack).Fixed(new LinkHeader { Index = index }), "delete link"));

    public List<InterfaceAddress> Addresses()
    {
        var addresses = new List<InterfaceAddress>();
        _socket.Dump(new NetlinkMessage(RouteType.GetAddress, NetlinkFlags.Dump).Fixed(new AddressHeader()), "list addresses", (type, payload) =>
        {
            var header = MemoryMarshal.Read<AddressHeader>(payload);
            var attributes = payload[8..];
            // IFA_LOCAL when there is one: on point-to-point devices IFA_ADDRESS is the other side.
            var value = NetlinkAttributes.Find(attributes, 2);
            value = value.IsEmpty ? NetlinkAttributes.Find(attributes, 1) : value;
            if (type == RouteType.NewAddress && value.Length is 4 or 16)
            {
                addresses.Add(new InterfaceAddress(header.Index, new IPAddress(value), header.PrefixLength));
            }
        });
        return addresses;
    }

    public void AddAddress(InterfaceAddress address) => Tolerate(NetlinkException.Exists, () =>
        _socket.Request(AddressMessage(RouteType.NewAddress, NetlinkFlags.Ack | NetlinkFlags.Create, address), $"add address {address.Address}"));

    public void DeleteAddress(InterfaceAddress address) => Tolerate(NetlinkException.NoAddress, () =>
        _socket.Request(AddressMessage(RouteType.DeleteAddress, NetlinkFlags.Ack, address), $"delete address {address.Address}"));

    /// <summary>The unicast routes of the main table that somebody set (not those that come with addresses), and with
    /// <paramref name="all"/> those too.</summary>
    public List<Route> Routes(bool all = false)
    {
        var routes = new List<Route>();
        _socket.Dump(new NetlinkMessage(RouteType.GetRoute, NetlinkFlags.Dump).Fixed(new RouteHeader()), "list routes", (type, payload) =>
        {
            var header = MemoryMarshal.Read<RouteHeader>(payload);
            if (type != RouteType.NewRoute || header.Table != TableMain || header.Type != TypeUnicast
                || (!all && header.Protocol != ProtocolStatic) || header.Family is not (FamilyIpv4 or FamilyIpv6))
            {
                return;
            }

            var attributes = new NetlinkAttributes(payload[12..]);
            var destination = header.Family == FamilyIpv4 ? IPAddress.Any : IPAddress.IPv6Any;
            IPAddress? gateway = null;
            var index = 0;
            uint metric = 0;
            while (attributes.MoveNext())
            {
                switch (attributes.Type)
                {
                    case 1:
                        destination = new IPAddress(attributes.Value);
                        break;
                    case 4:
                        index = MemoryMarshal.Read<int>(attributes.Value);
                        break;
                    case 5:
                        gateway = new IPAddress(attributes.Value);
                        break;
                    case 6:
                        metric = MemoryMarshal.Read<uint>(attributes.Value);
                        break;
                    default:
                        break;
                }
            }

            routes.Add(new Route(new IPNetwork(destination, header.DestinationLength), gateway, index, metric));
        });
        return routes;
    }

    public void ReplaceRoute(Route route) => _socket.Request(
        RouteMessage(RouteType.NewRoute, NetlinkFlags.Ack | NetlinkFlags.Create | NetlinkFlags.Replace, route), $"set route {route.Destination}");

    public void DeleteRoute(Route route) => Tolerate(NetlinkException.NoProcess, () =>
        _socket.Request(RouteMessage(RouteType.DeleteRoute, NetlinkFlags.Ack, route), $"delete route {route.Destination}"));

    private static NetlinkMessage AddressMessage(ushort type, NetlinkFlags flags, InterfaceAddress address)
    {
        var message = new NetlinkMessage(type, flags)
            .Fixed(new AddressHeader { Family = FamilyOf(address.Address), PrefixLength = (byte)address.PrefixLength, Index = address.Index })
            .Address(1, address.Address)
            .Address(2, address.Address);
        if (address.Address.AddressFamily == AddressFamily.InterNetwork && address.PrefixLength is > 0 and < 31)
        {
            message.Address(4, address.Address.Broadcast(address.PrefixLength));
        }

        return message;
    }

    private static NetlinkMessage RouteMessage(ushort type, NetlinkFlags flags, Route route)
    {
        var message = new NetlinkMessage(type, flags).Fixed(new RouteHeader
        {
            Family = FamilyOf(route.Destination.BaseAddress),
            DestinationLength = (byte)route.Destination.PrefixLength,
            Table = TableMain,
            Protocol = ProtocolStatic,
            Scope = route.Gateway is null ? ScopeLink : ScopeUniverse,
            Type = TypeUnicast,
        });
        message.Address(1, route.Destination.BaseAddress).UInt32(4, (uint)route.Index);
        if (route.Gateway is { } gateway)
        {
            message.Address(5, gateway);
        }

        return route.Metric == 0 ? message : message.UInt32(6, route.Metric);
    }

    private static byte FamilyOf(IPAddress address) => address.AddressFamily == AddressFamily.InterNetwork ? FamilyIpv4 : FamilyIpv6;

    private static void Tolerate(int errno, Action work)
    {
        try
        {
            work();
        }
        catch (NetlinkException error) when (error.Errno == errno)
        {
            // Already as wanted.
        }
    }

    private static Link ParseLink(ReadOnlySpan<byte> payload)
    {
        var header = MemoryMarshal.Read<LinkHeader>(payload);
        var attributes = new NetlinkAttributes(payload[16..]);
        var (name, alias, kind, mac, mtu, master) = ("", "", "", default(Mac), 0, 0);
        while (attributes.MoveNext())
        {
            var value = attributes.Value;
            switch (attributes.Type)
            {
                case LinkAttribute.Name:
                    name = NetlinkAttributes.Text(value);
                    break;
                case LinkAttribute.Alias:
                    alias = NetlinkAttributes.Text(value);
                    break;
                case LinkAttribute.Mtu:
                    mtu = MemoryMarshal.Read<int>(value);
                    break;
                case LinkAttribute.Master:
                    master = MemoryMarshal.Read<int>(value);
                    break;
                case LinkAttribute.Address when value.Length == 6:
                    mac = Mac.Read(value);
                    break;
                case LinkAttribute.Info:
                    kind = NetlinkAttributes.Text(NetlinkAttributes.Find(value, LinkAttribute.InfoKind));
                    break;
                default:
                    break;
            }
        }

        return new Link(header.Index, name, kind, alias, mac, mtu, master, (header.Flags & FlagUp) != 0);
    }

    private void Create(string name, string kind, string alias, string what, Action<NetlinkMessage> attributes, Action<NetlinkMessage> data)
    {
        var message = new NetlinkMessage(RouteType.NewLink, NetlinkFlags.Ack | NetlinkFlags.Create | NetlinkFlags.Exclusive)
            .Fixed(new LinkHeader())
            .Text(LinkAttribute.Name, name)
            .Text(LinkAttribute.Alias, alias);
        attributes(message);
        message.Nested(LinkAttribute.Info, info => info
            .Text(LinkAttribute.InfoKind, kind)
            .Nested(LinkAttribute.InfoData, data));
        _socket.Request(message, $"{what} {name}");
    }

    private void Change(int index, string what, Action<NetlinkMessage> attributes)
    {
        var message = new NetlinkMessage(RouteType.NewLink, NetlinkFlags.Ack).Fixed(new LinkHeader { Index = index });
        attributes(message);
        _socket.Request(message, what);
    }
}
