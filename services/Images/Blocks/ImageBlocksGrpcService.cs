using Google.Protobuf;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Images.Catalog;
using Nephos.Images.Data;
using Nephos.Images.Formats;
using Wire = Nephos.Protos.Image.V1;

namespace Nephos.Images.Blocks;

/// <summary>The decoded content of images, for block storage.</summary>
internal sealed class ImageBlocksGrpcService(ImageDownloads downloads, IImageBlobs blobs, ImagesOptions options) : Wire.ImageBlocks.ImageBlocksBase
{
    public override async Task ReadImageBlocks(
        Wire.ReadImageBlocksRequest request, IServerStreamWriter<Wire.ImageBlocksChunk> responseStream, ServerCallContext context)
    {
        var cancellationToken = context.CancellationToken;
        var (image, data) = await downloads.OpenAsync(context.GetOperation(), request.ImageId, cancellationToken);
        try
        {
            var disk = await OpenAsync(image, data, cancellationToken);
            await responseStream.WriteAsync(new Wire.ImageBlocksChunk { VirtualSizeBytes = disk.VirtualSizeBytes }, cancellationToken);
            await foreach (var range in NonZeroRanges.ReadAsync(disk, cancellationToken))
            {
                // The message is serialized before WriteAsync completes, and only then is the buffer used again.
                await responseStream.WriteAsync(
                    new Wire.ImageBlocksChunk { OffsetBytes = range.OffsetBytes, Data = UnsafeByteOperations.UnsafeWrap(range.Data) }, cancellationToken);
            }
            await responseStream.WriteAsync(new Wire.ImageBlocksChunk { Last = true }, cancellationToken);
        }
        catch (InvalidDataException exception)
        {
            throw ImageFaults.BadContent(exception.Message);
        }
    }

    private async Task<IDisk> OpenAsync(Image image, ImageData data, CancellationToken cancellationToken)
    {
        if (image.ContainerFormat is "ova" or "ovf" or "docker" or "compressed")
        {
            throw ImageFaults.BadContent($"a container of format {image.ContainerFormat} is not a disk");
        }
        var file = new BlobReader(blobs, data.Key, data.SizeBytes);
        return image.DiskFormat switch
        {
            "qcow2" => await Qcow2Disk.OpenAsync(file, options.MaxVirtualBytes, cancellationToken),
            "raw" or "iso" or "ami" or "ari" or "aki" => new RawDisk(file),
            _ => throw ImageFaults.BadContent($"disks of format {image.DiskFormat} cannot be read; convert the image to qcow2 or raw"),
        };
    }
}
