using System.Globalization;
using Nephos.Client.Objects;
using Nephos.Node.Objects.Groups;
using Xunit;

namespace Nephos.StorageEngine.Tests.Objects;

/// <summary>Shards that split and merge while they are used.</summary>
public sealed class ShardChangeTests : IAsyncLifetime
{
    private const int AccountCount = 6;
    private static readonly BucketName[] Buckets = [.. Enumerable.Range(0, AccountCount).Select(n => new BucketName($"account-{n}", "bucket"))];
    private readonly EngineFixture _engine = new();

    public Task InitializeAsync()
    {
        _engine.Options = _engine.Options with
        {
            Shards = 1,
            ShardChangePause = TimeSpan.Zero,
            Upkeep = _engine.Options.Upkeep with { ShardPeriod = TimeSpan.FromMilliseconds(50), FullCheckPeriod = TimeSpan.FromMilliseconds(200) },
        };
        return Task.CompletedTask;
    }

    public async Task DisposeAsync() => await _engine.DisposeAsync();

    [Fact]
    public async Task A_shard_that_grows_too_large_splits_and_everything_is_where_it_was()
    {
        await _engine.OpenAsync();
        await FillAsync();
        var before = await ReadAllAsync();
        await _engine.CloseAsync();

        _engine.Options = _engine.Options with { ShardObjectsMax = 20 };
        await _engine.OpenAsync();
        await _engine.WaitUntilAsync(s => s.Shards.Length >= 3 && s.Shards.All(h => h.Objects <= 20), "the shards are small");

        Assert.Equal(before, await ReadAllAsync());
        await CompleteUploadsAsync();
        await WaitForCheckAsync();

        await _engine.ReopenAsync();
        Assert.True(_engine.Engine.Shards.Map.Ranges.Length >= 3);
        foreach (var bucket in Buckets)
        {
            Assert.Equal(EngineFixture.Bytes(70_000, 9), await _engine.GetAsync("assembled", bucket: bucket));
        }
    }

    [Fact]
    public async Task Neighbours_with_little_in_them_merge_and_everything_is_where_it_was()
    {
        _engine.Options = _engine.Options with { ShardObjectsMax = 20 };
        await _engine.OpenAsync();
        await FillAsync();
        await _engine.WaitUntilAsync(s => s.Shards.Length >= 3 && s.Shards.All(h => h.Objects <= 20), "the shards are small");
        var before = await ReadAllAsync();
        await _engine.CloseAsync();

        _engine.Options = _engine.Options with { ShardObjectsMax = 100_000 };
        await _engine.OpenAsync();
        await _engine.WaitUntilAsync(s => s.Shards.Length == 1, "one shard is left");

        Assert.Equal(before, await ReadAllAsync());
        await CompleteUploadsAsync();
        await WaitForCheckAsync();
    }

    [Fact]
    public async Task Every_increment_counts_while_shards_split_and_merge()
    {
        await _engine.OpenAsync();
        foreach (var bucket in Buckets)
        {
            await _engine.CreateBucketAsync(name: bucket);

            // Several pages of rows, so that much happens between the first and the last.
            await Task.WhenAll(Enumerable.Range(0, 60).Select(n => _engine.PutAsync($"filler-{n}", EngineFixture.Bytes(4000, n), bucket: bucket)));
        }

        using var stop = new CancellationTokenSource();
        var incrementing = Buckets.Select(bucket => Task.Run(() => IncrementAsync(bucket, stop.Token))).ToList();
        var keeper = _engine.Engine.ShardKeeper;
        var made = 0;
        for (var n = 0; n < 12; n++)
        {
            var map = _engine.Engine.Shards.Map;
            var hash = ShardMap.HashOf(Buckets[n % AccountCount].Account);
            var begun = n % 3 < 2
                ? await keeper.SplitAsync(map.ShardOf(hash), hash, CancellationToken.None)
                : await keeper.MergeAsync(map.Ranges[0].Shard, CancellationToken.None);
            if (begun)
            {
                made++;
                await _engine.WaitUntilAsync(_ => _engine.Engine.Shards.Map.Change is null, "the change takes place");
            }
        }

        stop.Cancel();
        var counts = await Task.WhenAll(incrementing);
        Assert.True(made >= 6, $"Only {made} changes.");
        for (var n = 0; n < AccountCount; n++)
        {
            var counter = (await _engine.Names.GetObjectAsync(Buckets[n], "counter", default, CancellationToken.None)).Value!;
            Assert.Equal(counts[n], int.Parse(counter.ETag, CultureInfo.InvariantCulture));
            Assert.True(counts[n] > 0);
            var usage = (await _engine.Names.GetBucketAsync(Buckets[n], CancellationToken.None)).Value!.Usage;
            Assert.Equal(new Usage(61, (60 * 4000) + counter.SizeBytes, 0, 0), usage);
        }

        await WaitForCheckAsync();
    }

    [Fact]
    public async Task A_request_to_a_shard_that_was_replaced_is_told_so()
    {
        await _engine.OpenAsync();
        await _engine.CreateBucketAsync(name: Buckets[0]);
        var replaced = _engine.Engine.Shards.First;
        await _engine.Engine.ShardKeeper.SplitAsync(replaced.Number, 1UL << 63, CancellationToken.None);
        await _engine.WaitUntilAsync(s => s.Shards.Length == 2, "it is split");

        var read = await Assert.ThrowsAsync<ObjectEngineException>(() => replaced.QueryAsync((_, _) => 0, CancellationToken.None).AsTask());
        var written = await Assert.ThrowsAsync<ObjectEngineException>(async () => await replaced.ExecuteAsync(_ => 0, CancellationToken.None));
        Assert.True(read is { WasMoved: true, WasNotBegun: true } && written is { WasMoved: true, WasNotBegun: true });
    }

    [Fact]
    public async Task Records_from_before_a_split_serve_nothing_that_was_split_and_harm_nothing()
    {
        await _engine.OpenAsync();
        await _engine.CreateBucketAsync(name: Buckets[0]);
        await _engine.PutAsync("key", EngineFixture.Bytes(100), bucket: Buckets[0]);
        var old = ReadRecords();
        await _engine.Engine.ShardKeeper.SplitAsync(0, 1UL << 63, CancellationToken.None);
        await _engine.WaitUntilAsync(s => s.Shards.Length == 2, "it is split");
        await _engine.CloseAsync();
        var current = ReadRecords();

        WriteRecords(old);
        await _engine.OpenAsync();
        Assert.NotEqual("Serving", Assert.Single(_engine.Engine.GetStatus().Shards).State);
        await _engine.CloseAsync();

        WriteRecords(current);
        await _engine.OpenAsync();
        Assert.Equal(EngineFixture.Bytes(100), await _engine.GetAsync("key", bucket: Buckets[0]));
    }

    private Dictionary<string, byte[]> ReadRecords() =>
        Directory.EnumerateFiles(_engine.Options.ConfigurationDirectory, "*", SearchOption.AllDirectories)
            .Where(file => !_engine.Options.Devices.Any(d => file.StartsWith(d.Path + "/", StringComparison.Ordinal)))
            .ToDictionary(file => file, File.ReadAllBytes);

    private static void WriteRecords(Dictionary<string, byte[]> records)
    {
        foreach (var (file, content) in records)
        {
            File.WriteAllBytes(file, content);
        }
    }

    /// <summary>Adds one again and again by a conditional write; how often that was acknowledged.</summary>
    private async Task<int> IncrementAsync(BucketName bucket, CancellationToken stop)
    {
        for (var count = 0; ; count++)
        {
            if (stop.IsCancellationRequested)
            {
                return count;
            }

            var conditions = count == 0
                ? new WriteConditions { MustNotExist = true }
                : new WriteConditions { ETagIn = [count.ToString(CultureInfo.InvariantCulture)] };
            var payload = new Payload { LengthBytes = 1, Inline = new byte[1] };
            var put = await _engine.Names.PutObjectAsync(
                new PutObject
                {
                    Bucket = bucket,
                    Object = new ObjectRecord { Key = "counter", SizeBytes = 1, ETag = (count + 1).ToString(CultureInfo.InvariantCulture), Payload = payload },
                    Conditions = conditions,
                },
                CancellationToken.None);
            Assert.Equal(EngineStatus.Ok, put.Status);
        }
    }

    /// <summary>In every account: inline and large objects, versions, long metadata, something that expires, an upload with a part.</summary>
    private async Task FillAsync()
    {
        foreach (var bucket in Buckets)
        {
            await _engine.CreateBucketAsync(BucketVersioning.Enabled, bucket);
            for (var n = 0; n < 5; n++)
            {
                await _engine.PutAsync($"small-{n}", EngineFixture.Bytes(100, n), bucket: bucket);
            }

            await _engine.PutAsync("large", EngineFixture.Bytes(50_000), bucket: bucket);
            await _engine.PutAsync("large", EngineFixture.Bytes(60_000), bucket: bucket);
            await PutRecordAsync(bucket, new ObjectRecord { Key = "described", UserMetadata = RecordMetadata.Empty.Add("text", new string('t', 900)) }, 20_000);
            await PutRecordAsync(bucket, new ObjectRecord { Key = "expires", Expires = DateTimeOffset.UnixEpoch.AddYears(1000) }, 10);
            var upload = (await _engine.Names.StartUploadAsync(
                new StartUpload { Bucket = bucket, Object = new ObjectRecord { Key = "assembled" }, Now = DateTimeOffset.UnixEpoch }, CancellationToken.None)).Value!;
            await using var writer = _engine.Engine.Payloads.OpenWriter(new PayloadOptions { Bucket = bucket, Key = "assembled", AllowInline = false });
            await writer.WriteAsync(EngineFixture.Bytes(70_000, 9), CancellationToken.None);
            var part = new PartRecord { Number = 1, ETag = "part", SizeBytes = 70_000, Modified = DateTimeOffset.UnixEpoch, Payload = await writer.CompleteAsync(CancellationToken.None) };
            Assert.True((await _engine.Names.PutPartAsync(bucket, "assembled", upload.Id, part, CancellationToken.None)).IsOk);
        }
    }

    private async Task PutRecordAsync(BucketName bucket, ObjectRecord record, int length)
    {
        await using var writer = _engine.Engine.Payloads.OpenWriter(new PayloadOptions { Bucket = bucket, Key = record.Key });
        await writer.WriteAsync(EngineFixture.Bytes(length), CancellationToken.None);
        var put = new PutObject
        {
            Bucket = bucket,
            Object = record with { SizeBytes = length, ETag = "e", Payload = await writer.CompleteAsync(CancellationToken.None) },
        };
        Assert.True((await _engine.Names.PutObjectAsync(put, CancellationToken.None)).IsOk);
    }

    private async Task CompleteUploadsAsync()
    {
        foreach (var bucket in Buckets)
        {
            var upload = (await _engine.Names.ListUploadsAsync(new ListUploads { Bucket = bucket }, CancellationToken.None)).Value!.Entries.Single().Upload!;
            var complete = new CompleteUpload
            {
                Bucket = bucket, Key = "assembled", Upload = upload.Id, Parts = [(1, "part")], Object = new ObjectRecord { Key = "assembled", ETag = "whole" },
            };
            Assert.Equal(EngineStatus.Ok, (await _engine.Names.CompleteUploadAsync(complete, CancellationToken.None)).Status);
            Assert.Equal(EngineFixture.Bytes(70_000, 9), await _engine.GetAsync("assembled", bucket: bucket));
        }
    }

    /// <summary>Everything that can be asked for, as text: accounts, buckets, usage, versions, contents, uploads and their parts.</summary>
    private async Task<List<string>> ReadAllAsync()
    {
        var lines = new List<string>();
        foreach (var bucket in Buckets)
        {
            var account = (await _engine.Names.GetAccountAsync(bucket.Account, CancellationToken.None)).Value!;
            var record = (await _engine.Names.GetBucketAsync(bucket, CancellationToken.None)).Value!;
            lines.Add($"usage {bucket} {account.Usage} {account.Buckets} {record.Usage} {record.Uid}");
            var page = (await _engine.Names.ListObjectsAsync(new ListObjects { Bucket = bucket, Versions = true }, CancellationToken.None)).Value!;
            foreach (var entry in page.Entries)
            {
                var found = (await _engine.Names.GetObjectAsync(bucket, entry.Name, VersionSelector.Of(entry.Object!.Version), CancellationToken.None)).Value!;
                var content = await _engine.ReadAsync(found.Payload);
                lines.Add($"{bucket} {found.Key} {found.Version} {found.Generation} {found.ETag} {found.Expires} {found.UserMetadata.Count} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(content))}");
            }

            foreach (var upload in (await _engine.Names.ListUploadsAsync(new ListUploads { Bucket = bucket }, CancellationToken.None)).Value!.Entries)
            {
                var parts = await _engine.Names.ListPartsAsync(bucket, upload.Name, upload.Upload!.Id, 0, 10, CancellationToken.None);
                lines.Add($"{bucket} assembled upload {upload.Upload.Id} {string.Join(' ', parts.Value!.Parts.Select(p => $"{p.Number} {p.ETag} {p.SizeBytes}"))}");
            }
        }

        lines.Sort(StringComparer.Ordinal);
        return lines;
    }

    /// <summary>Whatever is referred to has its copies, and the check that removes what is not has been twice over everything.</summary>
    private async Task WaitForCheckAsync()
    {
        for (var pass = 0; pass < 2; pass++)
        {
            var since = TimeProvider.System.GetUtcNow();
            await _engine.WaitUntilAsync(s => s is { BlobsAtRisk: 0, BlobsMissing: 0 } && s.LastFullCheck > since, "references and devices agree");
        }
    }
}
