using System.Globalization;
using Nephos.Client.Objects;
using Nephos.Node.Objects;
using Xunit;

namespace Nephos.Probe.Tests.Objects;

/// <summary>
/// Kills a process that writes objects, at any moment, its start included; then everything it acknowledged is there, whole, and of what
/// it had begun either all or nothing. <c>NEPHOS_KILLS</c> sets how often (default 4).
/// </summary>
public sealed class ObjectKillTests : IDisposable
{
    private const string Deleted = "-";
    private static readonly TimeSpan HealthTimeout = TimeSpan.FromMinutes(3);
    private static readonly int Kills =
        int.TryParse(Environment.GetEnvironmentVariable("NEPHOS_KILLS"), NumberStyles.None, CultureInfo.InvariantCulture, out var kills) ? kills : 4;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-kill-objects-");

    /// <summary>What must be there, by key.</summary>
    private readonly Dictionary<string, string> _acknowledged = [];

    /// <summary>What may be there instead: begun and not answered.</summary>
    private readonly Dictionary<string, string> _begun = [];

    private int _shardsMade;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_killed_process_has_kept_every_object_it_acknowledged_whole()
    {
        var random = new Random(20261123);
        var total = 0;
        for (var kill = 1; kill <= Kills; kill++)
        {
            // Every fourth is killed by the clock, so perhaps before it has recovered from the last time.
            total += kill % 4 == 0
                ? await WriteUntilKilledAsync(kill, int.MaxValue, TimeSpan.FromMilliseconds(random.Next(1500)))
                : await WriteUntilKilledAsync(kill, 20 + random.Next(400), Timeout.InfiniteTimeSpan);
            await using var engine = await ObjectWriter.OpenAsync(_folder.FullName);
            await CheckAsync(engine);
            _shardsMade = engine.Shards.Map.NextShard;
        }

        Assert.True(total >= 20, $"Only {total} changes were acknowledged.");
        Assert.True(_shardsMade > ObjectWriter.Options(_folder.FullName).Shards, "No shard was split.");
        await using var healed = await ObjectWriter.OpenAsync(_folder.FullName);
        using var limit = new CancellationTokenSource(HealthTimeout);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (healed.GetStatus() is not { LastFullCheck: not null, BlobsAtRisk: 0, BlobsMissing: 0 })
        {
            await timer.WaitForNextTickAsync(limit.Token);
        }

        await CheckAsync(healed);
    }

    /// <summary>Changes acknowledged before the kill.</summary>
    private async Task<int> WriteUntilKilledAsync(int seed, int acknowledgedBeforeKill, TimeSpan killAfter)
    {
        using var writer = ProbeProgram.Start("object-writer", _folder.FullName, seed.ToString(CultureInfo.InvariantCulture));
        var killing = killAfter == Timeout.InfiniteTimeSpan ? Task.CompletedTask : KillLaterAsync();
        var acknowledged = 0;
        while (await writer.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line.Split(' ') is not [var what, var key, var version])
            {
                continue; // Cut short by the kill.
            }

            if (what == "begin")
            {
                _begun[key] = version;
            }
            else if (what == "done" && _begun.GetValueOrDefault(key) == version)
            {
                _begun.Remove(key);
                _acknowledged[key] = version;
                if (++acknowledged == acknowledgedBeforeKill)
                {
                    writer.Kill();
                }
            }
        }

        await writer.WaitForExitAsync();
        await killing;
        Assert.True(acknowledged >= acknowledgedBeforeKill || acknowledgedBeforeKill == int.MaxValue, $"The writer ended by itself with code {writer.ExitCode}.");
        return acknowledged;

        async Task KillLaterAsync()
        {
            await Task.Delay(killAfter);
            writer.Kill();
        }
    }

    /// <summary>Reads everything by listing and by name. What was begun and is there counts as acknowledged from now on.</summary>
    private async Task CheckAsync(ObjectEngine engine)
    {
        var listed = new Dictionary<string, string>();
        foreach (var bucket in ObjectWriter.Buckets)
        {
            var page = await engine.Namespace.ListObjectsAsync(
                new ListObjects { Bucket = bucket, Limit = ObjectLimits.ListLimitMax }, CancellationToken.None);
            var entries = page.Value?.Entries ?? [];
            foreach (var entry in entries)
            {
                listed.Add(entry.Name, entry.Object!.ETag);
            }

            var usage = (await engine.Namespace.GetBucketAsync(bucket, CancellationToken.None)).Value?.Usage ?? default;
            Assert.Equal(new Usage(entries.Count, entries.Sum(e => e.Object!.SizeBytes), 0, 0), usage);
        }

        foreach (var key in _acknowledged.Keys.Union(_begun.Keys).Union(listed.Keys).ToList())
        {
            var found = await engine.Namespace.GetObjectAsync(ObjectWriter.BucketOf(key), key, default, CancellationToken.None);
            var version = found.Value?.ETag ?? Deleted;
            Assert.Equal(listed.GetValueOrDefault(key, Deleted), version);
            Assert.True(
                version == _acknowledged.GetValueOrDefault(key, Deleted) || version == _begun.GetValueOrDefault(key),
                $"{key} is {version}; acknowledged {_acknowledged.GetValueOrDefault(key)}, begun {_begun.GetValueOrDefault(key)}");
            _acknowledged[key] = version;
            if (found.Value is { } record)
            {
                Assert.Equal(ObjectWriter.ContentOf(version, (int)record.SizeBytes), await ReadAsync(engine, record.Payload));
            }
        }

        _begun.Clear();
    }

    private static async Task<byte[]> ReadAsync(ObjectEngine engine, Payload payload)
    {
        await using var reader = engine.Payloads.OpenReader(payload, 0, payload.LengthBytes);
        var content = new MemoryStream();
        for (var piece = await reader.ReadAsync(CancellationToken.None); !piece.IsEmpty; piece = await reader.ReadAsync(CancellationToken.None))
        {
            content.Write(piece.Span);
        }

        return content.ToArray();
    }
}
