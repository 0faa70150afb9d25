using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Nephos.Hypervisor.Instances;

namespace Nephos.Hypervisor.Metadata;

/// <summary>network_data.json: links, networks and services in the shape that cloud-init reads (OpenStack network data schema).</summary>
internal static class NetworkData
{
    public static JsonObject Build(InstanceSpec spec)
    {
        var links = new JsonArray();
        var networks = new JsonArray();
        var services = new JsonArray();
        var servers = new HashSet<string>();
        foreach (var port in spec.Ports)
        {
            links.Add(new JsonObject
            {
                ["id"] = LinkId(port),
                ["vif_id"] = port.Id.ToString(),
                ["type"] = "bridge",
                ["mtu"] = port.Mtu,
                ["ethernet_mac_address"] = port.MacAddress,
            });
            foreach (var fixedIp in port.FixedIps)
            {
                networks.Add(Network(networks.Count, port, fixedIp));
                foreach (var server in fixedIp.DnsServers)
                {
                    if (servers.Add(server))
                    {
                        services.Add(Dns(server));
                    }
                }
            }
        }
        return new JsonObject { ["links"] = links, ["networks"] = networks, ["services"] = services };
    }

    private static JsonObject Network(int index, PortSpec port, FixedIp fixedIp)
    {
        var family = fixedIp.Ip.AddressFamily == AddressFamily.InterNetwork ? "ipv4" : "ipv6";
        var network = new JsonObject
        {
            ["id"] = $"network{index}",
            ["type"] = fixedIp.Dhcp ? $"{family}_dhcp" : family,
            ["link"] = LinkId(port),
            ["network_id"] = port.NetworkId.ToString(),
        };
        if (fixedIp.Dhcp)
        {
            return network;
        }
        network["ip_address"] = fixedIp.Address;
        network["netmask"] = Netmask(fixedIp.Network);
        var routes = new JsonArray();
        if (fixedIp.Gateway.Length > 0)
        {
            routes.Add(Route(family == "ipv4" ? "0.0.0.0" : "::", family == "ipv4" ? "0.0.0.0" : "::", fixedIp.Gateway));
        }
        foreach (var route in fixedIp.Routes)
        {
            var to = IPNetwork.Parse(route.Destination);
            routes.Add(Route(to.BaseAddress.ToString(), Netmask(to), route.NextHop));
        }
        network["routes"] = routes;
        network["services"] = new JsonArray([.. fixedIp.DnsServers.Select(Dns)]);
        return network;
    }

    private static JsonObject Route(string network, string netmask, string gateway) =>
        new() { ["network"] = network, ["netmask"] = netmask, ["gateway"] = gateway };

    private static JsonObject Dns(string address) => new() { ["type"] = "dns", ["address"] = address };

    private static string LinkId(PortSpec port) => $"tap{port.Id.ToString()[..11]}";

    private static string Netmask(IPNetwork network)
    {
        var bytes = new byte[network.BaseAddress.GetAddressBytes().Length];
        for (var bit = 0; bit < network.PrefixLength; bit++)
        {
            bytes[bit / 8] |= (byte)(0x80 >> (bit % 8));
        }
        return new IPAddress(bytes).ToString();
    }
}
