using Grpc.Core;
using Xunit;
using Wire = Nephos.Protos.ObjectStorage.V1;

namespace Nephos.Contract.Tests.Objects;

/// <summary>Following a bucket over gRPC, whichever face changes it.</summary>
public sealed class ObjectChangesTests(ObjectCloud cloud) : ObjectTests(cloud)
{
    private Wire.Buckets.BucketsClient Buckets => new(Cloud.Grpc);

    private Wire.ObjectChanges.ObjectChangesClient Changes => new(Cloud.Grpc);

    [Fact]
    public async Task Changes_of_any_face_are_followed_and_a_cursor_goes_on_where_it_was()
    {
        await MakeBucketAsync(kept: 10);
        await SwiftAsync("PUT", "/followed/before", Utf8("x"));
        string start;
        using (var watch = Watch(""))
        {
            start = (await NextAsync(watch)).Cursor;
            await SwiftAsync("PUT", "/followed/swift", Utf8("12345"));
            await S3Async("DELETE", "/followed/swift");
            await SwiftAsync("POST", "/followed/before", null, null, ("X-Object-Meta-Color", "red"));

            var written = await NextAsync(watch);
            Assert.Equal(("swift", 5L, Md5(Utf8("12345")), "null"), (written.Written.Key, written.Written.SizeBytes, written.Written.Etag, written.Written.VersionId));
            Assert.Equal("swift", (await NextAsync(watch)).RemovedKey);
            Assert.Equal("before", (await NextAsync(watch)).Written.Key);
        }

        using var again = Watch(start);
        Assert.Equal(start, (await NextAsync(again)).Cursor);
        Assert.Equal("swift", (await NextAsync(again)).Written.Key);
        var middle = (await NextAsync(again)).Cursor;

        using var rest = Watch(middle);
        await NextAsync(rest);
        Assert.Equal("before", (await NextAsync(rest)).Written.Key);
    }

    [Fact]
    public async Task Who_missed_changes_is_told_to_list_again()
    {
        await MakeBucketAsync(kept: 2);
        string start;
        using (var watch = Watch(""))
        {
            start = (await NextAsync(watch)).Cursor;
        }

        foreach (var key in new[] { "a", "b", "c" })
        {
            await SwiftAsync("PUT", $"/followed/{key}", Utf8("x"));
        }

        Assert.Equal(StatusCode.FailedPrecondition, await FailureAsync(start));
        Assert.Equal(StatusCode.InvalidArgument, await FailureAsync("later"));
        Assert.Equal(StatusCode.FailedPrecondition, await FailureAsync(start.Split('-')[0] + "-ffff"));

        var bucket = await Buckets.UpdateBucketAsync(
            new Wire.UpdateBucketRequest { Bucket = new Wire.Bucket { Name = "followed" }, UpdateMask = new() { Paths = { "changes_kept" } } }, Headers());
        Assert.Equal(0, bucket.ChangesKept);
        Assert.Equal(StatusCode.FailedPrecondition, await FailureAsync(""));
        Assert.Equal(StatusCode.NotFound, await FailureAsync("", "other"));
    }

    private async Task MakeBucketAsync(int kept)
    {
        await Buckets.CreateBucketAsync(new Wire.CreateBucketRequest { Name = "followed" }, Headers());
        var bucket = await Buckets.UpdateBucketAsync(
            new Wire.UpdateBucketRequest
            {
                Bucket = new Wire.Bucket { Name = "followed", ChangesKept = kept }, UpdateMask = new() { Paths = { "changes_kept" } },
            },
            Headers());
        Assert.Equal(kept, bucket.ChangesKept);
    }

    private Metadata Headers() => new() { { "authorization", $"Bearer {Member}" } };

    private AsyncServerStreamingCall<Wire.ObjectChange> Watch(string cursor, string bucket = "followed") =>
        Changes.WatchObjects(new Wire.WatchObjectsRequest { Bucket = bucket, Cursor = cursor }, Headers());

    /// <summary>The service looks again when its clock has moved on.</summary>
    private async Task<Wire.ObjectChange> NextAsync(AsyncServerStreamingCall<Wire.ObjectChange> watch)
    {
        var next = watch.ResponseStream.MoveNext();
        while (await Task.WhenAny(next, Task.Delay(20)) != next)
        {
            Cloud.Time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.True(await next);
        return watch.ResponseStream.Current;
    }

    private async Task<StatusCode> FailureAsync(string cursor, string bucket = "followed")
    {
        using var watch = Watch(cursor, bucket);
        return (await Assert.ThrowsAsync<RpcException>(() => NextAsync(watch))).StatusCode;
    }
}
