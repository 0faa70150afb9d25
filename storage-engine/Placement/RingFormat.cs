using System.Buffers.Binary;
using System.Collections.Immutable;
using System.IO.Hashing;
using System.Text;

namespace Nephos.Placement;

/// <summary>A ring as bytes, to be kept in the configuration and sent between nodes.</summary>
/// <remarks>
/// Little-endian:
/// <code>
///  0 u32 magic "NRNG"   4 u16 format = 1   6 u8 partition power   7 u8 replicas
///  8 u64 version       16 u32 device count
/// 20 devices: i32 id, f64 weight, then region, zone and node, each as u16 length and UTF-8
///    table: for each replica, for each partition: i32 device id
///    u64 XXH3-64 of everything before
/// </code>
/// </remarks>
public static class RingFormat
{
    private const uint Magic = 0x474E524E;
    private const ushort Version = 1;

    public static byte[] Write(Ring ring)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write(Magic);
        writer.Write(Version);
        writer.Write((byte)ring.PartitionPower);
        writer.Write((byte)ring.ReplicaCount);
        writer.Write(ring.Version);
        writer.Write(ring.Devices.Length);
        foreach (var device in ring.Devices)
        {
            writer.Write(device.Id);
            writer.Write(device.Weight);
            foreach (var name in (ReadOnlySpan<string>)[device.Region, device.Zone, device.Node])
            {
                var bytes = Encoding.UTF8.GetBytes(name);
                writer.Write(checked((ushort)bytes.Length));
                writer.Write(bytes);
            }
        }

        for (var replica = 0; replica < ring.ReplicaCount; replica++)
        {
            for (var partition = 0; partition < ring.PartitionCount; partition++)
            {
                writer.Write(ring.Primary(partition, replica));
            }
        }

        writer.Flush();
        writer.Write(XxHash3.HashToUInt64(stream.GetBuffer().AsSpan(0, (int)stream.Length)));
        return stream.ToArray();
    }

    /// <exception cref="InvalidDataException">Damaged, or written by a newer version.</exception>
    public static Ring Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < 28
            || BinaryPrimitives.ReadUInt64LittleEndian(bytes[^8..]) != XxHash3.HashToUInt64(bytes[..^8])
            || BinaryPrimitives.ReadUInt32LittleEndian(bytes) != Magic
            || BinaryPrimitives.ReadUInt16LittleEndian(bytes[4..]) != Version)
        {
            throw new InvalidDataException("Not a ring, or damaged, or of a newer version.");
        }

        var (power, replicas) = (bytes[6], bytes[7]);
        var version = BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]);
        var count = BinaryPrimitives.ReadInt32LittleEndian(bytes[16..]);
        var rest = bytes[20..^8];
        var devices = ImmutableArray.CreateBuilder<RingDevice>();
        for (var n = 0; n < count; n++)
        {
            var id = BinaryPrimitives.ReadInt32LittleEndian(rest);
            var weight = BinaryPrimitives.ReadDoubleLittleEndian(rest[4..]);
            rest = rest[12..];
            devices.Add(new RingDevice(id, Name(ref rest), Name(ref rest), Name(ref rest), weight));
        }

        if (power > Ring.PartitionPowerMax || rest.Length != replicas * (4L << power))
        {
            throw new InvalidDataException("The ring's table has the wrong size.");
        }

        var known = devices.Select(d => d.Id).ToHashSet();
        var table = new int[replicas][];
        for (var replica = 0; replica < replicas; replica++)
        {
            table[replica] = new int[1 << power];
            for (var partition = 0; partition < table[replica].Length; partition++)
            {
                var device = BinaryPrimitives.ReadInt32LittleEndian(rest);
                table[replica][partition] = known.Contains(device) ? device : throw new InvalidDataException("The ring names an unknown device.");
                rest = rest[4..];
            }
        }

        return new Ring(version, power, devices.ToImmutable(), table);

        static string Name(ref ReadOnlySpan<byte> rest)
        {
            var length = BinaryPrimitives.ReadUInt16LittleEndian(rest);
            var name = Encoding.UTF8.GetString(rest.Slice(2, length));
            rest = rest[(2 + length)..];
            return name;
        }
    }
}
