using System.Collections.Immutable;
using System.ComponentModel;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Nephos.Hypervisor.Metadata;
using Nephos.Hypervisor.Network.Dhcp;
using Nephos.Hypervisor.Network.GuestMetadata;
using Nephos.Hypervisor.Network.Ipv6;
using Nephos.Hypervisor.Network.Namespaces;
using Nephos.Hypervisor.Network.Netlink;
using Nephos.Hypervisor.Network.Nft;
using Nephos.Hypervisor.Network.Plans;
using Nephos.Hypervisor.Network.Rules;

namespace Nephos.Hypervisor.Network.Linux;

/// <summary>The data plane on the kernel of this machine: a network namespace for the node, one per router, and a leg on the host per
/// physical network. Nothing of it is in the host's rules, and nothing of the host's rules is in it.</summary>
internal sealed partial class LinuxNetworkDriver : INetworkDriver
{
    /// <summary>How often everything is compared again although nothing changed.</summary>
    private static readonly TimeSpan VerifyInterval = TimeSpan.FromSeconds(60);

    private readonly NodeNetworkSettings _settings;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly HostSide _host;
    private readonly DhcpResponder _dhcp;
    private readonly Ipv6Responder _ipv6;
    private readonly MetadataServer _metadata;
    private readonly RouterWiring _routers;
    private readonly RemovalPolicy _removals;

    private volatile IReadOnlyDictionary<Guid, WiredPort> _wired = ImmutableDictionary<Guid, WiredPort>.Empty;
    private volatile DataPlaneHandles? _dataPlane;
    private DataPlanePlan? _applied;
    private readonly NodeNumbers _numbers = new();
    private NftRuleset? _appliedRules;
    private long _verifiedAt;
    private bool _verifyNext = true;

    /// <param name="hostNamespace">The namespace that legs and the underlay of tunnels are in: the process's own, unless a test has another. The
    /// driver disposes it.</param>
    public LinuxNetworkDriver(
        NodeNetworkSettings settings, NetworkCapabilities capabilities, NetworkNamespace hostNamespace, IInstanceMetadataSource metadata,
        TimeProvider clock, ILoggerFactory loggers)
    {
        (_settings, Capabilities, _clock) = (settings, capabilities, clock);
        _logger = loggers.CreateLogger<LinuxNetworkDriver>();
        _host = new HostSide(DataPlaneHandles.Open(hostNamespace), settings.Names);
        var nodeMac = Mac.Derive(settings.Names.Prefix + "/bridge");
        _dhcp = new DhcpResponder(nodeMac, clock, loggers.CreateLogger<DhcpResponder>());
        _ipv6 = new Ipv6Responder(nodeMac, clock, loggers.CreateLogger<Ipv6Responder>());
        _metadata = new MetadataServer(metadata, loggers);
        _routers = new RouterWiring(settings.Names);
        _removals = new RemovalPolicy(clock);
    }

    public NetworkCapabilities Capabilities { get; }

    public async Task<NetworkReport> ApplyAsync(NodeState desired, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            return await Task.Run(() => Apply(desired), cancellationToken);
        }
        finally
        {
            _gate.Release();
        }
    }

    public WiredPort? FindPort(Guid portId) => _wired.GetValueOrDefault(portId);

    public SafeFileHandle OpenTap(Guid portId)
    {
        if (FindPort(portId) is not { } port || _dataPlane is not { } dataPlane)
        {
            throw new InvalidOperationException($"port {portId} is not wired on this node");
        }

        try
        {
            return dataPlane.Namespace.Run(() => Tap.Open(port.TapName, vnetHeader: true));
        }
        catch (Win32Exception error)
        {
            throw new InvalidOperationException($"the tap of port {portId} cannot be opened: {error.Message}", error);
        }
    }

    public IReadOnlyList<NetworkOrphan> ListOrphans()
    {
        _gate.Wait();
        try
        {
            var wanted = _applied is { } plan ? DataPlaneObjects.NamesIn(plan) : [];
            return [.. DataPlaneObjects.List(_settings.Names, _host.Handles.Links).Where(found => !wanted.Contains(found.Name))];
        }
        finally
        {
            _gate.Release();
        }
    }

    public async Task RemoveAllAsync(CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            await Task.Run(() =>
            {
                _wired = ImmutableDictionary<Guid, WiredPort>.Empty;
                CloseDataPlane();
                _host.RemoveAll();
                foreach (var name in NetworkNamespace.Names().Where(_settings.Names.Owns).OrderBy(name => name == _settings.Names.DataPlaneNamespace))
                {
                    DataPlaneObjects.RemoveNamespace(name);
                }
            }, cancellationToken);
        }
        finally
        {
            _gate.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _gate.WaitAsync();
        await _dhcp.DisposeAsync();
        await _ipv6.DisposeAsync();
        await _metadata.DisposeAsync();
        _dataPlane?.Dispose();
        _host.Dispose();
        _gate.Dispose();
    }

    private NetworkReport Apply(NodeState desired)
    {
        var dataPlane = OpenDataPlane();
        var verify = _verifyNext || _clock.GetElapsedTime(_verifiedAt) >= VerifyInterval;
        _verifyNext = true;

        _numbers.Assign(desired, dataPlane.Links.Links());
        var plan = DataPlanePlan.Create(desired, _settings, _numbers);
        var report = new ReportBuilder(plan);
        // Rules before devices: a guest must not be connected one moment without them. They name devices that need not exist yet.
        bool removes;
        try
        {
            removes = ApplyRules(dataPlane.Rules, plan.Filter, verify);
        }
        catch (NftException error)
        {
            LogRulesRefused(_logger, desired.Revision, error.Message);
            return report.AllFailed(error.Message);
        }

        dataPlane.Namespace.SetParameters(plan.DataPlane.Parameters);
        _routers.Prepare(plan.Routers, report);
        var applier = new NamespaceApplier(dataPlane.Namespace, dataPlane.Links, OpenPeer, _host.Handles.Links);
        applier.Apply(plan.DataPlane);
        report.AddFailures(applier.Failures);
        _host.Apply(plan.Legs, verify, report);
        _routers.Apply(plan.Routers, verify, report);
        ServeGuests(dataPlane, plan, applier.Links, report);
        if (removes)
        {
            EndOutlawedConnections(dataPlane, plan);
        }

        var moreToRemove = RemoveUnwanted(dataPlane, plan, applier.Links);

        _applied = plan;
        if (verify)
        {
            _verifiedAt = _clock.GetTimestamp();
        }

        var result = report.Build(moreToRemove);
        _verifyNext = result.HasFailures;
        return result;
    }

    /// <summary>The data plane's namespace; made, or opened anew when somebody took it away.</summary>
    private DataPlaneHandles OpenDataPlane()
    {
        var dataPlane = NetworkNamespace.OpenOrCreate(_settings.Names.DataPlaneNamespace, out _);
        if (_dataPlane is { } open && open.Namespace.IsSame(dataPlane))
        {
            dataPlane.Dispose();
            return open;
        }

        CloseDataPlane();
        _dataPlane = DataPlaneHandles.Open(dataPlane);
        return _dataPlane;
    }

    private void CloseDataPlane()
    {
        _dhcp.StopListening();
        _ipv6.StopListening();
        _metadata.StopListening();
        _routers.Forget();
        _dataPlane?.Dispose();
        _dataPlane = null;
        _applied = null;
        _appliedRules = null;
        _verifyNext = true;
    }

    /// <summary>Writes what changed, or everything when that is not known or shall be sure.</summary>
    /// <returns>True when something may not pass any more that did, or might have.</returns>
    private bool ApplyRules(NftContext context, NftRuleset rules, bool verify)
    {
        if (!verify && _appliedRules is { } before && rules.ChangeFrom(before) is { } change)
        {
            try
            {
                if (change.Text.Length > 0)
                {
                    context.Run(change.Text);
                }

                _appliedRules = rules;
                return change.Removes;
            }
            catch (NftException error)
            {
                // Somebody changed our tables: they are written anew.
                LogChangeRefused(_logger, error.Message);
            }
        }

        var removes = _appliedRules is null || rules.ChangeFrom(_appliedRules) is null or { Removes: true };
        _appliedRules = null;
        context.Run(rules.Replace());
        _appliedRules = rules;
        return removes;
    }

    private NetworkNamespace OpenPeer(string name) => name.Length == 0 ? _host.Handles.Namespace.Reopen() : NetworkNamespace.Open(name);

    private void ServeGuests(DataPlaneHandles dataPlane, DataPlanePlan plan, IReadOnlyDictionary<string, Link> links, ReportBuilder report)
    {
        var wired = new Dictionary<Guid, WiredPort>();
        var taps = new Dictionary<string, (int, DhcpLease)>();
        var ipv6Taps = new Dictionary<string, (int, Ipv6Lease)>();
        foreach (var port in plan.Ports.Where(port => report.IsWired(port) && links.ContainsKey(port.TapName)))
        {
            wired[port.Port.Id] = new WiredPort(port.Port.Id, port.Port.Epoch, port.TapName, dataPlane.Namespace.Name, dataPlane.Namespace.Path,
                port.Port.Mac, plan.State.Networks[port.Port.NetworkId].Mtu);
            if (port.Port.AdminStateUp && DhcpLease.Create(port.Port, plan.State) is { } lease)
            {
                taps[port.TapName] = (links[port.TapName].Index, lease);
            }

            if (port.Port.AdminStateUp && Ipv6Lease.Create(port.Port, plan.State) is { } ipv6)
            {
                ipv6Taps[port.TapName] = (links[port.TapName].Index, ipv6);
            }
        }

        var bridges = plan.Networks.Where(network => links.ContainsKey(network.BridgeName))
            .ToDictionary(network => network.Id, network => (network.BridgeName, links[network.BridgeName].Index));
        try
        {
            _dhcp.Serve(dataPlane.Namespace, taps);
            _ipv6.Serve(dataPlane.Namespace, ipv6Taps);
            _ipv6.Advertise(again: false);
            _metadata.Serve(dataPlane.Namespace, bridges, plan.Ports.Select(port => port.Port));
        }
        catch (Exception error) when (error is Win32Exception or System.Net.Sockets.SocketException)
        {
            report.FailPorts($"DHCP or metadata cannot be answered: {error.Message}");
            wired.Clear();
        }

        _wired = wired;
    }

    /// <summary>Rules let established connections pass; those that the present rules would not let begin are cut here.</summary>
    private void EndOutlawedConnections(DataPlaneHandles dataPlane, DataPlanePlan plan)
    {
        var present = LocalAddresses(plan);
        var gone = _applied is null ? [] : LocalAddresses(_applied).Except(present).ToHashSet();
        var zones = plan.Networks.ToDictionary(network => network.Zone, network => network.Id);
        foreach (var connection in OutlawedConnections.Find(dataPlane.Connections.List(), new SecurityPolicy(plan.State), gone, zones).ToList())
        {
            dataPlane.Connections.Remove(connection);
        }
    }

    private static HashSet<(Guid Network, System.Net.IPAddress Address)> LocalAddresses(DataPlanePlan plan) =>
        [.. plan.State.Ports.SelectMany(port => port.FixedIps.Select(ip => (port.NetworkId, ip.Address)))];

    private bool RemoveUnwanted(DataPlaneHandles dataPlane, DataPlanePlan plan, IReadOnlyDictionary<string, Link> links)
    {
        var wantedLinks = plan.DataPlane.Links.Select(link => link.Name).ToHashSet();
        var wantedRouters = plan.Routers.Select(router => router.Namespace.Name).ToHashSet();
        var unwanted = links.Values.Where(link => link.Name != "lo" && !wantedLinks.Contains(link.Name))
            // Ports before the bridges they are on.
            .OrderBy(link => link.Kind == "bridge").Select(link => $"device/{link.Name}")
            .Concat(NetworkNamespace.Names()
                .Where(name => _settings.Names.Owns(name) && name != dataPlane.Namespace.Name && !wantedRouters.Contains(name))
                .Select(name => $"namespace/{name}"))
            .Concat(_host.UnwantedLegs(plan.Legs).Select(name => $"leg/{name}"))
            .ToList();
        var wanted = wantedLinks.Select(name => $"device/{name}").Concat(wantedRouters.Select(name => $"namespace/{name}"))
            .Concat(plan.Legs.Select(leg => $"leg/{leg.Link.Name}"));
        var due = _removals.Decide(wanted, unwanted, out var more);
        foreach (var key in due)
        {
            var (kind, name) = (key[..key.IndexOf('/')], key[(key.IndexOf('/') + 1)..]);
            switch (kind)
            {
                case "device":
                    dataPlane.Links.DeleteLink(links[name].Index);
                    break;
                case "namespace":
                    DataPlaneObjects.RemoveNamespace(name);
                    break;
                default:
                    _host.RemoveLeg(name);
                    break;
            }

            _removals.Removed(key);
            LogRemoved(_logger, kind, name);
        }

        return more;
    }

    [LoggerMessage(LogLevel.Error, "The packet rules of revision {Revision} were refused, nothing was changed: {Reason}")]
    private static partial void LogRulesRefused(ILogger logger, ulong revision, string reason);

    [LoggerMessage(LogLevel.Warning, "A change of the packet rules was refused, they are replaced: {Reason}")]
    private static partial void LogChangeRefused(ILogger logger, string reason);

    [LoggerMessage(LogLevel.Information, "Removed {ObjectKind} {Name}")]
    private static partial void LogRemoved(ILogger logger, string objectKind, string name);
}
