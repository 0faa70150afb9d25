using System.Globalization;
using System.Net;
using System.Text;
using Nephos.Hypervisor.Network.Rules;

namespace Nephos.Hypervisor.Network.Plans;

/// <summary>One router: the namespace it is, and what lies outside of it.</summary>
/// <param name="Legs">The ends of its links on the bridges of the data plane.</param>
/// <param name="Announce">Addresses that the world outside shall learn the place of.</param>
internal sealed record RouterPlan(
    RouterSpec Router, NamespacePlan Namespace, IReadOnlyList<VethPlan> Legs, string GatewayLink, IReadOnlyList<IPAddress> Announce,
    IReadOnlyList<string> Problems)
{
    public const string Table = "inet nephos_router";

    public static RouterPlan Create(RouterSpec router, NodeState state, DataPlaneNames names)
    {
        var builder = new Builder(router, state, names);
        return builder.Build();
    }

    private sealed class Builder(RouterSpec router, NodeState state, DataPlaneNames names)
    {
        private readonly string _namespace = names.RouterNamespace(router.Id);
        private readonly List<LinkPlan> _links = [];
        private readonly List<VethPlan> _legs = [];
        private readonly List<AddressPlan> _addresses = [];
        private readonly List<RoutePlan> _routes = [];
        private readonly List<string> _problems = [];
        private readonly List<InsideSubnet> _inside = [];

        public RouterPlan Build()
        {
            foreach (var leg in router.Interfaces)
            {
                AddLeg("qr", leg);
            }

            var gatewayLink = router.Gateway is { } gateway ? AddGateway(gateway) : "";
            AddStaticRoutes();
            var announce = router.Gateway?.FixedIps.Select(ip => ip.Address).Where(address => address.IsIpv4())
                .Concat(router.FloatingAddresses).Distinct().ToList() ?? [];
            var hasIpv6 = _addresses.Exists(address => !address.Address.IsIpv4());
            var plan = new NamespacePlan(
                _namespace,
                [
                    ("net/ipv4/ip_forward", "1"),
                    ("net/ipv4/conf/all/arp_ignore", "1"),
                    ("net/ipv4/conf/all/arp_announce", "2"),
                    ("net/ipv4/conf/all/rp_filter", "0"),
                    ("net/ipv4/conf/default/rp_filter", "0"),
                    ("net/ipv4/conf/all/send_redirects", "0"),
                    ("net/ipv4/conf/default/send_redirects", "0"),
                    ("net/ipv6/conf/all/disable_ipv6", hasIpv6 ? "0" : "1"),
                    ("net/ipv6/conf/default/disable_ipv6", hasIpv6 ? "0" : "1"),
                    ("net/ipv6/conf/all/forwarding", hasIpv6 ? "1" : "0"),
                ],
                _links, _addresses, _routes, [], [], Rules(gatewayLink));
            return new RouterPlan(router, plan, _legs, gatewayLink, announce, _problems);
        }

        private string AddLeg(string kind, RouterLegSpec leg)
        {
            if (!state.Networks.TryGetValue(leg.NetworkId, out var network))
            {
                _problems.Add($"network {leg.NetworkId} of port {leg.PortId} is not in the snapshot");
                return "";
            }

            var name = DataPlaneNames.Device(kind, leg.PortId);
            var alias = DataPlaneNames.Alias("routerend", leg.PortId, router.Epoch);
            _links.Add(new PeerPlan(name, alias, network.Mtu, Master: "", leg.Mac));
            _legs.Add(new VethPlan(DataPlaneNames.RouterPort(leg.PortId), DataPlaneNames.Alias("routerport", leg.PortId, router.Epoch), network.Mtu,
                DataPlaneNames.Bridge(leg.NetworkId), _namespace, name, alias, leg.Mac));
            foreach (var fixedIp in leg.FixedIps)
            {
                if (!state.Subnets.TryGetValue(fixedIp.SubnetId, out var subnet))
                {
                    _problems.Add($"subnet {fixedIp.SubnetId} of port {leg.PortId} is not in the snapshot");
                    continue;
                }

                _addresses.Add(new AddressPlan(name, fixedIp.Address, subnet.Cidr.PrefixLength));
                if (kind == "qr")
                {
                    _inside.Add(new InsideSubnet(name, subnet.Cidr, subnet.AddressScopeId));
                }
            }

            return name;
        }

        private string AddGateway(RouterLegSpec gateway)
        {
            var name = AddLeg("qg", gateway);
            if (name.Length == 0)
            {
                return "";
            }

            foreach (var version in new[] { 4, 6 })
            {
                var next = gateway.FixedIps.Select(ip => state.Subnets.GetValueOrDefault(ip.SubnetId)?.GatewayIp)
                    .FirstOrDefault(address => address is not null && address.IsIpv4() == (version == 4));
                if (next is not null)
                {
                    _routes.Add(new RoutePlan(name, IPNetwork.Parse(version == 4 ? "0.0.0.0/0" : "::/0"), next, 0));
                }
            }

            // A floating address that is also the router's own keeps the subnet's prefix; the others stand alone.
            _addresses.AddRange(router.FloatingAddresses
                .Where(floating => !gateway.FixedIps.Any(ip => ip.Address.Equals(floating)))
                .Select(floating => new AddressPlan(name, floating, 32)));
            return name;
        }

        private void AddStaticRoutes()
        {
            foreach (var route in router.Routes)
            {
                var leg = router.Interfaces.Append(router.Gateway).OfType<RouterLegSpec>().FirstOrDefault(candidate => candidate.FixedIps.Any(ip =>
                    state.Subnets.TryGetValue(ip.SubnetId, out var subnet) && subnet.Cidr.Contains(route.NextHop)));
                if (leg is null)
                {
                    _problems.Add($"no interface leads to {route.NextHop}, the next hop for {route.Destination}");
                    continue;
                }

                var link = DataPlaneNames.Device(leg == router.Gateway ? "qg" : "qr", leg.PortId);
                _routes.RemoveAll(other => other.Destination == route.Destination);
                _routes.Add(new RoutePlan(link, route.Destination, route.NextHop, 0));
            }
        }

        private string Rules(string gatewayLink)
        {
            var text = new StringBuilder();
            text.AppendLine(CultureInfo.InvariantCulture, $"table {Table}\ndelete table {Table}\ntable {Table} {{");
            text.AppendLine("""
                chain c_mss { type filter hook forward priority -150; policy accept;
                  tcp flags syn tcp option maxseg size set rt mtu
                }
                """);
            FirewallText.Write(text, [.. router.Interfaces.Where(leg => leg.Firewall is not null)
                .Select(leg => (DataPlaneNames.Device("qr", leg.PortId), leg.Firewall!))]);
            WriteScopes(text);
            if (gatewayLink.Length > 0)
            {
                WriteTranslation(text, gatewayLink);
            }

            return text.AppendLine("}").ToString();
        }

        /// <summary>What is in another scope is met by translated addresses only.</summary>
        private void WriteScopes(StringBuilder text)
        {
            var crossings = _inside
                .SelectMany(from => _inside.Where(to => to.Network.IsIpv4() == from.Network.IsIpv4() && to.Scope != from.Scope), (from, to) => (from, to))
                .ToList();
            if (crossings.Count == 0)
            {
                return;
            }

            text.AppendLine("chain c_scope { type filter hook forward priority -10; policy accept;\nct status dnat accept");
            foreach (var (from, to) in crossings)
            {
                var family = from.Network.IsIpv4() ? "ip" : "ip6";
                text.AppendLine(CultureInfo.InvariantCulture,
                    $"iifname \"{from.Link}\" oifname \"{to.Link}\" {family} saddr {from.Network} {family} daddr {to.Network} drop");
            }

            text.AppendLine("}");
        }

        /// <summary>Subnets of the same scope as the gateway's: known outside by their own addresses.</summary>
        private List<IPNetwork> Untranslated()
        {
            var outside = router.Gateway!.FixedIps.Select(ip => state.Subnets.GetValueOrDefault(ip.SubnetId))
                .FirstOrDefault(subnet => subnet is not null && subnet.Cidr.IsIpv4())?.AddressScopeId;
            return outside is null ? [] : [.. _inside.Where(inside => inside.Network.IsIpv4() && inside.Scope == outside).Select(inside => inside.Network)];
        }

        private void WriteTranslation(StringBuilder text, string gatewayLink)
        {
            var address = router.Gateway!.FixedIps.Select(ip => ip.Address).FirstOrDefault(ip => ip.IsIpv4());
            var snat = router.EnableSnat && address is not null;
            var floating = router.FloatingIps.DistinctBy(ip => ip.Floating).ToList();
            WriteMap(text, "fip_in", floating.Select(ip => $"{ip.Floating} : {ip.Fixed}"));
            // The first floating address of a fixed one is what it is seen as.
            WriteMap(text, "fip_out", floating.DistinctBy(ip => ip.Fixed).Select(ip => $"{ip.Fixed} : {ip.Floating}"));
            text.AppendLine("chain c_dnat { type nat hook prerouting priority -100; policy accept;");
            foreach (var one in router.PortForwardings)
            {
                text.AppendLine(CultureInfo.InvariantCulture,
                    $"ip daddr {one.Floating} {IpProtocol.Word(one.Protocol)} dport {one.ExternalPort} dnat ip to {one.Fixed}:{one.InternalPort}");
            }

            text.AppendLine("dnat ip to ip daddr map @fip_in\n}");
            text.AppendLine("chain c_snat { type nat hook postrouting priority 100; policy accept;");
            text.AppendLine(CultureInfo.InvariantCulture, $"oifname \"{gatewayLink}\" snat ip to ip saddr map @fip_out");
            var untranslated = snat ? Untranslated() : [];
            foreach (var network in untranslated)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"oifname \"{gatewayLink}\" ip saddr {network} return");
            }

            if (snat)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"oifname \"{gatewayLink}\" meta nfproto ipv4 snat ip to {address}");
            }

            // Hairpin: a guest that calls a floating address of its own side must get the answer from the router, not from its neighbour.
            foreach (var (link, network, _) in _inside.Where(leg => leg.Network.IsIpv4()))
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"oifname \"{link}\" ct status dnat ip saddr {network} snat ip to ip saddr map @fip_out");
                if (address is not null)
                {
                    text.AppendLine(CultureInfo.InvariantCulture, $"oifname \"{link}\" ct status dnat ip saddr {network} snat ip to {address}");
                }
            }

            text.AppendLine("}");
            if (snat)
            {
                // With translation on, the inside is reached through floating addresses only, also by who knows its addresses.
                text.AppendLine(CultureInfo.InvariantCulture, $$"""
                    chain c_forward { type filter hook forward priority 0; policy accept;
                      iifname != "{{gatewayLink}}" return
                      meta nfproto ipv6 return
                      ct state established,related accept
                      ct status dnat accept
                      {{string.Join('\n', untranslated.Select(network => $"ip daddr {network} accept"))}}
                      counter drop
                    }
                    """);
            }
        }

        private readonly record struct InsideSubnet(string Link, IPNetwork Network, Guid? Scope);

        private static void WriteMap(StringBuilder text, string name, IEnumerable<string> elements)
        {
            var all = string.Join(", ", elements);
            text.AppendLine(CultureInfo.InvariantCulture, $"map {name} {{ type ipv4_addr : ipv4_addr;");
            text.AppendLine(all.Length == 0 ? "}" : $"elements = {{ {all} }}\n}}");
        }
    }
}
