using Nephos.Hypervisor.Network.Plans;
using Nephos.Hypervisor.Network.Rules;

namespace Nephos.Hypervisor.Network.Linux;

/// <summary>Gathers what failed while a plan is applied, and turns it into the status of every item.</summary>
internal sealed class ReportBuilder(DataPlanePlan plan)
{
    private readonly Dictionary<string, string> _links = [];
    private readonly Dictionary<Guid, List<string>> _items = [];
    private string _ports = "";

    /// <summary>Devices of the data plane that could not be made.</summary>
    public void AddFailures(IReadOnlyDictionary<string, string> failures)
    {
        foreach (var (link, message) in failures)
        {
            _links.TryAdd(link, message);
        }
    }

    public void Fail(Guid item, string message)
    {
        if (!_items.TryGetValue(item, out var messages))
        {
            _items.Add(item, messages = []);
        }

        messages.Add(message);
    }

    public void FailPorts(string message) => _ports = message;

    public bool IsWired(FilterPort port) => PortError(port.Port).Length == 0;

    public NetworkReport AllFailed(string message)
    {
        _ports = message;
        foreach (var id in plan.State.Networks.Keys.Concat(plan.State.Routers.Select(router => router.Id)))
        {
            Fail(id, message);
        }

        return Build(moreToRemove: false);
    }

    public NetworkReport Build(bool moreToRemove)
    {
        var state = plan.State;
        var routers = state.Routers.Select(router => Status(router.Id, router.Epoch, router.AdminStateUp, RouterError(router))).ToList();
        var floating = state.Routers.SelectMany(router => router.FloatingIps.Select(ip => ip.Id)
            .Concat(router.PortForwardings.Select(forwarding => forwarding.FloatingIpId)).Distinct()
            .Select(id => Status(id, router.Epoch, router.AdminStateUp, RouterError(router))));
        return new NetworkReport(
            state.Revision,
            [.. state.Ports.Select(port => Status(port.Id, port.Epoch, port.AdminStateUp, PortError(port))), .. state.Rejected.Ports],
            [.. routers, .. state.Rejected.Routers],
            [.. floating],
            [.. state.Networks.Keys.Select(id => Status(id, 0, up: true, NetworkError(id))), .. state.Rejected.Networks],
            moreToRemove);
    }

    private static ItemStatus Status(Guid id, ulong epoch, bool up, string error) =>
        new(id, epoch, error.Length > 0 ? ItemState.Failed : up ? ItemState.Active : ItemState.Down, error);

    private string PortError(PortSpec port) => Join([_ports, Problem(port.Id), LinkError(DataPlaneNames.Tap(port.Id)), BridgeError(port.NetworkId)]);

    /// <summary>What keeps ports from the network. A failed leg on the host does not: they reach each other and their routers.</summary>
    private string BridgeError(Guid id) =>
        Join([Problem(id), LinkError(DataPlaneNames.Bridge(id)), LinkError(DataPlaneNames.Tunnel(id)), LinkError(DataPlaneNames.Device("l", id))]);

    private string NetworkError(Guid id) => Join([BridgeError(id), ItemError(id)]);

    private string RouterError(RouterSpec router) => Join([
        ItemError(router.Id),
        .. router.Interfaces.Append(router.Gateway).OfType<RouterLegSpec>().Select(leg => LinkError(DataPlaneNames.RouterPort(leg.PortId)))]);

    private string Problem(Guid id) => plan.Problems.GetValueOrDefault(id, "");

    private string LinkError(string link) => _links.GetValueOrDefault(link, "");

    private string ItemError(Guid id) => _items.TryGetValue(id, out var messages) ? Join(messages) : "";

    private static string Join(IEnumerable<string> messages) => string.Join("; ", messages.Where(message => message.Length > 0).Distinct());
}
