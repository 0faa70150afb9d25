using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Client.Volumes;
using Nephos.Hosting;

namespace Nephos.Node.Block;

/// <summary>The block devices of a storage node.</summary>
public static class BlockDevicesModule
{
    public static void AddBlockDevices(this WebApplicationBuilder builder)
    {
        builder.Services.AddNephosOptions<BlockDevicesOptions>(BlockDevicesOptions.Section);
        builder.Services.AddSingleton<BlockDeviceSet>();
        builder.Services.AddSingleton<IReplicaConnector>(provider => provider.GetRequiredService<BlockDeviceSet>());
        builder.Services.AddHostedService(provider => provider.GetRequiredService<BlockDeviceSet>());
        builder.Services.AddSingleton<ReplicaSets>();
        builder.Services.AddSingleton<BlockDevicesGrpcService>();
    }

    public static void MapBlockDevices(this WebApplication app)
    {
        app.MapGrpcService<BlockDevicesGrpcService>();
        // Heads are where disks are used; a process without them has none to tell of.
        if (app.Services.GetService<IVolumeHeads>() is not null) app.MapGrpcService<VolumeHeadsGrpcService>();
    }
}
