using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects;
using Nephos.Node.Objects.Repair;

namespace Nephos.StorageEngine.Tests.Objects;

/// <summary>An engine over four small device directories.</summary>
internal sealed class EngineFixture : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private ObjectEngine? _engine;

    public static readonly BucketName Bucket = new("account", "bucket");

    public ObjectEngineOptions Options { get; set; }

    public EngineFixture() => Options = ObjectEngineOptions.Under(_directory.Path) with
    {
        PartitionPower = 6,
        Shards = 2,
        Device = new ObjectDeviceOptions
        {
            Volumes = new VolumeStoreOptions { VolumeBytes = 4 << 20 },
            Journal = new JournalOptions { SegmentBytes = 9 << 20 },
            HeadroomBytes = 64 << 20,
        },
        Payloads = new PayloadStoreOptions { ExtentBytes = 2 << 20 },
        Upkeep = new UpkeepOptions
        {
            DeviceCheckPeriod = TimeSpan.FromMilliseconds(100),
            LedgerPeriod = TimeSpan.FromMilliseconds(200),
            ReleasedPeriod = TimeSpan.FromMilliseconds(200),
            ReleasedDelay = TimeSpan.FromMilliseconds(100),
            ExpiryPeriod = TimeSpan.FromMilliseconds(200),
            SuspectPeriod = TimeSpan.FromMilliseconds(300),
            OrphanGrace = TimeSpan.Zero,
        },
    };

    public ObjectEngine Engine => _engine ?? throw new InvalidOperationException("Open it first.");

    public IObjectNamespace Names => Engine.Namespace;

    public string PathOf(int device) => Options.Devices[device].Path;

    public async Task<EngineFixture> OpenAsync()
    {
        _engine = await ObjectEngine.OpenAsync(
            Options, new FileConfigurationMaster(Options.ConfigurationDirectory), TimeProvider.System, NullLoggerFactory.Instance, CancellationToken.None);
        return this;
    }

    public async Task ReopenAsync()
    {
        await CloseAsync();
        await OpenAsync();
    }

    public async Task CloseAsync()
    {
        await Engine.DisposeAsync();
        _engine = null;
    }

    public async Task<BucketRecord> CreateBucketAsync(BucketVersioning versioning = BucketVersioning.Off, BucketName? name = null, Quota quota = default)
    {
        var created = await Names.CreateBucketAsync(
            new BucketRecord { Name = name ?? Bucket, Created = DateTimeOffset.UnixEpoch, Versioning = versioning, Quota = quota }, CancellationToken.None);
        return created.Value!;
    }

    public async Task<Outcome<ObjectRecord>> PutAsync(string key, byte[] content, WriteConditions? conditions = null, BucketName? bucket = null, string? policy = null)
    {
        await using var writer = Engine.Payloads.OpenWriter(new PayloadOptions { Bucket = bucket ?? Bucket, Key = key, Policy = policy });
        await writer.WriteAsync(content, CancellationToken.None);
        return await Names.PutObjectAsync(
            new PutObject
            {
                Bucket = bucket ?? Bucket,
                Object = new ObjectRecord
                {
                    Key = key,
                    SizeBytes = content.Length,
                    ETag = $"etag-{content.Length}",
                    Modified = DateTimeOffset.UnixEpoch,
                    Payload = await writer.CompleteAsync(CancellationToken.None),
                },
                Conditions = conditions ?? WriteConditions.None,
            },
            CancellationToken.None);
    }

    public async Task<byte[]?> GetAsync(string key, VersionSelector version = default, BucketName? bucket = null)
    {
        var found = await Names.GetObjectAsync(bucket ?? Bucket, key, version, CancellationToken.None);
        return found.IsOk ? await ReadAsync(found.Value!.Payload) : null;
    }

    public Task<byte[]> ReadAsync(Payload payload) => ReadAsync(payload, 0, payload.LengthBytes);

    public async Task<byte[]> ReadAsync(Payload payload, long offset, long length)
    {
        await using var reader = Engine.Payloads.OpenReader(payload, offset, length);
        var content = new MemoryStream();
        while (true)
        {
            var piece = await reader.ReadAsync(CancellationToken.None);
            if (piece.IsEmpty)
            {
                return content.ToArray();
            }

            content.Write(piece.Span);
        }
    }

    public async Task<DeleteOutcome> DeleteAsync(string key, VersionSelector version = default) =>
        (await Names.DeleteObjectAsync(
            new DeleteObject { Bucket = Bucket, Key = key, Version = version, Now = DateTimeOffset.UnixEpoch }, CancellationToken.None)).Value;

    public async Task<Usage> UsageAsync() => (await Names.GetBucketAsync(Bucket, CancellationToken.None)).Value!.Usage;

    /// <summary>Waits for background work to reach a state; the engine itself gives no event for it.</summary>
    public async Task WaitUntilAsync(Func<ObjectEngineStatus, bool> reached, string what)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!reached(Engine.GetStatus()))
        {
            try
            {
                await timer.WaitForNextTickAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException($"Not reached: {what}. Status: {Engine.GetStatus()}; shards {string.Join("; ", Engine.GetStatus().Shards)}; devices {string.Join("; ", Engine.GetStatus().Devices)}");
            }
        }
    }

    public static byte[] Bytes(int length, int seed = 1)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    public async ValueTask DisposeAsync()
    {
        if (_engine is not null)
        {
            await CloseAsync();
        }

        _directory.Dispose();
    }
}
