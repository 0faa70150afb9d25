using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Nephos.Client.Volumes;
using Nephos.Hosting;
using Nephos.Node.Block.Cluster;
using Nephos.Node.Objects;

namespace Nephos.Node.Block;

/// <summary>The block devices of a cloud: those of this process, and the ways to those of others.</summary>
public static class BlockDevicesModule
{
    /// <summary>Adds the devices of a process that has all there are.</summary>
    public static void AddBlockDevices(this WebApplicationBuilder builder)
    {
        AddDevices(builder);
        builder.Services.AddSingleton<IReplicaConnector>(provider => provider.GetRequiredService<BlockDeviceSet>());
        AddControl(builder, _ => null);
    }

    /// <summary>Adds the devices of one process of several. The registered <see cref="IConfigurationMaster"/> says which there are.</summary>
    /// <param name="builder">Of the process.</param>
    /// <param name="hasDevices">False when it only uses those of others.</param>
    /// <param name="cluster">How it belongs to them.</param>
    public static void AddBlockDevices(this WebApplicationBuilder builder, bool hasDevices, Func<IServiceProvider, BlockCluster> cluster)
    {
        if (hasDevices) AddDevices(builder);
        builder.Services.AddSingleton(provider => new RemoteReplicas(cluster(provider).Transport));
        builder.Services.AddSingleton<IReplicaConnector>(provider => new ReplicaConnector(provider.GetService<BlockDeviceSet>(), provider.GetRequiredService<RemoteReplicas>()));
        AddControl(builder, cluster);
    }

    public static void MapBlockDevices(this WebApplication app)
    {
        app.MapGrpcService<BlockDevicesGrpcService>();
        app.MapVolumeHeads();
    }

    /// <summary>Tells of the heads of this process. They are where disks are used; a process without them has none to tell of.</summary>
    public static void MapVolumeHeads(this WebApplication app)
    {
        if (app.Services.GetService<IVolumeHeads>() is not null) app.MapGrpcService<VolumeHeadsGrpcService>();
    }

    private static void AddDevices(WebApplicationBuilder builder)
    {
        builder.Services.AddNephosOptions<BlockDevicesOptions>(BlockDevicesOptions.Section);
        builder.Services.AddSingleton<BlockDeviceSet>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<BlockDeviceSet>());
    }

    private static void AddControl(WebApplicationBuilder builder, Func<IServiceProvider, BlockCluster?> cluster)
    {
        builder.Services.AddSingleton(provider => new BlockNodes(
            provider.GetService<BlockDeviceSet>(), cluster(provider), provider.GetService<IConfigurationMaster>(), provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<BlockNodes>>()));
        builder.Services.AddHostedService(provider => provider.GetRequiredService<BlockNodes>());
        builder.Services.AddSingleton<ReplicaSets>();
        builder.Services.AddSingleton<BlockDevicesGrpcService>();
    }
}
