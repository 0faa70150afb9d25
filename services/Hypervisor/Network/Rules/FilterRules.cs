using System.Globalization;
using System.Net;
using Nephos.Hypervisor.Network.Nft;

namespace Nephos.Hypervisor.Network.Rules;

/// <summary>A port as the packet rules see it.</summary>
/// <param name="Number">Its mark on packets, from 1; distinct on the node.</param>
internal sealed record FilterPort(PortSpec Port, string TapName, uint Number, bool ServedByDhcp);

/// <param name="Zone">Number of the network in connection tracking, 1 to 65535; distinct on the node.</param>
internal sealed record FilterNetwork(Guid Id, string BridgeName, ushort Zone);

/// <summary>Writes the packet rules of a node's data plane: anti-spoofing in the bridge family, security groups in the inet family.</summary>
/// <remarks>
/// In the inet family a bridged packet seems to come from the bridge, not from its port, so a chain of the bridge family runs earlier and
/// writes the number of the port into the packet's mark: the source port's in prerouting, where the rules for what a guest sends
/// follow, then the destination port's in forward, where the rules for what a guest receives follow. Mark 0 is a port that is not
/// filtered. Ports with the same rules share a chain, so the cost of a packet does not grow with the number of ports.
/// Equal addresses of two networks are kept apart by one zone of connection tracking per network.
/// </remarks>
internal sealed class FilterRules(NodeState state, IReadOnlyList<FilterNetwork> networks, IReadOnlyList<FilterPort> ports, Mac bridgeMac)
{
    private const string GuardTable = "bridge nephos_guard";
    private const string GroupTable = "inet nephos_sg";

    private readonly Dictionary<Guid, FilterNetwork> _networks = networks.ToDictionary(network => network.Id);
    private readonly Dictionary<string, NftSet> _groupSets = [];
    private readonly Dictionary<string, NftChain> _groupChains = [];

    public NftRuleset Compile() => new([Guard(), Groups(), QosRules.Compile(ports)]);

    private NftTable Guard()
    {
        var secured = ports.Where(port => port.Port.PortSecurity).ToList();
        var bindings = secured.SelectMany(Bindings).Distinct().ToList();
        var sets = new Dictionary<string, NftSet>
        {
            ["taps"] = Set("type ifname;", ports.Select(port => Quote(port.TapName))),
            ["served"] = Set("type ifname;", ports.Where(port => port.ServedByDhcp).Select(port => Quote(port.TapName))),
            ["macs"] = Set("type ifname . ether_addr;", bindings.Select(b => $"{Quote(b.Tap)} . {b.Mac}").Distinct()),
            // What a guest may say it has, in neighbour advertisements; nftables has no name for that field, so it is taken by its place.
            ["nd6"] = Set("typeof iifname . @th,64,128;", bindings.Where(b => !b.Addresses.IsIpv4() && b.Addresses.IsHost())
                .Select(b => $"{Quote(b.Tap)} . 0x{Convert.ToHexStringLower(b.Addresses.BaseAddress.GetAddressBytes())}").Distinct()),
            ["wide_nd"] = Set("type ifname;", bindings.Where(b => !b.Addresses.IsIpv4() && !b.Addresses.IsHost()).Select(b => Quote(b.Tap)).Distinct()),
            ["portno"] = Map("type ifname : mark;", secured.Select(port => (Quote(port.TapName), Number(port.Number)))),
        };
        foreach (var version in new[] { 4, 6 })
        {
            var ofVersion = bindings.Where(b => b.Addresses.IsIpv4() == (version == 4)).ToList();
            var type = Invariant($"type ifname . ether_addr . ipv{version}_addr;");
            sets[Invariant($"bind{version}")] = Set(type, ofVersion.Where(b => b.Addresses.IsHost()).Select(Element));
            // Wide pairs in a set of their own: sets of intervals cost more per packet and are rarely needed.
            sets[Invariant($"wide{version}")] = Set(type + " flags interval;", Widest(ofVersion).Select(Element));
        }

        return new NftTable(GuardTable, sets, new Dictionary<string, NftChain>
        {
            ["c_guard"] = new("", [
                "ether type arp iifname . arp saddr ether . arp saddr ip @bind4 iifname . ether saddr . arp saddr ip @bind4 accept",
                "ether type arp iifname . arp saddr ether . arp saddr ip @wide4 iifname . ether saddr . arp saddr ip @wide4 accept",
                "ether type arp iifname . ether saddr @macs arp saddr ip 0.0.0.0 accept",
                "ether type arp counter drop",
                "ether type ip iifname . ether saddr @macs ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept",
                "ether type ip udp sport 67 udp dport 68 counter drop",
                "ether type ip iifname . ether saddr . ip saddr @bind4 accept",
                "ether type ip iifname . ether saddr . ip saddr @wide4 accept",
                "ether type ip6 icmpv6 type { nd-router-advert, nd-redirect } counter drop",
                "ether type ip6 udp sport 547 udp dport 546 counter drop",
                "ether type ip6 iifname . ether saddr @macs ip6 saddr :: icmpv6 type { nd-neighbor-solicit, nd-router-solicit, mld2-listener-report } accept",
                "ether type ip6 icmpv6 type nd-neighbor-advert iifname != @wide_nd iifname . @th,64,128 != @nd6 counter drop",
                "ether type ip6 iifname . ether saddr . ip6 saddr @bind6 accept",
                "ether type ip6 iifname . ether saddr . ip6 saddr @wide6 accept",
                "counter drop",
            ]),
            ["c_pre"] = new("type filter hook prerouting priority -300; policy accept;", [
                "meta mark set 0",
                "meta mark set iifname map @portno",
                "iifname @served udp dport 67 drop",
                "meta mark != 0 jump c_guard",
            ]),
            ["c_metadata"] = new("type filter hook prerouting priority -299; policy accept;", [
                $"iifname @taps ip daddr {GuestServices.MetadataAddress} ether daddr set {bridgeMac} meta pkttype set host",
            ]),
            ["c_dst"] = new("type filter hook forward priority -250; policy accept;", [
                $"ip daddr {GuestServices.MetadataAddress} drop",
                $"arp daddr ip {GuestServices.MetadataAddress} drop",
                "meta mark set 0",
                "meta mark set oifname map @portno",
            ]),
        });
    }

    private NftTable Groups()
    {
        var (egress, ingress, stateless) = (new List<(string, string)>(), new List<(string, string)>(), new List<string>());
        foreach (var port in ports.Where(port => port.Port.PortSecurity))
        {
            var groups = port.Port.SecurityGroupIds.Select(id => state.SecurityGroups.GetValueOrDefault(id)).OfType<SecurityGroupSpec>().ToList();
            var rules = groups.SelectMany(group => group.Rules).ToList();
            egress.Add((Number(port.Number), $"jump {Chain("e", rules, ingress: false, port.Port.NetworkId)}"));
            ingress.Add((Number(port.Number), $"jump {Chain("i", rules, ingress: true, port.Port.NetworkId)}"));
            if (groups.Count > 0 && groups.TrueForAll(group => group.Stateless))
            {
                stateless.Add(Number(port.Number));
            }
        }

        return new NftTable(
            GroupTable,
            new Dictionary<string, NftSet>(_groupSets)
            {
                ["bridges"] = Set("type ifname;", networks.Select(network => Quote(network.BridgeName))),
                ["stateless"] = Set("type mark;", stateless),
                ["zone"] = Map("typeof iifname : ct zone;", networks.Select(network => (Quote(network.BridgeName), Number(network.Zone)))),
                ["out_of"] = Map("type mark : verdict;", egress),
                ["into"] = Map("type mark : verdict;", ingress),
            },
            new Dictionary<string, NftChain>(_groupChains)
            {
                ["c_raw"] = new("type filter hook prerouting priority -300; policy accept;", ["ct zone set iifname map @zone"]),
                ["c_raw_out"] = new("type filter hook output priority -300; policy accept;", ["ct zone set oifname map @zone"]),
                ["c_egress"] = new("type filter hook prerouting priority -150; policy accept;", [
                    "iifname != @bridges return",
                    "meta mark 0 return",
                    "ct state invalid drop",
                    "meta mark != @stateless ct state established,related accept",
                    $"ip daddr {GuestServices.MetadataAddress} accept",
                    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld2-listener-report } accept",
                    "meta mark vmap @out_of",
                    "counter drop",
                ]),
                ["c_ingress"] = new("type filter hook forward priority 0; policy accept;", [
                    "iifname != @bridges return",
                    "meta mark 0 return",
                    "meta mark != @stateless ct state established,related accept",
                    "ct state invalid drop",
                    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, mld-listener-query } accept",
                    "meta mark vmap @into",
                    "counter drop",
                ]),
                ["c_input"] = new("type filter hook input priority 0; policy drop;", [
                    "iifname \"lo\" accept",
                    $"iifname @bridges ip daddr {GuestServices.MetadataAddress} tcp dport 80 accept",
                ]),
            });
    }

    /// <summary>The chain with these rules; made when it is the first port that has them.</summary>
    private string Chain(string kind, List<RuleSpec> rules, bool ingress, Guid networkId)
    {
        var lines = RuleText.Compile(rules, ingress, (group, version) => GroupSet(group, networkId, version));
        var name = $"{kind}_{RuleText.Digest(string.Join('\n', lines), 12)}";
        _groupChains[name] = new NftChain("", lines);
        return name;
    }

    /// <summary>The set with the members of a group on a network: their addresses mean nothing on another one.</summary>
    private string GroupSet(Guid groupId, Guid networkId, int version)
    {
        var zone = _networks.TryGetValue(networkId, out var network) ? network.Zone : 0;
        var name = Invariant($"g{version}_{RuleText.Digest(groupId.ToString(), 12)}_{zone}");
        if (!_groupSets.ContainsKey(name))
        {
            var members = state.GroupMembers.Where(m => m.GroupId == groupId && m.NetworkId == networkId)
                .SelectMany(m => m.Addresses)
                .Where(address => address.IsIpv4() == (version == 4));
            _groupSets[name] = Set(Invariant($"type ipv{version}_addr; flags interval;"), RuleText.Collapse(members).Select(member => member.ToRule()));
        }

        return name;
    }

    private static IEnumerable<(string Tap, Mac Mac, IPNetwork Addresses)> Bindings(FilterPort port)
    {
        var own = port.Port.FixedIps.Select(ip => (port.TapName, port.Port.Mac, ip.Address.AsHost()));
        var linkLocal = port.Port.AllowedPairs.Select(pair => pair.Mac).Append(port.Port.Mac).Distinct()
            .Select(mac => (port.TapName, mac, mac.LinkLocal().AsHost()));
        return own.Concat(linkLocal).Concat(port.Port.AllowedPairs.Select(pair => (port.TapName, pair.Mac, pair.Addresses)));
    }

    private static IEnumerable<(string Tap, Mac Mac, IPNetwork Addresses)> Widest(List<(string Tap, Mac Mac, IPNetwork Addresses)> bindings) =>
        bindings.Where(b => !b.Addresses.IsHost())
            .GroupBy(b => (b.Tap, b.Mac))
            .SelectMany(same => RuleText.Collapse(same.Select(b => b.Addresses)).Select(addresses => (same.Key.Tap, same.Key.Mac, addresses)));

    private static string Element((string Tap, Mac Mac, IPNetwork Addresses) binding) =>
        $"{Quote(binding.Tap)} . {binding.Mac} . {binding.Addresses.ToRule()}";

    private static NftSet Set(string type, IEnumerable<string> elements) => new(IsMap: false, type, elements.ToDictionary(element => element, _ => ""));

    private static NftSet Map(string type, IEnumerable<(string Key, string Value)> elements) =>
        new(IsMap: true, type, elements.ToDictionary(element => element.Key, element => element.Value));

    private static string Quote(string name) => $"\"{name}\"";

    private static string Number(uint number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
