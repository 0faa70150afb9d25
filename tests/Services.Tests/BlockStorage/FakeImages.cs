using System.Runtime.CompilerServices;
using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Images;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Services.Tests.BlockStorage;

/// <summary>Images that are lists of chunks.</summary>
internal sealed class FakeImages : IImages
{
    private readonly Dictionary<string, (ImageInfo Info, string Project, List<BlockChunk> Chunks)> _images = [];

    public int Reads { get; private set; }

    public Dictionary<string, (long Size, List<BlockChunk> Chunks)> Uploads { get; } = [];

    public Dictionary<string, string> Formats { get; } = [];

    /// <summary>Thrown by making an image.</summary>
    public Action? CreateFault { get; set; }

    /// <summary>Thrown by filling one.</summary>
    public Action? UploadFault { get; set; }

    public string Add(string project, long virtualSizeBytes, params BlockChunk[] chunks)
    {
        var id = Ids.NewUuid();
        Put(id, project, virtualSizeBytes, chunks);
        return id;
    }

    private void Put(string id, string project, long virtualSizeBytes, params BlockChunk[] chunks) =>
        _images[id] = (
            new ImageInfo(id, "linux", Active: true, "qcow2", "bare", "5eb63bbbe01eeed093cb22bb8f5acdc3", 1000, virtualSizeBytes, 0, 64,
                new Dictionary<string, string> { ["hw_disk_bus"] = "virtio" }),
            project, [.. chunks]);

    public void Remove(string id) => _images.Remove(id);

    public Task<ImageInfo?> FindAsync(OperationContext operation, string imageId, CancellationToken cancellationToken) =>
        Task.FromResult(_images.TryGetValue(imageId, out var image) && operation.CanSee(image.Project) ? image.Info : null);

    public Task<bool> ExistsAsync(string imageId, CancellationToken cancellationToken) => Task.FromResult(_images.ContainsKey(imageId));

    public Task<(long VirtualSizeBytes, IAsyncEnumerable<BlockChunk> Chunks)> ReadAsync(string imageId, CancellationToken cancellationToken)
    {
        Reads++;
        var image = _images.TryGetValue(imageId, out var found) ? found : throw Faults.NotFound("Image", imageId);
        return Task.FromResult((image.Info.VirtualSizeBytes, ToAsync(image.Chunks)));
    }

    private static async IAsyncEnumerable<BlockChunk> ToAsync(List<BlockChunk> chunks)
    {
        foreach (var chunk in chunks)
        {
            await Task.Yield();
            yield return chunk;
        }
    }

    public async IAsyncEnumerable<string> WatchActiveAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var id in _images.Keys.ToList()) yield return id;
        await Task.Delay(Timeout.Infinite, cancellationToken);
    }

    public Task CreateAsync(
        OperationContext operation, string imageId, string projectId, string name, string diskFormat, string containerFormat, string visibility, bool isProtected,
        IReadOnlyDictionary<string, string> properties, CancellationToken cancellationToken)
    {
        CreateFault?.Invoke();
        Put(imageId, projectId, 0);
        Formats[imageId] = diskFormat;
        return Task.CompletedTask;
    }

    public Task DeleteAsync(string imageId, CancellationToken cancellationToken)
    {
        Remove(imageId);
        return Task.CompletedTask;
    }

    public async Task UploadAsync(string imageId, long sizeBytes, IAsyncEnumerable<BlockChunk> chunks, CancellationToken cancellationToken)
    {
        UploadFault?.Invoke();
        var all = new List<BlockChunk>();
        await foreach (var chunk in chunks.WithCancellation(cancellationToken)) all.Add(chunk);
        Uploads[imageId] = (sizeBytes, all);
    }
}
