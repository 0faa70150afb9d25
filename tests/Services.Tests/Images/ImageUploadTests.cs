using System.Security.Cryptography;
using Nephos.Images.Catalog;
using Nephos.Images.Data;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Images;

public sealed class ImageUploadTests : ImageCloud
{
    private static readonly byte[] Data = Qcow2DiskTests.FullDisk(1_500_000);

    [Fact]
    public async Task An_upload_makes_the_image_active_with_both_hashes_and_the_size()
    {
        var image = await CreateActiveAsync(Alice, Data);
        Assert.Equal(ImageStatus.Active, image.Status);
        Assert.Equal(Data.Length, image.Data!.SizeBytes);
        Assert.Equal(Data.Length, image.Data.VirtualSizeBytes);
        Assert.Equal(Convert.ToHexStringLower(MD5.HashData(Data)), image.Data.Md5);
        Assert.Equal(Convert.ToHexStringLower(SHA512.HashData(Data)), image.Data.Sha512);
        Assert.InRange(Blobs.LargestPieceBytes, 1, IImageBlobs.MaxPieceBytes);
        var (_, data) = await Downloads.OpenAsync(Alice, image.Id, default);
        var back = new MemoryStream();
        await foreach (var piece in Downloads.ReadAsync(data, 5, data.SizeBytes - 5, default))
        {
            back.Write(piece.Span);
        }
        Assert.Equal(Data[5..], back.ToArray());
    }

    [Fact]
    public async Task A_truncated_upload_leaves_a_queued_image_without_data()
    {
        var image = await CreateAsync(Alice);
        await RefusedAsync(image, Data, new ExpectedData(Data.Length + 1, null), ErrorReason.InvalidArgument);
    }

    [Fact]
    public async Task More_data_than_announced_is_refused() =>
        await RefusedAsync(await CreateAsync(Alice), Data, new ExpectedData(Data.Length - 1, null), ErrorReason.InvalidArgument);

    [Fact]
    public async Task A_wrong_checksum_leaves_a_queued_image_without_data() =>
        await RefusedAsync(await CreateAsync(Alice), Data, new ExpectedData(null, new string('0', 128)), ErrorReason.InvalidArgument);

    [Fact]
    public async Task A_qcow2_that_lacks_its_end_is_refused()
    {
        var whole = new Qcow2Builder().Build(Qcow2DiskTests.FullDisk(64 * 4096), _ => false);
        await RefusedAsync(await CreateAsync(Alice, Wanted(disk: "qcow2")), whole[..(whole.Length / 2)], ExpectedData.Unknown, ErrorReason.ImageContentRefused);
    }

    [Fact]
    public async Task A_qcow2_with_a_backing_file_is_refused()
    {
        var image = new Qcow2Builder().Build(new byte[4096], _ => false);
        image[15] = 0x70;
        await RefusedAsync(await CreateAsync(Alice, Wanted(disk: "qcow2")), image, ExpectedData.Unknown, ErrorReason.ImageContentRefused);
    }

    [Fact]
    public async Task A_store_that_fails_leaves_a_queued_image_that_takes_data_again()
    {
        var image = await CreateAsync(Alice);
        Blobs.WriteFailure = Faults.Unavailable("gone");
        await RefusedAsync(image, Data, ExpectedData.Unknown, ErrorReason.Unavailable);
        Blobs.WriteFailure = null;
        Assert.Equal(ImageStatus.Active, (await UploadAsync(Alice, image.Id, Data)).Status);
    }

    [Fact]
    public async Task Data_is_taken_once()
    {
        var image = await CreateActiveAsync(Alice, Data);
        var fault = await Assert.ThrowsAsync<FaultException>(() => UploadAsync(Alice, image.Id, Data));
        Assert.Equal(ErrorReason.Conflict, fault.Reason);
        Assert.Single(Blobs.Objects);
    }

    [Fact]
    public async Task Formats_must_be_known_before_data_comes()
    {
        var image = await CreateAsync(Alice, Wanted() with { DiskFormat = null });
        Assert.Equal(ErrorReason.InvalidArgument, (await Assert.ThrowsAsync<FaultException>(() => UploadAsync(Alice, image.Id, Data))).Reason);
    }

    [Fact]
    public async Task Data_over_the_limit_is_refused()
    {
        Options.MaxImageBytes = 1_000_000;
        await RefusedAsync(await CreateAsync(Alice), Data, ExpectedData.Unknown, ErrorReason.TooLarge);
    }

    [Fact]
    public async Task Bytes_over_the_quota_of_the_project_are_refused_and_given_back_by_a_delete()
    {
        Options.QuotaBytes = 2_000_000;
        var first = await CreateActiveAsync(Alice, Data);
        var second = await CreateAsync(Alice);
        await RefusedAsync(second, Data, ExpectedData.Unknown, ErrorReason.ImageLimitExceeded, objectsLeft: 1);
        await Images.DeleteAsync(Alice, first.Id, default);
        Assert.Equal(ImageStatus.Active, (await UploadAsync(Alice, second.Id, Data)).Status);
    }

    [Fact]
    public async Task An_image_deleted_under_its_upload_leaves_nothing()
    {
        var image = await CreateAsync(Alice);
        Blobs.Completed = () => Images.DeleteAsync(Alice, image.Id, default);
        var fault = await Assert.ThrowsAsync<FaultException>(() => UploadAsync(Alice, image.Id, Data));
        Assert.Equal(ErrorReason.ImageUploadLost, fault.Reason);
        await SettleAsync();
        Assert.Empty(Blobs.Objects);
        await Assert.ThrowsAsync<FaultException>(() => Images.GetAsync(Alice, image.Id, default));
    }

    [Fact]
    public async Task The_upload_of_a_killed_process_ends_with_its_lease()
    {
        var image = await CreateAsync(Alice);
        var lease = await Store.GrantLeaseAsync(Options.UploadLease, default);
        await Store.TransactAsync(async transaction =>
        {
            var found = await transaction.GetAsync(ImageTables.Images, image.Id, default);
            transaction.Put(ImageTables.Images, found! with { Status = ImageStatus.Saving, UploadId = "dead" });
            transaction.Insert(ImageTables.Uploads, new UploadMark("dead", image.Id), lease);
        }, default);
        Blobs.Objects[DataKeys.Of(image.Id, "dead")] = [1];

        await RunPassAsync();
        Assert.Equal(ImageStatus.Saving, (await Images.GetAsync(Alice, image.Id, default)).Status);

        var revision = await Store.GetRevisionAsync(default);
        Time.Advance(Options.UploadLease + TimeSpan.FromSeconds(2));
        await foreach (var batch in Store.WatchAsync("image/uploads", revision + 1, default))
        {
            if (batch.Events.Any(change => change.Entry is null))
            {
                break;
            }
        }
        await RunPassAsync();
        Assert.Equal(ImageStatus.Queued, (await Images.GetAsync(Alice, image.Id, default)).Status);
        Assert.Empty(Blobs.Objects);
        Assert.Equal(ImageStatus.Active, (await UploadAsync(Alice, image.Id, Data)).Status);
    }

    [Fact]
    public async Task A_write_that_ends_after_its_upload_was_given_up_is_removed_too()
    {
        var image = await CreateAsync(Alice);
        Blobs.WriteFailure = new InvalidOperationException("cut");
        await Assert.ThrowsAsync<InvalidOperationException>(() => UploadAsync(Alice, image.Id, Data));
        await RunPassAsync();
        var key = Assert.Single(await Store.ListAsync(ImageTables.Doomed, "", default)).Key;
        Blobs.Objects[key] = [1];
        await SettleAsync();
        Assert.Empty(Blobs.Objects);
    }

    [Fact]
    public async Task Data_that_cannot_be_removed_now_is_removed_later()
    {
        var image = await CreateActiveAsync(Alice, Data);
        await Images.DeleteAsync(Alice, image.Id, default);
        Blobs.DeleteFailure = Faults.Unavailable("gone");
        Assert.Equal(1, (await Reconciler.RunPassAsync(default)).ConsecutiveFailures);
        Assert.Single(Blobs.Objects);
        Blobs.DeleteFailure = null;
        await RunPassAsync();
        Assert.Empty(Blobs.Objects);
        Assert.Empty(await Store.ListAsync(ImageTables.Doomed, "", default));
    }

    private async Task RefusedAsync(Image image, byte[] data, ExpectedData expected, ErrorReason reason, int objectsLeft = 0)
    {
        var fault = await Assert.ThrowsAsync<FaultException>(() => UploadAsync(Alice, image.Id, data, expected));
        Assert.Equal(reason, fault.Reason);
        var after = await Images.GetAsync(Alice, image.Id, default);
        Assert.Equal((ImageStatus.Queued, null, null), (after.Status, after.Data, after.UploadId));
        await SettleAsync();
        Assert.Equal(objectsLeft, Blobs.Objects.Count);
    }

    private async Task RunPassAsync() => Assert.Equal(0, (await Reconciler.RunPassAsync(default)).ConsecutiveFailures);

    /// <summary>Until nothing is left to do.</summary>
    private async Task SettleAsync()
    {
        await RunPassAsync();
        Time.Advance(Options.TransferDeadline);
        await RunPassAsync();
        Assert.Empty(await Store.ListAsync(ImageTables.Doomed, "", default));
    }
}
