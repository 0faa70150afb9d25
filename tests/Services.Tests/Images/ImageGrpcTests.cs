using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Xunit;
using Wire = Nephos.Protos.Image.V1;

namespace Nephos.Services.Tests.Images;

public sealed class ImageGrpcTests(ImageHost host) : IClassFixture<ImageHost>
{
    private readonly Wire.Images.ImagesClient _images = new(host.Grpc);
    private readonly Wire.ImageBlocks.ImageBlocksClient _blocks = new(host.Grpc);

    [Fact]
    public async Task An_image_is_uploaded_and_downloaded_in_messages()
    {
        var data = Qcow2DiskTests.FullDisk(2_500_000);
        var image = await UploadAsync("raw", data);
        Assert.Equal((Wire.ImageStatus.Active, data.Length), (image.Status, (int)image.SizeBytes));
        using var download = _images.DownloadImage(new Wire.DownloadImageRequest { ImageId = image.Id, Offset = 10, Length = 2_000_000 }, ImageHost.As("alice"));
        var back = new MemoryStream();
        while (await download.ResponseStream.MoveNext(default))
        {
            back.Write(download.ResponseStream.Current.Data.Span);
        }
        Assert.Equal(data[10..2_000_010], back.ToArray());
    }

    [Fact]
    public async Task The_blocks_of_a_qcow2_image_are_those_that_a_guest_sees()
    {
        var disk = Qcow2DiskTests.SparseDisk(3 << 20, new Random(11));
        var image = await UploadAsync("qcow2", new Qcow2Builder { ClusterBits = 16 }.Build(disk, cluster => cluster % 2 == 0));
        Assert.Equal(disk.Length, image.VirtualSizeBytes);
        using var call = _blocks.ReadImageBlocks(new Wire.ReadImageBlocksRequest { ImageId = image.Id }, ImageHost.As("service"));
        Assert.True(await call.ResponseStream.MoveNext(default));
        Assert.Equal((disk.Length, 0), ((int)call.ResponseStream.Current.VirtualSizeBytes, call.ResponseStream.Current.Data.Length));
        var back = new byte[disk.Length];
        var last = false;
        while (await call.ResponseStream.MoveNext(default))
        {
            Assert.False(last);
            last = call.ResponseStream.Current.Last;
            call.ResponseStream.Current.Data.Span.CopyTo(back.AsSpan((int)call.ResponseStream.Current.OffsetBytes));
        }
        Assert.True(last);
        Assert.Equal(disk, back);
    }

    [Fact]
    public async Task Blocks_of_what_is_no_disk_are_refused()
    {
        var image = await UploadAsync("qcow2", Qcow2DiskTests.FullDisk(5000));
        Assert.Equal(StatusCode.InvalidArgument, await StatusOfBlocksAsync(image.Id, "service"));
        var vmdk = await UploadAsync("vmdk", new byte[5000]);
        Assert.Equal(StatusCode.InvalidArgument, await StatusOfBlocksAsync(vmdk.Id, "service"));
        var queued = await _images.CreateImageAsync(new Wire.CreateImageRequest { Name = "q" }, ImageHost.As("alice"));
        Assert.Equal(StatusCode.FailedPrecondition, await StatusOfBlocksAsync(queued.Id, "alice"));
        Assert.Equal(StatusCode.NotFound, await StatusOfBlocksAsync(queued.Id, "bob"));
    }

    [Fact]
    public async Task A_mask_says_what_an_update_changes()
    {
        var image = await _images.CreateImageAsync(
            new Wire.CreateImageRequest { Name = "old", Properties = { ["a"] = "1" }, Visibility = Wire.Visibility.Private }, ImageHost.As("alice"));
        image.Name = "new";
        image.Properties["a"] = "2";
        var changed = await _images.UpdateImageAsync(
            new Wire.UpdateImageRequest { Image = image, UpdateMask = new FieldMask { Paths = { "properties" } } }, ImageHost.As("alice"));
        Assert.Equal(("old", "2"), (changed.Name, changed.Properties["a"]));
        var refused = await Assert.ThrowsAsync<RpcException>(async () => await _images.UpdateImageAsync(
            new Wire.UpdateImageRequest { Image = image, UpdateMask = new FieldMask { Paths = { "status" } } }, ImageHost.As("alice")));
        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        Assert.Contains(
            image.Id, (await _images.ListImagesAsync(new Wire.ListImagesRequest { Name = "old" }, ImageHost.As("alice"))).Images.Select(found => found.Id));
        Assert.Empty((await _images.ListImagesAsync(new Wire.ListImagesRequest { Name = "old" }, ImageHost.As("bob"))).Images);
    }

    [Fact]
    public async Task An_upload_that_is_cut_leaves_the_image_queued()
    {
        var image = await _images.CreateImageAsync(
            new Wire.CreateImageRequest { Name = "cut", DiskFormat = "raw", ContainerFormat = "bare" }, ImageHost.As("alice"));
        using (var upload = _images.UploadImage(ImageHost.As("alice")))
        {
            await upload.RequestStream.WriteAsync(Header(image.Id, 100));
            await upload.RequestStream.WriteAsync(new Wire.UploadImageRequest { Data = ByteString.CopyFrom(new byte[60]) });
            await upload.RequestStream.CompleteAsync();
            Assert.Equal(StatusCode.InvalidArgument, (await Assert.ThrowsAsync<RpcException>(async () => await upload)).StatusCode);
        }
        var after = await _images.GetImageAsync(new Wire.GetImageRequest { ImageId = image.Id }, ImageHost.As("alice"));
        Assert.Equal((Wire.ImageStatus.Queued, 0), (after.Status, after.SizeBytes));
    }

    private async Task<Wire.Image> UploadAsync(string format, byte[] data)
    {
        var image = await _images.CreateImageAsync(
            new Wire.CreateImageRequest { Name = format, DiskFormat = format, ContainerFormat = "bare" }, ImageHost.As("alice"));
        using var upload = _images.UploadImage(ImageHost.As("alice"));
        await upload.RequestStream.WriteAsync(Header(image.Id, data.Length));
        foreach (var piece in data.Chunk(700_000))
        {
            await upload.RequestStream.WriteAsync(new Wire.UploadImageRequest { Data = ByteString.CopyFrom(piece) });
        }
        await upload.RequestStream.CompleteAsync();
        return await upload;
    }

    private async Task<StatusCode> StatusOfBlocksAsync(string id, string caller)
    {
        using var call = _blocks.ReadImageBlocks(new Wire.ReadImageBlocksRequest { ImageId = id }, ImageHost.As(caller));
        return (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(default))).StatusCode;
    }

    private static Wire.UploadImageRequest Header(string id, long sizeBytes) =>
        new() { Header = new Wire.UploadImageRequest.Types.Header { ImageId = id, SizeBytes = sizeBytes } };
}
