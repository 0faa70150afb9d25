using System.Security.Cryptography;
using Nephos.BlockStorage.Attachments;
using Nephos.BlockStorage.Backups;
using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Encryption;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.Volumes;
using Nephos.Client.Volumes;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Xunit;

namespace Nephos.Services.Tests.BlockStorage;

public sealed class EncryptionTests
{
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly byte[] Plain = [.. Enumerable.Repeat((byte)'p', 2 * BlockCipher.BlockBytes)];

    private static async Task<BlockStorageWorld> StartAsync(int? keyBits = 256, string? cipher = "aes-xts-plain64")
    {
        var world = await BlockStorageWorld.StartAsync();
        var type = await world.Types.CreateAsync(world.Admin, "secret", null, isPublic: true, new Dictionary<string, string>(), None);
        await world.Types.SetEncryptionAsync(world.Admin, type.Id, _ => world.Types.MakeEncryption("luks", cipher, keyBits, null), None);
        return world;
    }

    private static Task<VolumeView> CreateAsync(BlockStorageWorld world, VolumeWish? wish = null) =>
        world.CreateAsync((wish ?? new VolumeWish()) with { VolumeType = "secret", SizeBytes = BlockStorageWorld.Gib });

    private static async Task<byte[]> KeyAsync(BlockStorageWorld world, VolumeView view) => await world.Get<VolumeKeys>().UnwrapAsync(view.Volume.KeyId, None);

    private static async Task<int> CountKeysAsync(BlockStorageWorld world) => (await world.Store.ListAsync(VolumeKey.Table, "", None)).Count;

    private static async Task DeleteAsync(BlockStorageWorld world, VolumeView view)
    {
        await world.Volumes.DeleteAsync(world.User, view.Volume.Id, cascade: false, force: false, None);
        await world.SettleAsync();
    }

    [Theory]
    [InlineData(256, 32)]
    [InlineData(512, 64)]
    [InlineData(null, 64)]
    public async Task The_head_of_a_volume_gets_its_key_and_the_records_do_not_show_it(int? keyBits, int bytes)
    {
        await using var world = await StartAsync(keyBits);
        var (first, second) = (await CreateAsync(world), await CreateAsync(world));
        var attachment = await world.Attachments.CreateAsync(world.User, new AttachmentWish { VolumeId = first.Volume.Id }, None);
        var opened = await world.Attachments.OpenAsync(world.Service, attachment.Id, attachment.Token, "node-1", 0, None);
        Assert.Equal(bytes, opened.Key.Length);
        Assert.NotEqual(opened.Key, await KeyAsync(world, second));
        var record = (await world.Store.GetAsync(VolumeKey.Table, first.Volume.KeyId!, None))!;
        Assert.Equal(-1, record.Wrapped.AsSpan().IndexOf(opened.Key));
        // It belongs to this record and to no other.
        Assert.ThrowsAny<CryptographicException>(() => world.Get<IKeyProvider>().Unwrap(record.Wrapped, second.Volume.KeyId!));
        var plain = await world.CreateAsync();
        Assert.Null(plain.Volume.KeyId);
        Assert.Empty(await KeyAsync(world, plain));
    }

    [Theory]
    [InlineData(128, "aes-xts-plain64")]
    [InlineData(256, "aes-cbc-essiv")]
    public async Task What_can_not_be_encrypted_as_its_type_asks_is_refused(int keyBits, string cipher)
    {
        await using var world = await StartAsync(keyBits, cipher);
        var type = await world.Types.GetAsync(world.Admin, "secret", None);
        var location = await Assert.ThrowsAsync<FaultException>(
            () => world.Types.SetEncryptionAsync(world.Admin, type.Id, old => old! with { ControlLocation = "somewhere" }, None));
        Assert.Contains("control_location", location.Message, StringComparison.Ordinal);
        var fault = await Assert.ThrowsAsync<FaultException>(() => CreateAsync(world));
        Assert.Contains("not offered", fault.Message, StringComparison.Ordinal);
        Assert.Equal(0, await CountKeysAsync(world));
    }

    [Fact]
    public async Task Clones_and_backups_keep_the_key_and_the_last_of_them_takes_it_away()
    {
        await using var world = await StartAsync();
        var volume = await CreateAsync(world);
        var clone = await CreateAsync(world, new VolumeWish { VolumeId = volume.Volume.Id });
        var snapshot = await world.Snapshots.CreateAsync(world.User, new SnapshotWish { VolumeId = volume.Volume.Id }, wait: true, None);
        await world.SettleAsync();
        var ofSnapshot = await CreateAsync(world, new VolumeWish { SnapshotId = snapshot.Id });
        Assert.Equal(await KeyAsync(world, volume), await KeyAsync(world, clone));
        Assert.Equal(volume.Volume.KeyId, ofSnapshot.Volume.KeyId);
        var backup = (await world.Backups.CreateAsync(world.User, new BackupWish { VolumeId = clone.Volume.Id }, None)).Backup;
        await world.SettleAsync();
        await Assert.ThrowsAsync<FaultException>(() => world.Get<BackupRecords>().ExportAsync(world.Admin, backup.Id, None));
        await world.Snapshots.DeleteAsync(world.User, snapshot.Id, None);
        await world.SettleAsync();

        await DeleteAsync(world, volume);
        await DeleteAsync(world, clone);
        await DeleteAsync(world, ofSnapshot);
        Assert.Equal(1, await CountKeysAsync(world));
        var restored = await CreateAsync(world, new VolumeWish { BackupId = backup.Id });
        Assert.Equal(volume.Volume.KeyId, restored.Volume.KeyId);
        await world.SettleAsync();
        await world.Backups.DeleteAsync(world.User, backup.Id, force: false, None);
        await world.SettleAsync();
        Assert.Equal(1, await CountKeysAsync(world));
        await DeleteAsync(world, restored);
        Assert.Equal(0, await CountKeysAsync(world));
    }

    [Fact]
    public async Task Content_that_is_not_encrypted_makes_no_encrypted_volume_and_the_other_way_round()
    {
        await using var world = await StartAsync();
        var (plain, secret) = (await world.CreateAsync(), await CreateAsync(world));
        await Assert.ThrowsAsync<FaultException>(() => CreateAsync(world, new VolumeWish { VolumeId = plain.Volume.Id }));
        await Assert.ThrowsAsync<FaultException>(
            () => world.CreateAsync(new VolumeWish { VolumeId = secret.Volume.Id, VolumeType = "standard", SizeBytes = BlockStorageWorld.Gib }));
        await Assert.ThrowsAsync<FaultException>(() => world.Volumes.RetypeAsync(world.User, plain.Volume.Id, "secret", None));
        await Assert.ThrowsAsync<FaultException>(() => world.Volumes.RetypeAsync(world.User, secret.Volume.Id, "standard", None));
        var backup = (await world.Backups.CreateAsync(world.User, new BackupWish { VolumeId = secret.Volume.Id }, None)).Backup;
        await world.SettleAsync();
        await Assert.ThrowsAsync<FaultException>(() => world.Backups.RestoreAsync(world.User, backup.Id, plain.Volume.Id, null, None));
    }

    [Fact]
    public async Task A_volume_of_an_image_is_encrypted_and_an_image_of_it_is_not()
    {
        await using var world = await StartAsync();
        var image = world.Images.Add("project-a", 1 << 20, new BlockChunk(1 << 16, Plain));
        var volume = await CreateAsync(world, new VolumeWish { ImageId = image });
        await world.SettleAsync();
        var stored = world.Devices.At(volume.Volume.Id, 1 << 16)!;
        Assert.NotEqual(Plain, stored);
        var content = stored.ToArray();
        using (var cipher = new BlockCipher(await KeyAsync(world, volume))) cipher.Decrypt((1 << 16) / BlockCipher.BlockBytes, content);
        Assert.Equal(Plain, content);

        var (imageId, _) = await world.Volumes.UploadAsync(
            world.User, volume.Volume.Id, new VolumeUpload("", "copy", "raw", "bare"), new Dictionary<string, string>(), "private", isProtected: false, force: false, None);
        await world.SettleAsync();
        Assert.Equal(Plain, Assert.Single(world.Images.Uploads[imageId].Chunks).Data.ToArray());
    }

    [Fact]
    public void The_master_key_is_for_its_owner_only()
    {
        var directory = Directory.CreateTempSubdirectory("nephos-master-key-");
        try
        {
            var wrapped = new MasterKeyFile(directory.FullName).Wrap([1, 2, 3], "key");
            var path = Path.Combine(directory.FullName, MasterKeyFile.FileName);
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
            Assert.Equal([1, 2, 3], new MasterKeyFile(directory.FullName).Unwrap(wrapped, "key"));
            wrapped[^1] ^= 1;
            Assert.ThrowsAny<CryptographicException>(() => new MasterKeyFile(directory.FullName).Unwrap(wrapped, "key"));
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.GroupRead);
            Assert.Throws<IOException>(() => new MasterKeyFile(directory.FullName).Wrap([1], "key"));
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }
}
