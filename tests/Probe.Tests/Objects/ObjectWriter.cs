using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects;
using Nephos.Node.Objects.Groups;
using Nephos.Node.Objects.Repair;

namespace Nephos.Probe.Tests.Objects;

/// <summary>
/// Puts and deletes objects without end. Prints what it is about to do, and again once it is acknowledged; each key belongs to one client,
/// so the last lines of a key say what must be there. Meanwhile shards of the namespace are split and merged.
/// </summary>
internal static class ObjectWriter
{
    private const int Clients = 8;
    private const int KeysPerClient = 12;

    /// <summary>Each client has an account of its own, so that they do not all stay in one shard.</summary>
    public static IReadOnlyList<BucketName> Buckets { get; } =
        [.. Enumerable.Range(0, Clients).Select(client => new BucketName(string.Create(CultureInfo.InvariantCulture, $"account-{client}"), "bucket"))];

    public static BucketName BucketOf(string key) => Buckets[int.Parse(key.AsSpan(0, key.IndexOf('-', StringComparison.Ordinal)), CultureInfo.InvariantCulture)];

    public static ObjectEngineOptions Options(string path) => ObjectEngineOptions.Under(path) with
    {
        PartitionPower = 6,
        ShardObjectsMax = 40,
        ShardChangePause = TimeSpan.FromMilliseconds(100),
        Upkeep = new UpkeepOptions { ShardPeriod = TimeSpan.FromMilliseconds(20) },
        Device = new ObjectDeviceOptions
        {
            Volumes = new VolumeStoreOptions { VolumeBytes = 8 << 20 },
            Journal = new JournalOptions { SegmentBytes = 9 << 20, SegmentsKept = 1 },
            HeadroomBytes = 64 << 20,
        },
    };

    public static Task<ObjectEngine> OpenAsync(string path)
    {
        var options = Options(path);
        return ObjectEngine.OpenAsync(
            options, new FileConfigurationMaster(options.ConfigurationDirectory), TimeProvider.System, NullLoggerFactory.Instance, CancellationToken.None);
    }

    /// <param name="path">Where the devices are.</param>
    /// <param name="seed">Decides what is done; versions grow from run to run.</param>
    public static async Task RunAsync(string path, int seed)
    {
        await using var engine = await OpenAsync(path);
        foreach (var bucket in Buckets)
        {
            await engine.Namespace.CreateBucketAsync(new BucketRecord { Name = bucket }, CancellationToken.None);
        }

        var changing = ChangeShardsAsync(engine, new Random(seed));
        await using var output = new StreamWriter(Console.OpenStandardOutput()) { AutoFlush = true };
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(client => Task.Run(async () =>
        {
            var bucket = Buckets[client];
            var random = new Random(HashCode(seed, client));
            for (var n = 1; ; n++)
            {
                var key = string.Create(CultureInfo.InvariantCulture, $"{client}-{random.Next(KeysPerClient)}");
                var version = string.Create(CultureInfo.InvariantCulture, $"{seed}-{n}");
                if (random.Next(4) == 0)
                {
                    Say($"begin {key} -");
                    await engine.Namespace.DeleteObjectAsync(
                        new DeleteObject { Bucket = bucket, Key = key, Now = TimeProvider.System.GetUtcNow() }, CancellationToken.None);
                    Say($"done {key} -");
                }
                else
                {
                    Say($"begin {key} {version}");
                    await PutAsync(engine, bucket, key, version, LengthOf(random));
                    Say($"done {key} {version}");
                }
            }
        })).Append(changing));

        void Say(string line)
        {
            lock (output)
            {
                output.WriteLine(line);
            }
        }
    }

    /// <summary>The bytes of a version: any mix of two is neither.</summary>
    public static byte[] ContentOf(string version, int length)
    {
        var content = new byte[length];
        var last = version[(version.IndexOf('-', StringComparison.Ordinal) + 1)..];
        new Random(HashCode(int.Parse(last, CultureInfo.InvariantCulture), length)).NextBytes(content);
        return content;
    }

    /// <summary>Splits and merges by chance, one after the other as often as that is possible.</summary>
    private static async Task ChangeShardsAsync(ObjectEngine engine, Random random)
    {
        while (true)
        {
            await Task.Delay(random.Next(50));
            var map = engine.Shards.Map;
            if (random.Next(2) == 0)
            {
                var hash = ShardMap.HashOf(Buckets[random.Next(Clients)].Account);
                await engine.ShardKeeper.SplitAsync(map.ShardOf(hash), hash, CancellationToken.None);
            }
            else
            {
                await engine.ShardKeeper.MergeAsync(map.Ranges[random.Next(map.Ranges.Length)].Shard, CancellationToken.None);
            }
        }
    }

    private static async Task PutAsync(ObjectEngine engine, BucketName bucket, string key, string version, int length)
    {
        await using var writer = engine.Payloads.OpenWriter(new PayloadOptions { Bucket = bucket, Key = key });
        await writer.WriteAsync(ContentOf(version, length), CancellationToken.None);
        var put = await engine.Namespace.PutObjectAsync(
            new PutObject
            {
                Bucket = bucket,
                Object = new ObjectRecord
                {
                    Key = key,
                    ETag = version,
                    SizeBytes = length,
                    Modified = TimeProvider.System.GetUtcNow(),
                    Payload = await writer.CompleteAsync(CancellationToken.None),
                },
            },
            CancellationToken.None);
        if (!put.IsOk)
        {
            throw new InvalidOperationException($"Putting {key} was answered {put.Status}.");
        }
    }

    private static int LengthOf(Random random) => random.Next(20) switch
    {
        < 8 => random.Next(4097),
        < 19 => 4097 + random.Next(100_000),
        _ => (1 << 20) + random.Next(2 << 20),
    };

    private static int HashCode(int a, int b) => (a * 1_000_003) ^ b;
}
