using System.Text;
using CsCheck;
using Nephos.LocalStorage.Block;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

/// <summary>The bytes on the disk. A change here is a new version with a new reader, never an edit.</summary>
public sealed class BlockFormatTests
{
    [Fact]
    public void The_checksum_is_the_published_one()
    {
        Assert.Equal(0xE3069283u, Crc32C.Compute("123456789"u8));
        Assert.Equal(0x8A9136AAu, Crc32C.Compute(new byte[32])); // RFC 3720, B.4.
    }

    [Fact]
    public void A_block_in_three_lanes_has_the_same_checksum_as_byte_by_byte()
    {
        Gen.Byte.Array[4096].Sample(data => Assert.Equal(~Crc32C.UpdateByTable(uint.MaxValue, data), Crc32C.ComputeBlock(data)), iter: 50);
    }

    [Fact]
    public void Checksums_of_blocks_join_to_the_checksum_of_all()
    {
        Gen.Byte.Array[3 * 4096].Sample(
            data =>
            {
                var crc = Crc32C.ComputeBlock(data.AsSpan(0, 4096));
                for (var i = 1; i < 3; i++) crc = Crc32C.AppendBlock(crc, Crc32C.ComputeBlock(data.AsSpan(i * 4096, 4096)));
                Assert.Equal(Crc32C.Compute(data), crc);
            },
            iter: 50);
    }

    [Fact]
    public void A_record_header_has_its_golden_bytes()
    {
        var bytes = new byte[RecordHeader.Bytes];
        new RecordHeader(
            RecordKind.Zero, Volume: 0x01020304, Layer: 0x05060708, Segment: 9, Epoch: 10, Sequence: 11, Offset: 0x123456789000, Length: 0x4000,
            PayloadCrc: 0xAABBCCDD, PreviousCrc: 0x11223344).Write(bytes);
        Assert.Equal(
            "4E424A31010100000403020108070605" + "09000000000000000A00000000000000" + "0B00000000000000" + "0090785634120000" +
            "00400000DDCCBBAA44332211" + Convert.ToHexString(BitConverter.GetBytes(Crc32C.Compute(bytes.AsSpan(0, 60)))),
            Convert.ToHexString(bytes));
        Assert.True(RecordHeader.TryRead(bytes, out var header, out _));
        Assert.Equal((0x01020304u, 0x05060708u, 0x123456789000ul), (header.Volume, header.Layer, header.Offset));
    }

    [Fact]
    public void A_record_header_with_any_flipped_bit_is_refused()
    {
        var bytes = new byte[RecordHeader.Bytes];
        new RecordHeader(RecordKind.Data, 1, 2, 3, 4, 5, 4096, 4096, 7, 8).Write(bytes);
        for (var bit = 0; bit < RecordHeader.Bytes * 8; bit++)
        {
            bytes[bit / 8] ^= (byte)(1 << bit % 8);
            Assert.False(RecordHeader.TryRead(bytes, out _, out _));
            bytes[bit / 8] ^= (byte)(1 << bit % 8);
        }
    }

    [Fact]
    public void A_segment_header_has_its_golden_bytes()
    {
        var bytes = new byte[SegmentHeader.Bytes];
        new SegmentHeader(new Guid("00112233-4455-6677-8899-aabbccddeeff"), Number: 5, OldestNumber: 3).Write(bytes);
        Assert.Equal(
            "4E424A5301000000" + "00112233445566778899AABBCCDDEEFF" + "05000000000000000300000000000000" + new string('0', 40),
            Convert.ToHexString(bytes.AsSpan(0, 60)));
        Assert.True(SegmentHeader.TryRead(bytes, out var header));
        Assert.Equal((5ul, 3ul), (header.Number, header.OldestNumber));
        Assert.False(bytes.AsSpan(64).ContainsAnyExcept((byte)0));
    }

    [Fact]
    public void A_change_of_the_structure_has_its_golden_text()
    {
        var id = new Guid("00112233-4455-6677-8899-aabbccddeeff");
        var bytes = MetaLog.Encode(new VolumeCreated(id, 1, 4096, 2, ParentLayer: null), previousCrc: 7, out var crc);
        Assert.Equal("4E424D00", Convert.ToHexString(bytes.AsSpan(0, 4)));
        Assert.Equal(
            "{\"op\":\"volume-created\",\"id\":\"00112233-4455-6677-8899-aabbccddeeff\",\"handle\":1,\"sizeBytes\":4096,\"layer\":2,\"parentLayer\":null,\"incomplete\":false}",
            Encoding.UTF8.GetString(bytes.AsSpan(16)));
        Assert.True(MetaLog.TryRead(bytes, 7, out var change, out var length, out var crcRead));
        Assert.Equal((bytes.Length, crc), (length, crcRead));
        Assert.IsType<VolumeCreated>(change);
        Assert.False(MetaLog.TryRead(bytes, 8, out _, out _, out _));
    }

    [Fact]
    public void A_change_as_the_first_version_wrote_it_is_still_read()
    {
        const string text = "{\"op\":\"volume-sealed\",\"handle\":3,\"epoch\":9,\"lastSequence\":77}";
        Assert.Equal(new VolumeSealed(3, 9), System.Text.Json.JsonSerializer.Deserialize(text, MetaJson.Default.MetaChange));
    }

    [Fact]
    public void Sums_of_blocks_never_look_like_absent_or_zero()
    {
        Assert.Equal([2u, 3u, 2u, uint.MaxValue], new[] { 0u, 1u, 2u, uint.MaxValue }.Select(BlockWord.SumOf));
    }
}
