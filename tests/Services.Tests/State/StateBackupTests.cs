using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Kernel.State;
using Nephos.State;
using Nephos.State.Backup;
using Xunit;
using static Nephos.Services.Tests.State.Library;

namespace Nephos.Services.Tests.State;

public sealed class StateBackupTests : IDisposable
{
    private static readonly CancellationToken None = CancellationToken.None;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-backup-");

    public void Dispose() => _folder.Delete(recursive: true);

    private string Live => Path.Combine(_folder.FullName, "live");

    private string Copy => Path.Combine(_folder.FullName, "copy");

    [Fact]
    public async Task A_copy_of_a_store_in_use_has_all_that_was_acknowledged_before_and_no_half_commits()
    {
        var acknowledged = 0;
        await using (var store = Open(Live))
        {
            await WriteAsync(store, "first");
            using var stop = new CancellationTokenSource();
            var enough = new TaskCompletionSource();
            var writer = Task.Run(async () =>
            {
                for (var i = 0; !stop.IsCancellationRequested; i++)
                {
                    await store.CommitAsync(new StateCommit { Puts = [new($"left/{i:d6}", "x"u8.ToArray()), new($"right/{i:d6}", "x"u8.ToArray())] }, None);
                    Volatile.Write(ref acknowledged, i + 1);
                    if (i == 500)
                    {
                        enough.SetResult();
                    }
                }
            });
            await enough.Task;
            var before = Volatile.Read(ref acknowledged);

            var copy = await StateCopy.MakeAsync((IStateBackup)store, Copy, TimeProvider.System, None);

            await stop.CancelAsync();
            await writer;
            acknowledged = before;
            Assert.True(copy.Revision >= before);
        }

        await StateCopy.VerifyAsync(Copy, None);
        Assert.Empty(StateInspection.Run(StateCopy.DataOf(Copy), None).Problems);
        // Looking it over has not changed it.
        await StateCopy.VerifyAsync(Copy, None);
        var restored = Path.Combine(_folder.FullName, "restored");
        Assert.Null(await StateCopy.RestoreAsync(Copy, restored, TimeProvider.System, None));
        await using var again = Open(restored);
        var left = await again.ScanAsync("left/", "left0", StateLimits.MaxScanEntries, None);
        var right = await again.ScanAsync("right/", "right0", StateLimits.MaxScanEntries, None);
        Assert.True(left.Entries.Count >= acknowledged);
        Assert.Equal(left.Entries.Select(entry => entry.Key[5..]), right.Entries.Select(entry => entry.Key[6..]));
        Assert.Equal("first", (await again.FindAsync(Books, "title", "Emma", None))!.Shelf);
    }

    [Fact]
    public async Task A_restore_keeps_what_was_there_beside_it()
    {
        await MakeCopyAsync("old");
        await using (var store = Open(Live))
        {
            await store.TransactAsync(async tx => tx.Put(Books, (await tx.GetAsync(Books, "1", None))! with { Shelf = "new" }), None);
        }

        var former = await StateCopy.RestoreAsync(Copy, Live, TimeProvider.System, None);

        Assert.Equal("old", await ShelfAsync(Live));
        Assert.Equal("new", await ShelfAsync(former!));
    }

    [Theory]
    [InlineData("changed")]
    [InlineData("missing")]
    [InlineData("added")]
    [InlineData("manifest")]
    public async Task A_damaged_copy_is_refused_and_nothing_is_changed(string damage)
    {
        await MakeCopyAsync("live");
        var file = Directory.GetFiles(StateCopy.DataOf(Copy), "*.sst")[0];
        switch (damage)
        {
            case "changed":
                var bytes = await File.ReadAllBytesAsync(file);
                bytes[bytes.Length / 2] ^= 1;
                File.Delete(file);
                await File.WriteAllBytesAsync(file, bytes);
                break;
            case "missing":
                File.Delete(file);
                break;
            case "added":
                await File.WriteAllTextAsync(file + ".more", "x");
                break;
            default:
                await File.WriteAllTextAsync(Path.Combine(Copy, "copy.json"), "{");
                break;
        }

        var refused = await Assert.ThrowsAsync<InvalidDataException>(() => StateCopy.RestoreAsync(Copy, Live, TimeProvider.System, None));

        Assert.Contains(damage == "manifest" ? Copy : Path.GetFileName(file), refused.Message, StringComparison.Ordinal);
        Assert.Equal("live", await ShelfAsync(Live));
    }

    [Fact]
    public async Task A_store_whose_restore_was_interrupted_is_not_opened_until_it_is_restored_again()
    {
        await MakeCopyAsync("copied");
        // Killed between the two moves: the former store is away and the new one not yet there.
        await File.WriteAllTextAsync(Live + ".restoring", "");
        Directory.Move(Live, Live + ".before");

        var refused = Assert.Throws<IOException>(() => Open(Live));
        Assert.Contains("restore again", refused.Message, StringComparison.Ordinal);
        await StateCopy.RestoreAsync(Copy, Live, TimeProvider.System, None);

        Assert.Equal("copied", await ShelfAsync(Live));
    }

    [Fact]
    public async Task A_look_over_finds_index_entries_without_a_record()
    {
        await using (var store = Open(Live))
        {
            await WriteAsync(store, "A");
            await store.CommitAsync(new StateCommit { Deletes = ["library/books:r:1"], Puts = [new("library/books:r:2", "{}"u8.ToArray())] }, None);
        }

        var found = StateInspection.Run(Live, None);

        Assert.Equal(1, found.Records["library/books"]);
        Assert.Equal(
            [
                "'library/books:i:shelf:A:1' names a record that is not there", "'library/books:u:barcode:11' names a record that is not there",
                "'library/books:u:title:Emma' names a record that is not there",
            ],
            found.Problems.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_folder_without_a_store_is_not_looked_over_and_stays_empty()
    {
        Directory.CreateDirectory(Live);

        Assert.ThrowsAny<Exception>(() => StateInspection.Run(Live, None));

        Assert.DoesNotContain(Directory.GetFiles(Live), file => !Path.GetFileName(file).StartsWith("LOG", StringComparison.Ordinal));
    }

    private static async Task WriteAsync(IStateStore store, string shelf) => await store.TransactAsync(
        tx =>
        {
            tx.Insert(Books, new Book { Id = "1", Title = "Emma", Shelf = shelf, Barcodes = ["11"] });
            return Task.CompletedTask;
        },
        None);

    private static async Task<string?> ShelfAsync(string path)
    {
        await using var store = Open(path);
        return (await store.GetAsync(Books, "1", None))!.Shelf;
    }

    private static IStateStore Open(string path) =>
        StateRegistration.Open(new StateStoreOptions { Path = path, ReservedBytes = 0 }, TimeProvider.System, NullLoggerFactory.Instance);

    private async Task MakeCopyAsync(string shelf)
    {
        await using var store = Open(Live);
        await WriteAsync(store, shelf);
        await StateCopy.MakeAsync((IStateBackup)store, Copy, TimeProvider.System, None);
    }
}
