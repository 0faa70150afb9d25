using System.Buffers.Binary;
using System.Text;
using Nephos.Images;
using Nephos.Images.Formats;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Images;

public sealed class ContentInspectorTests
{
    [Theory]
    [InlineData("qcow2")]
    [InlineData("vmdk")]
    [InlineData("vhd")]
    [InlineData("vhdx")]
    [InlineData("vdi")]
    [InlineData("qed")]
    public void A_header_is_not_accepted_under_the_name_raw(string format)
    {
        var fault = Assert.Throws<FaultException>(() => Inspect("raw", Sample(format)));
        Assert.Equal(ErrorReason.ImageContentRefused, fault.Reason);
        Assert.Contains(format, fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("qcow2", 64 * 512L)]
    [InlineData("vmdk", 2048 * 512L)]
    [InlineData("vhd", 3 << 20)]
    [InlineData("vdi", 5 << 20)]
    [InlineData("iso", 40 * 1024L)]
    public void The_size_that_a_guest_sees_is_taken_from_the_content(string format, long virtualSize) =>
        Assert.Equal(virtualSize, Inspect(format, Sample(format)).VirtualSizeBytes);

    [Fact]
    public void A_vhd_of_fixed_size_is_known_by_its_last_sector()
    {
        var disk = new byte[100_000];
        "conectix"u8.CopyTo(disk.AsSpan(disk.Length - 512));
        BinaryPrimitives.WriteInt64BigEndian(disk.AsSpan(disk.Length - 512 + 48), 99_328);
        foreach (var pieceBytes in (int[])[1, 333, 512, 65_536, 100_000])
        {
            Assert.Equal(new InspectedContent(ContentFormat.Vhd, 99_328), Inspect("vhd", disk, pieceBytes));
        }
    }

    [Fact]
    public void A_raw_disk_has_the_size_of_its_data() => Assert.Equal(777, Inspect("raw", new byte[777]).VirtualSizeBytes);

    [Fact]
    public void A_bootable_CD_image_may_be_used_as_a_raw_disk() => Assert.Equal(40 * 1024, Inspect("raw", Sample("iso")).VirtualSizeBytes);

    [Fact]
    public void Unmarked_content_is_accepted_without_a_size_unless_that_is_switched_off()
    {
        Assert.Null(Inspect("qcow2", Qcow2DiskTests.FullDisk(2000)).VirtualSizeBytes);
        var strict = new ContentInspector("qcow2", "bare", new ImagesOptions { RefuseUnmarkedContent = true });
        strict.Append(Qcow2DiskTests.FullDisk(2000));
        Assert.Equal(ErrorReason.ImageContentRefused, Assert.Throws<FaultException>(() => strict.Finish()).Reason);
    }

    [Theory]
    [InlineData("RW 2048 FLAT \"/etc/shadow\" 0")]
    [InlineData("RW 2048 SPARSE \"/etc/shadow\"")]
    [InlineData("RW 2048 SPARSE \"a.vmdk\"\nRW 2048 SPARSE \"b.vmdk\"")]
    [InlineData("")]
    public void A_vmdk_that_names_other_files_is_refused(string extents) =>
        Assert.Equal(ErrorReason.ImageContentRefused, Assert.Throws<FaultException>(() => Inspect("vmdk", Vmdk(extents))).Reason);

    [Fact]
    public void A_vmdk_that_is_only_a_descriptor_is_refused() => Assert.Throws<FaultException>(
        () => Inspect("vmdk", Encoding.ASCII.GetBytes("# Disk DescriptorFile\nversion=1\nRW 1 FLAT \"/dev/sda\" 0\n")));

    [Fact]
    public void Bad_content_is_refused_as_soon_as_its_beginning_is_known()
    {
        var inspector = new ContentInspector("raw", "bare", new ImagesOptions());
        var head = new byte[ContentInspector.HeadBytes];
        Qcow2Header.Magic.CopyTo(head);
        Assert.Throws<FaultException>(() => inspector.Append(head));
    }

    [Fact]
    public void Archives_are_not_looked_into() => Assert.Null(Inspect("vmdk", Sample("qcow2"), container: "ova").VirtualSizeBytes);

    private static InspectedContent Inspect(string format, byte[] data, int pieceBytes = 1000, string container = "bare")
    {
        var inspector = new ContentInspector(format, container, new ImagesOptions());
        foreach (var piece in data.Chunk(pieceBytes))
        {
            inspector.Append(piece);
        }
        return inspector.Finish();
    }

    private static byte[] Sample(string format)
    {
        var data = new byte[40 * 1024];
        switch (format)
        {
            case "qcow2":
                return new Qcow2Builder().Build(new byte[64 * 512], _ => false);
            case "vmdk":
                return Vmdk("RW 2048 SPARSE \"disk.vmdk\"");
            case "vhd":
                "conectix"u8.CopyTo(data);
                BinaryPrimitives.WriteInt64BigEndian(data.AsSpan(48), 3 << 20);
                return data;
            case "vhdx":
                "vhdxfile"u8.CopyTo(data);
                return data;
            case "vdi":
                BinaryPrimitives.WriteUInt32LittleEndian(data.AsSpan(64), 0xbeda107f);
                BinaryPrimitives.WriteInt64LittleEndian(data.AsSpan(368), 5 << 20);
                return data;
            case "qed":
                "QED\0"u8.CopyTo(data);
                return data;
            case "iso":
                "CD001"u8.CopyTo(data.AsSpan(32 * 1024 + 1));
                return data;
            default:
                throw new ArgumentException(format);
        }
    }

    private static byte[] Vmdk(string extents)
    {
        var data = new byte[16 * 1024];
        "KDMV"u8.CopyTo(data);
        BinaryPrimitives.WriteInt64LittleEndian(data.AsSpan(12), 2048);
        BinaryPrimitives.WriteInt64LittleEndian(data.AsSpan(28), 1);
        BinaryPrimitives.WriteInt64LittleEndian(data.AsSpan(36), 20);
        Encoding.ASCII.GetBytes($"# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicSparse\"\n{extents}\n").CopyTo(data, 512);
        return data;
    }
}
