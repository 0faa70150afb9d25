using System.Collections.Frozen;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Nephos.BlockStorage;
using Nephos.BlockStorage.Attachments;
using Nephos.BlockStorage.Backups;
using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Encryption;
using Nephos.BlockStorage.Images;
using Nephos.BlockStorage.Quotas;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.Volumes;
using Nephos.BlockStorage.VolumeTypes;
using Nephos.Hosting;
using Nephos.Kernel.Operations;
using Nephos.Kernel.Reconciliation;
using Nephos.Kernel.State;
using Nephos.State;

namespace Nephos.Services.Tests.BlockStorage;

/// <summary>The service over a store in memory, a device that is a dictionary, and images that are lists.</summary>
internal sealed class BlockStorageWorld : IAsyncDisposable
{
    public const long Gib = 1L << 30;
    public static readonly CancellationToken None = CancellationToken.None;

    private readonly ServiceProvider _services;
    private readonly DirectoryInfo _secrets = Directory.CreateTempSubdirectory("nephos-volume-keys-");

    private BlockStorageWorld(ServiceProvider services) => _services = services;

    public FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));
    public string SecretsDirectory => _secrets.FullName;
    public FakeDevices Devices => (FakeDevices)Get<IBlockDevices>();
    public FakeBackupObjects Objects => (FakeBackupObjects)Get<IBackupObjects>();
    public BackupService Backups => Get<BackupService>();
    public FakeImages Images => (FakeImages)Get<IImages>();
    public IStateStore Store => Get<IStateStore>();
    public VolumeService Volumes => Get<VolumeService>();
    public SnapshotService Snapshots => Get<SnapshotService>();
    public AttachmentService Attachments => Get<AttachmentService>();
    public QuotaService Quotas => Get<QuotaService>();
    public VolumeTypeService Types => Get<VolumeTypeService>();
    public VolumeWorker Worker => Get<VolumeWorker>();
    public OperationContext User { get; } = Operation("project-a");
    public OperationContext Other { get; } = Operation("project-b");
    public OperationContext Admin { get; } = Operation("project-admin") with { Roles = new[] { "admin", "member" }.ToFrozenSet() };
    public OperationContext Service { get; } = Operation("services") with { IsService = true };

    public static OperationContext Operation(string project) => new()
    {
        RequestId = "req-1", UserId = "user-1", ProjectId = project, Roles = new[] { "member", "reader" }.ToFrozenSet(),
    };

    public T Get<T>()
        where T : notnull => _services.GetRequiredService<T>();

    public static async Task<BlockStorageWorld> StartAsync(BlockStorageOptions? options = null)
    {
        var services = new ServiceCollection();
        services.AddSingleton(typeof(ILogger<>), typeof(NullLogger<>));
        services.AddSingleton(options ?? new BlockStorageOptions());
        services.AddSingleton(new NephosOptions { NodeName = "node-1" });
        services.AddSingleton<IBlockDevices, FakeDevices>();
        services.AddSingleton<IImages, FakeImages>();
        services.AddSingleton<IBackupObjects, FakeBackupObjects>();
        services.AddSingleton<TimeProvider>(provider => provider.GetRequiredService<FakeTimeProvider>());
        services.AddSingleton(provider => StateRegistration.Open(
            new StateStoreOptions { Engine = StateEngine.Memory }, provider.GetRequiredService<TimeProvider>(), NullLoggerFactory.Instance));
        services.AddBlockStorageCore();
        BlockStorageWorld? world = null;
        services.AddSingleton(_ => world!.Time);
        services.AddSingleton<IKeyProvider>(_ => new MasterKeyFile(world!.SecretsDirectory));
        world = new BlockStorageWorld(services.BuildServiceProvider());
        foreach (var hosted in world._services.GetServices<IHostedService>()) await hosted.StartAsync(None);
        return world;
    }

    public BackupSweeper Sweeper() => new(
        Store, Get<TableCache<Backup>>(), Objects, Get<ChunkStore>(), Get<BucketGates>(), Get<BackupWorker>(), Get<BlockStorageOptions>(), Time,
        new ReconcilerRegistry(), NullLogger<BackupSweeper>.Instance);

    public Task<VolumeView> CreateAsync(VolumeWish? wish = null, OperationContext? operation = null) =>
        Volumes.CreateAsync(operation ?? User, wish ?? new VolumeWish { Name = "v", SizeBytes = Gib }, wait: true, None);

    public Task<VolumeView> GetAsync(string id, OperationContext? operation = null) => Volumes.GetAsync(operation ?? Admin, id, None);

    /// <summary>What the reconciler does for everything that is not done.</summary>
    public async Task SettleAsync()
    {
        for (var round = 0; round < 5; round++)
        {
            var pending = (await Store.ListAsync(Volume.Table, "", None)).Where(volume => volume.IsPending || volume.SealedEpoch < volume.Epoch).Select(volume => volume.Id)
                .Concat((await Store.ListAsync(Snapshot.Table, "", None)).Where(snapshot => snapshot.IsPending).Select(snapshot => snapshot.Id)).ToList();
            foreach (var id in pending) await Worker.RunSoonAsync(id, None);
            foreach (var backup in (await Store.ListAsync(Backup.Table, "", None)).Where(backup => backup.IsPending))
                await Get<BackupWorker>().RunSoonAsync(backup.Id, None);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var hosted in _services.GetServices<IHostedService>()) await hosted.StopAsync(None);
        await _services.DisposeAsync();
        _secrets.Delete(recursive: true);
    }
}
