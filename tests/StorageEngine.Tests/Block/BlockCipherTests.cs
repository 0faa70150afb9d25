using System.Text;
using Nephos.Client.Volumes;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

public sealed class BlockCipherTests
{
    private static byte[] Key(int bytes) => [.. Enumerable.Range(1, bytes).Select(value => (byte)value)];

    [Fact]
    public void It_is_the_cipher_of_IEEE_1619()
    {
        // Vectors 2 and 10 of the standard: keys of 128 and of 256 bits.
        var small = Enumerable.Repeat((byte)0x44, 32).ToArray();
        using (var cipher = new BlockCipher([.. Enumerable.Repeat((byte)0x11, 16), .. Enumerable.Repeat((byte)0x22, 16)], small.Length)) cipher.Encrypt(0x3333333333, small);
        Assert.Equal("C454185E6A16936E39334038ACEF838BFB186FFF7480ADC4289382ECD6D394F0", Convert.ToHexString(small));

        byte[] key =
        [
            .. Convert.FromHexString("2718281828459045235360287471352662497757247093699959574966967627"),
            .. Convert.FromHexString("3141592653589793238462643383279502884197169399375105820974944592"),
        ];
        byte[] data = [.. Enumerable.Range(0, 512).Select(value => (byte)value)];
        using var large = new BlockCipher(key, data.Length);
        large.Encrypt(0xff, data);
        Assert.StartsWith("1C3B3A102F770386E4836C99E370CF9BEA00803F5E482357A4AE12D414A3E63B", Convert.ToHexString(data));
        Assert.EndsWith("2092FA755C824BB5E54C4F36FFDA9FCEA70B9C6E693E148C151", Convert.ToHexString(data));
    }

    [Fact]
    public void What_was_encrypted_together_or_apart_is_the_same_and_comes_back()
    {
        using var cipher = new BlockCipher(Key(64));
        var plain = new byte[40 * BlockCipher.BlockBytes];
        new Random(1).NextBytes(plain);
        var together = plain.ToArray();
        cipher.Encrypt(1000, together);
        for (var block = 0; block < 40; block++)
        {
            var one = plain.AsSpan(block * BlockCipher.BlockBytes, BlockCipher.BlockBytes).ToArray();
            cipher.Encrypt(1000 + block, one);
                Assert.Equal(together[(block * BlockCipher.BlockBytes)..((block + 1) * BlockCipher.BlockBytes)], one);
        }
        cipher.Decrypt(1000, together);
        Assert.Equal(plain, together);
    }

    [Fact]
    public void Equal_blocks_differ_by_their_place_and_those_that_nobody_wrote_are_zeros()
    {
        using var cipher = new BlockCipher(Key(32));
        var blocks = new byte[3 * BlockCipher.BlockBytes];
        cipher.Encrypt(0, blocks);
        Assert.NotEqual(blocks[..BlockCipher.BlockBytes], blocks[BlockCipher.BlockBytes..(2 * BlockCipher.BlockBytes)]);
        blocks.AsSpan(BlockCipher.BlockBytes, BlockCipher.BlockBytes).Clear();
        cipher.Decrypt(0, blocks);
        Assert.Equal(-1, blocks.AsSpan().IndexOfAnyExcept((byte)0));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(16)]
    [InlineData(48)]
    [InlineData(128)]
    public void A_key_of_another_length_is_refused(int bytes) => Assert.Throws<ArgumentException>(() => new BlockCipher(new byte[bytes]));

    [Fact]
    public async Task B39_Devices_of_an_encrypted_volume_have_ciphertext_only()
    {
        await using var device = new NbdDevice(BlockDevice.Small with { SegmentBytes = 4 << 20 });
        device.Opened = device.Opened with { EncryptionKey = Key(64) };
        await device.Heads.OpenAsync(device.Opened, device.SocketPath, CancellationToken.None);
        var secret = "this must not be on any device"u8.ToArray();
        var data = new byte[3 << 20];
        for (var at = 0; at < data.Length; at += 512) secret.CopyTo(data, at);
        using (var client = device.Connect())
        {
            // Whole blocks, more than a buffer, and parts of blocks over what is there and over nothing.
            Assert.Equal(0u, client.DoWrite(0, data[..8192]));
            Assert.Equal(0u, client.DoWrite(4 << 20, data));
            Assert.Equal(0u, client.DoWrite(4096 + 100, secret));
            Assert.Equal(0u, client.DoWrite((20 << 20) + 512, secret));
            secret.CopyTo(data.AsSpan(4096 + 100));
            Assert.Equal(data[..8192], client.DoRead(0, 8192));
            Assert.Equal(secret, client.DoRead((20 << 20) + 512, (uint)secret.Length));
            Assert.Equal(-1, client.DoRead(20 << 20, 512).AsSpan().IndexOfAnyExcept((byte)0));
            Assert.Equal(-1, client.DoRead(40 << 20, 1 << 20).AsSpan().IndexOfAnyExcept((byte)0));
            data.AsSpan(4096 + 100, secret.Length).Clear();
            for (var at = 4096; at < 8192; at += 512) secret.CopyTo(data, at);
            Assert.Equal(data, client.DoRead(4 << 20, (uint)data.Length));
        }
        await device.Heads.CloseAsync(device.Opened.AttachmentId, CancellationToken.None);
        device.Device.Store.RunBackgroundStep(drain: true);
        foreach (var path in Directory.GetFiles(device.Device.Directory, "*", SearchOption.AllDirectories))
        {
            if (Path.GetFileName(path) == "lock") continue;
            await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            var content = new byte[file.Length];
            await file.ReadExactlyAsync(content);
            Assert.True(content.AsSpan().IndexOf(secret) < 0, $"{path} has it in clear");
        }
        var raw = new byte[8192];
        Assert.Equal(LocalStorage.Block.BlockStatus.Ok, device.Volume.Read(device.Volume.SealedEpoch, 0, raw));
        using var cipher = new BlockCipher(Key(64));
        cipher.Decrypt(0, raw);
        Assert.StartsWith("this must", Encoding.ASCII.GetString(raw), StringComparison.Ordinal);
    }
}
