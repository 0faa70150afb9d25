using Nephos.BlockStorage;
using Nephos.BlockStorage.Backups;
using Nephos.BlockStorage.Quotas;
using Nephos.BlockStorage.Volumes;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.BlockStorage;

public sealed class BackupTests
{
    private const int Chunk = ChunkStore.ChunkBytes;
    private static readonly CancellationToken None = BlockStorageWorld.None;

    private static byte[] Bytes(int seed, int length = 1 << 20)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static async Task<Backup> BackUpAsync(BlockStorageWorld world, string volumeId, bool incremental = false, string? container = null)
    {
        var made = await world.Backups.CreateAsync(
            world.User, new BackupWish { VolumeId = volumeId, Incremental = incremental, Container = container, Name = "b" }, None);
        await WaitAsync(world, async () => (await StatusAsync(world, made.Backup.Id)) != BackupStatus.Creating);
        return (await world.Backups.GetAsync(world.User, made.Backup.Id, None)).Backup;
    }

    private static async Task<BackupStatus> StatusAsync(BlockStorageWorld world, string id) => (await world.Backups.GetAsync(world.User, id, None)).Status;

    private static async Task<VolumeView> RestoreAsync(BlockStorageWorld world, string backupId, string? volumeId = null)
    {
        var id = (await world.Backups.RestoreAsync(world.User, backupId, volumeId, null, None)).Volume.Id;
        await WaitAsync(world, async () => (await world.GetAsync(id)).Volume.RestoreFrom is null);
        return await world.GetAsync(id);
    }

    // The workers run beside the test.
    private static async Task WaitAsync(BlockStorageWorld world, Func<Task<bool>> done)
    {
        for (var round = 0; round < 500 && !await done(); round++)
        {
            await world.SettleAsync();
            await Task.Delay(5);
        }
        Assert.True(await done());
    }

    [Fact]
    public async Task A_restored_volume_has_the_content_and_the_description_of_the_old_one()
    {
        await using var world = await BlockStorageWorld.StartAsync();
        var volume = (await world.CreateAsync(new VolumeWish
        {
            Name = "v", SizeBytes = BlockStorageWorld.Gib, Metadata = new Dictionary<string, string> { ["a"] = "b" },
        })).Volume;
        world.Devices.Put(volume.Id, 0, Bytes(1));
        world.Devices.Put(volume.Id, 7L * Chunk + (2 << 20), Bytes(2));
        var backup = await BackUpAsync(world, volume.Id);
        Assert.True(backup.Done, backup.Failure);
        Assert.Equal(2, backup.ChunkCount);
        await world.Volumes.DeleteAsync(world.User, volume.Id, cascade: false, force: false, None);
        await world.SettleAsync();
        Assert.Empty(world.Devices.Snapshots);

        var restored = await RestoreAsync(world, backup.Id);
        Assert.Equal(VolumeStatus.Available, restored.Status);
        Assert.Equal("b", restored.Volume.Metadata["a"]);
        Assert.Equal(Bytes(1), world.Devices.At(restored.Volume.Id, 0));
        Assert.Equal(Bytes(2), world.Devices.At(restored.Volume.Id, 7L * Chunk + (2 << 20)));
    }

    [Fact]
    public async Task Equal_chunks_are_stored_once_and_an_incremental_backup_reads_only_what_changed()
    {
        await using var world = await BlockStorageWorld.StartAsync();
        var volume = (await world.CreateAsync()).Volume;
        for (var i = 0; i < 5; i++) world.Devices.Put(volume.Id, (long)i * Chunk, Bytes(i < 2 ? 7 : i));
        var first = await BackUpAsync(world, volume.Id);
        // Four different contents and a page that names them.
        Assert.Equal(5, world.Objects.Chunks.Count);
        world.Devices.Put(volume.Id, 3L * Chunk, Bytes(100));
        world.Devices.Calls.Clear();
        var second = await BackUpAsync(world, volume.Id, incremental: true);
        Assert.Equal(7, world.Objects.Chunks.Count);
        Assert.Equal(5, second.ChunkCount);
        Assert.Single(world.Devices.Calls, call => call == "read");
        // The newest alone stays on the device.
        Assert.Equal([second.Id], world.Devices.Snapshots);
        Assert.False((await world.Backups.GetAsync(world.User, first.Id, None)).Backup.LocalSnapshot);

        // Each is complete: the second without the first, and the first without the second.
        await world.Backups.DeleteAsync(world.User, first.Id, force: false, None);
        await world.SettleAsync();
        var restored = await RestoreAsync(world, second.Id);
        Assert.Equal(Bytes(100), world.Devices.At(restored.Volume.Id, 3L * Chunk));
        Assert.Equal(Bytes(7), world.Devices.At(restored.Volume.Id, Chunk));
    }

    [Fact]
    public async Task Restoring_the_newest_backup_moves_no_data_and_an_older_one_only_what_differs()
    {
        await using var world = await BlockStorageWorld.StartAsync();
        var volume = (await world.CreateAsync()).Volume;
        for (var i = 0; i < 5; i++) world.Devices.Put(volume.Id, (long)i * Chunk, Bytes(i));
        var first = await BackUpAsync(world, volume.Id);
        world.Devices.Put(volume.Id, 3L * Chunk, Bytes(100));
        world.Devices.Put(volume.Id, 9L * Chunk, Bytes(101));
        var second = await BackUpAsync(world, volume.Id);
        world.Devices.Calls.Clear();
        await RestoreAsync(world, second.Id);
        Assert.DoesNotContain("write", world.Devices.Calls);
        var older = await RestoreAsync(world, first.Id, volume.Id);
        Assert.Equal(Bytes(3), world.Devices.At(older.Volume.Id, 3L * Chunk));
        Assert.Equal(Bytes(4), world.Devices.At(older.Volume.Id, 4L * Chunk));
        // What the older one has not is zero again, not left over.
        Assert.True(world.Devices.At(older.Volume.Id, 9L * Chunk) is null or [0, ..]);
        Assert.Equal(2 * Chunk >> 20, world.Devices.Calls.Count(call => call == "write"));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public async Task A_backup_that_was_cut_off_anywhere_is_finished_from_the_same_moment(int failing)
    {
        await using var world = await BlockStorageWorld.StartAsync();
        var volume = (await world.CreateAsync()).Volume;
        for (var i = 0; i < 3; i++) world.Devices.Put(volume.Id, (long)i * Chunk, Bytes(i));
        var puts = 0;
        world.Objects.BeforePut = _ =>
        {
            if (Interlocked.Increment(ref puts) == failing) throw Faults.Unavailable("The object store is away.");
        };
        var made = await world.Backups.CreateAsync(world.User, new BackupWish { VolumeId = volume.Id }, None);
        await WaitAsync(world, () => Task.FromResult(puts >= failing));
        world.Devices.Put(volume.Id, 0, Bytes(50));
        await WaitAsync(world, async () => await StatusAsync(world, made.Backup.Id) == BackupStatus.Available);
        Assert.Equal(VolumeStatus.Available, (await world.GetAsync(volume.Id)).Status);
        var restored = await RestoreAsync(world, made.Backup.Id);
        Assert.Equal(Bytes(0), world.Devices.At(restored.Volume.Id, 0));
    }

    [Fact]
    public async Task A_restore_that_was_cut_off_begins_anew_and_ends_whole()
    {
        await using var world = await BlockStorageWorld.StartAsync();
        var volume = (await world.CreateAsync()).Volume;
        for (var i = 0; i < 3; i++) world.Devices.Put(volume.Id, (long)i * Chunk, Bytes(i));
        var backup = await BackUpAsync(world, volume.Id);
        await world.Volumes.DeleteAsync(world.User, volume.Id, cascade: false, force: false, None);
        await world.SettleAsync();
        var writes = 0;
        world.Devices.Before = call =>
        {
            if (call == "write" && ++writes == 2) throw Faults.Unavailable("The device is away.");
        };
        var restored = await RestoreAsync(world, backup.Id);
        Assert.True(writes > 3);
        for (var i = 0; i < 3; i++) Assert.Equal(Bytes(i), world.Devices.At(restored.Volume.Id, (long)i * Chunk));
    }

    [Fact]
    public async Task A_volume_deleted_while_it_is_restored_leaves_nothing_on_the_device()
    {
        await using var world = await BlockStorageWorld.StartAsync();
        var volume = (await world.CreateAsync()).Volume;
        for (var i = 0; i < 3; i++) world.Devices.Put(volume.Id, (long)i * Chunk, Bytes(i));
        var backup = await BackUpAsync(world, volume.Id);
        await world.Volumes.DeleteAsync(world.User, volume.Id, cascade: false, force: false, None);
        await world.SettleAsync();
        // A device that is away keeps the restore unfinished.
        world.Devices.Before = call =>
        {
            if (call == "write") throw Faults.Unavailable("The device is away.");
        };
        var restoring = (await world.Backups.RestoreAsync(world.User, backup.Id, null, null, None)).Volume;
        await WaitAsync(world, () => Task.FromResult(world.Devices.Calls.Contains("write")));
        await world.Volumes.DeleteAsync(world.Admin, restoring.Id, cascade: false, force: true, None);
        await WaitAsync(world, async () => await world.Store.GetAsync(Volume.Table, restoring.Id, None) is null);
        Assert.Empty(world.Devices.Volumes);
    }

    [Fact]
    public async Task A_damaged_or_missing_chunk_is_found_by_verifying_and_never_restored()
    {
        await using var world = await BlockStorageWorld.StartAsync();
        var volume = (await world.CreateAsync()).Volume;
        for (var i = 0; i < 3; i++) world.Devices.Put(volume.Id, (long)i * Chunk, Bytes(i, Chunk));
        var backup = await BackUpAsync(world, volume.Id);
        var restorer = world.Get<BackupRestorer>();
        Assert.Empty((await restorer.VerifyAsync(backup, None)).DamagedOffsets);
        var (damaged, missing) = (ChunkDigest.Of(Bytes(1, Chunk)), ChunkDigest.Of(Bytes(2, Chunk)));
        world.Objects.Items[$"{backup.Bucket}/{ChunkStore.KeyOf(damaged)}"][100] ^= 1;
        world.Objects.Items.TryRemove($"{backup.Bucket}/{ChunkStore.KeyOf(missing)}", out _);
        var (chunks, _, offsets) = await restorer.VerifyAsync(backup, None);
        Assert.Equal(3, chunks);
        Assert.Equal([Chunk, 2L * Chunk], offsets);
        await world.Volumes.DeleteAsync(world.User, volume.Id, cascade: false, force: false, None);
        await world.SettleAsync();
        var restored = await RestoreAsync(world, backup.Id);
        Assert.Equal(VolumeStatus.Error, restored.Status);
        Assert.Contains("damaged", restored.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sweeping_deletes_what_no_backup_names_and_nothing_else()
    {
        await using var world = await BlockStorageWorld.StartAsync();
        var volume = (await world.CreateAsync()).Volume;
        world.Devices.Put(volume.Id, 0, Bytes(1));
        world.Devices.Put(volume.Id, Chunk, Bytes(2));
        var first = await BackUpAsync(world, volume.Id);
        world.Devices.Put(volume.Id, Chunk, Bytes(3));
        var second = await BackUpAsync(world, volume.Id, incremental: true);
        Assert.Equal(5, world.Objects.Chunks.Count);
        await world.Backups.DeleteAsync(world.User, first.Id, force: false, None);
        await world.SettleAsync();
        var bucket = Assert.Single(await world.Store.ListAsync(BackupBucket.Table, "", None));
        Assert.Equal(2, await world.Sweeper().SweepAsync(bucket.Name, None));
        Assert.Equal(3, world.Objects.Chunks.Count);
        Assert.Empty((await world.Get<BackupRestorer>().VerifyAsync(second, None)).DamagedOffsets);
    }

    [Fact]
    public async Task A_record_that_was_exported_makes_a_second_backup_that_outlives_the_first()
    {
        await using var world = await BlockStorageWorld.StartAsync();
        var volume = (await world.CreateAsync()).Volume;
        world.Devices.Put(volume.Id, 0, Bytes(1));
        var backup = await BackUpAsync(world, volume.Id);
        var records = world.Get<BackupRecords>();
        var url = await records.ExportAsync(world.Admin, backup.Id, None);
        var again = await Assert.ThrowsAsync<FaultException>(() => records.ImportAsync(world.Admin, BackupRecords.Service, url, None));
        Assert.Equal(ErrorReason.Conflict, again.Reason);
        const string otherId = "0b5ff0c2-3a14-4c58-9a3c-0c3f2f3c2b02";
        var changed = System.Text.Encoding.UTF8.GetString(Convert.FromBase64String(url)).Replace($"\"id\":\"{backup.Id}\"", $"\"id\":\"{otherId}\"", StringComparison.Ordinal);
        var imported = await records.ImportAsync(world.Admin, BackupRecords.Service, Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(changed)), None);
        Assert.Equal(otherId, imported.Id);
        await world.Backups.DeleteAsync(world.User, backup.Id, force: false, None);
        await world.SettleAsync();
        await world.Sweeper().SweepAsync(backup.Bucket, None);
        Assert.Empty((await world.Get<BackupRestorer>().VerifyAsync(imported, None)).DamagedOffsets);
        await Assert.ThrowsAsync<FaultException>(() => records.ImportAsync(world.Admin, BackupRecords.Service, "bm8=", None));
        await Assert.ThrowsAsync<FaultException>(() => records.ExportAsync(world.User, imported.Id, None));
    }

    [Fact]
    public async Task Rules_of_states_containers_and_quotas_are_kept()
    {
        await using var world = await BlockStorageWorld.StartAsync(new BlockStorageOptions { QuotaBackups = 1 });
        var volume = (await world.CreateAsync()).Volume;
        var none = await Assert.ThrowsAsync<FaultException>(
            () => world.Backups.CreateAsync(world.User, new BackupWish { VolumeId = volume.Id, Incremental = true }, None));
        Assert.Equal(ErrorReason.Conflict, none.Reason);
        await Assert.ThrowsAsync<FaultException>(() => world.Backups.CreateAsync(world.User, new BackupWish { VolumeId = volume.Id, Container = "a/b" }, None));
        await Assert.ThrowsAsync<FaultException>(() => world.Backups.CreateAsync(world.Other, new BackupWish { VolumeId = volume.Id }, None));
        var backup = await BackUpAsync(world, volume.Id);
        var full = await Assert.ThrowsAsync<FaultException>(() => world.Backups.CreateAsync(world.User, new BackupWish { VolumeId = volume.Id }, None));
        Assert.Equal(ErrorReason.QuotaExceeded, full.Reason);
        Assert.Equal(1, (await world.Quotas.GetAsync(world.User, "project-a", None))[QuotaResources.Backups].Used);
        await Assert.ThrowsAsync<FaultException>(() => world.Backups.GetAsync(world.Other, backup.Id, None));
        await world.Backups.DeleteAsync(world.User, backup.Id, force: false, None);
        await world.SettleAsync();
        Assert.Equal(0, (await world.Quotas.GetAsync(world.User, "project-a", None))[QuotaResources.Backups].Used);
    }
}
