using Nephos.Client.Objects;
using Nephos.Testing;
using Xunit;

namespace Nephos.Contract.Tests.Objects;

/// <summary>The object service with its devices on a small disk.</summary>
public sealed class TinyDiskCloud : ObjectCloud
{
    private const int DiskMebibytes = 640;

    private readonly TinyDisk? _disk = TinyDisk.WhyNot is null ? new TinyDisk(DiskMebibytes) : null;

    public TinyDisk Disk => _disk!;

    protected override string Folder => _disk is null ? base.Folder : Path.Combine(_disk.Path, "state");

    public override async Task InitializeAsync()
    {
        if (_disk is not null)
        {
            await base.InitializeAsync();
        }
    }

    public override async Task DisposeAsync()
    {
        if (_disk is not null)
        {
            await base.DisposeAsync();
            _disk.Dispose();
        }
    }
}

/// <summary>Skipped, with the reason, where no small disk can be mounted.</summary>
public sealed class TinyDiskFactAttribute : FactAttribute
{
    public TinyDiskFactAttribute() => Skip = TinyDisk.WhyNot;
}

/// <summary>A full disk refuses what is new and nothing else, and takes writes again once there is room.</summary>
public sealed class FullDiskTests(TinyDiskCloud cloud) : ObjectTests(cloud), IClassFixture<TinyDiskCloud>
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);
    private const int ObjectBytes = 1 << 20;

    [TinyDiskFact]
    public async Task A_full_disk_refuses_writes_on_both_faces_and_serves_reads_and_deletes()
    {
        await SwiftAsync("PUT", "/box");
        await SwiftAsync("PUT", "/box/small", Utf8("small"));
        (await SwiftAsync("PUT", "/box/large", Bytes(ObjectBytes))).Is(201);
        cloud.Disk.Fill(leaveFreeBytes: 48 << 20);

        // What volumes there are may still take some.
        var stored = new List<string> { "large" };
        Reply refused;
        while ((refused = await SwiftAsync("PUT", $"/box/large-{stored.Count}", Bytes(ObjectBytes))).Status == 201)
        {
            stored.Add($"large-{stored.Count}");
            Assert.True(stored.Count < 600, "The disk never gets full.");
        }
        refused.Is(507);
        Assert.Equal("InsufficientCapacity", (await S3Async("PUT", "/box/more", Bytes(ObjectBytes))).Is(507).Code);

        // Nor what travels in records. What refused writes leave behind is room again for a moment, so each is tried until then.
        await UntilAsync(async () => (await SwiftAsync("PUT", "/box/tiny", Utf8("x"))).Status == 507);
        await UntilAsync(async () => (await S3Async("PUT", "/box/tiny", Utf8("x"))).Status == 507);
        await UntilAsync(async () => (await SwiftAsync("PUT", "/more")).Status == 507);
        await UntilAsync(async () => (await S3Async("POST", "/box/upload?uploads")).Status == 507);

        Assert.Equal("small", (await S3Async("GET", "/box/small")).Is(200).Text);
        Assert.Equal(Bytes(ObjectBytes), (await SwiftAsync("GET", $"/box/{stored[0]}")).Is(200).Body);
        var listed = (await SwiftAsync("GET", "/box")).Is(200).Text.Split('\n');
        Assert.All(stored, name => Assert.Contains(name, listed));
        Assert.Contains(cloud.Engine.GetStatus().Devices, device => device.State == DeviceState.Full);

        // Nothing but deletes: they go on, and compaction makes room of them.
        (await S3Async("DELETE", "/box/small")).Is(204);
        foreach (var name in stored)
        {
            (await SwiftAsync("DELETE", $"/box/{name}")).Is(204);
        }
        cloud.Disk.Free();
        await UntilAsync(async () => (await S3Async("PUT", "/box/again", Bytes(ObjectBytes))).Status == 200);
        Assert.Equal(Bytes(ObjectBytes), (await SwiftAsync("GET", "/box/again")).Is(200).Body);
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (!await condition())
        {
            await Task.Delay(200, limit.Token);
        }
    }
}
