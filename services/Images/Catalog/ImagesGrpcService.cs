using Google.Protobuf;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Images.Data;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Wire = Nephos.Protos.Image.V1;

namespace Nephos.Images.Catalog;

internal sealed class ImagesGrpcService(ImageService images, MemberService members, ImageUploads uploads, ImageDownloads downloads)
    : Wire.Images.ImagesBase
{
    public override async Task<Wire.Image> CreateImage(Wire.CreateImageRequest request, ServerCallContext context) =>
        (await images.CreateAsync(context.GetOperation(), ImageMapping.FromWire(request), context.CancellationToken)).ToWire();

    public override async Task<Wire.Image> GetImage(Wire.GetImageRequest request, ServerCallContext context) =>
        (await images.GetAsync(context.GetOperation(), request.ImageId, context.CancellationToken)).ToWire();

    public override async Task<Wire.ListImagesResponse> ListImages(Wire.ListImagesRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var visibility = ImageMapping.FromWire(request.Visibility);
        var status = ImageMapping.FromWire(request.Status);
        var all = await images.ListAsync(operation, context.CancellationToken);
        var page = Paging.Cut(
            all.Where(image =>
                (visibility is null ? operation.IsListed(image) : image.Visibility == visibility) &&
                (status is null || image.Status == status) &&
                (request.Name.Length == 0 || image.Name == request.Name) &&
                (request.Owner.Length == 0 || image.Owner == request.Owner)),
            image => image.Id, request.PageToken, request.PageSize);
        return new Wire.ListImagesResponse { Images = { page.Items.Select(ImageMapping.ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.Image> UpdateImage(Wire.UpdateImageRequest request, ServerCallContext context)
    {
        if (request.Image is not { } wanted || request.UpdateMask is not { Paths.Count: > 0 } mask)
        {
            throw Faults.Invalid("update_mask", "must name the fields of image that change");
        }
        return (await images.UpdateAsync(
            context.GetOperation(), wanted.Id, image => mask.Paths.Aggregate(image, (changed, path) => changed.With(path, wanted)),
            context.CancellationToken)).ToWire();
    }

    public override async Task<Wire.DeleteImageResponse> DeleteImage(Wire.DeleteImageRequest request, ServerCallContext context)
    {
        await images.DeleteAsync(context.GetOperation(), request.ImageId, context.CancellationToken);
        return new Wire.DeleteImageResponse();
    }

    public override async Task<Wire.Image> UploadImage(IAsyncStreamReader<Wire.UploadImageRequest> requestStream, ServerCallContext context)
    {
        if (!await requestStream.MoveNext(context.CancellationToken) || requestStream.Current.Header is not { } header)
        {
            throw Faults.Invalid("header", "must be the first message");
        }
        if (header.SizeBytes < 0)
        {
            throw Faults.Invalid("size_bytes", "must not be negative");
        }
        var expected = new ExpectedData(header.SizeBytes > 0 ? header.SizeBytes : null, header.Sha512.Length > 0 ? header.Sha512 : null);
        return (await uploads.UploadAsync(
            context.GetOperation(), header.ImageId, new MessageSource(requestStream), expected, context.CancellationToken)).ToWire();
    }

    public override async Task DownloadImage(
        Wire.DownloadImageRequest request, IServerStreamWriter<Wire.DownloadImageResponse> responseStream, ServerCallContext context)
    {
        var (_, data) = await downloads.OpenAsync(context.GetOperation(), request.ImageId, context.CancellationToken);
        if (request.Offset < 0 || request.Offset > data.SizeBytes || request.Length < 0)
        {
            throw Faults.Invalid("offset", $"the range must lie inside the {data.SizeBytes} bytes of the image");
        }
        var length = Math.Min(request.Length == 0 ? long.MaxValue : request.Length, data.SizeBytes - request.Offset);
        await foreach (var piece in downloads.ReadAsync(data, request.Offset, length, context.CancellationToken))
        {
            await responseStream.WriteAsync(new Wire.DownloadImageResponse { Data = UnsafeByteOperations.UnsafeWrap(piece) }, context.CancellationToken);
        }
    }

    public override async Task<Wire.Image> DeactivateImage(Wire.DeactivateImageRequest request, ServerCallContext context) =>
        (await images.DeactivateAsync(context.GetOperation(), request.ImageId, context.CancellationToken)).ToWire();

    public override async Task<Wire.Image> ReactivateImage(Wire.ReactivateImageRequest request, ServerCallContext context) =>
        (await images.ReactivateAsync(context.GetOperation(), request.ImageId, context.CancellationToken)).ToWire();

    public override async Task WatchImages(
        Wire.WatchImagesRequest request, IServerStreamWriter<Wire.ImageEvent> responseStream, ServerCallContext context)
    {
        await foreach (var change in images.WatchAsync(context.GetOperation(), context.CancellationToken))
        {
            await responseStream.WriteAsync(new Wire.ImageEvent
            {
                Kind = change.After is null ? Wire.ImageEvent.Types.Kind.Deleted : Wire.ImageEvent.Types.Kind.Put,
                Image = (change.After ?? change.Before)!.ToWire(),
            }, context.CancellationToken);
        }
    }

    public override async Task<Wire.Member> AddMember(Wire.AddMemberRequest request, ServerCallContext context) =>
        (await members.AddAsync(context.GetOperation(), request.ImageId, request.ProjectId, context.CancellationToken)).ToWire(request.ImageId);

    public override async Task<Wire.Member> UpdateMember(Wire.UpdateMemberRequest request, ServerCallContext context) =>
        (await members.SetStatusAsync(
            context.GetOperation(), request.ImageId, request.ProjectId, ImageMapping.ParseMemberStatus(request.Status), context.CancellationToken))
        .ToWire(request.ImageId);

    public override async Task<Wire.RemoveMemberResponse> RemoveMember(Wire.RemoveMemberRequest request, ServerCallContext context)
    {
        await members.RemoveAsync(context.GetOperation(), request.ImageId, request.ProjectId, context.CancellationToken);
        return new Wire.RemoveMemberResponse();
    }

    public override async Task<Wire.ListMembersResponse> ListMembers(Wire.ListMembersRequest request, ServerCallContext context)
    {
        var list = await members.ListAsync(context.GetOperation(), request.ImageId, context.CancellationToken);
        return new Wire.ListMembersResponse { Members = { list.Select(member => member.ToWire(request.ImageId)) } };
    }

    /// <summary>The data messages of an upload.</summary>
    private sealed class MessageSource(IAsyncStreamReader<Wire.UploadImageRequest> messages) : IByteSource
    {
        private const int MaxDataBytes = 1024 * 1024;

        private ReadOnlyMemory<byte> _rest;

        public async ValueTask<ReadOnlyMemory<byte>> ReadAsync(CancellationToken cancellationToken)
        {
            while (_rest.IsEmpty)
            {
                if (!await messages.MoveNext(cancellationToken))
                {
                    return default;
                }
                if (messages.Current.PartCase != Wire.UploadImageRequest.PartOneofCase.Data || messages.Current.Data.Length > MaxDataBytes)
                {
                    throw Faults.Invalid("data", $"every message after the header carries at most {MaxDataBytes} bytes of data");
                }
                _rest = messages.Current.Data.Memory;
            }
            var piece = _rest[..Math.Min(_rest.Length, IImageBlobs.MaxPieceBytes)];
            _rest = _rest[piece.Length..];
            return piece;
        }
    }
}
