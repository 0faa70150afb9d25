using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Compute.Seams;

/// <param name="VirtualSizeBytes">What a guest sees; 0 when not known.</param>
/// <param name="Properties">The image's own and the free ones, by name.</param>
internal sealed record ImageRef(
    string Id,
    string Name,
    string Status,
    string Owner,
    string Visibility,
    long SizeBytes,
    long VirtualSizeBytes,
    long MinDiskGib,
    long MinRamMib,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt,
    IReadOnlyDictionary<string, string> Properties)
{
    public bool IsActive => Status == "active";
}

/// <summary>What this service needs of images. Calls with an operation are made on behalf of its user, the others by this service itself.</summary>
internal interface IImageApi
{
    /// <exception cref="FaultException">NotFound.</exception>
    Task<ImageRef> GetImageAsync(OperationContext operation, string imageId, CancellationToken cancellationToken);

    Task<IReadOnlyList<ImageRef>> ListImagesAsync(OperationContext operation, CancellationToken cancellationToken);

    /// <exception cref="FaultException">NotFound; Forbidden when protected.</exception>
    Task DeleteImageAsync(OperationContext operation, string imageId, CancellationToken cancellationToken);

    /// <summary>Sets the free properties of an image: these, and no others.</summary>
    /// <exception cref="FaultException">NotFound; Forbidden.</exception>
    Task ReplacePropertiesAsync(OperationContext operation, string imageId, IReadOnlyDictionary<string, string> properties, CancellationToken cancellationToken);

    /// <summary>The status of an image; null when it is gone.</summary>
    Task<string?> FindStatusAsync(string imageId, CancellationToken cancellationToken);

    /// <summary>Every image that a project owns.</summary>
    Task<IReadOnlyList<ImageRef>> ListImagesOfAsync(string projectId, CancellationToken cancellationToken);

    /// <summary>Deletes an image that this service had made; one that is gone is no error.</summary>
    Task DropImageAsync(string imageId, CancellationToken cancellationToken);
}
