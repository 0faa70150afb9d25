using System.ComponentModel;
using System.Diagnostics;
using System.Net;
using Nephos.Hypervisor.Network.Namespaces;
using Nephos.Hypervisor.Network.Netlink;
using Nephos.Hypervisor.Network.Nft;
using Nephos.Hypervisor.Network.Plans;

namespace Nephos.Hypervisor.Network.Linux;

/// <summary>Finds out what this node can do by doing it, in a namespace that is thrown away.</summary>
internal static class CapabilityProbe
{
    private static readonly TimeSpan ModuleTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Needs milliseconds; longer when kernel modules must be loaded first.</summary>
    public static NetworkCapabilities Probe(DataPlaneNames names)
    {
        if (!OperatingSystem.IsLinux())
        {
            return Unable("Guests can have networks on Linux only.");
        }

        if (LibC.EffectiveUserId() != 0)
        {
            return Unable("Not running as root, so no network namespaces and taps can be made: start as root for real networks.");
        }

        try
        {
            using var own = NetworkNamespace.OpenOrCreate(names.ProbeNamespace, out _);
            return own.Run(ProbeInside);
        }
        catch (Exception error) when (error is Win32Exception or IOException or UnauthorizedAccessException)
        {
            return Unable($"Network namespaces cannot be made here ({error.Message}); a container needs CAP_SYS_ADMIN and CAP_NET_ADMIN.");
        }
        finally
        {
            if (Directory.Exists(NetworkNamespace.Folder) && File.Exists($"{NetworkNamespace.Folder}/{names.ProbeNamespace}"))
            {
                NetworkNamespace.Delete(names.ProbeNamespace);
            }
        }
    }

    private static NetworkCapabilities ProbeInside()
    {
        var reasons = new List<string>();
        using var links = new RouteNetlink();
        Try(reasons, "Bridges", "bridge", () => links.CreateBridge("probeb", Mac.Derive("probe"), "probe"));
        Try(reasons, "Taps", "tun", () => Tap.CreatePersistent("probet"));
        Try(reasons, "Veth pairs", "veth", () =>
        {
            using var own = NetworkNamespace.OpenOwnThread();
            links.CreateVeth("probev", "probe", "probew", "probe", Mac.Derive("probe/peer"), own.Descriptor);
        });
        Try(reasons, "Packet rules with connection tracking", "nf_tables", () =>
        {
            using var rules = new NftContext();
            rules.Run("""
                table inet probe {
                  chain a { type filter hook prerouting priority -300; policy accept;
                    ct zone set 1
                    ct state established accept
                  }
                  chain b { type nat hook postrouting priority 100; policy accept;
                    masquerade
                  }
                }
                table bridge probe {
                  chain a { type filter hook prerouting priority -300; policy accept;
                    meta mark set 1
                  }
                }
                """);
        });
        Try(reasons, "Filtering of bridged packets", "br_netfilter", () =>
        {
            if (!File.Exists("/proc/sys/net/bridge/bridge-nf-call-iptables"))
            {
                throw new FileNotFoundException("the kernel module br_netfilter is not loaded");
            }
        });
        var canWire = reasons.Count == 0;
        Try(reasons, "Tunnels between nodes", "vxlan", () => links.CreateVxlan("probex", 1, IPAddress.Loopback, "probe"));
        return new NetworkCapabilities(canWire, canWire && reasons.Count == 0, reasons);
    }

    /// <summary>Tries; loads the kernel module that the thing may lack, and tries once more.</summary>
    private static void Try(List<string> reasons, string what, string module, Action work)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                work();
                return;
            }
            catch (Exception error) when (error is NetlinkException or NftException or Win32Exception or IOException or DllNotFoundException)
            {
                if (attempt == 1 && error is not DllNotFoundException && LoadModule(module))
                {
                    continue;
                }

                reasons.Add(error is DllNotFoundException
                    ? $"{what} need the Debian package libnftables1."
                    : $"{what} are missing here ({error.Message}).");
                return;
            }
        }
    }

    private static bool LoadModule(string module)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo("modprobe", ["-q", module]) { RedirectStandardError = true });
            if (process is null || !process.WaitForExit(ModuleTimeout))
            {
                process?.Kill();
                return false;
            }

            return process.ExitCode == 0;
        }
        catch (Win32Exception)
        {
            // No modprobe: the kernel has what it has.
            return false;
        }
    }

    private static NetworkCapabilities Unable(string reason) => new(CanWire: false, Tunnels: false, [reason]);
}
