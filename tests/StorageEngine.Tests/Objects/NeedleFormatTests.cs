using System.Text;
using CsCheck;
using Nephos.LocalStorage.Objects;
using Xunit;

namespace Nephos.StorageEngine.Tests.Objects;

public sealed class NeedleFormatTests
{
    private static readonly NeedleHeader Sample = new()
    {
        VolumeId = 0x0102030405060708,
        Sequence = 9,
        Batch = 7,
        Key = new NeedleKey(0x1122334455667788, 0x99AABBCCDDEEFF00, 0x0F1E2D3C4B5A6978, 3),
        Flags = NeedleFlags.Handoff,
        PayloadBytes = 70_000,
        HomeDevice = 5,
    };

    [Fact]
    public void The_header_of_a_needle_has_exactly_these_bytes()
    {
        var sector = new byte[NeedleHeader.SizeBytes];
        Sample.Write(sector, [0xA1A2A3A4A5A6A7A8, 0xB1B2B3B4B5B6B7B8], Encoding.UTF8.GetBytes("acc/bucket/key"));

        Assert.Equal(
            "4E45444C01000200" + "0807060504030201" + "0900000000000000" + "8877665544332211"
            + "00FFEEDDCCBBAA99" + "78695A4B3C2D1E0F" + "03000000" + "70110100" + "05000000" + "00000000" + "0700000000000000",
            Convert.ToHexString(sector.AsSpan(0, 72)));
        Assert.Equal(new byte[48], sector[72..120]);
        Assert.Equal("0E00" + Convert.ToHexString("acc/bucket/key"u8), Convert.ToHexString(sector.AsSpan(120, 16)));
        Assert.Equal(new byte[232], sector[136..368]);
        Assert.Equal("A8A7A6A5A4A3A2A1" + "B8B7B6B5B4B3B2B1", Convert.ToHexString(sector.AsSpan(368, 16)));
        Assert.Equal(new byte[120], sector[384..504]);
        Assert.Equal("1CA86E9E8F45258E", Convert.ToHexString(sector.AsSpan(504, 8)));
    }

    [Fact]
    public void The_header_of_a_segment_has_exactly_these_bytes()
    {
        var page = new byte[SegmentHeader.HeaderBytes];
        new SegmentHeader(SegmentKind.Volume, 0x0102, 0x03, new Guid("00112233-4455-6677-8899-aabbccddeeff"), 64 << 20, 1_700_000_000_000)
            .Write(page);

        Assert.Equal(
            "4E53454701000100" + "0201000000000000" + "0300000000000000" + "00112233445566778899AABBCCDDEEFF"
            + "0000000400000000" + "0068E5CF8B010000",
            Convert.ToHexString(page.AsSpan(0, 56)));
        Assert.Equal(new byte[4032], page[56..4088]);
        Assert.Equal("FD66528745504B1E", Convert.ToHexString(page.AsSpan(4088, 8)));
    }

    [Fact]
    public void A_header_reads_back_as_it_was_written()
    {
        var sector = new byte[NeedleHeader.SizeBytes];
        Sample.Write(sector, [1, 2], "hint"u8);

        Assert.True(NeedleHeader.TryRead(sector, out var read));
        Assert.Equal(Sample, read);
        Assert.Equal("hint", NeedleHeader.HintOf(sector));
        Assert.Equal(2UL, NeedleHeader.ChecksumOf(sector, 1));
    }

    [Fact]
    public void A_header_with_any_bit_flipped_is_refused()
    {
        var sector = new byte[NeedleHeader.SizeBytes];
        Sample.Write(sector, [1, 2], "hint"u8);
        Gen.Int[0, (NeedleHeader.SizeBytes * 8) - 1].Sample(bit =>
        {
            var damaged = sector.ToArray();
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            return !NeedleHeader.TryRead(damaged, out _);
        });
    }

    [Fact]
    public void Random_bytes_are_never_taken_for_a_header() =>
        Gen.Byte.Array[0, 600].Sample(bytes => !NeedleHeader.TryRead(bytes, out _) && !SegmentHeader.TryRead(bytes, out _));

    [Fact]
    public void A_hint_that_is_too_long_is_cut()
    {
        var sector = new byte[NeedleHeader.SizeBytes];
        Sample.Write(sector, [1, 2], Encoding.UTF8.GetBytes(new string('x', 1000)));

        Assert.True(NeedleHeader.TryRead(sector, out _));
        Assert.Equal(new string('x', NeedleHeader.HintBytesMax), NeedleHeader.HintOf(sector));
    }
}
