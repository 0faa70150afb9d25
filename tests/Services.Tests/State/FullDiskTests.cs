using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Kernel.State;
using Nephos.State;
using Nephos.Testing;
using Xunit;

namespace Nephos.Services.Tests.State;

/// <summary>Runs the test where a small disk can be mounted; it says that it is skipped where not.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class TinyDiskFactAttribute : FactAttribute
{
    public TinyDiskFactAttribute() => Skip = TinyDisk.WhyNot;
}

/// <summary>The embedded store on a disk that fills up and gets space again.</summary>
public sealed class FullDiskTests
{
    private const int DiskMebibytes = 48;
    private const int ValueBytes = 256 * 1024;

    private static readonly CancellationToken None = CancellationToken.None;

    [TinyDiskFact]
    public async Task A_store_refuses_to_write_on_a_full_disk_and_writes_again_once_there_is_space()
    {
        using var disk = new TinyDisk(DiskMebibytes);
        await using var store = Open(disk, reservedBytes: 16 * 1024 * 1024);
        var first = await store.CommitAsync(Put("a"), None);
        disk.Fill(leaveFreeBytes: 1024 * 1024);

        var full = await Assert.ThrowsAsync<StateFullException>(async () => await store.CommitAsync(Put("b"), None));

        Assert.Contains(disk.Path, full.Message, StringComparison.Ordinal);
        Assert.NotNull(await store.GetAsync("a", None));
        disk.Free();
        Assert.Equal(first.Revision + 1, (await store.CommitAsync(Put("c"), None)).Revision);
        Assert.Equal(["a", "c"], (await store.ScanAsync("", "", 10, None)).Entries.Select(entry => entry.Key));
    }

    [TinyDiskFact]
    public async Task A_store_whose_write_failed_for_want_of_space_heals_without_a_restart()
    {
        using var disk = new TinyDisk(DiskMebibytes);
        var acknowledged = new List<string>();
        var unknown = "";
        await using (var store = Open(disk, reservedBytes: 0))
        {
            // Half full first: opening again needs the space of what is written out then.
            disk.Fill(leaveFreeBytes: 24 * 1024 * 1024);
            for (var i = 0; unknown.Length == 0; i++)
            {
                try
                {
                    await store.CommitAsync(Put($"k/{i:d4}"), None);
                    acknowledged.Add($"k/{i:d4}");
                }
                catch (StateUnavailableException e)
                {
                    Assert.IsNotType<StateFullException>(e);
                    unknown = $"k/{i:d4}";
                }
            }

            Assert.Equal(acknowledged, await KeysAsync(store));
            disk.Free();

            var next = await store.CommitAsync(new StateCommit { Puts = [new("after", "x"u8.ToArray())] }, None);

            Assert.True(next.Succeeded);
            Assert.Equal([.. acknowledged, .. next.Revision > acknowledged.Count + 1 ? new[] { unknown } : []], await KeysAsync(store));
        }

        await using var again = Open(disk, reservedBytes: 0);
        Assert.Empty(acknowledged.Except(await KeysAsync(again)));
        Assert.NotNull(await again.GetAsync("after", None));
    }

    private static async Task<List<string>> KeysAsync(IStateStore store) =>
        [.. (await store.ScanAsync("k/", "k0", StateLimits.MaxScanEntries, None)).Entries.Select(entry => entry.Key)];

    private static StateCommit Put(string key)
    {
        // Bytes that do not compress.
        var value = new byte[ValueBytes];
        new Random(key.Length).NextBytes(value);
        return new StateCommit { Puts = [new(key, value)] };
    }

    private static IStateStore Open(TinyDisk disk, long reservedBytes) => StateRegistration.Open(
        new StateStoreOptions { Path = Path.Combine(disk.Path, "state"), ReservedBytes = reservedBytes }, TimeProvider.System, NullLoggerFactory.Instance);
}
