using System.Buffers.Binary;
using Nephos.Images;
using Nephos.Images.Formats;
using Nephos.Kernel.Errors;

namespace Nephos.Fuzzing.Targets;

/// <summary>Disk images as they are uploaded: what their headers say of them.</summary>
internal sealed class DiskTarget : FuzzTarget
{
    private static readonly ImagesOptions Options = new();

    public override string Name => "image";

    public override string About => "headers of disk images (qcow2, VMDK, VHD, VDI, ISO)";

    public override int BytesMax => 4096;

    public override IReadOnlyList<byte[]> Words { get; } =
        [[(byte)'Q', (byte)'F', (byte)'I', 0xfb], "KDMV"u8.ToArray(), "# Disk DescriptorFile"u8.ToArray(), "conectix"u8.ToArray(), "vhdxfile"u8.ToArray(), "createType=\"monolithicSparse\""u8.ToArray(), [0x44, 0x41, 0x54, 0x41], [0, 0, 0, 3], [0x7f, 0x10, 0xda, 0xbe]];

    public override byte[] Make(Random random)
    {
        var head = new byte[512];
        switch (random.Next(4))
        {
            case 0:
                "KDMV"u8.CopyTo(head);
                BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(12), 2048);
                BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(28), 1);
                BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(36), 1);
                return [.. head, .. "# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicSparse\"\nRW 2048 SPARSE \"disk.vmdk\"\n"u8, .. new byte[400]];
            case 1:
                "conectix"u8.CopyTo(head);
                return head;
            default:
                Qcow2Header.Magic.CopyTo(head);
                BinaryPrimitives.WriteInt32BigEndian(head.AsSpan(4), random.Next(2, 4));
                BinaryPrimitives.WriteInt32BigEndian(head.AsSpan(20), random.Next(9, 22));
                BinaryPrimitives.WriteInt64BigEndian(head.AsSpan(24), 1 << 20);
                BinaryPrimitives.WriteInt32BigEndian(head.AsSpan(36), 1);
                BinaryPrimitives.WriteInt64BigEndian(head.AsSpan(40), 1 << 16);
                BinaryPrimitives.WriteInt32BigEndian(head.AsSpan(96), 4);
                BinaryPrimitives.WriteInt32BigEndian(head.AsSpan(100), 104);
                return head;
        }
    }

    public override void Run(byte[] input)
    {
        try
        {
            var header = Qcow2Header.Parse(input, Options.MaxVirtualBytes);
            if (header.VirtualSizeBytes < 0 || header.VirtualSizeBytes > Options.MaxVirtualBytes || header.ClusterBits is < 9 or > 21)
            {
                throw new InvalidOperationException($"A header of {header.VirtualSizeBytes} bytes with clusters of {header.ClusterBits} bits was accepted.");
            }
        }
        catch (InvalidDataException)
        {
        }
        foreach (var format in new[] { "qcow2", "raw", "vmdk", "vhd" })
        {
            var inspector = new ContentInspector(format, "bare", Options);
            try
            {
                var half = input.Length / 2;
                inspector.Append(input.AsSpan(0, half));
                inspector.Append(input.AsSpan(half));
                inspector.Finish();
            }
            catch (FaultException)
            {
            }
        }
    }
}
