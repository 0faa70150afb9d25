using Nephos.Networking.Firewalls;
using Nephos.Networking.FloatingIps;
using Nephos.Networking.Nodes;
using Nephos.Networking.Ports;
using Nephos.Networking.Routers;

namespace Nephos.Networking.State;

/// <summary>What is shown as status: never stored, always made of what is wanted and what nodes have reported.</summary>
internal static class Statuses
{
    /// <summary>What its node reported of a port; null when nothing is known of the present binding.</summary>
    public static Wired? WiredOf(this NetworkView view, Port port)
    {
        if (port.BelongsToRouter)
        {
            return view.WiredOfRouter(port.DeviceId);
        }

        return view.Wired.GetValueOrDefault(port.Id) is { } wired && wired.Node == port.HostName && wired.Epoch == port.BindingEpoch ? wired : null;
    }

    public static Wired? WiredOfRouter(this NetworkView view, string routerId) =>
        view.RouterPlacements.GetValueOrDefault(routerId) is { } placement && view.Wired.GetValueOrDefault(routerId) is { } wired &&
        wired.Node == placement.Node && wired.Epoch == placement.Epoch
            ? wired
            : null;

    /// <summary>What the node of its router reported of a floating IP.</summary>
    public static Wired? WiredOf(this NetworkView view, FloatingIp ip) =>
        ip.RouterId is { } routerId && view.RouterPlacements.GetValueOrDefault(routerId) is { } placement &&
        view.Wired.GetValueOrDefault(ip.Id) is { } wired && wired.Node == placement.Node
            ? wired
            : null;

    public static string StatusOf(this NetworkView view, Port port) => view.WiredOf(port)?.State switch
    {
        WiredState.Active when port.AdminStateUp => "ACTIVE",
        WiredState.Failed => "ERROR",
        _ => "DOWN",
    };

    public static string StatusOf(this NetworkView view, Router router) =>
        view.WiredOfRouter(router.Id)?.State == WiredState.Failed ? "ERROR" : "ACTIVE";

    /// <summary>A group is what the routers of its ports make of it.</summary>
    public static string StatusOf(this NetworkView view, FirewallGroup group)
    {
        if (group.PortIds.Count == 0)
        {
            return "INACTIVE";
        }

        var states = group.PortIds.Select(id => view.Ports.GetValueOrDefault(id)).Select(port => port is null ? null : view.WiredOf(port)?.State).ToList();
        return states.Contains(WiredState.Failed) ? "ERROR"
            : !group.AdminStateUp ? "DOWN"
            : states.TrueForAll(state => state == WiredState.Active) ? "ACTIVE"
            : "PENDING_UPDATE";
    }

    public static string StatusOf(this NetworkView view, FloatingIp ip) => view.WiredOf(ip)?.State switch
    {
        WiredState.Active => "ACTIVE",
        WiredState.Failed => "ERROR",
        _ => "DOWN",
    };
}
