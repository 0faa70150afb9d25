using Nephos.BlockStorage.Devices;
using Nephos.Kernel.Operations;

namespace Nephos.BlockStorage.Images;

/// <param name="VirtualSizeBytes">0 when not known before it is read.</param>
internal sealed record ImageInfo(
    string Id, string Name, bool Active, string DiskFormat, string ContainerFormat, string Checksum, long SizeBytes, long VirtualSizeBytes, long MinDiskGib,
    long MinRamMib, IReadOnlyDictionary<string, string> Properties);

/// <summary>What this service needs of the image service.</summary>
internal interface IImages
{
    /// <summary>An image that the caller may see; null when there is none.</summary>
    Task<ImageInfo?> FindAsync(OperationContext operation, string imageId, CancellationToken cancellationToken);

    /// <summary>Whether the image exists at all; asked by this service itself.</summary>
    Task<bool> ExistsAsync(string imageId, CancellationToken cancellationToken);

    /// <summary>The content as a guest sees it: its size, and ascending ranges that are not zero.</summary>
    Task<(long VirtualSizeBytes, IAsyncEnumerable<BlockChunk> Chunks)> ReadAsync(string imageId, CancellationToken cancellationToken);

    /// <summary>Ids of images as they become active; all there are first. Runs until cancelled or the image service goes away.</summary>
    IAsyncEnumerable<string> WatchActiveAsync(CancellationToken cancellationToken);

    /// <summary>Makes the record of an image to be uploaded, in the name of the caller, under an id of the caller's choice.</summary>
    Task CreateAsync(
        OperationContext operation, string imageId, string projectId, string name, string diskFormat, string containerFormat, string visibility, bool isProtected,
        IReadOnlyDictionary<string, string> properties, CancellationToken cancellationToken);

    /// <summary>Deletes an image that was never filled; one that is gone is no error.</summary>
    Task DeleteAsync(string imageId, CancellationToken cancellationToken);

    /// <summary>Uploads ascending ranges, with zeros between them; the image is active when it returns. An image that has its data already is
    /// left as it is.</summary>
    /// <exception cref="Kernel.Errors.FaultException">Unavailable while an upload that has died is not yet known to be dead.</exception>
    Task UploadAsync(string imageId, long sizeBytes, IAsyncEnumerable<BlockChunk> chunks, CancellationToken cancellationToken);
}
