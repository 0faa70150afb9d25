using Nephos.Images.Catalog;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Images;

public sealed class ImageServiceTests : ImageCloud
{
    [Fact]
    public async Task A_private_image_does_not_exist_for_another_project()
    {
        var image = await CreateAsync(Alice);
        Assert.Equal(ErrorReason.NotFound, await ReasonAsync(() => Images.GetAsync(Bob, image.Id, default)));
        Assert.Equal(ErrorReason.NotFound, await ReasonAsync(() => Images.DeleteAsync(Bob, image.Id, default)));
        Assert.Equal(ErrorReason.NotFound, await ReasonAsync(() => Images.UpdateAsync(Bob, image.Id, i => i with { Name = "x" }, default)));
        Assert.Empty(await ListedAsync(Bob));
        Assert.Equal([image.Id], await ListedAsync(Admin));
    }

    [Fact]
    public async Task A_public_image_is_seen_by_all_and_changed_by_its_owner_only()
    {
        Assert.Equal(ErrorReason.Forbidden, await ReasonAsync(() => CreateAsync(Alice, Wanted(Visibility.Public))));
        var image = await CreateAsync(Admin, Wanted(Visibility.Public));
        Assert.Equal([image.Id], await ListedAsync(Bob));
        Assert.Equal(ErrorReason.Forbidden, await ReasonAsync(() => Images.DeleteAsync(Bob, image.Id, default)));
        Assert.Equal(ErrorReason.Forbidden, await ReasonAsync(() => UploadAsync(Bob, image.Id, [1])));
    }

    [Fact]
    public async Task A_community_image_is_found_by_its_id_and_not_listed()
    {
        var image = await CreateAsync(Alice, Wanted(Visibility.Community));
        Assert.Equal(image.Id, (await Images.GetAsync(Bob, image.Id, default)).Id);
        Assert.Empty(await ListedAsync(Bob));
        Assert.Equal([image.Id], await ListedAsync(Alice));
    }

    [Fact]
    public async Task A_shared_image_is_listed_once_its_member_accepts()
    {
        var image = await CreateAsync(Alice, Wanted(Visibility.Shared));
        Assert.Equal(ErrorReason.NotFound, await ReasonAsync(() => Images.GetAsync(Bob, image.Id, default)));
        Assert.Equal(MemberStatus.Pending, (await Members.AddAsync(Alice, image.Id, "project-b", default)).Status);
        Assert.Equal(image.Id, (await Images.GetAsync(Bob, image.Id, default)).Id);
        Assert.Empty(await ListedAsync(Bob));
        Assert.Equal(ErrorReason.Forbidden, await ReasonAsync(() => Members.SetStatusAsync(Alice, image.Id, "project-b", MemberStatus.Accepted, default)));
        await Members.SetStatusAsync(Bob, image.Id, "project-b", MemberStatus.Accepted, default);
        Assert.Equal([image.Id], await ListedAsync(Bob));
        Assert.Equal(ErrorReason.Forbidden, await ReasonAsync(() => Members.AddAsync(Bob, image.Id, "project-c", default)));
        Assert.Equal(ErrorReason.AlreadyExists, await ReasonAsync(() => Members.AddAsync(Alice, image.Id, "project-b", default)));
        await Members.RemoveAsync(Alice, image.Id, "project-b", default);
        Assert.Equal(ErrorReason.NotFound, await ReasonAsync(() => Images.GetAsync(Bob, image.Id, default)));
    }

    [Fact]
    public async Task A_member_learns_of_itself_and_not_of_others()
    {
        var image = await CreateAsync(Alice, Wanted(Visibility.Shared));
        await Members.AddAsync(Alice, image.Id, "project-b", default);
        await Members.AddAsync(Alice, image.Id, "project-c", default);
        Assert.Equal(["project-b", "project-c"], (await Members.ListAsync(Alice, image.Id, default)).Select(member => member.ProjectId));
        Assert.Equal(["project-b"], (await Members.ListAsync(Bob, image.Id, default)).Select(member => member.ProjectId));
    }

    [Fact]
    public async Task Only_shared_images_have_members() =>
        Assert.Equal(ErrorReason.Forbidden, await ReasonAsync(async () => await Members.AddAsync(Alice, (await CreateAsync(Alice)).Id, "project-b", default)));

    [Fact]
    public async Task A_protected_image_is_not_deleted()
    {
        var image = await CreateAsync(Alice, Wanted() with { Protected = true });
        Assert.Equal(ErrorReason.Forbidden, await ReasonAsync(() => Images.DeleteAsync(Alice, image.Id, default)));
        await Images.UpdateAsync(Alice, image.Id, i => i with { Protected = false }, default);
        await Images.DeleteAsync(Alice, image.Id, default);
        Assert.Equal(ErrorReason.NotFound, await ReasonAsync(() => Images.DeleteAsync(Alice, image.Id, default)));
    }

    [Fact]
    public async Task A_deactivated_image_keeps_its_data_from_users()
    {
        var image = await CreateActiveAsync(Alice, [1, 2, 3]);
        await Images.DeactivateAsync(Alice, image.Id, default);
        Assert.Equal(ErrorReason.Forbidden, await ReasonAsync(() => Downloads.OpenAsync(Alice, image.Id, default)));
        Assert.Equal(3, (await Downloads.OpenAsync(Admin, image.Id, default)).Data.SizeBytes);
        await Images.ReactivateAsync(Alice, image.Id, default);
        Assert.Equal(3, (await Downloads.OpenAsync(Alice, image.Id, default)).Data.SizeBytes);
        Assert.Equal(ErrorReason.Forbidden, await ReasonAsync(async () => await Images.DeactivateAsync(Alice, (await CreateAsync(Alice)).Id, default)));
    }

    [Fact]
    public async Task Readers_change_nothing()
    {
        var image = await CreateAsync(Alice);
        Assert.Equal(ErrorReason.Forbidden, await ReasonAsync(() => CreateAsync(Reader)));
        Assert.Equal(ErrorReason.Forbidden, await ReasonAsync(() => Images.DeleteAsync(Reader, image.Id, default)));
        Assert.Equal(image.Id, (await Images.GetAsync(Reader, image.Id, default)).Id);
    }

    [Fact]
    public async Task Formats_do_not_change_under_data()
    {
        var image = await CreateAsync(Alice);
        await Images.UpdateAsync(Alice, image.Id, i => i with { DiskFormat = "qcow2" }, default);
        await Images.UpdateAsync(Alice, image.Id, i => i with { DiskFormat = "raw" }, default);
        await UploadAsync(Alice, image.Id, [1]);
        Assert.Equal(ErrorReason.Forbidden, await ReasonAsync(() => Images.UpdateAsync(Alice, image.Id, i => i with { DiskFormat = "qcow2" }, default)));
    }

    [Fact]
    public async Task The_owner_of_an_image_is_changed_by_administrators_and_the_quotas_follow()
    {
        var image = await CreateActiveAsync(Alice, [1, 2, 3]);
        Assert.Equal(ErrorReason.Forbidden, await ReasonAsync(() => Images.UpdateAsync(Alice, image.Id, i => i with { Owner = "project-b" }, default)));
        await Images.UpdateAsync(Admin, image.Id, i => i with { Owner = "project-b" }, default);
        Assert.Equal(new ProjectUsage("project-a", 0, 0), await Store.GetAsync(ImageTables.Usage, "project-a", default));
        Assert.Equal(new ProjectUsage("project-b", 1, 3), await Store.GetAsync(ImageTables.Usage, "project-b", default));
    }

    [Fact]
    public async Task An_id_is_taken_once_and_the_same_request_makes_one_image()
    {
        var id = Ids.NewUuid();
        await CreateAsync(Alice, Wanted() with { Id = id });
        Assert.Equal(ErrorReason.AlreadyExists, await ReasonAsync(() => CreateAsync(Alice, Wanted() with { Id = id })));
        Assert.Equal(ErrorReason.InvalidArgument, await ReasonAsync(() => CreateAsync(Alice, Wanted() with { Id = "7" })));
        var first = await CreateAsync(Alice, Wanted() with { IdempotencyKey = "k" });
        Assert.Equal(first.Id, (await CreateAsync(Alice, Wanted() with { IdempotencyKey = "k" })).Id);
        Assert.NotEqual(first.Id, (await CreateAsync(Bob, Wanted() with { IdempotencyKey = "k" })).Id);
    }

    [Fact]
    public async Task Two_creates_for_the_last_place_of_a_quota_give_one_image()
    {
        Options.QuotaImages = 1;
        var results = await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ => await ReasonOrNullAsync(() => CreateAsync(Alice))));
        Assert.Equal(1, results.Count(reason => reason is null));
        Assert.Equal(7, results.Count(reason => reason == ErrorReason.ImageLimitExceeded));
    }

    [Theory]
    [InlineData("not-a-uuid")]
    [InlineData("")]
    [InlineData("00000000-0000-0000-0000-000000000000")]
    public async Task An_id_that_names_nothing_is_not_found(string id) =>
        Assert.Equal(ErrorReason.NotFound, await ReasonAsync(() => Images.GetAsync(Alice, id, default)));

    [Fact]
    public async Task What_a_record_may_hold_is_bounded()
    {
        async Task<ErrorReason> Of(Func<Image, Image> change) => await ReasonAsync(() => CreateAsync(Alice, change(Wanted())));
        Assert.Equal(ErrorReason.InvalidArgument, await Of(i => i with { Name = new string('n', 256) }));
        Assert.Equal(ErrorReason.InvalidArgument, await Of(i => i with { DiskFormat = "wrong" }));
        Assert.Equal(ErrorReason.InvalidArgument, await Of(i => i with { ContainerFormat = "wrong" }));
        Assert.Equal(ErrorReason.InvalidArgument, await Of(i => i with { DiskFormat = "ami", ContainerFormat = "aki" }));
        Assert.Equal(ErrorReason.InvalidArgument, await Of(i => i with { MinDiskGib = -1 }));
        Assert.Equal(ErrorReason.InvalidArgument, await Of(i => i with { Tags = [new string('t', 256)] }));
        Assert.Equal(ErrorReason.ImageLimitExceeded, await Of(i => i with { Tags = [.. Enumerable.Range(0, 129).Select(n => $"{n}")] }));
        Assert.Equal(ErrorReason.ImageLimitExceeded, await Of(i => i with { Properties = Enumerable.Range(0, 129).ToDictionary(n => $"{n}", n => "") }));
        Assert.Equal(ErrorReason.Forbidden, await Of(i => i with { Properties = new Dictionary<string, string> { ["os_glance_x"] = "" } }));
        Assert.Equal(ErrorReason.InvalidArgument, await Of(i => i with { Properties = new Dictionary<string, string> { ["kernel_id"] = "abc" } }));
    }

    [Fact]
    public async Task A_watch_tells_when_an_image_can_no_longer_be_seen()
    {
        var image = await CreateAsync(Admin, Wanted(Visibility.Public));
        await Images.ListAsync(Admin, default);
        await using var watch = Images.WatchAsync(Bob, default).GetAsyncEnumerator();
        Assert.True(await watch.MoveNextAsync());
        Assert.Equal(image.Id, watch.Current.After!.Id);
        await Images.UpdateAsync(Admin, image.Id, i => i with { Visibility = Visibility.Private }, default);
        Assert.True(await watch.MoveNextAsync());
        Assert.Null(watch.Current.After);
        Assert.Equal(image.Id, watch.Current.Before!.Id);
    }

    private static async Task<ErrorReason> ReasonAsync(Func<Task> call) => (await Assert.ThrowsAsync<FaultException>(call)).Reason;

    private static async Task<ErrorReason?> ReasonOrNullAsync(Func<Task> call)
    {
        try
        {
            await call();
            return null;
        }
        catch (FaultException fault)
        {
            return fault.Reason;
        }
    }
}
