using System.Runtime.CompilerServices;
using Google.Protobuf;
using Grpc.Core;
using Nephos.BlockStorage.Devices;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Wire = Nephos.Protos.Image.V1;

namespace Nephos.BlockStorage.Images;

/// <summary>The image service, by its gRPC clients.</summary>
internal sealed class GrpcImages(Wire.Images.ImagesClient images, Wire.ImageBlocks.ImageBlocksClient blocks, ServiceCalls calls) : IImages
{
    private const int UploadBytes = 1 << 20;

    public async Task<ImageInfo?> FindAsync(OperationContext operation, string imageId, CancellationToken cancellationToken)
    {
        if (!Ids.IsUuid(imageId)) return null;
        try
        {
            var image = await images.GetImageAsync(new Wire.GetImageRequest { ImageId = imageId }, await ForUserAsync(operation, cancellationToken));
            return new ImageInfo(
                image.Id, image.Name, image.Status == Wire.ImageStatus.Active, image.DiskFormat, image.ContainerFormat, image.Md5, image.SizeBytes,
                image.VirtualSizeBytes, image.MinDiskGib, image.MinRamMib, new Dictionary<string, string>(image.Properties));
        }
        catch (FaultException fault) when (fault.Rule.Code == Protos.Errors.V1.Code.NotFound)
        {
            return null;
        }
    }

    public async Task<bool> ExistsAsync(string imageId, CancellationToken cancellationToken)
    {
        try
        {
            await images.GetImageAsync(new Wire.GetImageRequest { ImageId = imageId }, await calls.AsServiceAsync(cancellationToken));
            return true;
        }
        catch (FaultException fault) when (fault.Rule.Code == Protos.Errors.V1.Code.NotFound)
        {
            return false;
        }
    }

    public async Task<(long VirtualSizeBytes, IAsyncEnumerable<BlockChunk> Chunks)> ReadAsync(string imageId, CancellationToken cancellationToken)
    {
        var call = blocks.ReadImageBlocks(
            new Wire.ReadImageBlocksRequest { ImageId = imageId }, await calls.AsServiceAsync(cancellationToken, Timeout.InfiniteTimeSpan));
        if (!await call.ResponseStream.MoveNext(cancellationToken)) throw Faults.Unavailable($"The content of image {imageId} ended before it began.");
        return (call.ResponseStream.Current.VirtualSizeBytes, ChunksAsync(imageId, call, cancellationToken));
    }

    private static async IAsyncEnumerable<BlockChunk> ChunksAsync(
        string imageId, AsyncServerStreamingCall<Wire.ImageBlocksChunk> call, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using (call)
        {
            while (await call.ResponseStream.MoveNext(cancellationToken))
            {
                var chunk = call.ResponseStream.Current;
                if (chunk.Data.Length > 0) yield return new BlockChunk(chunk.OffsetBytes, chunk.Data.Memory);
                if (chunk.Last) yield break;
            }
        }
        throw Faults.Unavailable($"The content of image {imageId} ended before its end.");
    }

    public async IAsyncEnumerable<string> WatchActiveAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var call = images.WatchImages(new Wire.WatchImagesRequest(), await calls.AsServiceAsync(cancellationToken, Timeout.InfiniteTimeSpan));
        while (await call.ResponseStream.MoveNext(cancellationToken))
        {
            var change = call.ResponseStream.Current;
            if (change.Kind == Wire.ImageEvent.Types.Kind.Put && change.Image.Status == Wire.ImageStatus.Active) yield return change.Image.Id;
        }
    }

    public async Task CreateAsync(
        OperationContext operation, string imageId, string projectId, string name, string diskFormat, string containerFormat, string visibility, bool isProtected,
        IReadOnlyDictionary<string, string> properties, CancellationToken cancellationToken)
    {
        var request = new Wire.CreateImageRequest
        {
            Id = imageId,
            Name = name,
            DiskFormat = diskFormat,
            ContainerFormat = containerFormat,
            Protected = isProtected,
            Visibility = visibility switch
            {
                "" or "shared" => Wire.Visibility.Shared,
                "private" => Wire.Visibility.Private,
                "community" => Wire.Visibility.Community,
                "public" => Wire.Visibility.Public,
                _ => throw Faults.Invalid("visibility", "is none of private, shared, community, public"),
            },
            Owner = projectId == operation.ProjectId ? "" : projectId,
        };
        foreach (var (key, value) in properties) request.Properties[key] = value;
        await images.CreateImageAsync(request, await ForUserAsync(operation, cancellationToken));
    }

    public async Task DeleteAsync(string imageId, CancellationToken cancellationToken)
    {
        try
        {
            await images.DeleteImageAsync(new Wire.DeleteImageRequest { ImageId = imageId }, await calls.AsServiceAsync(cancellationToken));
        }
        catch (FaultException fault) when (fault.Rule.Code == Protos.Errors.V1.Code.NotFound)
        {
            // Somebody was faster.
        }
    }

    public async Task UploadAsync(string imageId, long sizeBytes, IAsyncEnumerable<BlockChunk> chunks, CancellationToken cancellationToken)
    {
        var image = await images.GetImageAsync(new Wire.GetImageRequest { ImageId = imageId }, await calls.AsServiceAsync(cancellationToken));
        if (image.Status is Wire.ImageStatus.Active or Wire.ImageStatus.Deactivated) return;
        if (image.Status == Wire.ImageStatus.Saving) throw Faults.Unavailable($"An earlier upload of image {imageId} has not ended yet.");
        using var call = images.UploadImage(await calls.AsServiceAsync(cancellationToken, Timeout.InfiniteTimeSpan));
        try
        {
            await call.RequestStream.WriteAsync(
                new Wire.UploadImageRequest { Header = new Wire.UploadImageRequest.Types.Header { ImageId = imageId, SizeBytes = sizeBytes } }, cancellationToken);
            var zeros = UnsafeByteOperations.UnsafeWrap(new byte[UploadBytes]);
            var position = 0L;
            await foreach (var chunk in chunks.WithCancellation(cancellationToken))
            {
                await SendZerosAsync(chunk.Offset);
                await call.RequestStream.WriteAsync(new Wire.UploadImageRequest { Data = UnsafeByteOperations.UnsafeWrap(chunk.Data) }, cancellationToken);
                position += chunk.Data.Length;
            }
            await SendZerosAsync(sizeBytes);
            await call.RequestStream.CompleteAsync();

            async Task SendZerosAsync(long until)
            {
                while (position < until)
                {
                    var count = (int)Math.Min(UploadBytes, until - position);
                    var data = count == UploadBytes ? zeros : ByteString.CopyFrom(zeros.Span[..count]);
                    await call.RequestStream.WriteAsync(new Wire.UploadImageRequest { Data = data }, cancellationToken);
                    position += count;
                }
            }
        }
        catch (RpcException)
        {
            // The image service has answered already: why is in the answer.
        }
        await call.ResponseAsync;
    }

    // With the user's own token and no voucher: what the user may not see is not there.
    private async ValueTask<CallOptions> ForUserAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        if (operation.Token.Length == 0 || operation.IsService) return await calls.AsServiceAsync(cancellationToken);
        var options = await calls.ForAsync(operation, cancellationToken);
        var headers = new Metadata();
        foreach (var entry in options.Headers!)
            if (entry.Key is "authorization" or "x-request-id") headers.Add(entry);
        return options.WithHeaders(headers);
    }
}
