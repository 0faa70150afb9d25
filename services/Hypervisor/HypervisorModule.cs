using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Nephos.Client.Volumes;
using Nephos.Hosting;
using Nephos.Hosting.Grpc;
using Nephos.Hosting.StatusPages;
using Nephos.Hypervisor.Agent;
using Nephos.Hypervisor.Instances;
using Nephos.Hypervisor.Metadata;
using Nephos.Hypervisor.Network;
using Nephos.Hypervisor.Qemu;
using Nephos.Hypervisor.Simulation;
using BlockWire = Nephos.Protos.BlockStorage.V1;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Hypervisor;

/// <summary>The hypervisor role: instances, their network and their volume heads on this node. It calls the control plane and serves nothing.</summary>
public static class HypervisorModule
{
    public static WebApplicationBuilder AddHypervisor(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddNephosOptions<HypervisorOptions>(HypervisorOptions.Section).Configure<NephosOptions>((options, node) =>
            options.StateDirectory = options.StateDirectory.Length > 0 ? options.StateDirectory : StateDirectoryOf(node.StateDirectory));
        services.AddNephosClient<Wire.HypervisorAgents.HypervisorAgentsClient>("compute");
        services.AddNephosClient<BlockWire.Attachments.AttachmentsClient>("volume");
        services.AddSingleton<MetadataTree>();
        services.AddSingleton<IInstanceMetadataSource>(provider => provider.GetRequiredService<MetadataTree>());
        services.AddSingleton(provider => new InstanceStore(provider.GetRequiredService<HypervisorOptions>().StateDirectory));
        services.AddSingleton(provider => new RuntimeFolder(provider.GetRequiredService<HypervisorOptions>().StateDirectory));
        if (builder.Configuration[$"{HypervisorOptions.Section}:{nameof(HypervisorOptions.Driver)}"] == "simulated")
        {
            // Nothing is wired or opened for machines that are not there.
            services.AddSingleton(provider => new SimulatedWorld(provider.GetRequiredService<TimeProvider>(), seed: 1, failureRate: 0));
            services.AddSingleton<IHypervisor, SimulatedHypervisor>();
            services.AddSingleton<IVolumeConnector>(provider => new SimulatedVolumeConnector(async (volume, cancellationToken) =>
                await provider.GetRequiredService<BlockWire.Attachments.AttachmentsClient>().OpenAttachmentAsync(
                    new BlockWire.OpenAttachmentRequest
                    {
                        AttachmentId = volume.AttachmentId.ToString(), Token = volume.Token, Node = provider.GetRequiredService<NephosOptions>().NodeName,
                    },
                    await provider.GetRequiredService<ServiceCalls>().AsServiceAsync(cancellationToken))));
            services.AddSingleton<IPortConnector, SimulatedPortConnector>();
            services.AddNodeNetwork();
            services.PostConfigure<NodeNetworkOptions>(options => options.Driver = "simulated");
        }
        else
        {
            services.AddNodeNetwork();
            services.AddVolumeHeads();
            services.AddSingleton<IHypervisor, QemuHypervisor>();
            services.AddSingleton<IVolumeConnector, BlockVolumeConnector>();
            services.AddSingleton<IPortConnector, NodePortConnector>();
            services.AddHostedService<VolumeGrowth>();
        }
        services.AddSingleton(provider => new InstanceAgent(
            provider.GetRequiredService<IHypervisor>(), provider.GetRequiredService<IVolumeConnector>(), provider.GetRequiredService<IPortConnector>(),
            provider.GetRequiredService<InstanceStore>(), provider.GetRequiredService<HypervisorOptions>(),
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<InstanceAgent>>()));
        services.AddSingleton<AgentService>();
        services.AddSingleton<IStatusFacts>(provider => provider.GetRequiredService<AgentService>());
        services.AddHostedService(provider => provider.GetRequiredService<AgentService>());
        return builder;
    }

    /// <summary>The role answers no calls.</summary>
    public static WebApplication MapHypervisor(this WebApplication app) => app;

    /// <summary>Everything that instances have on this machine: processes, folders, sockets. Works without a running agent.</summary>
    /// <param name="stateDirectory">The state directory of the cloud.</param>
    public static IReadOnlyList<NodeObject> ListObjects(string stateDirectory) => NodeObjects.List(StateDirectoryOf(stateDirectory));

    /// <summary>Those of <see cref="ListObjects"/> that belong to no instance that this node was told to have.</summary>
    public static IReadOnlyList<NodeObject> ListOrphans(string stateDirectory) => NodeObjects.ListOrphans(StateDirectoryOf(stateDirectory));

    /// <summary>Ends every instance of this node. What was desired stays: the next start of the agent brings them back.</summary>
    /// <remarks>Call it while the agent runs: the agent asks each guest first, with its disks still served, and starts none again. Without an
    /// agent the disks of the guests are away and they are ended at once.</remarks>
    /// <param name="patience">For the agent; guests that are not off by then are ended.</param>
    /// <returns>How many there were.</returns>
    public static async Task<int> StopInstancesAsync(string stateDirectory, TimeSpan patience, CancellationToken cancellationToken)
    {
        var folder = StateDirectoryOf(stateDirectory);
        var count = NodeObjects.List(folder).Count(found => found.Kind == "process");
        if (count > 0)
        {
            await HaltRequest.AskAsync(folder, patience, TimeProvider.System, cancellationToken);
            await NodeObjects.KillAllAsync(folder, TimeProvider.System, cancellationToken);
        }
        return count;
    }

    /// <summary>Runs the probe for acceleration now.</summary>
    /// <exception cref="InvalidOperationException">There is no QEMU; the message says what to install.</exception>
    public static async Task<(string Acceleration, string Reason)> ProbeAsync(string stateDirectory, CancellationToken cancellationToken)
    {
        var folder = StateDirectoryOf(stateDirectory);
        Directory.CreateDirectory(folder);
        try
        {
            var probe = await AccelerationProbe.RunAsync(new HypervisorOptions().QemuPath, "auto", folder, cancellationToken);
            return (probe.Acceleration.ToString().ToLowerInvariant(), probe.AccelerationReason);
        }
        catch (PermanentHypervisorException exception)
        {
            throw new InvalidOperationException(exception.Message, exception);
        }
    }

    private static string StateDirectoryOf(string stateDirectory) => Path.Combine(stateDirectory, "hypervisor");
}
