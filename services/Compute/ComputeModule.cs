using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Compute.Actions;
using Nephos.Compute.Aggregates;
using Nephos.Compute.Flavors;
using Nephos.Compute.Groups;
using Nephos.Compute.Instances;
using Nephos.Compute.Keypairs;
using Nephos.Compute.Migrations;
using Nephos.Compute.Nodes;
using Nephos.Compute.Placement;
using Nephos.Compute.Quotas;
using Nephos.Compute.Rest;
using Nephos.Compute.Seams;
using Nephos.Compute.Usage;
using Nephos.Hosting;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Reconciliation;
using Nephos.Kernel.State;
using BlockStorage = Nephos.Protos.BlockStorage.V1;
using Image = Nephos.Protos.Image.V1;
using Network = Nephos.Protos.Network.V1;

namespace Nephos.Compute;

/// <summary>The compute service: instances, flavors, key pairs, hypervisors, quotas; over gRPC and over the compute REST API.</summary>
public static class ComputeModule
{
    public static void AddCompute(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddStateTables(typeof(ComputeModule).Assembly);
        services.AddNephosOptions<ComputeOptions>("Compute");
        services.AddNephosClient<Network.Networks.NetworksClient>("network");
        services.AddNephosClient<Network.Ports.PortsClient>("network");
        services.AddNephosClient<Network.SecurityGroups.SecurityGroupsClient>("network");
        services.AddNephosClient<Network.FloatingIps.FloatingIpsClient>("network");
        services.AddNephosClient<BlockStorage.Volumes.VolumesClient>("volume");
        services.AddNephosClient<BlockStorage.Snapshots.SnapshotsClient>("volume");
        services.AddNephosClient<BlockStorage.Attachments.AttachmentsClient>("volume");
        services.AddNephosClient<Image.Images.ImagesClient>("image");
        services.AddSingleton<INetworkApi, GrpcNetworkApi>();
        services.AddSingleton<IVolumeApi, GrpcVolumeApi>();
        services.AddSingleton<IImageApi, GrpcImageApi>();
        services.AddSingleton<SecurityGroupProxy>();
        services.AddSingleton<FloatingIpProxy>();
        services.AddSingleton<VolumeProxy>();
        services.AddComputeCore();
    }

    public static void MapCompute(this WebApplication app)
    {
        app.MapGrpcService<HypervisorAgentsGrpcService>();
        app.MapGrpcService<InstancesGrpcService>();
        app.MapGrpcService<FlavorsGrpcService>();
        app.MapGrpcService<KeypairsGrpcService>();
        app.MapGrpcService<HypervisorsGrpcService>();
        app.MapGrpcService<AggregatesGrpcService>();
        app.MapGrpcService<ServerGroupsGrpcService>();
        app.MapGrpcService<QuotasGrpcService>();
        ComputeRest.Map(app);
    }

    /// <summary>Everything but the seams to other services and the edges.</summary>
    internal static IServiceCollection AddComputeCore(this IServiceCollection services)
    {
        services.AddTableCache(Flavor.Table);
        services.AddTableCache(Node.Table);
        services.AddTableCache(NodeUsage.Table);
        services.AddTableCache(NodeLease.Table);
        services.AddTableCache(Instance.Table);
        services.AddTableCache(InstanceParts.Table);
        services.AddTableCache(Observation.Table);
        services.AddHostedService<FlavorSeed>();
        services.AddSingleton<FlavorService>();
        services.AddSingleton<KeypairService>();
        services.AddSingleton<QuotaService>();
        services.AddSingleton<AggregateService>();
        services.AddSingleton<ServerGroupService>();
        services.AddSingleton<NodeRegistry>();
        services.AddSingleton<AgentSessions>();
        services.AddSingleton<ReportWriter>();
        services.AddSingleton<HypervisorAgentsGrpcService>();
        services.AddSingleton<Placer>();
        services.AddSingleton<ActionLog>();
        services.AddSingleton<MigrationLog>();
        services.AddSingleton<WishResolver>();
        services.AddSingleton<ActionReader>();
        services.AddSingleton<InstanceViews>();
        services.AddSingleton<InstanceList>();
        services.AddSingleton<UsageReport>();
        services.AddSingleton<InstanceCreation>();
        services.AddSingleton<InstanceService>();
        services.AddSingleton<ImageSaver>();
        services.AddSingleton<InstanceReconciler>();
        services.AddSingleton<InstanceWorker>();
        services.AddHostedService(provider => provider.GetRequiredService<InstanceWorker>());
        services.AddReconciler<InstanceSweeper>();
        return services;
    }
}
