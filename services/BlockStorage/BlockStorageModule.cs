using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nephos.BlockStorage.Attachments;
using Nephos.BlockStorage.Backups;
using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Encryption;
using Nephos.BlockStorage.Exports;
using Nephos.BlockStorage.Groups;
using Nephos.BlockStorage.Images;
using Nephos.BlockStorage.Messages;
using Nephos.BlockStorage.Operators;
using Nephos.BlockStorage.Qos;
using Nephos.BlockStorage.Quotas;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.Transfers;
using Nephos.BlockStorage.Volumes;
using Nephos.BlockStorage.VolumeTypes;
using Nephos.Hosting;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Reconciliation;
using Nephos.Kernel.State;
using Image = Nephos.Protos.Image.V1;
using ObjectStorage = Nephos.Protos.ObjectStorage.V1;
using Storage = Nephos.Protos.Storage.V1;

namespace Nephos.BlockStorage;

/// <summary>Block storage: volumes, snapshots, attachments and types over gRPC and the block storage REST API.</summary>
public static class BlockStorageModule
{
    public static void AddBlockStorage(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddStateTables(typeof(BlockStorageModule).Assembly);
        services.AddNephosOptions<BlockStorageOptions>(BlockStorageOptions.Section);
        services.AddNephosClient<Storage.BlockDevices.BlockDevicesClient>("storage");
        services.AddNephosClient<Image.Images.ImagesClient>("image");
        services.AddNephosClient<Image.ImageBlocks.ImageBlocksClient>("image");
        services.AddNephosClient<ObjectStorage.Objects.ObjectsClient>("object");
        services.AddSingleton<IBlockDevices, GrpcBlockDevices>();
        services.AddSingleton<IBackupObjects, ObjectStoreBackups>();
        services.AddSingleton<IImages, GrpcImages>();
        services.AddSingleton<IKeyProvider>(provider => new MasterKeyFile(provider.GetRequiredService<NephosOptions>().SecretsDirectory));
        services.AddBlockStorageCore();
        services.AddHostedService<ImagePreparation>();
        services.AddReconciler<VolumeReconciler>();
        services.AddReconciler<ImageLayerReconciler>();
        services.AddReconciler<BackupSweeper>();
        services.AddReconciler<MessageReconciler>();
        services.AddSingleton<ExportListeners>();
        services.AddHostedService(provider => provider.GetRequiredService<ExportListeners>());
        services.AddReconciler<ExportReconciler>();
        services.AddSingleton<VolumesGrpcService>();
        services.AddSingleton<SnapshotsGrpcService>();
        services.AddSingleton<AttachmentsGrpcService>();
        services.AddSingleton<VolumeTypesGrpcService>();
        services.AddSingleton<QuotasGrpcService>();
        services.AddSingleton<BackupsGrpcService>();
        services.AddSingleton<MessagesGrpcService>();
        services.AddSingleton<QosSpecsGrpcService>();
        services.AddSingleton<TransfersGrpcService>();
        services.AddSingleton<GroupsGrpcService>();
        services.AddSingleton<GroupSnapshotsGrpcService>();
        services.AddSingleton<GroupTypesGrpcService>();
        services.AddSingleton<OperatorsGrpcService>();
        services.AddSingleton<ExportsGrpcService>();
    }

    public static void MapBlockStorage(this WebApplication app)
    {
        app.MapGrpcService<VolumesGrpcService>();
        app.MapGrpcService<SnapshotsGrpcService>();
        app.MapGrpcService<AttachmentsGrpcService>();
        app.MapGrpcService<VolumeTypesGrpcService>();
        app.MapGrpcService<QuotasGrpcService>();
        app.MapGrpcService<BackupsGrpcService>();
        app.MapGrpcService<MessagesGrpcService>();
        app.MapGrpcService<QosSpecsGrpcService>();
        app.MapGrpcService<TransfersGrpcService>();
        app.MapGrpcService<GroupsGrpcService>();
        app.MapGrpcService<GroupSnapshotsGrpcService>();
        app.MapGrpcService<GroupTypesGrpcService>();
        app.MapGrpcService<OperatorsGrpcService>();
        app.MapGrpcService<ExportsGrpcService>();
        Cinder.CinderRoutes.MapAll(app);
    }

    /// <summary>Everything but the seams to other services and the edges.</summary>
    internal static IServiceCollection AddBlockStorageCore(this IServiceCollection services)
    {
        services.AddTableCache(Volume.Table);
        services.AddTableCache(Snapshot.Table);
        services.AddTableCache(Attachment.Table);
        services.AddTableCache(Backup.Table);
        services.AddTableCache(Message.Table);
        services.AddTableCache(VolumeType.Table);
        services.AddTableCache(QosSpecs.Table);
        services.AddTableCache(Transfer.Table);
        services.AddTableCache(VolumeGroup.Table);
        services.AddTableCache(GroupSnapshot.Table);
        services.AddTableCache(Export.Table);
        services.AddSingleton<MessageLog>();
        services.AddSingleton<VolumeKeys>();
        services.AddSingleton<VolumeTypeService>();
        services.AddHostedService<VolumeTypeSeed>();
        services.AddSingleton<QuotaService>();
        services.AddSingleton<QosService>();
        services.AddSingleton<OperatorService>();
        services.AddSingleton<TransferService>();
        services.AddSingleton<GroupTypeService>();
        services.AddSingleton<GroupService>();
        services.AddSingleton<GroupSnapshotService>();
        services.AddSingleton<GroupSteps>();
        services.AddSingleton<DevicePlacement>();
        services.AddSingleton<ImageLayers>();
        services.AddSingleton<VolumeSteps>();
        services.AddSingleton<VolumeWorker>();
        services.AddHostedService(provider => provider.GetRequiredService<VolumeWorker>());
        services.AddSingleton<ChunkStore>();
        services.AddSingleton<BucketGates>();
        services.AddSingleton<BackupRestorer>();
        services.AddSingleton<BackupSteps>();
        services.AddSingleton<BackupWorker>();
        services.AddHostedService(provider => provider.GetRequiredService<BackupWorker>());
        services.AddSingleton<BackupService>();
        services.AddSingleton<BackupRecords>();
        services.AddSingleton<VolumeService>();
        services.AddSingleton<SnapshotService>();
        services.AddSingleton<AttachmentService>();
        services.AddSingleton<ExportContents>();
        services.AddSingleton<ExportService>();
        return services;
    }
}
