using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Nephos.Hosting;
using Nephos.Hosting.Grpc;
using Nephos.Hosting.StatusPages;
using Nephos.Hypervisor.Metadata;
using Nephos.Hypervisor.Network.Linux;
using Nephos.Hypervisor.Network.Namespaces;
using Nephos.Hypervisor.Network.Plans;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Hypervisor.Network;

/// <summary>The network of a node, as the hypervisor role composes it; and what the command line needs when no agent runs.</summary>
public static class NodeNetworkModule
{
    /// <summary>The fact of the status page that lists what is on this machine and not wanted, with spaces in between.</summary>
    public const string OrphansFact = "network.orphans";

    /// <summary>Registers the driver, <c>INodePorts</c> and the agent. An <c>IInstanceMetadataSource</c> must be registered by the caller.</summary>
    public static IServiceCollection AddNodeNetwork(this IServiceCollection services)
    {
        services.AddNephosOptions<NodeNetworkOptions>(NodeNetworkOptions.Section);
        services.AddNephosClient<Wire.NodeNetworks.NodeNetworksClient>("network");
        services.AddSingleton(provider => provider.GetRequiredService<NodeNetworkOptions>()
            .ToSettings(provider.GetRequiredService<NephosOptions>().NodeName, provider.GetRequiredService<NephosOptions>().StateDirectory));
        services.AddSingleton(CreateDriver);
        services.AddSingleton<NodeNetworkAgent>();
        services.AddSingleton<INodePorts>(provider => provider.GetRequiredService<NodeNetworkAgent>());
        services.AddSingleton<IStatusFacts>(provider => provider.GetRequiredService<NodeNetworkAgent>());
        services.AddHostedService(provider => provider.GetRequiredService<NodeNetworkAgent>());
        return services;
    }

    /// <summary>Everything that this node has made on this machine, as "kind name" lines; empty when nothing is left.</summary>
    public static IReadOnlyList<string> ListObjects(string nodeName, string stateDirectory) =>
        OperatingSystem.IsLinux() && LibC.EffectiveUserId() == 0
            ? [.. DataPlaneObjects.List(NamesOf(nodeName, stateDirectory)).Select(found => $"{found.Kind} {found.Name} {found.Alias}".TrimEnd())]
            : [];

    /// <summary>Removes all of it. The agent must be stopped, guests must have ended.</summary>
    public static void RemoveObjects(string nodeName, string stateDirectory)
    {
        if (OperatingSystem.IsLinux() && LibC.EffectiveUserId() == 0)
        {
            DataPlaneObjects.RemoveAll(NamesOf(nodeName, stateDirectory));
        }
    }

    /// <summary>Whether guests can have real networks here, and why not.</summary>
    public static (bool CanWire, string Reason) Probe(string nodeName, string stateDirectory)
    {
        var capabilities = CapabilityProbe.Probe(NamesOf(nodeName, stateDirectory));
        return (capabilities.CanWire, capabilities.Reason);
    }

    private static DataPlaneNames NamesOf(string nodeName, string stateDirectory) => new(NodeNetworkOptions.PrefixFor(nodeName, stateDirectory));

    private static INetworkDriver CreateDriver(IServiceProvider provider)
    {
        var settings = provider.GetRequiredService<NodeNetworkSettings>();
        if (provider.GetRequiredService<NodeNetworkOptions>().Driver == "simulated")
        {
            return new SimulatedNetworkDriver(settings);
        }

        var capabilities = CapabilityProbe.Probe(settings.Names);
        return capabilities.CanWire
            ? new LinuxNetworkDriver(settings, capabilities, NetworkNamespace.OpenOwn(), provider.GetRequiredService<IInstanceMetadataSource>(),
                provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILoggerFactory>())
            : new UnwiredNetworkDriver(capabilities);
    }
}
