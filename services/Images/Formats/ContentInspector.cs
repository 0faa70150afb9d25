using System.Buffers.Binary;
using System.Text;
using Nephos.Kernel.Errors;

namespace Nephos.Images.Formats;

internal enum ContentFormat
{
    /// <summary>No mark of a known format: a raw disk, a file system, or anything.</summary>
    Unmarked,
    Qcow2,
    Vmdk,
    Vhd,
    Vhdx,
    Vdi,
    Qed,
    Iso,
}

/// <summary>What the data says of itself.</summary>
/// <param name="VirtualSizeBytes">Of the disk a guest sees; null when the content does not say.</param>
internal readonly record struct InspectedContent(ContentFormat Format, long? VirtualSizeBytes);

/// <summary>Looks at data as it streams by: whether it is what it was declared to be, and whether it reaches out of itself.</summary>
/// <remarks>
/// An emulator that guesses the format of a disk can be led, by a header written by a tenant, to open files of the host. So a header
/// of one format is never accepted under the name of another, and headers that name other files are never accepted. Keeps the first
/// <see cref="HeadBytes"/> and the last 512 bytes.
/// </remarks>
internal sealed class ContentInspector(string diskFormat, string containerFormat, ImagesOptions options)
{
    /// <summary>Enough for the volume descriptor of an ISO 9660 image and the descriptor inside a sparse VMDK.</summary>
    public const int HeadBytes = 64 * 1024;

    private const int TailBytes = 512;
    private const int IsoMarkOffset = 32 * 1024 + 1;
    private const int VdiMarkOffset = 64;
    private const int VdiSizeOffset = 368;
    private const int VmdkHeaderBytes = 512;
    private const int SectorBytes = 512;

    private readonly byte[] _head = new byte[HeadBytes];
    private readonly byte[] _tail = new byte[TailBytes];
    private int _headLength;
    private int _tailLength;
    private long _length;
    private InspectedContent? _headContent;

    // Archives hold the disk inside; nothing here unpacks or boots them.
    private bool IsDisk => containerFormat is not ("ova" or "ovf" or "docker" or "compressed");

    private ReadOnlySpan<byte> Head => _head.AsSpan(0, _headLength);

    /// <exception cref="FaultException">ImageContentRefused, as soon as the beginning of the data tells.</exception>
    public void Append(ReadOnlySpan<byte> data)
    {
        _length += data.Length;
        var toHead = Math.Min(data.Length, HeadBytes - _headLength);
        data[..toHead].CopyTo(_head.AsSpan(_headLength));
        _headLength += toHead;
        KeepTail(data);
        if (_headLength == HeadBytes)
        {
            _headContent ??= InspectHead();
        }
    }

    /// <exception cref="FaultException">ImageContentRefused.</exception>
    public InspectedContent Finish()
    {
        var content = _headContent ?? InspectHead();
        if (content.Format == ContentFormat.Unmarked && IsDisk && diskFormat == "vhd" &&
            _tailLength == TailBytes && _tail.AsSpan().StartsWith("conectix"u8))
        {
            // A disk of fixed size has its only header at the end.
            content = new InspectedContent(ContentFormat.Vhd, VirtualSize(BinaryPrimitives.ReadInt64BigEndian(_tail.AsSpan(48))));
        }
        if (content.Format == ContentFormat.Unmarked && IsDisk && options.RefuseUnmarkedContent && HasMark(diskFormat))
        {
            throw ImageFaults.BadContent($"it is not {diskFormat}");
        }
        // Where the size of a disk is the size of its data, that is known only now.
        return IsDisk && diskFormat is "raw" or "iso" && (diskFormat == "raw" || content.Format == ContentFormat.Iso)
            ? content with { VirtualSizeBytes = _length }
            : content;
    }

    private static bool HasMark(string format) => format is "qcow2" or "vmdk" or "vhd" or "vhdx" or "vdi" or "iso";

    private InspectedContent InspectHead()
    {
        if (!IsDisk)
        {
            return new InspectedContent(ContentFormat.Unmarked, null);
        }
        var format = Detect(Head);
        var name = format.ToString().ToLowerInvariant();
        var fits = format switch
        {
            ContentFormat.Unmarked => true,
            // A bootable CD image is a disk that has an ISO 9660 volume in it, and may be used as either.
            ContentFormat.Iso => diskFormat is "iso" or "raw",
            _ => name == diskFormat,
        };
        if (!fits)
        {
            throw ImageFaults.BadContent($"it was declared {diskFormat} and is {name}");
        }
        try
        {
            return new InspectedContent(format, format switch
            {
                ContentFormat.Qcow2 => Qcow2Header.Parse(Head, options.MaxVirtualBytes).VirtualSizeBytes,
                ContentFormat.Vmdk => VirtualSize(InspectVmdk()),
                ContentFormat.Vhd => Head.Length >= 56 ? VirtualSize(BinaryPrimitives.ReadInt64BigEndian(Head[48..])) : null,
                ContentFormat.Vdi => Head.Length >= VdiSizeOffset + 8 ? VirtualSize(BinaryPrimitives.ReadInt64LittleEndian(Head[VdiSizeOffset..])) : null,
                _ => null,
            });
        }
        catch (InvalidDataException exception)
        {
            throw ImageFaults.BadContent(exception.Message);
        }
    }

    private static ContentFormat Detect(ReadOnlySpan<byte> head) =>
        head.StartsWith(Qcow2Header.Magic) ? ContentFormat.Qcow2
        : head.StartsWith("KDMV"u8) || head.StartsWith("# Disk DescriptorFile"u8) || head.StartsWith("COWD"u8) ? ContentFormat.Vmdk
        : head.StartsWith("conectix"u8) ? ContentFormat.Vhd
        : head.StartsWith("vhdxfile"u8) ? ContentFormat.Vhdx
        : head.StartsWith("QED\0"u8) ? ContentFormat.Qed
        : head.Length > VdiMarkOffset && head[VdiMarkOffset..].StartsWith((ReadOnlySpan<byte>)[0x7f, 0x10, 0xda, 0xbe]) ? ContentFormat.Vdi
        : head.Length > IsoMarkOffset && head[IsoMarkOffset..].StartsWith("CD001"u8) ? ContentFormat.Iso
        : ContentFormat.Unmarked;

    /// <summary>A VMDK is accepted only when it is one file and its descriptor says so.</summary>
    /// <returns>Bytes of the disk.</returns>
    private long InspectVmdk()
    {
        if (!Head.StartsWith("KDMV"u8) || Head.Length < VmdkHeaderBytes)
        {
            throw new InvalidDataException("a VMDK that is only a descriptor names other files");
        }
        var sectors = BinaryPrimitives.ReadInt64LittleEndian(Head[12..]);
        var descriptorOffset = BinaryPrimitives.ReadInt64LittleEndian(Head[28..]);
        var descriptorSectors = BinaryPrimitives.ReadInt64LittleEndian(Head[36..]);
        if (sectors is < 0 or > long.MaxValue / SectorBytes)
        {
            throw new InvalidDataException("the VMDK has an impossible size");
        }
        if (descriptorOffset < 1 || descriptorSectors < 1 || descriptorOffset > HeadBytes || descriptorSectors > HeadBytes ||
            (descriptorOffset + descriptorSectors) * SectorBytes > Head.Length)
        {
            throw new InvalidDataException("the VMDK has no descriptor near its beginning");
        }
        var descriptor = Encoding.Latin1.GetString(Head.Slice((int)descriptorOffset * SectorBytes, (int)descriptorSectors * SectorBytes));
        CheckVmdkDescriptor(descriptor.Split('\0')[0]);
        return sectors * SectorBytes;
    }

    private static void CheckVmdkDescriptor(string descriptor)
    {
        var extents = 0;
        string? type = null;
        foreach (var line in descriptor.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith("createType", StringComparison.OrdinalIgnoreCase))
            {
                type = line[(line.IndexOf('=', StringComparison.Ordinal) + 1)..].Trim().Trim('"');
            }
            else if (line.StartsWith("RW ", StringComparison.OrdinalIgnoreCase) || line.StartsWith("RDONLY ", StringComparison.OrdinalIgnoreCase) ||
                     line.StartsWith("NOACCESS ", StringComparison.OrdinalIgnoreCase))
            {
                extents++;
                if (line.Contains('/', StringComparison.Ordinal) || line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is not [_, _, "SPARSE", ..])
                {
                    throw new InvalidDataException("the VMDK names other files");
                }
            }
        }
        if (type is not ("monolithicSparse" or "streamOptimized") || extents != 1)
        {
            throw new InvalidDataException("the VMDK must be of type monolithicSparse or streamOptimized, with one extent");
        }
    }

    private static long VirtualSize(long bytes) => bytes >= 0 ? bytes : throw new InvalidDataException("the disk has a negative size");

    private void KeepTail(ReadOnlySpan<byte> data)
    {
        if (data.Length >= TailBytes)
        {
            data[^TailBytes..].CopyTo(_tail);
            _tailLength = TailBytes;
            return;
        }
        var keep = Math.Min(_tailLength, TailBytes - data.Length);
        _tail.AsSpan(_tailLength - keep, keep).CopyTo(_tail);
        data.CopyTo(_tail.AsSpan(keep));
        _tailLength = keep + data.Length;
    }
}
