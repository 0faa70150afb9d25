using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects;

namespace Nephos.Probe.Tests.Objects;

/// <summary>
/// Puts and deletes objects without end. Prints what it is about to do, and again once it is acknowledged; each key belongs to one client,
/// so the last lines of a key say what must be there.
/// </summary>
internal static class ObjectWriter
{
    public static readonly BucketName Bucket = new("account", "bucket");
    private const int Clients = 8;
    private const int KeysPerClient = 12;

    public static ObjectEngineOptions Options(string path) => ObjectEngineOptions.Under(path) with
    {
        PartitionPower = 6,
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
        await engine.Namespace.CreateBucketAsync(new BucketRecord { Name = Bucket }, CancellationToken.None);
        await using var output = new StreamWriter(Console.OpenStandardOutput()) { AutoFlush = true };
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(client => Task.Run(async () =>
        {
            var random = new Random(HashCode(seed, client));
            for (var n = 1; ; n++)
            {
                var key = string.Create(CultureInfo.InvariantCulture, $"{client}-{random.Next(KeysPerClient)}");
                var version = string.Create(CultureInfo.InvariantCulture, $"{seed}-{n}");
                if (random.Next(4) == 0)
                {
                    Say($"begin {key} -");
                    await engine.Namespace.DeleteObjectAsync(
                        new DeleteObject { Bucket = Bucket, Key = key, Now = TimeProvider.System.GetUtcNow() }, CancellationToken.None);
                    Say($"done {key} -");
                }
                else
                {
                    Say($"begin {key} {version}");
                    await PutAsync(engine, key, version, LengthOf(random));
                    Say($"done {key} {version}");
                }
            }
        })));

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

    private static async Task PutAsync(ObjectEngine engine, string key, string version, int length)
    {
        await using var writer = engine.Payloads.OpenWriter(new PayloadOptions { Bucket = Bucket, Key = key });
        await writer.WriteAsync(ContentOf(version, length), CancellationToken.None);
        var put = await engine.Namespace.PutObjectAsync(
            new PutObject
            {
                Bucket = Bucket,
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
