using Nephos.Client.Objects;
using Xunit;
using static Nephos.StorageEngine.Tests.Objects.EngineFixture;

namespace Nephos.StorageEngine.Tests.Objects;

public sealed class ObjectEngineTests : IAsyncLifetime
{
    private readonly EngineFixture _fixture = new();

    public Task InitializeAsync() => _fixture.OpenAsync();

    public async Task DisposeAsync() => await _fixture.DisposeAsync();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(4097)]
    [InlineData(1_048_576)]
    [InlineData(1_048_577)]
    [InlineData(9_000_000)]
    public async Task An_object_reads_back_also_after_a_restart(int length)
    {
        await _fixture.CreateBucketAsync();
        var content = Bytes(length);
        Assert.True((await _fixture.PutAsync("key", content)).IsOk);

        Assert.Equal(content, await _fixture.GetAsync("key"));
        await _fixture.ReopenAsync();
        Assert.Equal(content, await _fixture.GetAsync("key"));
        Assert.Equal(new Usage(1, length, 0, 0), await _fixture.UsageAsync());
    }

    [Fact]
    public async Task Any_range_of_a_large_object_reads_back()
    {
        await _fixture.CreateBucketAsync();
        var content = Bytes(7_000_000);
        var payload = (await _fixture.PutAsync("key", content)).Value!.Payload;
        Assert.True(payload.Extents.Length > 2);
        var random = new Random(5);
        for (var n = 0; n < 50; n++)
        {
            var offset = random.Next(content.Length);
            var length = random.Next(content.Length - offset + 1);
            Assert.Equal(content.AsSpan(offset, length).ToArray(), await _fixture.ReadAsync(payload, offset, length));
        }
    }

    [Fact]
    public async Task Of_many_conditional_creations_at_once_exactly_one_wins()
    {
        await _fixture.CreateBucketAsync();
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 50).Select(n => Task.Run(() =>
            _fixture.PutAsync("key", Bytes(100 + n), new WriteConditions { MustNotExist = true }))));

        Assert.Single(outcomes, o => o.IsOk);
        Assert.Equal(49, outcomes.Count(o => o.Status == EngineStatus.PreconditionFailed));
        Assert.Equal(outcomes.Single(o => o.IsOk).Value!.SizeBytes, (await _fixture.GetAsync("key"))!.Length);
        Assert.Equal(1, (await _fixture.UsageAsync()).Objects);
    }

    [Fact]
    public async Task Concurrent_updates_by_etag_lose_nothing()
    {
        await _fixture.CreateBucketAsync();
        await _fixture.PutAsync("counter", [0]);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            for (var done = 0; done < 5;)
            {
                var record = (await _fixture.Names.GetObjectAsync(Bucket, "counter", default, CancellationToken.None)).Value!;
                var next = record.Payload.Inline.Length + 1;
                done += (await _fixture.PutAsync("counter", new byte[next], new WriteConditions { ETagIn = [record.ETag] })).IsOk ? 1 : 0;
            }
        })));

        Assert.Equal(41, (await _fixture.GetAsync("counter"))!.Length);
    }

    [Fact]
    public async Task A_replaced_object_gives_its_space_back()
    {
        await _fixture.CreateBucketAsync();
        await _fixture.PutAsync("key", Bytes(3_000_000));
        var old = (await _fixture.Names.GetObjectAsync(Bucket, "key", default, CancellationToken.None)).Value!.Payload;
        await _fixture.PutAsync("key", Bytes(10));

        await _fixture.WaitUntilAsync(s => s.BlobsToRemove == 0 && s.Devices.Sum(d => d.LiveBytes) == 0, "no live bytes");
        Assert.Equal(EngineFailure.Released, (await Assert.ThrowsAsync<ObjectEngineException>(() => _fixture.ReadAsync(old))).Failure);
        Assert.Equal(new Usage(1, 10, 0, 0), await _fixture.UsageAsync());
    }

    [Fact]
    public async Task A_refused_write_leaves_nothing_behind()
    {
        await _fixture.CreateBucketAsync();
        await _fixture.PutAsync("key", Bytes(10));
        Assert.Equal(
            EngineStatus.PreconditionFailed,
            (await _fixture.PutAsync("key", Bytes(2_000_000), new WriteConditions { ETagIn = ["other"] })).Status);

        await _fixture.WaitUntilAsync(s => s.Devices.Sum(d => d.LiveBytes) == 0, "no live bytes");
        Assert.Equal(Bytes(10), await _fixture.GetAsync("key"));
    }

    [Fact]
    public async Task An_abandoned_payload_is_discarded()
    {
        await using (var writer = _fixture.Engine.Payloads.OpenWriter(new PayloadOptions { Bucket = Bucket, Key = "k" }))
        {
            await writer.WriteAsync(Bytes(5_000_000), CancellationToken.None);
        }

        await _fixture.WaitUntilAsync(s => s.Devices.Sum(d => d.LiveBytes) == 0, "no live bytes");
    }

    [Fact]
    public async Task A_quota_is_exact_under_concurrency()
    {
        await _fixture.CreateBucketAsync(quota: new Quota(1000, null));
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 40).Select(n => Task.Run(() => _fixture.PutAsync($"k{n}", Bytes(100)))));

        Assert.Equal(10, outcomes.Count(o => o.IsOk));
        Assert.Equal(30, outcomes.Count(o => o.Status == EngineStatus.QuotaExceeded));
        Assert.Equal(new Usage(10, 1000, 0, 0), await _fixture.UsageAsync());
        Assert.True((await _fixture.PutAsync(outcomes.First(o => o.IsOk).Value!.Key, Bytes(100))).IsOk);
    }

    [Fact]
    public async Task Buckets_and_accounts_count_and_list()
    {
        foreach (var name in (string[])["b", "a", "c/1", "c/2"])
        {
            await _fixture.CreateBucketAsync(name: new BucketName("account", name));
            await _fixture.PutAsync("k", Bytes(100), bucket: new BucketName("account", name));
        }

        Assert.Equal(EngineStatus.BucketExists, (await _fixture.Names.CreateBucketAsync(
            new BucketRecord { Name = new BucketName("account", "a") }, CancellationToken.None)).Status);
        var account = (await _fixture.Names.GetAccountAsync("account", CancellationToken.None)).Value!;
        Assert.Equal((4, new Usage(4, 400, 0, 0)), (account.Buckets, account.Usage));
        Assert.Equal(["a", "b", "c/1", "c/2"], await NamesAsync(new ListBuckets { Account = "account" }));
        Assert.Equal(["a", "b", "c/"], await NamesAsync(new ListBuckets { Account = "account", Delimiter = "/" }));
        Assert.Equal(["c/2", "c/1"], await NamesAsync(new ListBuckets { Account = "account", Reverse = true, Limit = 2 }));
        Assert.Equal(["b"], await NamesAsync(new ListBuckets { Account = "account", Marker = "a", EndMarker = "c" }));

        var b = new BucketName("account", "b");
        Assert.Equal(EngineStatus.BucketNotEmpty, await _fixture.Names.DeleteBucketAsync(b, CancellationToken.None));
        await _fixture.Names.DeleteObjectAsync(new DeleteObject { Bucket = b, Key = "k", Now = default }, CancellationToken.None);
        Assert.Equal(EngineStatus.Ok, await _fixture.Names.DeleteBucketAsync(b, CancellationToken.None));
        Assert.Equal(EngineStatus.NoSuchBucket, await _fixture.Names.DeleteBucketAsync(b, CancellationToken.None));
        Assert.Equal(EngineStatus.AccountNotEmpty, await _fixture.Names.DeleteAccountAsync("account", CancellationToken.None));
        Assert.Equal(EngineStatus.NoSuchAccount, (await _fixture.Names.ListBucketsAsync(new ListBuckets { Account = "none" }, CancellationToken.None)).Status);

        async Task<IEnumerable<string>> NamesAsync(ListBuckets request) =>
            (await _fixture.Names.ListBucketsAsync(request, CancellationToken.None)).Value!.Entries.Select(e => e.Name);
    }

    [Fact]
    public async Task Settings_of_a_bucket_change_only_from_what_was_read()
    {
        var bucket = await _fixture.CreateBucketAsync();
        var changed = bucket with { Metadata = bucket.Metadata.Add("acl", "public") };
        var first = await _fixture.Names.UpdateBucketAsync(changed, bucket.Generation, CancellationToken.None);

        Assert.True(first.IsOk);
        Assert.Equal(EngineStatus.Conflict, (await _fixture.Names.UpdateBucketAsync(changed, bucket.Generation, CancellationToken.None)).Status);
        await _fixture.ReopenAsync();
        Assert.Equal("public", (await _fixture.Names.GetBucketAsync(Bucket, CancellationToken.None)).Value!.Metadata["acl"]);
    }

    [Fact]
    public async Task Metadata_of_any_size_is_kept_and_changes_leave_the_bytes_alone()
    {
        await _fixture.CreateBucketAsync();
        await _fixture.PutAsync("key", Bytes(100));
        foreach (var size in (int[])[10, 5000, 10])
        {
            var record = (await _fixture.Names.GetObjectAsync(Bucket, "key", default, CancellationToken.None)).Value!;
            var updated = await _fixture.Names.UpdateObjectAsync(
                new UpdateObject
                {
                    Bucket = Bucket,
                    Key = "key",
                    Object = record with { UserMetadata = RecordMetadata.Empty.Add("a", new string('x', size)), ContentType = $"t/{size}" },
                    Generation = record.Generation,
                },
                CancellationToken.None);
            Assert.True(updated.IsOk);
            var read = (await _fixture.Names.GetObjectAsync(Bucket, "key", default, CancellationToken.None)).Value!;
            Assert.Equal((new string('x', size), $"t/{size}", record.Version), (read.UserMetadata["a"], read.ContentType, read.Version));
            Assert.Equal(Bytes(100), await _fixture.GetAsync("key"));
        }
    }

    [Fact]
    public async Task Expired_objects_go_by_themselves()
    {
        await _fixture.CreateBucketAsync();
        await _fixture.Names.PutObjectAsync(
            new PutObject { Bucket = Bucket, Object = new ObjectRecord { Key = "k", Expires = DateTimeOffset.UnixEpoch, Payload = Payload.Empty } },
            CancellationToken.None);

        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while ((await _fixture.UsageAsync()).Objects > 0)
        {
            await timer.WaitForNextTickAsync(new CancellationTokenSource(TimeSpan.FromSeconds(20)).Token);
        }

        Assert.Null(await _fixture.GetAsync("k"));
    }

    [Fact]
    public async Task Names_beyond_the_bounds_are_refused()
    {
        await _fixture.CreateBucketAsync();
        foreach (var key in (string[])["", new string('k', 1025), new string('é', 513)])
        {
            var failure = await Assert.ThrowsAsync<ObjectEngineException>(() => _fixture.PutAsync(key, Bytes(1)));
            Assert.Equal(EngineFailure.TooLarge, failure.Failure);
        }

        Assert.True((await _fixture.PutAsync(new string('\0', 1024), Bytes(1))).IsOk);
        Assert.Equal(Bytes(1), await _fixture.GetAsync(new string('\0', 1024)));
    }
}
