using System.Buffers.Text;
using System.Formats.Tar;
using System.Text;

namespace Nephos.Fuzzing.Targets;

/// <summary>Archives that become many objects.</summary>
internal sealed class ArchiveTarget : FuzzTarget
{
    private const int BlockBytes = 512;
    private static readonly byte[] Head = HttpInput.Make("PUT", "/object/v1/AUTH_p/box/into?extract-archive=tar", [("X-Auth-Token", Faces.Token)], []);

    private readonly Faces _faces = new();

    public override string Name => "tar";

    public override string About => "tar archives of bulk uploads";

    public override IReadOnlyList<byte[]> Words { get; } = WordsOf("ustar\0" + "00", "ustar  \0", "././@LongLink", "18 path=../../x/y\n", "30 SCHILY.xattr.user.meta.a=bbbb\n", "00000000000", "77777777777", "\0\0\0\0\0\0\0\0");

    public override byte[] Make(Random random)
    {
        using var archive = new MemoryStream();
        var format = Pick(random, TarEntryFormat.Ustar, TarEntryFormat.Pax, TarEntryFormat.Gnu, TarEntryFormat.V7);
        using (var writer = new TarWriter(archive, format, leaveOpen: true))
        {
            for (var left = random.Next(1, 4); left > 0; left--)
            {
                var name = Pick(random, "a", "dir/b", "./c", new string('d', 60) + "/" + new string('n', 60));
                var type = format == TarEntryFormat.V7 ? TarEntryType.V7RegularFile : TarEntryType.RegularFile;
                TarEntry entry = format switch
                {
                    TarEntryFormat.Ustar => new UstarTarEntry(type, name),
                    TarEntryFormat.Pax => new PaxTarEntry(type, name, [KeyValuePair.Create("SCHILY.xattr.user.meta.color", "blue")]),
                    TarEntryFormat.Gnu => new GnuTarEntry(type, name),
                    _ => new V7TarEntry(type, name[..Math.Min(99, name.Length)]),
                };
                entry.DataStream = new MemoryStream(new byte[random.Next(700)]);
                entry.ModificationTime = Faces.Now;
                writer.WriteEntry(entry);
            }
        }
        return archive.ToArray();
    }

    /// <summary>Makes the checksums of all headers right.</summary>
    public override void Repair(byte[] input)
    {
        for (var at = 0; at + BlockBytes <= input.Length; at += BlockBytes)
        {
            var header = input.AsSpan(at, BlockBytes);
            if (header[0] == 0)
            {
                continue;
            }
            header.Slice(148, 8).Fill((byte)' ');
            var sum = 0;
            foreach (var value in header)
            {
                sum += value;
            }
            Encoding.ASCII.GetBytes(Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ", header[148..]);
            var isNumber = Utf8Parser.TryParse(header.Slice(124, 11), out long _, out _);
            var size = isNumber ? Convert.ToInt64(new string([.. Encoding.ASCII.GetString(header.Slice(124, 11)).Where(c => c is >= '0' and <= '7')]).PadLeft(1, '0'), 8) : 0;
            at += (int)Math.Min(input.Length, (size + BlockBytes - 1) / BlockBytes * BlockBytes);
        }
    }

    public override void Run(byte[] input) => _faces.Swift([.. Head, .. input]);
}
