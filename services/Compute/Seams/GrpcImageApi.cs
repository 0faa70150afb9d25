using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;
using Wire = Nephos.Protos.Image.V1;

namespace Nephos.Compute.Seams;

/// <summary>The image service, by its gRPC client.</summary>
internal sealed class GrpcImageApi(Wire.Images.ImagesClient images, ServiceCalls calls) : IImageApi
{
    private const int PageItems = 1000;

    public async Task<ImageRef> GetImageAsync(OperationContext operation, string imageId, CancellationToken cancellationToken) =>
        ToRef(await GetAsync(operation, imageId, cancellationToken));

    public Task<IReadOnlyList<ImageRef>> ListImagesAsync(OperationContext operation, CancellationToken cancellationToken) =>
        ListAsync(new Wire.ListImagesRequest(), () => calls.WithUserRightsAsync(operation, cancellationToken));

    public Task<IReadOnlyList<ImageRef>> ListImagesOfAsync(string projectId, CancellationToken cancellationToken) =>
        ListAsync(new Wire.ListImagesRequest { Owner = projectId }, () => calls.AsServiceAsync(cancellationToken));

    public async Task<string?> FindStatusAsync(string imageId, CancellationToken cancellationToken)
    {
        try
        {
            return ToRef(await images.GetImageAsync(new Wire.GetImageRequest { ImageId = imageId }, await calls.AsServiceAsync(cancellationToken))).Status;
        }
        catch (FaultException fault) when (fault.Rule.Code == Code.NotFound)
        {
            return null;
        }
    }

    private async Task<IReadOnlyList<ImageRef>> ListAsync(Wire.ListImagesRequest request, Func<ValueTask<CallOptions>> options)
    {
        var all = new List<ImageRef>();
        request.PageSize = PageItems;
        do
        {
            var page = await images.ListImagesAsync(request, await options());
            all.AddRange(page.Images.Select(ToRef));
            request.PageToken = page.NextPageToken;
        }
        while (request.PageToken.Length > 0);
        return all;
    }

    public async Task DeleteImageAsync(OperationContext operation, string imageId, CancellationToken cancellationToken) =>
        await images.DeleteImageAsync(new Wire.DeleteImageRequest { ImageId = Known(imageId) }, await calls.WithUserRightsAsync(operation, cancellationToken));

    public async Task ReplacePropertiesAsync(
        OperationContext operation, string imageId, IReadOnlyDictionary<string, string> properties, CancellationToken cancellationToken) =>
        await images.UpdateImageAsync(
            new Wire.UpdateImageRequest
            {
                Image = new Wire.Image { Id = Known(imageId), Properties = { properties.ToDictionary() } },
                UpdateMask = new FieldMask { Paths = { "properties" } },
            },
            await calls.WithUserRightsAsync(operation, cancellationToken));

    public Task DropImageAsync(string imageId, CancellationToken cancellationToken) => Gone.IsFineAsync(async () =>
        await images.DeleteImageAsync(new Wire.DeleteImageRequest { ImageId = imageId }, await calls.AsServiceAsync(cancellationToken)));

    private async Task<Wire.Image> GetAsync(OperationContext operation, string imageId, CancellationToken cancellationToken) =>
        await images.GetImageAsync(new Wire.GetImageRequest { ImageId = Known(imageId) }, await calls.WithUserRightsAsync(operation, cancellationToken));

    private static string Known(string imageId) =>
        Ids.IsUuid(imageId) ? imageId : throw new FaultException(ErrorReason.NotFound, "Image not found.");

    private static ImageRef ToRef(Wire.Image image) => new(
        image.Id,
        image.Name,
        image.Status switch
        {
            Wire.ImageStatus.Queued => "queued",
            Wire.ImageStatus.Saving => "saving",
            Wire.ImageStatus.Active => "active",
            Wire.ImageStatus.Deactivated => "deactivated",
            Wire.ImageStatus.Killed => "killed",
            _ => "unknown",
        },
        image.Owner,
        image.Visibility.ToString().ToLowerInvariant(),
        image.SizeBytes,
        image.VirtualSizeBytes,
        image.MinDiskGib,
        image.MinRamMib,
        image.CreatedAt?.ToDateTimeOffset() ?? default,
        image.UpdatedAt?.ToDateTimeOffset() ?? default,
        image.Properties);
}
