using Nephos.Images.Catalog;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Images.Data;

/// <summary>Hands data out as it was uploaded.</summary>
internal sealed class ImageDownloads(ImageService images, IImageBlobs blobs)
{
    /// <summary>The image with its data, if the caller may read it.</summary>
    /// <exception cref="FaultException">NotFound, Forbidden, Conflict while there is no data.</exception>
    public async Task<(Image Image, ImageData Data)> OpenAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var image = await images.GetAsync(operation, id, cancellationToken);
        return (image, operation.RequireData(image));
    }

    /// <summary>A range of the data; pieces are valid until the next one is asked for.</summary>
    public IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(ImageData data, long offset, long length, CancellationToken cancellationToken) =>
        length == 0 ? AsyncEnumerable.Empty<ReadOnlyMemory<byte>>() : blobs.ReadAsync(data.Key, offset, length, cancellationToken);
}
