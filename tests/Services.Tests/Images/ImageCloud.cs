using System.Collections.Frozen;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Nephos.Images;
using Nephos.Images.Catalog;
using Nephos.Images.Data;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.State;
using Xunit;

namespace Nephos.Services.Tests.Images;

/// <summary>The image service over a store in memory, with a clock that stands still; its reconciler runs when a test says so.</summary>
public abstract class ImageCloud : IAsyncLifetime
{
    private ServiceProvider _provider = null!;
    private TableCache<Image> _cache = null!;

    internal static readonly OperationContext Alice = Caller("alice", "project-a", "member");
    internal static readonly OperationContext Bob = Caller("bob", "project-b", "member");
    internal static readonly OperationContext Reader = Caller("rita", "project-a", "reader");
    internal static readonly OperationContext Admin = Caller("root", "project-admin", "admin", "member");

    internal FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));

    internal FakeBlobs Blobs { get; } = new();

    internal ImagesOptions Options { get; } = new();

    internal IStateStore Store { get; private set; } = null!;

    internal ImageService Images => _provider.GetRequiredService<ImageService>();

    internal MemberService Members => _provider.GetRequiredService<MemberService>();

    internal ImageUploads Uploads => _provider.GetRequiredService<ImageUploads>();

    internal ImageDownloads Downloads => _provider.GetRequiredService<ImageDownloads>();

    internal ImageReconciler Reconciler => _provider.GetRequiredService<ImageReconciler>();

    public async Task InitializeAsync()
    {
        Store = StateRegistration.Open(new StateStoreOptions { Engine = StateEngine.Memory }, Time, NullLoggerFactory.Instance);
        var services = new ServiceCollection();
        services.AddSingleton(Store);
        services.AddSingleton<TimeProvider>(Time);
        services.AddSingleton(Options);
        services.AddSingleton<IImageBlobs>(Blobs);
        services.AddLogging();
        services.AddImagesCore();
        _provider = services.BuildServiceProvider();
        _cache = _provider.GetServices<IHostedService>().OfType<TableCache<Image>>().Single();
        await _cache.StartAsync(CancellationToken.None);
    }

    public async Task DisposeAsync()
    {
        await _cache.StopAsync(CancellationToken.None);
        await _provider.DisposeAsync();
        await Store.DisposeAsync();
    }

    internal static Image Wanted(Visibility visibility = Visibility.Private, string disk = "raw") => new()
    {
        Id = "", Owner = "", Name = "one", Status = ImageStatus.Queued, Visibility = visibility, DiskFormat = disk, ContainerFormat = "bare",
        CreatedAt = default, UpdatedAt = default,
    };

    internal Task<Image> CreateAsync(OperationContext operation, Image? wanted = null) =>
        Images.CreateAsync(operation, wanted ?? Wanted(), CancellationToken.None);

    internal async Task<Image> CreateActiveAsync(OperationContext operation, byte[] data, Image? wanted = null) =>
        await UploadAsync(operation, (await CreateAsync(operation, wanted)).Id, data);

    internal Task<Image> UploadAsync(OperationContext operation, string id, byte[] data, ExpectedData? expected = null) =>
        Uploads.UploadAsync(operation, id, new StreamSource(new MemoryStream(data)), expected ?? ExpectedData.Unknown, CancellationToken.None);

    internal async Task<List<string>> ListedAsync(OperationContext operation) =>
        [.. (await Images.ListAsync(operation, CancellationToken.None)).Where(operation.IsListed).Select(image => image.Id)];

    private static OperationContext Caller(string user, string project, params string[] roles) => new()
    {
        RequestId = "req-1", UserId = user, ProjectId = project, Roles = roles.ToFrozenSet(),
    };
}
