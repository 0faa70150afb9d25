using System.ComponentModel;
using System.Net;
using Nephos.Hypervisor.Network.Namespaces;
using Nephos.Hypervisor.Network.Netlink;
using Nephos.Hypervisor.Network.Nft;
using Nephos.Hypervisor.Network.Plans;

namespace Nephos.Hypervisor.Network.Linux;

/// <summary>The namespaces of routers. Nothing stays open in them, so removing the name removes the router.</summary>
/// <remarks>Not thread safe.</remarks>
internal sealed class RouterWiring(DataPlaneNames names)
{
    private readonly Dictionary<Guid, (string Fingerprint, RouterSpec Router)> _applied = [];

    public void Forget() => _applied.Clear();

    /// <summary>Makes the namespaces with their parameters, before links are put into them.</summary>
    public void Prepare(IReadOnlyList<RouterPlan> routers, ReportBuilder report)
    {
        var present = NetworkNamespace.Names().ToHashSet();
        foreach (var gone in _applied.Keys.Where(id => !present.Contains(names.RouterNamespace(id)) || routers.All(router => router.Router.Id != id)).ToList())
        {
            _applied.Remove(gone);
        }

        foreach (var plan in routers.Where(plan => !_applied.TryGetValue(plan.Router.Id, out var applied) || applied.Fingerprint != Fingerprint(plan)))
        {
            Try(plan, report, () =>
            {
                using var own = NetworkNamespace.OpenOrCreate(plan.Namespace.Name, out _);
                own.SetParameters(plan.Namespace.Parameters);
            });
        }
    }

    public void Apply(IReadOnlyList<RouterPlan> routers, bool verify, ReportBuilder report)
    {
        foreach (var plan in routers)
        {
            var fingerprint = Fingerprint(plan);
            var isKnown = _applied.TryGetValue(plan.Router.Id, out var applied);
            foreach (var problem in plan.Problems)
            {
                report.Fail(plan.Router.Id, problem);
            }

            if (!verify && isKnown && applied.Fingerprint == fingerprint)
            {
                continue;
            }

            Try(plan, report, () =>
            {
                using var own = NetworkNamespace.Open(plan.Namespace.Name);
                var failures = own.Run(() => ApplyInside(own, plan, isKnown ? applied.Router : null));
                foreach (var (link, message) in failures)
                {
                    report.Fail(plan.Router.Id, $"{link}: {message}");
                }

                if (failures.Count == 0)
                {
                    _applied[plan.Router.Id] = (fingerprint, plan.Router);
                }
                else
                {
                    _applied.Remove(plan.Router.Id);
                }
            });
        }
    }

    private static IReadOnlyDictionary<string, string> ApplyInside(NetworkNamespace own, RouterPlan plan, RouterSpec? before)
    {
        using var links = new RouteNetlink();
        using (var rules = new NftContext())
        {
            rules.Run(plan.Namespace.Rules);
        }

        var applier = new NamespaceApplier(own, links, NetworkNamespace.Open, links);
        applier.Apply(plan.Namespace);
        var wanted = plan.Namespace.Links.Select(link => link.Name).ToHashSet();
        foreach (var link in applier.Links.Values.Where(link => link.Kind == "veth" && !wanted.Contains(link.Name)))
        {
            links.DeleteLink(link.Index);
        }

        EndTranslatedConnections(plan.Router, before);
        if (plan.GatewayLink.Length > 0 && applier.Links.TryGetValue(plan.GatewayLink, out var gateway))
        {
            var news = plan.Announce.Where(address => before is null || !IsOf(before, address)).ToList();
            NeighbourAnnouncement.Send(gateway.Index, gateway.Mac.Value == 0 ? plan.Router.Gateway!.Mac : gateway.Mac, news);
        }

        return applier.Failures;
    }

    private static bool IsOf(RouterSpec router, IPAddress address) =>
        router.Gateway is { } gateway && (gateway.FixedIps.Any(ip => ip.Address.Equals(address)) || router.FloatingAddresses.Contains(address));

    /// <summary>Translation is decided by a connection's first packet: when a floating address comes, goes or moves, connections of both of its
    /// addresses begin anew.</summary>
    private static void EndTranslatedConnections(RouterSpec router, RouterSpec? before)
    {
        if (before is null)
        {
            return;
        }

        var changed = before.FloatingIps.Except(router.FloatingIps).Concat(router.FloatingIps.Except(before.FloatingIps))
            .SelectMany(ip => new[] { ip.Floating, ip.Fixed }).ToHashSet();
        if (before.EnableSnat != router.EnableSnat)
        {
            changed.UnionWith(before.Gateway?.FixedIps.Select(ip => ip.Address) ?? []);
        }

        var closed = before.PortForwardings.Except(router.PortForwardings).Select(one => (one.Floating, one.Protocol, one.ExternalPort)).ToHashSet();
        if (changed.Count == 0 && closed.Count == 0)
        {
            return;
        }

        using var connections = new Conntrack();
        foreach (var connection in connections.List().Where(connection =>
            closed.Contains((connection.Original.Destination, connection.Original.Protocol, connection.Original.DestinationPort)) || new[]
            { connection.Original.Source, connection.Original.Destination, connection.Reply.Source, connection.Reply.Destination }.Any(changed.Contains)))
        {
            connections.Remove(connection);
        }
    }

    private static void Try(RouterPlan plan, ReportBuilder report, Action work)
    {
        try
        {
            work();
        }
        catch (Exception error) when (error is Win32Exception or IOException or NftException or NetlinkException or UnauthorizedAccessException
            or System.Net.Sockets.SocketException)
        {
            report.Fail(plan.Router.Id, error.Message);
        }
    }

    /// <summary>Changes when anything of the plan does.</summary>
    private static string Fingerprint(RouterPlan plan) => string.Join('\n',
        [
            plan.Namespace.Rules, string.Join(',', plan.Namespace.Parameters), string.Join(',', plan.Namespace.Links),
            string.Join(',', plan.Namespace.Addresses), string.Join(',', plan.Namespace.Routes), string.Join(',', plan.Announce),
        ]);
}
